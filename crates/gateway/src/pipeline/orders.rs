//! What a body says about orders as far as limits and shedding go: how many, of which instruments, and whether they can
//! only make positions smaller.
//!
//! Values are read lightly, names strictly: an object that names an instrument twice, in whatever case or spelling, is
//! refused, since the exchange might count by the other one. A field about the direction that is there twice, or that
//! cannot be read, makes an order an ordinary one. Bounds: [`ORDERS_MAX`] orders; the body by its route, the depth by
//! the parser (128).
//!
//! **Reduce-only.** Somebody whose position runs away must be able to get out of it while new orders are turned away.
//! Saying so must not be a way to jump the queue, though: the word counts only where OKX v5 honours it ("Place order",
//! "Place algo order"). That is `reduceOnly` of futures and swaps in net mode, and of spot pairs traded on margin; in
//! long/short mode, where it is ignored, the side against `posSide`; and `closeFraction` of a stop or take-profit.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Most orders of a batch; OKX takes 20.
pub(crate) const ORDERS_MAX: usize = 100;

/// Fields that say what an order is about, the telling ones first.
const FIELDS: [&str; 4] = ["instId", "sprdId", "instFamily", "instIdCode"];

/// Fields that say whether it can only make a position smaller.
const DIRECTION: [&str; 6] = ["reduceOnly", "tdMode", "side", "posSide", "closeFraction", "ordType"];

/// Why orders cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncountable {
    /// Not JSON, or to be read in two ways.
    Ambiguous,
    /// More than [`ORDERS_MAX`].
    TooMany,
}

/// What one order is about; empty if it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instrument<'a>(Cow<'a, str>);

impl<'a> Instrument<'a> {
    /// Of an order that does not say.
    pub(crate) const NONE: Instrument<'static> = Instrument(Cow::Borrowed(""));

    pub(crate) fn new(name: impl Into<Cow<'a, str>>) -> Self {
        Self(name.into())
    }

    /// What OKX counts by: the instrument, and for options the family. Letters may still be in either case.
    pub(crate) fn counted_by(&self) -> &str {
        let name = &*self.0;
        // BTC-USD-210625-36000-C is an option of BTC-USD.
        let is_option = name.len() > 2
            && matches!(name.as_bytes(), [.., b'-', b'C' | b'P' | b'c' | b'p'])
            && name.bytes().filter(|byte| *byte == b'-').count() == 4;
        match name.match_indices('-').nth(1) {
            Some((at, _)) if is_option => name.get(..at).unwrap_or(name),
            _ => name,
        }
    }
}

/// The orders of one request.
#[derive(Debug, Default)]
pub(crate) struct Orders<'a> {
    /// What each is about.
    pub(crate) instruments: Vec<Instrument<'a>>,
    /// Whether none of them can make a position larger; false for none.
    pub(crate) reduce_only: bool,
}

impl<'a> FromIterator<Order<'a>> for Orders<'a> {
    fn from_iter<T: IntoIterator<Item = Order<'a>>>(orders: T) -> Self {
        let mut reduce_only = true;
        let instruments: Vec<_> = orders
            .into_iter()
            .map(|order| {
                reduce_only &= order.reduce_only;
                order.instrument
            })
            .collect();
        Self { reduce_only: reduce_only && !instruments.is_empty(), instruments }
    }
}

/// The orders of a body: one for an object, one for each element of an array.
pub(crate) fn read(body: &[u8]) -> Result<Orders<'_>, Uncountable> {
    let Body { list, over } = serde_json::from_slice(body).map_err(|_| Uncountable::Ambiguous)?;
    if over { Err(Uncountable::TooMany) } else { Ok(list.into_iter().collect()) }
}

/// The orders of a message, one object each.
pub(crate) fn read_each<'a>(orders: &[&'a RawValue]) -> Result<Orders<'a>, Uncountable> {
    if orders.len() > ORDERS_MAX {
        return Err(Uncountable::TooMany);
    }
    let read = |order: &&'a RawValue| serde_json::from_str(order.get()).map_err(|_| Uncountable::Ambiguous);
    orders.iter().map(read).collect()
}

struct Body<'a> {
    list: Vec<Order<'a>>,
    /// There are more than are listed.
    over: bool,
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Body<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order or an array of orders")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(Body { list: vec![order(map)?], over: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < ORDERS_MAX {
                    match seq.next_element::<Order<'de>>()? {
                        Some(order) => list.push(order),
                        None => return Ok(Body { list, over: false }),
                    }
                }
                let mut over = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    over = true;
                }
                Ok(Body { list, over })
            }
        }
        deserializer.deserialize_any(One)
    }
}

struct Order<'a> {
    instrument: Instrument<'a>,
    reduce_only: bool,
}

impl<'de> Deserialize<'de> for Order<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Order<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                order(map)
            }
        }
        deserializer.deserialize_map(One)
    }
}

/// Which of [`FIELDS`] or [`DIRECTION`] a name is, if any, in whatever case.
enum Name {
    Direction(usize),
    Instrument(usize),
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                let place =
                    |fields: &[&str]| fields.iter().position(|field| field.eq_ignore_ascii_case(name));
                Ok(match (place(&FIELDS), place(&DIRECTION)) {
                    (Some(field), _) => Name::Instrument(field),
                    (None, Some(field)) => Name::Direction(field),
                    (None, None) => Name::Other,
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn order<'de, A: MapAccess<'de>>(mut map: A) -> Result<Order<'de>, A::Error> {
    let mut found: [Option<&'de RawValue>; FIELDS.len()] = [None; FIELDS.len()];
    let mut direction: [Option<&'de RawValue>; DIRECTION.len()] = [None; DIRECTION.len()];
    let mut is_plain = true;
    while let Some(name) = map.next_key()? {
        match name {
            Name::Other => drop(map.next_value::<IgnoredAny>()?),
            Name::Direction(field) => {
                let value = map.next_value()?;
                if let Some(place) = direction.get_mut(field) {
                    is_plain &= place.replace(value).is_none();
                }
            }
            Name::Instrument(field) => match found.get_mut(field) {
                Some(place @ None) => *place = Some(map.next_value()?),
                _ => return Err(A::Error::custom("an instrument is named twice")),
            },
        }
    }
    // What is named by anything but `instId` is not known well enough.
    let [by_id, others @ ..] = &found;
    let reduce_only = is_plain
        && others.iter().all(Option::is_none)
        && by_id.and_then(plain).is_some_and(|name| is_reduce_only(name, direction));
    let told = found.into_iter().flatten().find(|value| !matches!(value.get(), "null" | "\"\""));
    let Some(told) = told else {
        return Ok(Order { instrument: Instrument(Cow::Borrowed("")), reduce_only });
    };
    let text = told.get();
    let instrument = Instrument(match plain(told) {
        Some(plain) => Cow::Borrowed(plain),
        None if text.starts_with('"') => Cow::Owned(serde_json::from_str(text).map_err(A::Error::custom)?),
        // A number; anything else names no instrument, and is counted by its text.
        None => Cow::Borrowed(text),
    });
    Ok(Order { instrument, reduce_only })
}

/// The text of a JSON string without escapes.
fn plain(value: &RawValue) -> Option<&str> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// Whether an order of the instrument can only make a position smaller, by what [`DIRECTION`] says about it.
fn is_reduce_only(name: &str, fields: [Option<&RawValue>; DIRECTION.len()]) -> bool {
    let [reduce_only, trade_mode, side, position, close_fraction, order_type] = fields;
    // Absent, `null` and empty are the same; what cannot be read lightly is anything.
    let text = |field: Option<&'_ RawValue>| match field.map(RawValue::get) {
        None | Some("null") => String::new(),
        Some(raw) => field.and_then(plain).unwrap_or(raw).to_owned(),
    };
    let (side, position) = (text(side), text(position));
    let says_so = text(reduce_only) == "true";
    match name.bytes().filter(|byte| *byte == b'-').count() {
        // BTC-USDT: there is a position on margin only.
        1 => says_so && matches!(text(trade_mode).as_str(), "cross" | "isolated"),
        // BTC-USDT-SWAP, BTC-USDT-210625.
        2 => match (position.as_str(), side.as_str()) {
            ("long", "sell") | ("short", "buy") => true,
            // The exchange takes a stop that closes all of a net position only if it is reduce-only.
            ("" | "net", _) => {
                says_so
                    || text(close_fraction) == "1"
                        && matches!(text(order_type).as_str(), "conditional" | "oco")
            }
            _ => false,
        },
        // Options have no such orders.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(body: &str) -> Result<Vec<String>, Uncountable> {
        Ok(read(body.as_bytes())?
            .instruments
            .iter()
            .map(|instrument| instrument.counted_by().to_owned())
            .collect())
    }

    #[test]
    fn each_order_names_its_instrument() {
        let one = |body: &str| names(body).unwrap().join(" ");
        assert_eq!(one(r#"{"instId":"BTC-USDT","sz":"1"}"#), "BTC-USDT");
        assert_eq!(one(r#"[{"instId":"BTC-USDT"},{"sz":1,"instId":"ETH-USDT"}]"#), "BTC-USDT ETH-USDT");
        assert_eq!(one(r#"{"inst\u0049d":"B\u0054C"}"#), "BTC");
        assert_eq!(one(r#"{"instId":"BTC-USD-210625-36000-C"}"#), "BTC-USD");
        assert_eq!(one(r#"{"instId":"BTC-USD-SWAP"}"#), "BTC-USD-SWAP");
        assert_eq!(one(r#"{"instType":"OPTION","instFamily":"BTC-USD"}"#), "BTC-USD");
        assert_eq!(one(r#"{"instIdCode":10000}"#), "10000");
        assert_eq!(one(r#"{"instId":null,"sprdId":"a_b"}"#), "a_b");
        assert_eq!(one(r#"{"instId":"","ordId":"7"}"#), "");
        assert_eq!(one("{}"), "");
        assert_eq!(names("[]").unwrap().len(), 0);
    }

    #[test]
    fn what_could_be_counted_in_two_ways_is_refused() {
        for body in [
            r#"{"instId":"A","instId":"B"}"#,
            r#"{"instId":"A","INSTID":"B"}"#,
            r#"{"instId":"A","inst\u0049d":"B"}"#,
            r#"[{"instId":"A"},7]"#,
            r#"[{"instId":"A"}"#,
            r#"{"instId":"\ud800"}"#,
            r#"{"a":1} {"a":1}"#,
            "7",
            "",
        ] {
            assert_eq!(names(body), Err(Uncountable::Ambiguous), "{body}");
        }
        let orders = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(names(&orders(ORDERS_MAX)).unwrap().len(), ORDERS_MAX);
        assert_eq!(names(&orders(ORDERS_MAX + 1)), Err(Uncountable::TooMany));
        assert_eq!(names(&format!("{} x", orders(2))), Err(Uncountable::Ambiguous));
    }

    #[test]
    fn only_what_the_exchange_honours_is_reduce_only() {
        let is = |body: &str| read(body.as_bytes()).unwrap().reduce_only;
        for reducing in [
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","reduceOnly":true}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","posSide":"net","reduceOnly":"true"}"#,
            r#"{"instId":"BTC-USD-210625","side":"sell","posSide":"long"}"#,
            r#"{"instId":"BTC-USD-210625","side":"buy","posSide":"short","reduceOnly":""}"#,
            r#"{"instId":"BTC-USDT","tdMode":"cross","side":"sell","reduceOnly":true}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","ordType":"oco","closeFraction":"1"}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","ordType":"conditional","closeFraction":1,"posSide":null}"#,
            r#"[{"instId":"A-B-SWAP","reduceOnly":true},{"instId":"A-C-SWAP","reduceOnly":true}]"#,
        ] {
            assert!(is(reducing), "{reducing}");
        }
        for ordinary in [
            // Ignored by the exchange.
            r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","reduceOnly":true}"#,
            r#"{"instId":"BTC-USDT","side":"buy","reduceOnly":true}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"buy","posSide":"long","reduceOnly":true}"#,
            r#"{"instId":"BTC-USD-210625-36000-C","side":"sell","reduceOnly":true}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","ordType":"limit","closeFraction":"1"}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","ordType":"oco","closeFraction":"0.5"}"#,
            // Not said, or not in one way.
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","reduceOnly":false}"#,
            r#"{"instId":"BTC-USDT-SWAP","side":"sell","reduceOnly":1}"#,
            r#"{"instId":"BTC-USDT-SWAP","reduceOnly":true,"reduceOnly":false}"#,
            r#"{"instId":"BTC-USDT-SWAP","reduceOnly":true,"REDUCEONLY":true}"#,
            r#"{"instId":"BTC-USDT-SWAP","reduceOnly":true,"posSide":"l\u006fng"}"#,
            r#"{"instId":"BTC-USDT-SWAP","instIdCode":7,"reduceOnly":true}"#,
            r#"{"sprdId":"BTC-USDT_BTC-USDT-SWAP","reduceOnly":true}"#,
            r#"{"reduceOnly":true}"#,
            r#"[{"instId":"A-B-SWAP","reduceOnly":true},{"instId":"A-C-SWAP"}]"#,
            "[]",
        ] {
            assert!(!is(ordinary), "{ordinary}");
        }
    }

    proptest! {
        /// Whatever is read agrees with the ordinary parser.
        #[test]
        fn agrees_with_another_parser(body in r#"\[?\{("instId"|"a"|"INSTID"):("[A-Z\\u004]{0,9}"|7|\{\})(,"instId":"x")?\},?\{?\}?\]?"#) {
            if let Ok(found) = read(body.as_bytes()) {
                let value: serde_json::Value = serde_json::from_slice(body.as_bytes()).unwrap();
                let orders = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                prop_assert_eq!(found.instruments.len(), orders.len());
                for (instrument, order) in found.instruments.iter().zip(&orders) {
                    if let Some(name) = order["instId"].as_str() {
                        prop_assert_eq!(instrument.counted_by(), name);
                    }
                }
            }
        }
    }
}
