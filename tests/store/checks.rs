//! The ledger and the units of viewers: what may not be stored.

use domain::envelope::Position;
use domain::ledger::LedgerRow;
use domain::ports::{Batch, CommandOutcome, EventStore, InboxEntry, ParkedCommand};

use super::appending::{all, assert_conflict};
use super::bed::Bed;
use super::made::{self, Show, append, batch, fence, order, sku, viewer};
use domain::ids::CommandId;

async fn row(store: &dyn EventStore, show: Show, name: &str) -> LedgerRow {
    store.ledger(show.0).await.expect("reads").rows[&sku(name)]
}

pub async fn stock_is_never_oversold(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    append(store, [show.scheduled(&[("a", 3), ("b", 1)])]).await;
    append(store, [show.reserved(order(), "ana", "a", 2)]).await;
    // the last unit goes, one more does not, also not in company
    assert_conflict(&store.append(&batch([show.reserved(order(), "bob", "a", 2)])).await);
    let two = [show.reserved(order(), "bob", "a", 1), show.reserved(order(), "eve", "a", 1)];
    assert_conflict(&store.append(&batch(two)).await);
    append(store, [show.reserved(order(), "bob", "a", 1)]).await;
    assert_conflict(&store.append(&batch([show.reserved(order(), "eve", "a", 1)])).await);
    // what is held cannot be taken out of the offer
    assert_conflict(&store.append(&batch([show.adjusted(2, "a", -1)])).await);
    append(store, [show.adjusted(2, "a", 1)]).await;
    append(store, [show.reserved(order(), "eve", "a", 1)]).await;
    assert_eq!(row(store, show, "a").await, LedgerRow { limit: 4, held: 4, confirmed: 0 });
    assert_eq!(row(store, show, "b").await, LedgerRow { limit: 1, held: 0, confirmed: 0 });
}

pub async fn units_move_from_held_to_sold_or_back(bed: Bed) {
    let show = Show::new();
    let (sold, back) = (order(), order());
    let store = bed.store.as_ref();
    let held = [show.reserved(sold, "ana", "a", 2), show.reserved(back, "bob", "a", 1)];
    append(store, [show.scheduled(&[("a", 3)])].into_iter().chain(held)).await;
    append(store, [show.confirmed(sold, "ana", "a", 2), show.released(back, "bob", "a", 1)]).await;
    assert_eq!(row(store, show, "a").await, LedgerRow { limit: 3, held: 0, confirmed: 2 });
    assert_conflict(&store.append(&batch([show.adjusted(2, "a", -2)])).await);
    append(store, [show.adjusted(2, "a", -1)]).await;
    assert_eq!(row(store, show, "a").await, LedgerRow { limit: 2, held: 0, confirmed: 2 });
}

pub async fn stock_that_was_never_offered_cannot_be_held(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    assert_conflict(&store.append(&batch([show.reserved(order(), "ana", "a", 1)])).await);
    append(store, [show.scheduled(&[("a", 1)])]).await;
    assert_conflict(&store.append(&batch([show.reserved(order(), "ana", "b", 1)])).await);
    assert!(store.ledger(Show::new().0).await.expect("reads").rows.is_empty());
}

fn limited(show: Show, limit: u32, mut batch: Batch) -> Batch {
    batch.unit_limits.insert(show.0, limit);
    batch
}

pub async fn a_limit_per_viewer_holds(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    let viewers = [viewer("ana"), viewer("bob")];
    let units = async || store.units(show.0, &viewers).await.expect("reads");
    append(store, [show.scheduled(&[("a", 50)])]).await;
    let (first, second) = (order(), order());
    let within = batch([show.reserved(first, "ana", "a", 2), show.reserved(second, "ana", "a", 1)]);
    store.append(&limited(show, 3, within)).await.expect("commits");
    assert_eq!(units().await, [(viewer("ana"), 3)].into());
    let above = batch([show.reserved(order(), "ana", "a", 1)]);
    assert_conflict(&store.append(&limited(show, 3, above)).await);
    let at_once = batch([show.reserved(order(), "bob", "a", 4)]);
    assert_conflict(&store.append(&limited(show, 3, at_once)).await);

    // what is sold still counts, what is given back does not
    let sold = batch([show.confirmed(first, "ana", "a", 2)]);
    store.append(&limited(show, 3, sold)).await.expect("commits");
    let given_back = batch([show.released(second, "ana", "a", 1)]);
    store.append(&limited(show, 3, given_back)).await.expect("commits");
    assert_eq!(units().await, [(viewer("ana"), 2)].into());
    let again = batch([show.reserved(order(), "ana", "a", 1)]);
    store.append(&limited(show, 3, again)).await.expect("commits");
    let there_and_back = order();
    let bob = batch([
        show.reserved(there_and_back, "bob", "a", 3),
        show.released(there_and_back, "bob", "a", 3),
    ]);
    store.append(&limited(show, 3, bob)).await.expect("commits");
    assert_eq!(units().await, [(viewer("ana"), 3)].into());
}

pub async fn viewers_without_a_limit_are_not_counted(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    append(store, [show.scheduled(&[("a", 50)]), show.reserved(order(), "ana", "a", 40)]).await;
    assert!(store.units(show.0, &[viewer("ana")]).await.expect("reads").is_empty());
    assert!(store.units(show.0, &[]).await.expect("reads").is_empty());
}

pub async fn a_sum_that_overflows_is_a_conflict(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    append(store, [show.scheduled(&[("a", 5)])]).await;
    let within = [show.adjusted(2, "a", i64::MAX), show.adjusted(3, "a", i64::MAX)];
    assert_conflict(&store.append(&batch(within)).await);
    assert_conflict(&store.append(&batch([show.adjusted(2, "a", i64::MAX)])).await);
    append(store, [show.adjusted(2, "a", i64::MAX - 5)]).await;
    assert_eq!(row(store, show, "a").await.limit, i64::MAX);
}

/// Whatever is refused last, everything before it is undone.
pub async fn a_refused_batch_leaves_nothing_behind(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    let known = InboxEntry {
        command_id: CommandId(made::uuid()),
        key: show.key(),
        source: made::source(0, 1),
        outcome: CommandOutcome::Done,
        request: None,
    };
    let parked = ParkedCommand {
        source: made::source(0, 2),
        sequence: "known".to_owned(),
        value: vec![0, 255],
        error: "no".to_owned(),
        parked_at: made::time(0),
        deadline: made::time(9),
        action: None,
    };
    let mut first = batch([show.scheduled(&[("a", 5)])]);
    first.inbox.push(known.clone());
    first.parked.push(parked.clone());
    store.append(&first).await.expect("commits");
    let claim = store.claim(made::TOPIC, 0, "w").await.expect("claims");
    let before = all(store).await;

    let new = || {
        let mut new = batch([show.noted(2), show.reserved(order(), "ana", "a", 2)]);
        new.fences.push(fence(0, claim.epoch, None, 3));
        let command_id = CommandId(made::uuid());
        new.inbox.push(InboxEntry { command_id, ..known.clone() });
        let source = made::source(0, 3);
        new.parked.push(ParkedCommand { source, sequence: "new".into(), ..parked.clone() });
        limited(show, 9, new)
    };
    let mut by_inbox = new();
    by_inbox.inbox.push(known.clone());
    let mut by_parked = new();
    by_parked.parked.push(parked.clone());
    let mut by_stock = new();
    by_stock.events.push(show.reserved(order(), "bob", "a", 4));
    let by_units = limited(show, 1, new());
    let mut by_stream = new();
    by_stream.events.push(Show::new().noted(7));
    for refused in [by_inbox, by_parked, by_stock, by_units, by_stream] {
        assert_conflict(&store.append(&refused).await);
        assert_eq!(all(store).await, before);
        assert_eq!(row(store, show, "a").await, LedgerRow { limit: 5, held: 0, confirmed: 0 });
        assert!(store.units(show.0, &[viewer("ana")]).await.expect("reads").is_empty());
        let stands = store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed");
        assert_eq!(stands.next_offset, None);
        let sequences = ["new".to_owned(), "known".to_owned()];
        assert_eq!(store.parked_among(&sequences).await.expect("reads"), ["known"]);
        let ids: Vec<_> = refused.inbox.iter().map(|entry| entry.command_id).collect();
        let found = store.outcomes(&ids).await.expect("reads");
        assert!(found.keys().all(|id| *id == known.command_id), "{found:?}");
    }
    assert_eq!(store.append(&new()).await.expect("commits"), Position(3));
}
