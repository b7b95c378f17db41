//! Who sends what: the server is the one that is described.

use serde_json::{Map, Value, json};

/// The operations.
pub(super) fn operations() -> Value {
    let mut all = Map::new();
    for transport in ["websocket", "http_stream", "sse"] {
        let about = "What clients ask, and what they are answered";
        let asked = asks(transport, &["Command"], &["Reply"], about);
        all.insert(format!("{transport}.command"), asked);
        let pushed = says(transport, &["Reply"], "What comes without being asked for");
        all.insert(format!("{transport}.push"), pushed);
    }
    let about = "Commands of a connection without WebSocket";
    let handed = operation("receive", "emulation", &["EmulatedCommands"], about);
    all.insert("emulation.command".to_owned(), handed);
    let streams: [(&str, &[&str], &str); 3] = [
        ("live", &["LiveState", "LivePatch"], "The state, and what changes in it"),
        ("chat", CHAT, "What is said"),
        ("user", USER, "The viewer's own orders, and places in line"),
    ];
    for (channel, messages, about) in streams {
        all.insert(channel.to_owned(), says(channel, messages, about));
    }
    let calls: [(&str, &str, &[&str], &str); 3] = [
        ("chat.send", "ChatSend", &["ChatSent", "CallRefused"], "Say something"),
        ("like", "LikeSend", &["Liked", "CallRefused"], "Like a broadcast"),
        ("order.get", "OrderGet", &["Order", "CallRefused"], "Read an order"),
    ];
    for (method, argument, results, about) in calls {
        all.insert(method.to_owned(), asks("calls", &[argument], results, about));
    }
    Value::Object(all)
}

const USER: &[&str] = &["UserWelcome", "user.order", "user.moderation", "user.waitlist"];
const CHAT: &[&str] = &[
    "ChatWelcome",
    "chat.chat",
    "chat.removed",
    "chat.announcement",
    "chat.pinned",
    "chat.mode",
    "chat.skipped",
];

fn says(channel: &str, messages: &[&str], about: &str) -> Value {
    operation("send", channel, messages, about)
}

fn asks(channel: &str, messages: &[&str], replies: &[&str], about: &str) -> Value {
    let mut operation = operation("receive", channel, messages, about);
    let reply = json!({"channel": place_of(channel), "messages": of(channel, replies)});
    set(&mut operation, "reply", reply);
    operation
}

fn operation(action: &str, channel: &str, messages: &[&str], about: &str) -> Value {
    json!({
        "action": action,
        "channel": place_of(channel),
        "summary": about,
        "messages": of(channel, messages),
    })
}

fn place_of(channel: &str) -> Value {
    let place = format!("#/channels/{channel}");
    json!({"$ref": place})
}

fn of(channel: &str, messages: &[&str]) -> Vec<Value> {
    let place = |name: &&str| {
        let place = format!("#/channels/{channel}/messages/{name}");
        json!({"$ref": place})
    };
    messages.iter().map(place).collect()
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
