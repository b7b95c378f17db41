//! Everybody is cut at once, and comes back where it was.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::crowd::{Crowd, Hello};
use super::server::Server;
use crate::bench::BenchError;

/// Cuts everybody and connects everybody again; tells the seconds until all have their state.
///
/// # Errors
/// Somebody does not come back, or was not recovered.
pub(super) async fn run(
    server: &Server,
    crowd: Crowd,
    hellos: &[Hello],
) -> Result<f64, BenchError> {
    let replies = crowd.replies();
    let again: Option<Vec<Hello>> =
        hellos.iter().zip(replies).map(|(hello, reply)| after(hello, &reply?)).collect();
    let again = again.ok_or_else(|| BenchError::Failed("a viewer had no reply".to_owned()))?;
    let began = Instant::now();
    crowd.leave_whole().await?;
    let crowd = Crowd::connect(server.address, again).await?;
    let took = began.elapsed().as_secs_f64();
    let lost = crowd.replies().iter().flatten().filter(|reply| !is_recovered(reply)).count();
    crowd.leave_whole().await?;
    match lost {
        0 => Ok(took),
        lost => Err(BenchError::Failed(format!("{lost} viewers were not recovered"))),
    }
}

/// A viewer that goes on after what it had.
fn after(hello: &Hello, reply: &str) -> Option<Hello> {
    let reply: Value = serde_json::from_str(reply.lines().next()?).ok()?;
    let known = reply.pointer("/connect/subs")?.as_object()?;
    let place = |sub: &Value| json!({"recover": true, "epoch": sub.get("epoch"), "offset": sub.get("offset").unwrap_or(&json!(0))});
    let subs: serde_json::Map<String, Value> =
        known.iter().map(|(channel, sub)| (channel.clone(), place(sub))).collect();
    let mut connect: Value = serde_json::from_str(hello.connect.as_deref()?).ok()?;
    connect.get_mut("connect")?.as_object_mut()?.insert("subs".to_owned(), Value::Object(subs));
    Some(Hello { connect: Some(connect.to_string()), ..hello.clone() })
}

/// Whether a viewer's own stream went on.
fn is_recovered(reply: &str) -> bool {
    let reply: Option<Value> =
        reply.lines().next().and_then(|line| serde_json::from_str(line).ok());
    let subs = reply.as_ref().and_then(|reply| reply.pointer("/connect/subs")?.as_object());
    subs.is_some_and(|subs| {
        subs.iter().any(|(channel, sub)| {
            channel.starts_with("user#") && sub.get("recovered") == Some(&json!(true))
        })
    })
}
