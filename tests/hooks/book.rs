//! The book of webhooks: one suite, on both databases.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::SellerId;
use domain::ports::{
    AttemptResult, ClaimedDelivery, DeliveryStatus, EndpointStatus, WebhookBook, WebhookEndpoint,
    WebhookMessage,
};
use projections::read_model::open;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::fresh_database;

/// A book, a second process's view of the same one, and what keeps its file.
struct Books {
    book: Arc<dyn WebhookBook>,
    other: Arc<dyn WebhookBook>,
    _folder: Option<TempDir>,
}

impl Books {
    async fn at(url: &str, folder: Option<TempDir>) -> Self {
        commands::store::migrate(url).await.unwrap();
        let (one, other) = (open(url).await.unwrap(), open(url).await.unwrap());
        Self { book: one.webhooks, other: other.webhooks, _folder: folder }
    }

    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("onair.db").display());
        Self::at(&url, Some(folder)).await
    }

    async fn postgres() -> Self {
        Self::at(&fresh_database().await, None).await
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Books::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Books::postgres().await).await;
            })+
        }
    };
}

on_both!(
    endpoints_come_back_as_they_were_registered,
    a_seller_has_at_most_so_many,
    messages_move_with_the_checkpoint,
    a_claim_is_one_processes_own,
    a_slow_endpoint_has_its_share,
    what_came_of_an_attempt_is_kept,
    a_lease_that_ran_out_is_claimed_again,
    a_disabled_endpoint_waits,
    deliveries_are_listed_newest_first,
    ended_deliveries_are_forgotten,
);

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000 + seconds, 123_456_000).unwrap()
}

fn endpoint(seller: &str, created: i64) -> WebhookEndpoint {
    WebhookEndpoint {
        id: Uuid::new_v4(),
        seller: SellerId::try_new(seller).unwrap(),
        url: "https://shop.example/hook".to_owned(),
        events: vec!["order.confirmed".to_owned(), "*".to_owned()],
        description: Some("the warehouse's".to_owned()),
        status: EndpointStatus::Enabled,
        disabled_reason: None,
        generation: 1,
        previous_until: None,
        failing_since: None,
        created_at: at(created),
    }
}

fn message(endpoint: &WebhookEndpoint, created: i64) -> WebhookMessage {
    WebhookMessage {
        id: Uuid::new_v4(),
        endpoint: endpoint.id,
        event: "order.confirmed".to_owned(),
        body: format!("{{\"n\": {created}}}"),
        created_at: at(created),
    }
}

async fn registered(books: &Books, seller: &str) -> WebhookEndpoint {
    let endpoint = endpoint(seller, 0);
    assert!(books.book.register(&endpoint, 20).await.unwrap());
    endpoint
}

async fn enqueue(books: &Books, messages: &[WebhookMessage]) {
    let from = books.book.checkpoint().await.unwrap();
    let to = Position(from.0 + 1);
    assert_eq!(books.book.enqueue(from, to, messages).await.unwrap(), to);
}

async fn claim(book: &Arc<dyn WebhookBook>, now: i64) -> Vec<ClaimedDelivery> {
    book.claim(at(now), at(now + 60), 4, 32).await.unwrap()
}

fn failed(now: i64, retry_at: Option<i64>) -> AttemptResult {
    AttemptResult {
        at: at(now),
        response_status: Some(500),
        error: Some("answered 500".to_owned()),
        retry_at: retry_at.map(at),
        disable: None,
    }
}

fn taken(now: i64) -> AttemptResult {
    let none = AttemptResult { error: None, ..failed(now, None) };
    AttemptResult { response_status: Some(204), ..none }
}

async fn endpoints_come_back_as_they_were_registered(books: Books) {
    let (late, early) = (endpoint("acme", 5), endpoint("acme", 1));
    let mut foreign = endpoint("other", 1);
    foreign.description = None;
    for endpoint in [&late, &early, &foreign] {
        assert!(books.book.register(endpoint, 20).await.unwrap());
    }
    let seller = SellerId::try_new("acme").unwrap();
    assert_eq!(books.other.endpoints(&seller).await.unwrap(), [early.clone(), late.clone()]);
    assert_eq!(books.other.endpoints(&foreign.seller).await.unwrap(), [foreign.clone()]);
    let mut changed = early.clone();
    changed.status = EndpointStatus::Disabled;
    changed.disabled_reason = Some("gone".to_owned());
    changed.generation = 2;
    changed.previous_until = Some(at(9));
    changed.failing_since = Some(at(8));
    assert!(books.book.update(&changed).await.unwrap());
    assert_eq!(books.other.endpoints(&seller).await.unwrap(), [changed, late.clone()]);
    assert!(!books.book.update(&endpoint("acme", 1)).await.unwrap(), "an unknown one");
    let mut enabled = books.other.enabled().await.unwrap();
    enabled.sort_by_key(|endpoint| endpoint.seller.to_string());
    assert_eq!(enabled, [late.clone(), foreign.clone()]);
    assert!(!books.book.remove(&seller, foreign.id).await.unwrap(), "another seller's");
    assert!(books.book.remove(&seller, late.id).await.unwrap());
    assert!(!books.book.remove(&seller, late.id).await.unwrap(), "twice");
}

async fn a_seller_has_at_most_so_many(books: Books) {
    for _ in 0..3 {
        assert!(books.book.register(&endpoint("acme", 0), 3).await.unwrap());
    }
    assert!(!books.book.register(&endpoint("acme", 0), 3).await.unwrap());
    assert!(books.book.register(&endpoint("other", 0), 3).await.unwrap());
}

async fn messages_move_with_the_checkpoint(books: Books) {
    let endpoint = registered(&books, "acme").await;
    let first = message(&endpoint, 1);
    let stray = message(&super::book::endpoint("acme", 0), 1);
    let (start, one, two) = (Position::START, Position(1), Position(2));
    let both = [first.clone(), stray];
    assert_eq!(books.book.enqueue(start, one, &both).await.unwrap(), one);
    assert_eq!(books.other.checkpoint().await.unwrap(), one);
    // somebody else was faster: nothing of this is written
    let late = message(&endpoint, 2);
    assert_eq!(books.other.enqueue(start, two, std::slice::from_ref(&late)).await.unwrap(), one);
    // the same message again stays as it is
    assert_eq!(books.book.enqueue(one, two, std::slice::from_ref(&first)).await.unwrap(), two);
    let page = books.book.deliveries(endpoint.id, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1, "of an endpoint that is gone there is none");
    assert_eq!(page.items[0].message, first);
    assert_eq!(page.items[0].status, DeliveryStatus::Pending);
    assert_eq!(page.items[0].next_attempt_at, Some(first.created_at));
}

async fn a_claim_is_one_processes_own(books: Books) {
    let endpoint = registered(&books, "acme").await;
    let messages: Vec<WebhookMessage> = (0..3).map(|n| message(&endpoint, n)).collect();
    enqueue(&books, &messages).await;
    assert_eq!(claim(&books.book, 0).await.len(), 1, "the others are not due");
    let claimed = claim(&books.other, 5).await;
    let mut ids: Vec<Uuid> = claimed.iter().map(|claimed| claimed.delivery.message.id).collect();
    ids.sort();
    let mut due = vec![messages[1].id, messages[2].id];
    due.sort();
    assert_eq!(ids, due, "the first is somebody else's");
    assert_eq!(claimed[0].endpoint, endpoint);
    assert_eq!(claimed[0].delivery.attempts, 1);
    assert_eq!(claimed[0].delivery.last_attempt_at, Some(at(5)));
    let (one, other) = tokio::join!(claim(&books.book, 6), claim(&books.other, 6));
    assert!(one.is_empty() && other.is_empty());
}

async fn a_slow_endpoint_has_its_share(books: Books) {
    let (slow, quick) = (registered(&books, "acme").await, registered(&books, "acme").await);
    let mut messages: Vec<WebhookMessage> = (0..9).map(|_| message(&slow, 0)).collect();
    messages.push(message(&quick, 1));
    enqueue(&books, &messages).await;
    let of_slow = |claimed: &[ClaimedDelivery]| {
        claimed.iter().filter(|claimed| claimed.endpoint.id == slow.id).count()
    };
    let first = claim(&books.book, 5).await;
    assert_eq!((first.len(), of_slow(&first)), (5, 4));
    assert!(claim(&books.other, 5).await.is_empty(), "what is in hand counts");
    assert!(books.book.settle(&first[0], &taken(6)).await.unwrap());
    let slot = usize::from(first[0].endpoint.id == slow.id);
    assert_eq!(of_slow(&claim(&books.book, 6).await), slot);
    let most = books.book.claim(at(500), at(560), 4, 2).await.unwrap();
    assert_eq!(most.len(), 2, "never more than asked for");
}

async fn what_came_of_an_attempt_is_kept(books: Books) {
    let endpoint = registered(&books, "acme").await;
    let sent = message(&endpoint, 0);
    enqueue(&books, std::slice::from_ref(&sent)).await;
    let claimed = claim(&books.book, 1).await.remove(0);
    assert!(books.book.settle(&claimed, &failed(2, Some(10))).await.unwrap());
    assert!(!books.book.settle(&claimed, &taken(3)).await.unwrap(), "the claim is over");
    let of = async || books.other.deliveries(endpoint.id, None, 1).await.unwrap().items.remove(0);
    let delivery = of().await;
    assert_eq!(delivery.status, DeliveryStatus::Pending);
    assert_eq!((delivery.attempts, delivery.response_status), (1, Some(500)));
    assert_eq!(delivery.error.as_deref(), Some("answered 500"));
    assert_eq!(delivery.next_attempt_at, Some(at(10)));
    assert_eq!(
        books.other.endpoints(&endpoint.seller).await.unwrap()[0].failing_since,
        Some(at(2))
    );
    assert!(claim(&books.book, 9).await.is_empty());
    let claimed = claim(&books.book, 10).await.remove(0);
    assert!(books.book.settle(&claimed, &failed(11, None)).await.unwrap());
    let delivery = of().await;
    assert_eq!((delivery.status, delivery.next_attempt_at), (DeliveryStatus::Failed, None));
    assert_eq!(
        books.other.endpoints(&endpoint.seller).await.unwrap()[0].failing_since,
        Some(at(2))
    );
    assert!(claim(&books.book, 9_999).await.is_empty(), "given up");
    let again = books.other.redeliver(endpoint.id, sent.id, at(20)).await.unwrap().unwrap();
    assert_eq!((again.status, again.attempts), (DeliveryStatus::Pending, 0));
    assert_eq!(books.other.redeliver(endpoint.id, Uuid::new_v4(), at(20)).await.unwrap(), None);
    assert_eq!(books.other.redeliver(Uuid::new_v4(), sent.id, at(20)).await.unwrap(), None);
    let claimed = claim(&books.book, 20).await.remove(0);
    assert!(books.book.settle(&claimed, &taken(21)).await.unwrap());
    let delivery = of().await;
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
    assert_eq!((delivery.error, delivery.delivered_at), (None, Some(at(21))));
    assert_eq!(books.other.endpoints(&endpoint.seller).await.unwrap()[0].failing_since, None);
}

async fn a_lease_that_ran_out_is_claimed_again(books: Books) {
    let endpoint = registered(&books, "acme").await;
    enqueue(&books, &[message(&endpoint, 0)]).await;
    let first = claim(&books.book, 1).await.remove(0);
    assert!(claim(&books.other, 60).await.is_empty());
    let second = claim(&books.other, 61).await.remove(0);
    assert_eq!(second.delivery.attempts, 2);
    assert!(!books.book.settle(&first, &taken(62)).await.unwrap(), "the first came too late");
    assert!(books.other.settle(&second, &taken(63)).await.unwrap());
}

async fn a_disabled_endpoint_waits(books: Books) {
    let mut endpoint = registered(&books, "acme").await;
    enqueue(&books, &[message(&endpoint, 0), message(&endpoint, 0)]).await;
    let claimed = books.book.claim(at(1), at(61), 4, 1).await.unwrap().remove(0);
    let gone = AttemptResult { disable: Some("it is gone".to_owned()), ..failed(2, None) };
    assert!(books.book.settle(&claimed, &gone).await.unwrap());
    let stored = books.other.endpoints(&endpoint.seller).await.unwrap().remove(0);
    assert_eq!(stored.status, EndpointStatus::Disabled);
    assert_eq!(stored.disabled_reason.as_deref(), Some("it is gone"));
    assert!(claim(&books.book, 100).await.is_empty());
    endpoint.status = EndpointStatus::Enabled;
    assert!(books.book.update(&endpoint).await.unwrap());
    assert_eq!(claim(&books.book, 100).await.len(), 1);
}

async fn deliveries_are_listed_newest_first(books: Books) {
    let endpoint = registered(&books, "acme").await;
    let messages: Vec<WebhookMessage> = (0..5).map(|n| message(&endpoint, n)).collect();
    enqueue(&books, &messages).await;
    let mut seen = vec![];
    let mut cursor = None;
    loop {
        let page = books.book.deliveries(endpoint.id, cursor.as_deref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|delivery| delivery.message));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let newest_first: Vec<WebhookMessage> = messages.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
    assert!(books.book.deliveries(endpoint.id, Some("x"), 2).await.is_err(), "no cursor");
    assert!(books.book.remove(&endpoint.seller, endpoint.id).await.unwrap());
    assert!(books.book.deliveries(endpoint.id, None, 2).await.unwrap().items.is_empty());
}

async fn ended_deliveries_are_forgotten(books: Books) {
    let endpoint = registered(&books, "acme").await;
    let messages: Vec<WebhookMessage> = (0..4).map(|n| message(&endpoint, n)).collect();
    enqueue(&books, &messages).await;
    for claimed in claim(&books.book, 10).await {
        if claimed.delivery.message.id != messages[0].id {
            assert!(books.book.settle(&claimed, &taken(11)).await.unwrap());
        }
    }
    let day = at(0) + TimeDelta::days(1);
    assert_eq!(books.book.prune(at(0), 10).await.unwrap(), 0);
    assert_eq!(books.book.prune(day, 2).await.unwrap(), 2, "in parts");
    assert_eq!(books.book.prune(day, 10).await.unwrap(), 1);
    assert_eq!(books.book.deliveries(endpoint.id, None, 10).await.unwrap().items.len(), 1);
}
