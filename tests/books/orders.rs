//! The order book: what is applied once, twice, with a gap, and by two at once.

use domain::envelope::Position;
use domain::ports::{OrderBook, PortError};
use domain::views::OrderView;

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::Story;

on_every_adapter!(
    repeats_are_skipped,
    a_gap_is_refused,
    nothing_is_nothing,
    two_appliers_do_not_disturb_each_other,
    rows_of_another_fold_are_not_touched,
);

fn busy_story(orders: usize) -> Story {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 10_000)]);
    for n in 0..orders {
        let id = story.place(sale, &format!("v{n}"), &[("a", 1)]);
        if n % 2 == 0 {
            story.capture(id);
        }
    }
    story
}

async fn all(book: &dyn OrderBook, story: &Story) -> Vec<OrderView> {
    let mut views = vec![];
    for order in story.orders() {
        views.push(book.order(order).await.unwrap().expect("the order is in the book"));
    }
    views
}

/// What the pure fold makes of the story.
fn folded(story: &Story) -> Vec<OrderView> {
    let fold = |order| {
        story
            .log()
            .iter()
            .filter(|event| projections::order_book::order_of(&event.event) == Some(order))
            .fold(None, projections::order_book::fold)
            .expect("accepted")
    };
    story.orders().into_iter().map(fold).collect()
}

async fn repeats_are_skipped(books: Books) {
    let story = busy_story(6);
    let log = story.log();
    let book = &*books.orders;
    assert_eq!(book.checkpoint().await.unwrap(), Position::START);
    assert_eq!(book.apply(&log[..5]).await.unwrap(), Position(5));
    assert_eq!(book.apply(&log[..5]).await.unwrap(), Position(5));
    assert_eq!(book.apply(&log[1..3]).await.unwrap(), Position(5));
    assert_eq!(book.apply(&log[3..9]).await.unwrap(), Position(9));
    assert_eq!(book.apply(log).await.unwrap(), story.head());
    assert_eq!(book.apply(log).await.unwrap(), story.head());
    assert_eq!(book.checkpoint().await.unwrap(), story.head());
    assert_eq!(all(book, &story).await, folded(&story));
}

async fn a_gap_is_refused(books: Books) {
    let story = busy_story(6);
    let log = story.log();
    let book = &*books.orders;
    let refused = |applied: Result<Position, PortError>| {
        matches!(applied, Err(PortError::Corrupt { what: "order_book", .. }))
    };
    assert!(refused(book.apply(&log[1..]).await), "the first event is missing");
    book.apply(&log[..6]).await.unwrap();
    assert!(refused(book.apply(&log[7..9]).await), "one event is missing before the batch");
    let holed: Vec<_> = log.iter().filter(|event| event.position != Position(9)).cloned().collect();
    assert!(refused(book.apply(&holed).await), "one event is missing inside the batch");
    let mut swapped = log.to_vec();
    swapped.swap(8, 9);
    assert!(refused(book.apply(&swapped).await), "two events changed places");
    assert_eq!(book.checkpoint().await.unwrap(), Position(6), "nothing was applied");
    book.apply(log).await.unwrap();
    assert_eq!(all(book, &story).await, folded(&story));
}

async fn nothing_is_nothing(books: Books) {
    assert_eq!(books.orders.apply(&[]).await.unwrap(), Position::START);
    let mut story = Story::new();
    story.live("no orders yet");
    let head = books.orders.apply(story.log()).await.unwrap();
    assert_eq!(head, story.head(), "events of others move the checkpoint too");
    assert_eq!(books.orders.apply(&[]).await.unwrap(), story.head());
}

async fn two_appliers_do_not_disturb_each_other(books: Books) {
    let story = busy_story(60);
    let log = story.log();
    let run = async |book: &dyn OrderBook, page: usize| {
        let mut at = 0;
        while at < log.len() {
            let end = (at + page).min(log.len());
            let checkpoint = book.apply(&log[at..end]).await.unwrap();
            at = usize::try_from(checkpoint.0).unwrap();
        }
    };
    let one = run(&*books.orders, 3);
    let other = run(&*books.other_orders, 5);
    futures::join!(one, other);
    assert_eq!(books.orders.checkpoint().await.unwrap(), story.head());
    assert_eq!(all(&*books.other_orders, &story).await, folded(&story));
}

async fn rows_of_another_fold_are_not_touched(books: Books) {
    let story = busy_story(4);
    books.apply(&story.log()[..4]).await;
    let foreign = "UPDATE projection_checkpoint SET fingerprint = 'x' WHERE name = 'order_book'";
    if !books.execute(foreign).await {
        return;
    }
    let refused = books.orders.apply(&story.log()[4..]).await;
    assert!(matches!(refused, Err(PortError::Corrupt { what: "projection_checkpoint", .. })));
    assert_eq!(books.orders.checkpoint().await.unwrap(), Position(4));
    assert_eq!(books.board.apply(&story.log()[4..]).await.unwrap(), story.head());
}
