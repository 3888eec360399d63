//! Reading JSON so that nobody downstream can read it differently.
//!
//! JSON parsers disagree about objects that name a field twice, and some match names without regard to case. Whoever
//! decides about a body and whoever acts on it must see the same fields, so such bodies are refused here rather than
//! interpreted. Bounds: the body is bounded by its route, the depth by the parser (128).

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A body that is not JSON, or is JSON that two readers may understand differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The fields of the one object a body consists of, values as they stand.
#[derive(Debug)]
pub(crate) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Parses `body`. Names must be ASCII and differ by more than case; inside nested values no object may name a
    /// field twice.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Ambiguous> {
        let object: Self = serde_json::from_slice(body).map_err(|_| Ambiguous)?;
        let mut folded = HashSet::with_capacity(object.0.len());
        for (name, value) in &object.0 {
            if !name.is_ascii() || !folded.insert(name.to_ascii_lowercase()) {
                return Err(Ambiguous);
            }
            let mut nested = serde_json::Deserializer::from_str(value.get());
            Unrepeated.deserialize(&mut nested).map_err(|_| Ambiguous)?;
        }
        Ok(object)
    }

    /// The value of `name`, spelled exactly so; an error if it is there in another case.
    pub(crate) fn field(&self, name: &str) -> Result<Option<&'a RawValue>, Ambiguous> {
        match self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)) {
            Some((found, value)) if found == name => Ok(Some(value)),
            Some(_) => Err(Ambiguous),
            None => Ok(None),
        }
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Walks any value and fails on an object that names a field twice.
struct Unrepeated;

impl<'de> DeserializeSeed<'de> for Unrepeated {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unrepeated {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("repeated field"));
            }
            map.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        for body in [
            r#"{"toAddr":"a","toAddr":"b"}"#,
            r#"{"toAddr":"a","\u0074oAddr":"b"}"#,
            r#"{"toAddr":"a","TOADDR":"b"}"#,
            r#"{"toAddr":"a","toAddſ":"b"}"#,
            r#"{"rcvrInfo":{"a":1,"a":2}}"#,
            r#"{"rcvrInfo":[{"x":{"a":1,"\u0061":2}}]}"#,
            r#"{"a":1}{"a":2}"#,
            r#"{"a":1} x"#,
            r#"[{"a":1}]"#,
            r#"{"a":01}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\u{1}\"}",
            r#"{"a":1,}"#,
            r#"{'a':1}"#,
            "",
        ] {
            assert_eq!(Object::parse(body.as_bytes()).err(), Some(Ambiguous), "{body}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(Object::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn fields_keep_their_text() {
        let object = Object::parse(br#"{"amt": 0.10, "toaddr": null, "x": {"b": [1, "c", true]}}"#).unwrap();
        assert_eq!(object.field("amt").unwrap().unwrap().get(), "0.10");
        assert!(object.field("toAddr").is_err());
        assert!(object.field("chain").unwrap().is_none());
    }
}
