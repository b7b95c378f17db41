//! The messages of the Centrifuge client protocol, version 2, once for both codecs: the field
//! numbers of the published schema, and the names of its JSON. What is not offered is left out;
//! a member that is not known is ignored, since SDKs send more than is needed.

mod command;
mod json;
mod reply;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use command::{
    Command, ConnectRequest, EmulationRequest, HistoryRequest, RefreshRequest, RpcRequest,
    StreamPosition, SubscribeRequest,
};
pub use reply::{
    ConnectResult, Disconnect, Error, HistoryResult, PresenceStatsResult, Publication, Push,
    RefreshResult, Reply, SubRefreshResult, Subscribe, SubscribeResult, Unsubscribe,
};

/// Nothing.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize, ToSchema)]
pub struct Nothing {}

/// JSON and nothing else: the result of a call, or a message without a reply.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize, ToSchema)]
pub struct DataOnly {
    /// It.
    #[prost(bytes = "bytes", tag = "1")]
    #[schema(value_type = Value)]
    #[serde(default, with = "json", skip_serializing_if = "Bytes::is_empty")]
    pub data: Bytes,
}
