use domain::broadcast::{BroadcastCommand, BroadcastEvent, ChatAction, ChatRules, Target};
use domain::event::Event;
use domain::ids::{ViewerId, ViewerRef};
use domain::limits::CHAT_SANCTIONS_MAX;
use domain::personal::Personal;
use uuid::Uuid;

use crate::support::{
    NOW, at, broadcast, broadcast_ended, broadcast_scheduled, given, given_nothing,
};

fn moderate(action: ChatAction) -> BroadcastCommand {
    BroadcastCommand::ModerateChat { action }
}

fn fact(event: BroadcastEvent) -> Event {
    Event::Broadcast(event)
}

fn target(name: &str) -> Target {
    let viewer = ViewerId::try_new(name).unwrap();
    Target {
        viewer_ref: ViewerRef::try_new(format!("ref-{name}")).unwrap(),
        personal: Personal { viewer: Some(viewer), ..Personal::default() },
    }
}

fn frozen() -> Event {
    fact(BroadcastEvent::ChatFrozen { broadcast_id: broadcast(), at: at(NOW) })
}

fn muted(name: &str) -> Event {
    let Target { viewer_ref, personal } = target(name);
    fact(BroadcastEvent::ViewerMuted {
        broadcast_id: broadcast(),
        at: at(NOW),
        viewer_ref,
        until: Some(at(NOW + 60)),
        personal,
    })
}

fn banned(name: &str, shadow: bool) -> Event {
    let Target { viewer_ref, personal } = target(name);
    fact(BroadcastEvent::ViewerBanned {
        broadcast_id: broadcast(),
        at: at(NOW),
        viewer_ref,
        until: None,
        shadow,
        personal,
    })
}

fn pardoned(name: &str, silent: bool) -> Event {
    let Target { viewer_ref, personal } = target(name);
    fact(BroadcastEvent::ViewerPardoned {
        broadcast_id: broadcast(),
        at: at(NOW),
        viewer_ref,
        silent,
        personal,
    })
}

#[test]
fn a_chat_is_a_broadcasts_and_ends_with_it() {
    given_nothing().when_broadcast(moderate(ChatAction::Freeze)).then_refused("not_found");
    given(vec![broadcast_scheduled(), broadcast_ended()])
        .when_broadcast(moderate(ChatAction::Freeze))
        .then_refused("broadcast_ended");
}

#[test]
fn a_repeat_of_a_mode_changes_nothing() {
    let start = || vec![broadcast_scheduled()];
    given(start()).when_broadcast(moderate(ChatAction::Freeze)).then(vec![frozen()]);
    given([start(), vec![frozen()]].concat())
        .when_broadcast(moderate(ChatAction::Freeze))
        .then_nothing();
    given(start()).when_broadcast(moderate(ChatAction::Thaw)).then_nothing();
    given(start()).when_broadcast(moderate(ChatAction::Slow { seconds: 0 })).then_nothing();
    given(start()).when_broadcast(moderate(ChatAction::Unpin)).then_nothing();
    given(start()).when_broadcast(moderate(ChatAction::BanWords { words: vec![] })).then_nothing();
    let words = || vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
    let sorted = fact(BroadcastEvent::WordsBanned {
        broadcast_id: broadcast(),
        at: at(NOW),
        words: vec!["a".to_owned(), "b".to_owned()],
    });
    given(start())
        .when_broadcast(moderate(ChatAction::BanWords { words: words() }))
        .then(vec![sorted.clone()]);
    given([start(), vec![sorted]].concat())
        .when_broadcast(moderate(ChatAction::BanWords { words: words() }))
        .then_nothing();
}

#[test]
fn a_message_is_removed_once_and_not_pinned_any_more() {
    let message_id = Uuid::from_u128(7);
    let remove = || moderate(ChatAction::RemoveMessage { message_id });
    let removed =
        BroadcastEvent::ChatMessageRemoved { broadcast_id: broadcast(), at: at(NOW), message_id };
    given(vec![broadcast_scheduled()]).when_broadcast(remove()).then(vec![fact(removed.clone())]);
    given(vec![broadcast_scheduled(), fact(removed.clone())])
        .when_broadcast(remove())
        .then_nothing();
    let mut rules = ChatRules::default();
    rules.apply(&BroadcastEvent::ChatPinned {
        broadcast_id: broadcast(),
        at: at(NOW),
        pin_id: Uuid::nil(),
        message_id: Some(message_id),
        personal: Personal::default(),
    });
    assert!(rules.pinned.is_some());
    rules.apply(&removed);
    assert!(rules.pinned.is_none());
}

#[test]
fn a_sanction_has_a_term_and_is_lifted() {
    let target = || target("ana");
    let mute = moderate(ChatAction::Mute { target: target(), seconds: Some(60) });
    given(vec![broadcast_scheduled()]).when_broadcast(mute).then(vec![muted("ana")]);
    let pardon = || moderate(ChatAction::Pardon { target: target() });
    given(vec![broadcast_scheduled()]).when_broadcast(pardon()).then_nothing();
    given(vec![broadcast_scheduled(), muted("ana")])
        .when_broadcast(pardon())
        .then(vec![pardoned("ana", false)]);
    given(vec![broadcast_scheduled(), banned("ana", true)])
        .when_broadcast(pardon())
        .then(vec![pardoned("ana", true)]);

    let viewer = target().viewer_ref;
    let mut rules = ChatRules::default();
    for event in [muted("ana"), banned("ana", false), banned("bo", true)] {
        let Event::Broadcast(event) = event else { unreachable!() };
        rules.apply(&event);
    }
    assert_eq!(rules.muted(&viewer, at(NOW + 59)), Some(Some(at(NOW + 60))));
    assert_eq!(rules.muted(&viewer, at(NOW + 60)), None, "its term has run out");
    assert!(rules.is_banned(&viewer, at(NOW + 1_000_000)), "for good");
    assert!(!rules.is_hidden(&viewer, at(NOW)));
    let hidden = self::target("bo").viewer_ref;
    assert!(rules.is_hidden(&hidden, at(NOW)) && !rules.is_banned(&hidden, at(NOW)));
    let Event::Broadcast(event) = pardoned("ana", false) else { unreachable!() };
    rules.apply(&event);
    assert!(!rules.is_banned(&viewer, at(NOW)) && rules.muted(&viewer, at(NOW)).is_none());
}

#[test]
fn sanctions_end_at_the_named_limit() {
    let mut history = vec![broadcast_scheduled()];
    history.extend((0..CHAT_SANCTIONS_MAX).map(|number| muted(&number.to_string())));
    let ban = |name: &str| {
        moderate(ChatAction::Ban { target: target(name), seconds: None, shadow: false })
    };
    given(history.clone()).when_broadcast(ban("one-more")).then_refused("limit_exceeded");
    given(history).when_broadcast(ban("0")).then(vec![banned("0", false)]);
}
