//! The shapes of the contract, from the domain's views.

mod broadcast;
mod chat;
mod demand;
pub mod feed;
mod order;
mod order_row;
pub mod requests;
mod spotlight;
mod wait;

use domain::money::Money;
use domain::ports::Page;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use broadcast::{BroadcastBody, BroadcastList, JoinBody, MetricsBody};
pub use chat::{ChatBody, ChatLine, PinnedBody};
pub use demand::{RefusedBody, UnmetDemandBody};
pub(crate) use order::name_of;
pub use order::{LineBody, OrderBody, OrderList, PaymentBody};
pub use order_row::OrderRow;
pub use spotlight::{InventoryBody, OfferBody, ProductBody, SkuBody, SpotlightBody, SpotlightList};
pub use wait::WaitBody;

/// An amount in minor units of its currency (ISO 4217): 19,900 won is
/// `{"minor": 19900, "currency": "KRW"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Money)]
pub struct MoneyBody {
    /// The amount in minor units.
    #[schema(example = 19900)]
    pub minor: i64,
    /// The currency.
    #[schema(example = "KRW", min_length = 3, max_length = 3)]
    pub currency: String,
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}

/// Turns a page of views into a list of bodies.
fn list<T, B: From<T>>(page: Page<T>) -> (Vec<B>, Option<String>) {
    (page.items.into_iter().map(B::from).collect(), page.next_cursor)
}
