//! What the server says.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DataOnly, Nothing, json};

/// An answer, or what comes without being asked for.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Reply {
    /// The command's number; 0 for what was not asked for.
    #[prost(uint32, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub id: u32,
    /// Why the command was refused.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// What comes without being asked for.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Connected.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<ConnectResult>,
    /// Subscribed.
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<SubscribeResult>,
    /// Unsubscribed.
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<Nothing>,
    /// How many are in the channel.
    #[prost(message, optional, tag = "10")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_stats: Option<PresenceStatsResult>,
    /// What the channel keeps.
    #[prost(message, optional, tag = "11")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryResult>,
    /// The answer that was asked for.
    #[prost(message, optional, tag = "12")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<Nothing>,
    /// The result of the call.
    #[prost(message, optional, tag = "13")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc: Option<DataOnly>,
    /// The token was taken.
    #[prost(message, optional, tag = "14")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshResult>,
    /// The channel's token was taken.
    #[prost(message, optional, tag = "15")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_refresh: Option<SubRefreshResult>,
}

/// Why a command was refused.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Error {
    /// The protocol's number.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Whether trying again may help.
    #[prost(bool, tag = "3")]
    #[serde(skip_serializing_if = "is_default")]
    pub temporary: bool,
}

/// What comes without being asked for.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Push {
    /// Of which channel.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// A message.
    #[prost(message, optional, tag = "4")]
    #[serde(rename = "pub", skip_serializing_if = "Option::is_none")]
    pub publication: Option<Publication>,
    /// The end of a subscription.
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<Unsubscribe>,
    /// A subscription that begins.
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Subscribe>,
    /// The end of a connection that has no close frame.
    #[prost(message, optional, tag = "11")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnect: Option<Disconnect>,
}

/// One message of a channel.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Publication {
    /// It, as JSON.
    #[prost(bytes = "bytes", tag = "4")]
    #[schema(value_type = Value)]
    #[serde(with = "json")]
    pub data: Bytes,
    /// Its number; 0 where it stands in no stream.
    #[prost(uint64, tag = "6")]
    #[serde(skip_serializing_if = "is_default")]
    pub offset: u64,
}

/// The end of a subscription.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Unsubscribe {
    /// Why, as a number.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// Why, for people.
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// A subscription that begins again by itself.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Subscribe {
    /// Whether it can be gone on with after a cut.
    #[prost(bool, tag = "1")]
    pub recoverable: bool,
    /// The life of the channel.
    #[prost(string, tag = "4")]
    pub epoch: String,
    /// Its top.
    #[prost(uint64, tag = "5")]
    pub offset: u64,
    /// Whether its offsets mean something.
    #[prost(bool, tag = "6")]
    pub positioned: bool,
    /// The state, as JSON.
    #[prost(bytes = "bytes", tag = "7")]
    #[schema(value_type = Value)]
    #[serde(with = "json", skip_serializing_if = "Bytes::is_empty")]
    pub data: Bytes,
}

/// The end of a connection that has no close frame.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct Disconnect {
    /// Why, as a number.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Whether to come back.
    #[prost(bool, tag = "3")]
    #[serde(skip_serializing_if = "is_default")]
    pub reconnect: bool,
}

/// The answer to connect.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct ConnectResult {
    /// The connection's id.
    #[prost(string, tag = "1")]
    pub client: String,
    /// The server's version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Whether the token runs out.
    #[prost(bool, tag = "3")]
    pub expires: bool,
    /// Seconds until then.
    #[prost(uint32, tag = "4")]
    pub ttl: u32,
    /// The subscriptions that the server made.
    #[prost(btree_map = "string, message", tag = "6")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subs: BTreeMap<String, SubscribeResult>,
    /// Seconds between pings.
    #[prost(uint32, tag = "7")]
    pub ping: u32,
    /// Whether pings are to be answered.
    #[prost(bool, tag = "8")]
    pub pong: bool,
    /// What names the connection where commands come by another way.
    #[prost(string, tag = "9")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// The node that holds the connection then.
    #[prost(string, tag = "10")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
}

/// A subscription as it begins.
#[expect(clippy::struct_excessive_bools, reason = "the protocol's members")]
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct SubscribeResult {
    /// Whether it can be gone on with after a cut.
    #[prost(bool, tag = "3")]
    pub recoverable: bool,
    /// The life of the channel.
    #[prost(string, tag = "6")]
    pub epoch: String,
    /// What was missed.
    #[prost(message, repeated, tag = "7")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publications: Vec<Publication>,
    /// Whether nothing was missed, or all of it is in `publications`.
    #[prost(bool, tag = "8")]
    #[serde(skip_serializing_if = "is_default")]
    pub recovered: bool,
    /// The channel's top.
    #[prost(uint64, tag = "9")]
    pub offset: u64,
    /// Whether its offsets mean something.
    #[prost(bool, tag = "10")]
    pub positioned: bool,
    /// The state, as JSON.
    #[prost(bytes = "bytes", tag = "11")]
    #[schema(value_type = Value)]
    #[serde(with = "json", skip_serializing_if = "Bytes::is_empty")]
    pub data: Bytes,
    /// Whether the client asked to go on.
    #[prost(bool, tag = "12")]
    #[serde(skip_serializing_if = "is_default")]
    pub was_recovering: bool,
}

/// How many are in a channel.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct PresenceStatsResult {
    /// Connections.
    #[prost(uint32, tag = "1")]
    pub num_clients: u32,
    /// Viewers.
    #[prost(uint32, tag = "2")]
    pub num_users: u32,
}

/// What a channel keeps.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct HistoryResult {
    /// The messages.
    #[prost(message, repeated, tag = "1")]
    pub publications: Vec<Publication>,
    /// The life of the channel.
    #[prost(string, tag = "2")]
    pub epoch: String,
    /// Its top.
    #[prost(uint64, tag = "3")]
    pub offset: u64,
}

/// The answer to refresh.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct RefreshResult {
    /// The connection's id.
    #[prost(string, tag = "1")]
    pub client: String,
    /// The server's version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Whether the token runs out.
    #[prost(bool, tag = "3")]
    pub expires: bool,
    /// Seconds until then.
    #[prost(uint32, tag = "4")]
    pub ttl: u32,
}

/// The answer to the token of a channel.
#[derive(Clone, PartialEq, prost::Message, Serialize, ToSchema)]
pub struct SubRefreshResult {
    /// Whether the subscription runs out.
    #[prost(bool, tag = "1")]
    pub expires: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
