//! What clients call.

use domain::Timestamp;
use domain::actor::Role;
use domain::ids::{BroadcastId, OrderId};
use domain::ports::ChatRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::codes::Refusal;
use super::likes::LIKE_COUNT;
use super::limits::LIKE_COUNT_MAX;
use super::message;
use super::metrics;
use super::protocol;
use super::refusal::Refused;
use super::room::Room;
use super::schema::{DataOnly, Reply, RpcRequest};
use super::session::{Session, internal};
use super::token::Claims;
use crate::wire::feed::{
    ChatMessage, ChatSaid, ChatSend, ChatSent, LikeSend, Liked, OrderGet, Speaker,
};
use crate::wire::{OrderBody, name_of};

impl Session {
    /// Answers a call. A refusal of the call itself is its result, because the SDKs drop what else
    /// an error carries.
    pub(super) async fn call(
        &mut self,
        claims: &Claims,
        call: &RpcRequest,
    ) -> Result<Reply, Refusal> {
        let result = match call.method.as_str() {
            "chat.send" => self.chat_send(claims, argument(call)?).await?,
            "like" => self.like(claims, &argument(call)?).await?,
            "order.get" => self.order_get(claims, &argument(call)?).await?,
            _ => return Err(Refusal::MethodNotFound),
        };
        let result = result.unwrap_or_else(|refused| {
            metrics::call_refused(refused.code);
            refused.result()
        });
        Ok(Reply { rpc: Some(DataOnly { data: protocol::json(&result) }), ..Reply::default() })
    }

    async fn chat_send(
        &self,
        claims: &Claims,
        send: ChatSend,
    ) -> Result<Result<Value, Refused>, Refusal> {
        let room = self.room(claims, BroadcastId(send.broadcast)).await?;
        let now = self.live.clock.now();
        let checked = message::check(&send.message);
        let text = match checked.and_then(|text| self.may_say(claims, &room, text, now)) {
            Ok(text) => text,
            Err(refused) => return Ok(Err(refused)),
        };
        let id = self.live.ids.uuid();
        let name = claims.name.as_deref().unwrap_or(claims.subject.as_str());
        let viewer = Speaker {
            id: claims.subject.to_string(),
            name: name.to_owned(),
            role: name_of(claims.role),
        };
        let said = ChatSaid { id, viewer, message: text.clone(), sent_at: now };
        let mut said = result(&ChatMessage::Chat(said))?;
        let viewer = self.outbox.viewer_ref();
        let hidden = viewer.is_some_and(|viewer| room.rules.is_hidden(viewer, now));
        if hidden {
            said = json!({"shadow": said});
        }
        self.live.streams.bus.append(room.chat.channel(), &said).await.map_err(internal)?;
        room.rules.said(claims.subject.clone(), now);
        self.live.keeper.keep(ChatRecord {
            id,
            broadcast: room.broadcast,
            seller: claims.seller.clone(),
            viewer: claims.subject.clone(),
            name: name.to_owned(),
            role: claims.role,
            message: text,
            sent_at: now,
            hidden,
        });
        metrics::chat_message();
        Ok(Ok(result(&ChatSent { id })?))
    }

    /// Whether the viewer may say something now.
    fn may_say(
        &self,
        claims: &Claims,
        room: &Room,
        text: String,
        now: Timestamp,
    ) -> Result<String, Refused> {
        if claims.anonymous {
            return Err(Refused::new("sign_in_required", "sign in to take part in the chat"));
        }
        if room.is_over() {
            return Err(Refused::new("broadcast_ended", "the broadcast has ended"));
        }
        if is_staff(claims) {
            return Ok(text);
        }
        if let Some(viewer) = self.outbox.viewer_ref() {
            room.rules.may_say((viewer, &claims.subject), &text, now)?;
        }
        self.live.rates.chat.check(claims).map_err(|wait| {
            Refused::new("rate_limited", "messages come too fast").retry_after(wait)
        })?;
        Ok(text)
    }

    async fn like(
        &self,
        claims: &Claims,
        like: &LikeSend,
    ) -> Result<Result<Value, Refused>, Refusal> {
        let room = self.room(claims, BroadcastId(like.broadcast)).await?;
        if !(1..=LIKE_COUNT_MAX).contains(&like.count) {
            let reason = format!("count is not between 1 and {LIKE_COUNT_MAX}");
            return Ok(Err(Refused::new("invalid", reason)));
        }
        if let Err(wait) = self.live.rates.likes.check(claims) {
            let refused = Refused::new("rate_limited", "likes come too fast");
            return Ok(Err(refused.retry_after(wait)));
        }
        let waiting = room.likes.add(like.count);
        let like_count = room.count(LIKE_COUNT).saturating_add(waiting);
        Ok(Ok(result(&Liked { like_count })?))
    }

    /// An order as HTTP reads it: a viewer its own, a host all of its seller.
    async fn order_get(
        &self,
        claims: &Claims,
        get: &OrderGet,
    ) -> Result<Result<Value, Refused>, Refusal> {
        let found = self.live.lookup.order(OrderId(get.id)).await.map_err(internal)?;
        let own = self.outbox.viewer_ref();
        let visible = found.filter(|(order, _)| {
            order.seller == claims.seller
                && !claims.anonymous
                && (claims.role == Role::Host || Some(&order.viewer_ref) == own)
        });
        Ok(match visible {
            Some((mut order, receipt)) => {
                if Some(&order.viewer_ref) != own {
                    order.payment.next_action = None;
                }
                Ok(result(&OrderBody::with_receipt(order, receipt))?)
            }
            None => Err(Refused::new("not_found", "there is no such order")),
        })
    }
}

/// Whether the viewer keeps the chat.
pub(super) const fn is_staff(claims: &Claims) -> bool {
    matches!(claims.role, Role::Host | Role::Moderator)
}

fn result(value: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(internal)
}

fn argument<T: DeserializeOwned>(call: &RpcRequest) -> Result<T, Refusal> {
    serde_json::from_slice(&call.data).map_err(|_| Refusal::BadRequest)
}
