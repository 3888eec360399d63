//! What a body says about orders as far as limits go: how many, and of which instruments.
//!
//! Values are read lightly, names strictly: an object that names an instrument twice, in whatever case or spelling, is
//! refused, since the exchange might count by the other one. Bounds: [`ORDERS_MAX`] orders; the body by its route, the
//! depth by the parser (128).

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

/// The orders of a body: one for an object, one for each element of an array.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Instrument<'_>>, Uncountable> {
    let Orders { list, over } = serde_json::from_slice(body).map_err(|_| Uncountable::Ambiguous)?;
    if over { Err(Uncountable::TooMany) } else { Ok(list) }
}

/// The orders of a message, one object each.
pub(crate) fn read_each<'a>(orders: &[&'a RawValue]) -> Result<Vec<Instrument<'a>>, Uncountable> {
    if orders.len() > ORDERS_MAX {
        return Err(Uncountable::TooMany);
    }
    let read = |order: &&'a RawValue| match serde_json::from_str(order.get()) {
        Ok(Order(instrument)) => Ok(instrument),
        Err(_) => Err(Uncountable::Ambiguous),
    };
    orders.iter().map(read).collect()
}

struct Orders<'a> {
    list: Vec<Instrument<'a>>,
    /// There are more than are listed.
    over: bool,
}

impl<'de> Deserialize<'de> for Orders<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Orders<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order or an array of orders")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(Orders { list: vec![instrument(map)?], over: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < ORDERS_MAX {
                    match seq.next_element::<Order<'de>>()? {
                        Some(Order(instrument)) => list.push(instrument),
                        None => return Ok(Orders { list, over: false }),
                    }
                }
                let mut over = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    over = true;
                }
                Ok(Orders { list, over })
            }
        }
        deserializer.deserialize_any(One)
    }
}

struct Order<'a>(Instrument<'a>);

impl<'de> Deserialize<'de> for Order<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Order<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                instrument(map).map(Order)
            }
        }
        deserializer.deserialize_map(One)
    }
}

/// Which of [`FIELDS`] a name is, if any, in whatever case.
struct Name(Option<usize>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(FIELDS.iter().position(|field| field.eq_ignore_ascii_case(name))))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn instrument<'de, A: MapAccess<'de>>(mut map: A) -> Result<Instrument<'de>, A::Error> {
    let mut found: [Option<&'de RawValue>; FIELDS.len()] = [None; FIELDS.len()];
    while let Some(Name(field)) = map.next_key()? {
        match field.and_then(|field| found.get_mut(field)) {
            None => drop(map.next_value::<IgnoredAny>()?),
            Some(Some(_)) => return Err(A::Error::custom("an instrument is named twice")),
            Some(place) => *place = Some(map.next_value()?),
        }
    }
    let told = found.into_iter().flatten().find(|value| !matches!(value.get(), "null" | "\"\""));
    let Some(told) = told else { return Ok(Instrument(Cow::Borrowed(""))) };
    let text = told.get();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Ok(Instrument(match inner {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) => Cow::Owned(serde_json::from_str(text).map_err(A::Error::custom)?),
        // A number; anything else names no instrument, and is counted by its text.
        None => Cow::Borrowed(text),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(body: &str) -> Result<Vec<String>, Uncountable> {
        Ok(read(body.as_bytes())?.iter().map(|instrument| instrument.counted_by().to_owned()).collect())
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

    proptest! {
        /// Whatever is read agrees with the ordinary parser.
        #[test]
        fn agrees_with_another_parser(body in r#"\[?\{("instId"|"a"|"INSTID"):("[A-Z\\u004]{0,9}"|7|\{\})(,"instId":"x")?\},?\{?\}?\]?"#) {
            if let Ok(found) = read(body.as_bytes()) {
                let value: serde_json::Value = serde_json::from_slice(body.as_bytes()).unwrap();
                let orders = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                prop_assert_eq!(found.len(), orders.len());
                for (instrument, order) in found.iter().zip(&orders) {
                    if let Some(name) = order["instId"].as_str() {
                        prop_assert_eq!(instrument.counted_by(), name);
                    }
                }
            }
        }
    }
}
