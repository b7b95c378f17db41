//! The inbox, parked commands, leases.

use commands::store::LEASE_SECONDS;
use domain::envelope::{Position, Source};
use domain::fingerprint::Fingerprint;
use domain::ids::CommandId;
use domain::ports::{
    CommandOutcome, InboxEntry, ParkedAction, ParkedCommand, ParkedVerb, StoreError, StoredOutcome,
};

use super::bed::Bed;
use super::made::{self, Show, append, batch, source, time};

fn entry(show: Show, outcome: CommandOutcome) -> InboxEntry {
    InboxEntry {
        command_id: CommandId(made::uuid()),
        key: show.key(),
        source: source(0, 1),
        outcome,
        request: Some(Fingerprint::of(b"a request")),
    }
}

pub async fn outcomes_stand_at_their_keys_position(bed: Bed) {
    let store = bed.store.as_ref();
    let (show, other, unknown) = (Show::new(), Show::new(), Show::new());
    append(store, [show.scheduled(&[]), other.scheduled(&[])]).await;
    let refused =
        CommandOutcome::Refused { code: "below_committed".into(), detail: "2 \"held\"".into() };
    let mut later = batch([show.noted(2)]);
    later.inbox = vec![
        entry(show, CommandOutcome::Done),
        entry(other, refused.clone()),
        entry(unknown, CommandOutcome::Parked),
    ];
    store.append(&later).await.expect("commits");
    append(store, [show.noted(3)]).await;
    // a command that led to nothing is decided all the same
    let mut nothing = batch([]);
    let unasked = InboxEntry { request: None, ..entry(show, CommandOutcome::Done) };
    nothing.inbox.push(unasked);
    assert_eq!(store.append(&nothing).await.expect("commits"), Position::START);

    let mut ids: Vec<_> = later.inbox.iter().map(|entry| entry.command_id).collect();
    ids.push(nothing.inbox[0].command_id);
    ids.push(CommandId(made::uuid()));
    let found = store.outcomes(&ids).await.expect("reads");
    assert_eq!(found.len(), 4);
    let at = |position, outcome| {
        let request = Some(Fingerprint::of(b"a request"));
        StoredOutcome { outcome, request, position: Position(position) }
    };
    assert_eq!(found[&ids[0]], at(3, CommandOutcome::Done));
    assert_eq!(found[&ids[1]], at(2, refused));
    assert_eq!(found[&ids[2]], at(0, CommandOutcome::Parked));
    assert_eq!(found[&ids[3]], StoredOutcome { request: None, ..at(4, CommandOutcome::Done) });
    assert!(store.outcomes(&[]).await.expect("reads").is_empty());
}

fn parked(offset: i64, sequence: &str, deadline: i64) -> ParkedCommand {
    ParkedCommand {
        source: source(1, offset),
        sequence: sequence.to_owned(),
        value: vec![0, 159, 146, 150],
        error: "does not decode: \"{\"".to_owned(),
        parked_at: time(0),
        deadline: time(deadline),
        action: None,
    }
}

pub async fn parked_sequences_and_deadlines(bed: Bed) {
    let store = bed.store.as_ref();
    let commands = [parked(3, "late", 60), parked(1, "soon", 30), parked(2, "soon", 30)];
    let mut first = batch([]);
    first.parked = commands.to_vec();
    store.append(&first).await.expect("commits");
    let names = ["soon", "late", "none", "soon"].map(str::to_owned);
    assert_eq!(store.parked_among(&names).await.expect("reads"), ["late", "soon"]);
    assert!(store.parked_among(&[]).await.expect("reads").is_empty());

    let due = async |now, limit| store.parked_due(time(now), limit).await.expect("reads");
    assert_eq!(due(29, 9).await, []);
    assert_eq!(due(30, 9).await, [commands[1].clone(), commands[2].clone()]);
    assert_eq!(due(60, 2).await, [commands[1].clone(), commands[2].clone()]);
    assert_eq!(due(60, 0).await, []);
    assert_eq!(due(60, 9).await.last(), Some(&commands[0]));

    // a sequence that goes on leaves its command due
    store.unpark(&commands[0].source).await.expect("goes on");
    store.unpark(&commands[0].source).await.expect("goes on still");
    assert_eq!(store.parked_among(&names).await.expect("reads"), ["soon"]);
    assert_eq!(due(60, 9).await.last(), Some(&commands[0]));
    store.settle_parked(&commands[0].source).await.expect("settles");
    assert_eq!(due(60, 9).await.len(), 2);

    store.settle_parked(&commands[1].source).await.expect("settles");
    store.settle_parked(&commands[1].source).await.expect("settles again");
    store.settle_parked(&Source { offset: 99, ..source(1, 0) }).await.expect("is no error");
    assert_eq!(due(30, 9).await, [commands[2].clone()]);
    assert_eq!(store.parked_among(&names).await.expect("reads"), ["soon"]);
    store.settle_parked(&commands[2].source).await.expect("settles");
    assert!(store.parked_among(&names).await.expect("reads").is_empty());
}

pub async fn what_is_asked_for_a_parked_command_is_due_at_once(bed: Bed) {
    let store = bed.store.as_ref();
    let commands = [parked(1, "a", 60), parked(2, "a", 60), parked(3, "b", 60), parked(4, "c", 60)];
    let mut first = batch([]);
    first.parked = commands.to_vec();
    store.append(&first).await.expect("commits");
    let book = bed.parked();
    assert_eq!(book.parked(9).await.expect("reads"), commands);
    assert_eq!(book.parked(2).await.expect("reads"), commands[..2]);
    let action = |verb| ParkedAction {
        verb,
        author: "root".to_owned(),
        reason: "it's \"mended\"".to_owned(),
        at: time(7),
    };
    let ask =
        async |n: usize, verb| book.ask(&commands[n].source, &action(verb)).await.expect("asks");
    let due = async || {
        let due = store.parked_due(time(8), 9).await.expect("reads");
        due.into_iter().map(|it| (it.source.offset, it.action)).collect::<Vec<_>>()
    };
    assert!(due().await.is_empty());
    // a retry is asked for the whole sequence; who asks first has it done
    assert!(ask(1, ParkedVerb::Retry).await);
    assert!(!ask(1, ParkedVerb::Discard).await);
    assert!(!ask(0, ParkedVerb::Discard).await);
    let retry = Some(action(ParkedVerb::Retry));
    assert_eq!(due().await, [(1, retry.clone()), (2, retry.clone())]);
    assert!(ask(2, ParkedVerb::Discard).await);
    assert!(ask(3, ParkedVerb::Keep).await);
    let discard = Some(action(ParkedVerb::Discard));
    assert_eq!(due().await, [(1, retry.clone()), (2, retry), (3, discard)]);
    for command in &commands[..3] {
        store.settle_parked(&command.source).await.expect("settles");
    }
    assert!(due().await.is_empty(), "what is kept aside is not due");
    let left = book.parked(9).await.expect("reads");
    assert_eq!(left.iter().map(|it| it.source.offset).collect::<Vec<_>>(), [4]);
    assert!(!ask(0, ParkedVerb::Retry).await, "it is settled");
    let nowhere = Source { offset: 99, ..source(1, 0) };
    assert!(!book.ask(&nowhere, &action(ParkedVerb::Discard)).await.expect("asks"));
}

pub async fn a_lease_is_renewed_taken_over_and_fences_the_checkpoint(bed: Bed) {
    let (one, two) = (bed.store.clone(), bed.other().await);
    let seconds = u64::try_from(LEASE_SECONDS).expect("positive");
    assert_eq!(one.checkpoint("relay").await.expect("reads"), Position::START);
    let lost = one.set_checkpoint("relay", 1, Position(1)).await;
    assert!(matches!(lost, Err(StoreError::Fenced)), "{lost:?}");

    assert_eq!(one.lease("relay", "a").await.expect("asks"), Some(1));
    assert_eq!(two.lease("relay", "b").await.expect("asks"), None);
    assert_eq!(two.lease("process", "b").await.expect("asks"), Some(1));
    one.set_checkpoint("relay", 1, Position(7)).await.expect("moves");
    assert_eq!(two.checkpoint("relay").await.expect("reads"), Position(7));
    assert_eq!(two.checkpoint("process").await.expect("reads"), Position::START);

    // renewed before and after its end, it stays the same lease
    bed.pass(seconds - 2).await;
    assert_eq!(one.lease("relay", "a").await.expect("asks"), Some(1));
    bed.pass(seconds - 2).await;
    assert_eq!(two.lease("relay", "b").await.expect("asks"), None);
    bed.pass(seconds).await;
    assert_eq!(one.lease("relay", "a").await.expect("asks"), Some(1));

    bed.pass(seconds).await;
    assert_eq!(two.lease("relay", "b").await.expect("asks"), Some(2));
    assert_eq!(one.lease("relay", "a").await.expect("asks"), None);
    let lost = one.set_checkpoint("relay", 1, Position(9)).await;
    assert!(matches!(lost, Err(StoreError::Fenced)), "{lost:?}");
    assert_eq!(two.checkpoint("relay").await.expect("reads"), Position(7));
    two.set_checkpoint("relay", 2, Position(8)).await.expect("moves");
    assert_eq!(one.checkpoint("relay").await.expect("reads"), Position(8));

    // given back by its owner it is free at once, and by nobody else
    one.release("relay", "a").await.expect("gives back");
    assert_eq!(one.lease("relay", "a").await.expect("asks"), None);
    two.release("relay", "b").await.expect("gives back");
    assert_eq!(one.lease("relay", "a").await.expect("asks"), Some(3));
    assert_eq!(one.checkpoint("relay").await.expect("reads"), Position(8));
    one.release("nothing", "a").await.expect("gives nothing back");
}
