//! JSON inside JSON, kept as it was written; in Protobuf it is bytes.

use bytes::Bytes;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub fn serialize<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_slice(data).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer).map_err(D::Error::custom)?;
    let text = raw.get();
    Ok(if text == "null" { Bytes::new() } else { Bytes::copy_from_slice(text.as_bytes()) })
}
