//! The answer to *why* in plain words, Korean and English.

use std::fmt::Write;
use std::str::FromStr;

use domain::order::OrderReason;
use domain::views::OrderStatus;

use super::timeline::{clock, units_in_words};
use super::why::{Why, WhyViewer};

/// Buyers before this one that are spelled out.
const SHOWN_MAX: usize = 10;

/// A language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Korean.
    Korean,
}

impl FromStr for Language {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "en" => Ok(Self::English),
            "ko" => Ok(Self::Korean),
            _ => Err("is neither en nor ko".to_owned()),
        }
    }
}

impl Language {
    const fn of(self, english: &'static str, korean: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Korean => korean,
        }
    }

    const fn reason(self, reason: OrderReason) -> &'static str {
        use OrderReason as R;
        match reason {
            R::PaymentDeclined => self.of("the payment was declined", "결제가 거절되었습니다"),
            R::PaymentTimeout => {
                self.of("the payment provider never answered", "결제사에서 끝내 응답이 없었습니다")
            }
            R::PaymentUnknown => self.of(
                "the hold ran out before it was known whether the payment had worked",
                "결제 결과를 확인하기 전에 재고 확보 시간이 끝났습니다",
            ),
            R::LatePayment => self.of(
                "the payment came after the hold had run out; it is given back",
                "재고 확보 시간이 끝난 뒤에 결제되어 환불됩니다",
            ),
            R::CaptureFailed => self.of(
                "the authorised payment could not be taken",
                "승인된 결제를 청구하지 못했습니다",
            ),
            R::HoldExpired => self.of(
                "the hold ran out before the order was paid",
                "결제하기 전에 재고 확보 시간이 끝났습니다",
            ),
            R::Withdrawn => self.of("the offer was withdrawn", "판매 조건이 철회되었습니다"),
            R::NotAccepted => self.of(
                "the order was never acknowledged to the buyer in time",
                "주문 접수를 제때 확인해 드리지 못했습니다",
            ),
            R::Parked => self.of("the order could not be processed", "주문을 처리하지 못했습니다"),
            R::StockGuard => self.of(
                "the gate had let more orders in than there were units, and the log refused the \
                 surplus: this happens only after the gate lost data",
                "게이트가 재고보다 많은 주문을 받아 원장이 초과분을 거절했습니다 \
                 (게이트 데이터가 유실된 뒤에만 생기는 일입니다)",
            ),
            R::CancelledByViewer => self.of("the buyer called it off", "구매자가 취소했습니다"),
            R::CancelledByHost => self.of("the host called it off", "판매자가 취소했습니다"),
            R::RefundedByHost => self.of("the host gave the money back", "판매자가 환불했습니다"),
        }
    }
}

/// Why an order ended as it did, in words.
pub fn render_why(why: &Why, language: Language) -> String {
    let mut text = String::new();
    tell(&mut text, why, language);
    text
}

fn tell(text: &mut String, why: &Why, language: Language) {
    let (order, at, position) = (why.order_id, clock(why.decided_at), why.position);
    let reason = why.reason.map(|reason| language.reason(reason));
    // writing to a String cannot fail
    let _ = match (language, why.status, reason) {
        (Language::English, OrderStatus::Confirmed | OrderStatus::Refunded, _) => {
            writeln!(
                text,
                "Order {order} got its {}, at {at} (position {position}).",
                units_in_words(why.units)
            )
        }
        (Language::Korean, OrderStatus::Confirmed | OrderStatus::Refunded, _) => {
            writeln!(text, "주문 {order}: {at}에 {}개를 구매했습니다 (위치 {position}).", why.units)
        }
        (Language::English, OrderStatus::Pending | OrderStatus::Reserved, _) => {
            writeln!(text, "Order {order} is still open: nothing is lost yet.")
        }
        (Language::Korean, OrderStatus::Pending | OrderStatus::Reserved, _) => {
            writeln!(text, "주문 {order}: 아직 진행 중이며 놓친 것이 아닙니다.")
        }
        (Language::English, _, reason) => writeln!(
            text,
            "Order {order} did not get its {}: {}, at {at} (position {position}).",
            units_in_words(why.units),
            reason.unwrap_or("no reason is given")
        ),
        (Language::Korean, _, reason) => writeln!(
            text,
            "주문 {order}: {}개를 구매하지 못했습니다. {} ({at}, 위치 {position}).",
            why.units,
            reason.unwrap_or("기록된 사유가 없습니다")
        ),
    };
    for stock in &why.stock_before {
        let (sku, limit) = (&stock.sku, stock.limit);
        let _ = match language {
            Language::English => writeln!(
                text,
                "  just before: {sku}: {} left, {} held, {} sold of {limit}",
                stock.remaining, stock.held, stock.sold
            ),
            Language::Korean => writeln!(
                text,
                "  직전 재고: {sku}: 전체 {limit}개 중 남음 {}, 확보 {}, 판매 {}",
                stock.remaining, stock.held, stock.sold
            ),
        };
    }
    let _ = match language {
        Language::English => {
            writeln!(text, "  admitted before and still holding: {}", why.before_total)
        }
        Language::Korean => writeln!(text, "  먼저 들어와 재고를 가진 주문: {}", why.before_total),
    };
    for holder in why.before.iter().take(SHOWN_MAX) {
        let state =
            if holder.sold { language.of("sold", "판매") } else { language.of("held", "확보") };
        let at = holder.admitted_at.map(clock).unwrap_or_default();
        let (number, order, units) = (holder.admission_no, holder.order_id, holder.units);
        let _ = writeln!(text, "    #{number} {at} {order} {units} {state}");
    }
}

/// What the log knows of a viewer, in words.
pub fn render_why_viewer(why: &WhyViewer, language: Language) -> String {
    let mut text = String::new();
    for order in &why.orders {
        tell(&mut text, order, language);
    }
    // writing to a String cannot fail
    let _ = match language {
        Language::English if why.orders.is_empty() => writeln!(
            text,
            "The log has no order of {} in spotlight {}.",
            why.viewer, why.spotlight_id
        ),
        Language::Korean if why.orders.is_empty() => writeln!(
            text,
            "로그에 {} 님의 주문이 없습니다 (스포트라이트 {}).",
            why.viewer, why.spotlight_id
        ),
        _ => Ok(()),
    };
    for times in &why.sold_out {
        let from = clock(times.from);
        let until = times.until.map_or_else(|| language.of("the end", "끝").to_owned(), clock);
        let _ = match language {
            Language::English => writeln!(text, "  nothing was left from {from} to {until}"),
            Language::Korean => writeln!(text, "  재고 없음: {from} ~ {until}"),
        };
    }
    refusals(&mut text, why, language);
    text
}

/// When the viewer asked in vain.
fn refusals(text: &mut String, why: &WhyViewer, language: Language) {
    for refused in why.refusals.iter().take(SHOWN_MAX) {
        let (at, sku, position) = (clock(refused.second), &refused.sku, refused.position);
        let _ = match (language, refused.certain) {
            (Language::English, true) => {
                writeln!(text, "  asked for {sku} and was refused at {at} (position {position})")
            }
            (Language::English, false) => writeln!(
                text,
                "  may have asked for {sku} at {at} (position {position}): more viewers were \
                 refused in that second than are named"
            ),
            (Language::Korean, true) => {
                writeln!(text, "  {at}에 {sku} 요청이 거절되었습니다 (위치 {position})")
            }
            (Language::Korean, false) => writeln!(
                text,
                "  {at}에 {sku}을(를) 요청했을 수 있습니다 (위치 {position}): 그 1초 동안 거절된 \
                 시청자가 기록된 이름보다 많습니다"
            ),
        };
    }
    if !why.refusals_are_recorded {
        text.push_str(language.of(
            "Who was refused before an order existed is written down by pseudonym: give the \
             pseudonym, or run this where the installation's secret is.\n",
            "주문이 만들어지기 전의 거절은 가명으로 기록됩니다. 가명을 지정하거나 설치 비밀키가 있는 \
             곳에서 실행하세요.\n",
        ));
    } else if why.refusals.is_empty() {
        text.push_str(language.of(
            "No refusal of this viewer is in the log.\n",
            "로그에 이 시청자의 거절 기록이 없습니다.\n",
        ));
    }
}
