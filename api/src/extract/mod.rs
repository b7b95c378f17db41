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

pub use body::{JsonBody, JsonText, OptionalJsonBody};
pub use caller::{
    Admin, Anyone, Auditor, Caller, Host, HostOrAuditor, HostOrViewer, ModeratorOrHost, Viewer,
};
pub use fields::{Errors, Form};
pub use idempotency::{Key, OptionalKey};
pub use path::{Id, MessagePath, OrderPath, ViewerPath};
pub use query::Params;
