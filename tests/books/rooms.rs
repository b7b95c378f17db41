//! What every room book does.

use domain::ids::BroadcastId;
use domain::ports::RoomTotals;
use uuid::Uuid;

use super::on_every_adapter;
use super::setup::Books;

on_every_adapter!(what_a_room_came_to_only_grows);

async fn what_a_room_came_to_only_grows(books: Books) {
    let (one, other) = (BroadcastId(Uuid::from_u128(1)), BroadcastId(Uuid::from_u128(2)));
    let totals = |likes, viewers_peak, viewers_distinct| RoomTotals {
        likes,
        viewers_peak,
        viewers_distinct,
    };
    assert_eq!(books.rooms.totals(one).await.unwrap(), RoomTotals::default());
    books.rooms.keep(one, totals(5, 2, 9)).await.unwrap();
    books.rooms.keep(other, totals(1, 1, 1)).await.unwrap();
    books.rooms.keep(one, totals(3, 4, 9)).await.unwrap();
    assert_eq!(books.rooms.totals(one).await.unwrap(), totals(5, 4, 9));
    let most = totals(u64::MAX / 2, u32::MAX, u64::MAX / 2);
    books.rooms.keep(one, most).await.unwrap();
    assert_eq!(books.rooms.totals(one).await.unwrap(), most);
    assert_eq!(books.rooms.totals(other).await.unwrap(), totals(1, 1, 1));
}
