//! Orders between their acceptance and their first event, on Redis.

use async_trait::async_trait;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, PortError};
use domain::views::AcceptedOrder;
use redis::{Cmd, Value};

use super::encode;
use super::link::{Link, unavailable};
use super::reply::corrupt;

/// Accepted orders under `order:{id}`, each for [`AcceptedOrders::KEPT_SECONDS`].
pub struct RedisAcceptedOrders {
    link: Link,
}

impl RedisAcceptedOrders {
    /// Connects to one Redis, or to a cluster by some of its nodes.
    ///
    /// # Errors
    /// None can be reached in time, or an address is malformed.
    pub async fn connect(urls: &[String]) -> Result<Self, PortError> {
        Ok(Self { link: Link::connect(urls).await? })
    }
}

fn key(order: OrderId) -> String {
    format!("order:{order}")
}

fn look_up(order: OrderId) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key(order));
    command
}

fn decode(value: Value) -> Result<Option<AcceptedOrder>, PortError> {
    match value {
        Value::BulkString(text) => serde_json::from_slice(&text).map(Some).map_err(corrupt),
        _ => Ok(None),
    }
}

#[async_trait]
impl AcceptedOrders for RedisAcceptedOrders {
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        if orders.is_empty() {
            return Ok(vec![]);
        }
        let mut commands = Vec::with_capacity(orders.len());
        for order in orders {
            let mut command = redis::cmd("SET");
            command
                .arg(key(order.order.id))
                .arg(encode::json(order)?)
                .arg("NX")
                .arg("GET")
                .arg("EX")
                .arg(<dyn AcceptedOrders>::KEPT_SECONDS);
            commands.push(command);
        }
        let answers = self.link.ask_all(commands).await.map_err(unavailable)?;
        answers.into_iter().map(decode).collect()
    }

    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError> {
        decode(self.link.ask(&look_up(order)).await.map_err(unavailable)?)
    }

    async fn get_all(&self, orders: &[OrderId]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        if orders.is_empty() {
            return Ok(vec![]);
        }
        let commands = orders.iter().map(|order| look_up(*order)).collect();
        let answers = self.link.ask_all(commands).await.map_err(unavailable)?;
        answers.into_iter().map(decode).collect()
    }
}
