//! Every limit of the domain, by name.

/// Characters of a seller, viewer, product or SKU identifier.
pub const NAME_ID_MAX_CHARS: usize = 128;
/// Units of one order over all its lines.
pub const ORDER_UNITS_MAX: u32 = 99;
/// Lines of one order; a SKU stands in one line only.
pub const ORDER_LINES_MAX: usize = 20;
/// SKUs of one spotlight.
pub const SPOTLIGHT_SKUS_MAX: usize = 100;
/// Units of one SKU in one spotlight.
pub const SKU_UNITS_MAX: u32 = 10_000_000;
/// Shortest hold of a reservation, in seconds.
pub const HOLD_SECONDS_MIN: u32 = 2;
/// Longest hold of a reservation, in seconds.
pub const HOLD_SECONDS_MAX: u32 = 3_600;
/// Hold of a reservation where the spotlight names none, in seconds.
pub const HOLD_SECONDS_DEFAULT: u32 = 600;
/// How long before the end of a hold the last payment may be asked for, in milliseconds: the
/// provider has this long to answer while the units are still held.
pub const PAYMENT_MARGIN_MILLIS: i64 = 500;
/// Abandoned holds of one viewer in one spotlight after which its next ones are the shorter ones,
/// where the spotlight names such a hold.
pub const ABANDONED_HOLDS: u32 = 2;
/// Bytes of a `metadata` object as compact JSON.
pub const METADATA_MAX_BYTES: usize = 2_048;
/// Characters of a broadcast's title or a product's name.
pub const TITLE_MAX_CHARS: usize = 200;
/// Characters of a `reason`.
pub const REASON_MAX_CHARS: usize = 500;
/// Characters of a `reference`.
pub const REFERENCE_MAX_CHARS: usize = 128;
/// Characters of an image address.
pub const URL_MAX_CHARS: usize = 2_048;
/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// Characters of a payment method's name.
pub const PAYMENT_METHOD_MAX_CHARS: usize = 64;
/// Price of one unit in minor units (ten billion won, a hundred million dollars).
pub const PRICE_MINOR_MAX: i64 = 10_000_000_000;
/// How far ahead a time may be set, in days.
pub const SCHEDULE_DAYS_MAX: i64 = 366;
/// Viewers that one record of unmet demand names.
pub const DEMAND_VIEWERS_MAX: usize = 64;
/// Viewers that wait for units of one spotlight.
pub const WAITLIST_MAX: usize = 2_000;
/// Payment attempts of one order.
pub const PAYMENT_ATTEMPTS_MAX: u32 = 5;
/// Viewers of one broadcast that are muted or banned.
pub const CHAT_SANCTIONS_MAX: usize = 10_000;
/// Words that one broadcast bans.
pub const BANNED_WORDS_MAX: usize = 1_000;
/// Characters of a banned word.
pub const BANNED_WORD_MAX_CHARS: usize = 64;
/// Seconds between two chat messages of a viewer, at most.
pub const CHAT_SLOW_SECONDS_MAX: u32 = 3_600;
/// Longest mute or ban that is not for good, in seconds (a year).
pub const SANCTION_SECONDS_MAX: u32 = 31_536_000;
/// Characters of an announcement or a pinned text.
pub const ANNOUNCEMENT_MAX_CHARS: usize = 500;
