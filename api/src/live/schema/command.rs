//! What clients ask.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{DataOnly, Nothing, json};

/// One command.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct Command {
    /// What the reply is to carry; 0 for what has no reply.
    #[prost(uint32, tag = "1")]
    #[serde(default)]
    pub id: u32,
    /// Begins the session.
    #[prost(message, optional, tag = "4")]
    pub connect: Option<ConnectRequest>,
    /// Asks for a channel.
    #[prost(message, optional, tag = "5")]
    pub subscribe: Option<SubscribeRequest>,
    /// Gives a channel up.
    #[prost(message, optional, tag = "6")]
    pub unsubscribe: Option<ChannelRequest>,
    /// A message of the client's to a channel; not offered.
    #[prost(message, optional, tag = "7")]
    pub publish: Option<ChannelRequest>,
    /// Who is in a channel; not offered.
    #[prost(message, optional, tag = "8")]
    pub presence: Option<ChannelRequest>,
    /// How many are in a channel.
    #[prost(message, optional, tag = "9")]
    pub presence_stats: Option<ChannelRequest>,
    /// What a channel keeps.
    #[prost(message, optional, tag = "10")]
    pub history: Option<HistoryRequest>,
    /// Asks for an answer.
    #[prost(message, optional, tag = "11")]
    pub ping: Option<Nothing>,
    /// A message without a reply; not offered.
    #[prost(message, optional, tag = "12")]
    pub send: Option<DataOnly>,
    /// A call.
    #[prost(message, optional, tag = "13")]
    pub rpc: Option<RpcRequest>,
    /// Brings a new token.
    #[prost(message, optional, tag = "14")]
    pub refresh: Option<RefreshRequest>,
    /// Brings a new token of a channel.
    #[prost(message, optional, tag = "15")]
    pub sub_refresh: Option<ChannelRequest>,
}

/// Begins the session.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct ConnectRequest {
    /// The token.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub token: String,
    /// What the client wants to watch, as JSON: `{"broadcast": ID}`.
    #[prost(bytes = "bytes", tag = "2")]
    #[schema(value_type = Value)]
    #[serde(default, with = "json")]
    pub data: Bytes,
    /// Where its server-side subscriptions stood.
    #[prost(btree_map = "string, message", tag = "3")]
    #[serde(default)]
    pub subs: BTreeMap<String, SubscribeRequest>,
}

/// Asks for a channel.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct SubscribeRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub channel: String,
    /// Whether to go on after `epoch` and `offset`.
    #[prost(bool, tag = "3")]
    #[serde(default)]
    pub recover: bool,
    /// The known life of the channel.
    #[prost(string, tag = "6")]
    #[serde(default)]
    pub epoch: String,
    /// The last known message.
    #[prost(uint64, tag = "7")]
    #[serde(default)]
    pub offset: u64,
}

/// Names a channel.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct ChannelRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub channel: String,
}

/// Asks for what a channel keeps.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct HistoryRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub channel: String,
    /// Messages at most; none where it is 0, all where it is negative.
    #[prost(int32, tag = "7")]
    #[serde(default)]
    pub limit: i32,
    /// After, or with `reverse` before, this place.
    #[prost(message, optional, tag = "8")]
    pub since: Option<StreamPosition>,
    /// Whether the newest come first.
    #[prost(bool, tag = "9")]
    #[serde(default)]
    pub reverse: bool,
}

/// A place in a channel.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct StreamPosition {
    /// The message.
    #[prost(uint64, tag = "1")]
    #[serde(default)]
    pub offset: u64,
    /// The life of the channel.
    #[prost(string, tag = "2")]
    #[serde(default)]
    pub epoch: String,
}

/// A call.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct RpcRequest {
    /// Its argument, as JSON.
    #[prost(bytes = "bytes", tag = "1")]
    #[schema(value_type = Value)]
    #[serde(default, with = "json")]
    pub data: Bytes,
    /// What is called.
    #[prost(string, tag = "2")]
    #[serde(default)]
    pub method: String,
}

/// Brings a new token.
#[derive(Clone, PartialEq, prost::Message, Deserialize, ToSchema)]
pub struct RefreshRequest {
    /// The token.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub token: String,
}

/// Commands to a connection that another node may hold.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EmulationRequest {
    /// The node.
    #[prost(string, tag = "1")]
    pub node: String,
    /// The connection.
    #[prost(string, tag = "2")]
    pub session: String,
    /// The commands.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
}
