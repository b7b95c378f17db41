//! Orders between their acceptance and their first event, on Redis.

use async_trait::async_trait;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, PortError};
use domain::views::AcceptedOrder;
use redis::Value;

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

#[async_trait]
impl AcceptedOrders for RedisAcceptedOrders {
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<(), PortError> {
        let mut commands = Vec::with_capacity(orders.len());
        for order in orders {
            let mut command = redis::cmd("SET");
            command
                .arg(key(order.order.id))
                .arg(encode::json(order)?)
                .arg("EX")
                .arg(<dyn AcceptedOrders>::KEPT_SECONDS);
            commands.push(command);
        }
        // sent together on the one connection; in a cluster each goes to its own node
        let answers = commands.iter().map(|command| self.link.ask(command));
        for answer in futures::future::join_all(answers).await {
            answer.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError> {
        let mut command = redis::cmd("GET");
        command.arg(key(order));
        match self.link.ask(&command).await.map_err(unavailable)? {
            Value::BulkString(text) => serde_json::from_slice(&text).map(Some).map_err(corrupt),
            _ => Ok(None),
        }
    }
}
