//! The waitlist: who waits, at which place, and how it ended, on every adapter.

use domain::ids::SpotlightId;
use domain::line::Lines;
use domain::order::OrderCommand;
use domain::personal::Personal;
use domain::ports::PortError;
use domain::spotlight::{SpotlightCommand, Wait};
use projections::waitlist::{WaitRow, WaitStatus, WaitlistFold};

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::{HOLD_SECONDS, Story, line};

on_every_adapter!(a_line_moves_up, a_gap_is_refused_and_a_repeat_skipped);

fn joins(story: &mut Story, spotlight: SpotlightId, name: &str) {
    let wait = Wait {
        viewer_ref: story.viewer_ref(name),
        lines: Lines::try_new(vec![line("a", 1)]).unwrap(),
        received_at: story.now,
        node: "node-1".to_owned(),
        personal: Personal {
            viewer: Some(domain::ids::ViewerId::try_new(name).unwrap()),
            ..Personal::default()
        },
    };
    let command = SpotlightCommand::JoinWaitlist { wait: Box::new(wait), admission: None };
    story.spotlight_does(spotlight, command);
}

async fn follow(books: &Books, story: &Story) {
    for page in story.log().chunks(3) {
        books.waitlist.apply(page).await.unwrap();
    }
    assert_eq!(books.waitlist.checkpoint().await.unwrap(), story.head());
}

async fn place(
    books: &Books,
    story: &Story,
    spotlight: SpotlightId,
    name: &str,
) -> (WaitRow, Option<u64>) {
    let key = WaitlistFold::key_of(spotlight, &story.viewer_ref(name));
    let row = books.waitlist.row(key).await.unwrap().expect("is known");
    let place = match row.status {
        WaitStatus::Waiting => Some(books.waitlist.in_line(spotlight, row.joined).await.unwrap()),
        _ => None,
    };
    (row, place)
}

async fn a_line_moves_up(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let spotlight = story.spotlight(show, &[("a", 1)]);
    let other = story.spotlight(show, &[("a", 1)]);
    let first = story.place(spotlight, "ana", &[("a", 1)]);
    story.place(other, "eve", &[("a", 1)]);
    for name in ["bob", "cat", "dan"] {
        joins(&mut story, spotlight, name);
    }
    joins(&mut story, other, "bob");
    follow(&books, &story).await;
    for (name, at) in [("bob", 1), ("cat", 2), ("dan", 3)] {
        let (row, at_place) = place(&books, &story, spotlight, name).await;
        assert_eq!((row.status, at_place), (WaitStatus::Waiting, Some(at)), "{name}");
        assert_eq!(row.viewer.as_ref().map(domain::ids::ViewerId::as_str), Some(name));
    }
    assert_eq!(place(&books, &story, other, "bob").await.1, Some(1));

    story.pass(i64::from(HOLD_SECONDS) + 1);
    story.expire(first);
    follow(&books, &story).await;
    let (bob, _) = place(&books, &story, spotlight, "bob").await;
    assert_eq!(bob.status, WaitStatus::Offered);
    let hold = chrono::TimeDelta::seconds(i64::from(HOLD_SECONDS));
    assert_eq!(bob.offer_expires_at, Some(story.now + hold));
    assert_eq!(place(&books, &story, spotlight, "cat").await.1, Some(1));
    assert_eq!(place(&books, &story, spotlight, "dan").await.1, Some(2));

    let offer = bob.order_id.expect("has an order");
    story
        .send(
            spotlight.into(),
            domain::command::Command::Order {
                command: OrderCommand::CancelOrder { order_id: offer, reason: None },
            },
        )
        .expect("declines");
    let leave = SpotlightCommand::LeaveWaitlist { viewer_ref: story.viewer_ref("dan") };
    story.spotlight_does(spotlight, leave);
    follow(&books, &story).await;
    let (bob, _) = place(&books, &story, spotlight, "bob").await;
    assert_eq!(
        (bob.status, bob.order_id, bob.offer_expires_at),
        (WaitStatus::Declined, Some(offer), None)
    );
    assert_eq!(place(&books, &story, spotlight, "cat").await.0.status, WaitStatus::Offered);
    assert_eq!(place(&books, &story, spotlight, "dan").await.0.status, WaitStatus::Declined);
    // who was in line once may stand at its end again
    joins(&mut story, spotlight, "bob");
    follow(&books, &story).await;
    let (bob, at) = place(&books, &story, spotlight, "bob").await;
    assert_eq!((bob.status, bob.order_id, at), (WaitStatus::Waiting, None, Some(1)));
    assert_eq!(books.waitlist.rows(spotlight).await.unwrap().len(), 3);
    let nobody = WaitlistFold::key_of(spotlight, &story.viewer_ref("zoe"));
    assert_eq!(books.waitlist.row(nobody).await.unwrap(), None);
    assert!(story.desk(spotlight).spotlight.waitlist.kept.is_empty());
}

async fn a_gap_is_refused_and_a_repeat_skipped(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let spotlight = story.spotlight(show, &[("a", 1)]);
    for name in ["bob", "cat"] {
        joins(&mut story, spotlight, name);
    }
    let log = story.log();
    assert!(matches!(
        books.waitlist.apply(&log[1..]).await,
        Err(PortError::Corrupt { what: "waitlist", .. })
    ));
    books.waitlist.apply(log).await.unwrap();
    books.waitlist.apply(log).await.unwrap();
    assert_eq!(place(&books, &story, spotlight, "cat").await.1, Some(2));
}
