//! Orders between their acceptance and their first event, on Redis.

use async_trait::async_trait;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, PortError};
use domain::views::AcceptedOrder;
use redis::{Cmd, Value};

use super::link::{Link, unavailable};
use super::reply::corrupt;

/// Bytes that an accepted order of a line or two does not exceed: its text need not grow.
const ORDER_BYTES: usize = 3 * 1_024;
/// Arguments of the command that keeps it, and their bytes besides the order.
const SET_ARGS: usize = 7;
const SET_BYTES: usize = 96;

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

    /// Forgets orders; returns how many were there.
    ///
    /// # Errors
    /// Redis cannot be reached; forgetting again is safe.
    pub async fn forget(&self, orders: &[OrderId]) -> Result<u64, PortError> {
        let commands = orders.iter().map(|order| {
            let mut command = redis::cmd("DEL");
            command.arg(key(*order));
            command
        });
        let answers = self.link.ask_all(commands.collect()).await.map_err(unavailable)?;
        let gone = answers.iter().filter(|answer| **answer == Value::Int(1)).count();
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Over a connection that there is: what goes out together is one write.
    pub(super) const fn over(link: Link) -> Self {
        Self { link }
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
            let mut text = Vec::with_capacity(ORDER_BYTES);
            serde_json::to_writer(&mut text, order).map_err(corrupt)?;
            let mut command = redis::Cmd::with_capacity(SET_ARGS, text.len() + SET_BYTES);
            command
                .arg("SET")
                .arg(key(order.order.id))
                .arg(text)
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
