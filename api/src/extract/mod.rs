//! What handlers get out of a request: parsed, checked and bounded.

pub mod address;
pub mod body;
pub mod caller;
pub mod fields;
pub mod idempotency;
pub mod path;
pub mod query;
pub mod rate;
mod strict;
pub mod trace;
pub mod values;

pub use body::{JsonBody, OptionalJsonBody};
pub use caller::{
    Admin, Anyone, Caller, Host, HostOrAuditor, HostOrViewer, ModeratorOrHost, Viewer,
};
pub use fields::{Errors, Form};
pub use idempotency::{Key, OptionalKey};
pub use path::{Id, MessagePath, ViewerPath};
pub use query::Params;
