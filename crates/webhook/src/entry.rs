//! How endpoints stand in the journal: deterministic CBOR, decoded strictly. The schema is `docs/journal.cddl`, kind 22.
//!
//! An entry holds keys, so it must be sealed; the journal seals all its payloads.

use domain::{Actor, UnixNanos};
use minicbor::{Decoder, Encoder};

use crate::{
    DisabledWhy, ENDPOINTS_MAX, EndpointName, EventType, Events, MessageKey, Scheme, Settings, SigningKey,
};

const VERSION: u8 = 1;
/// Longest text that says why, in bytes.
pub const TEXT_BYTES_MAX: usize = 200;

/// How a dead letter came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SettledHow {
    /// It was delivered after all.
    Delivered,
    /// Somebody does not want it any more.
    Discarded,
}

impl SettledHow {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Discarded => "discarded",
        }
    }
}

/// Something that was done about endpoints.
#[derive(Debug)]
pub enum Entry {
    /// Everything before these positions is delivered, or among the dead letters.
    Acknowledged(Vec<(EndpointName, u64)>),
    /// There is an endpoint; it is told of what is recorded behind this entry.
    Added {
        /// Its name.
        name: EndpointName,
        /// Where to, of what.
        settings: Settings,
        /// What messages are signed with.
        key: SigningKey,
        /// Who added it.
        by: Actor,
    },
    /// It has other settings, is stopped, or goes on.
    Changed {
        /// Which.
        name: EndpointName,
        /// All settings from here on.
        settings: Settings,
        /// Whether messages go out.
        enabled: bool,
        /// Whether everything before this entry counts as settled.
        skip: bool,
        /// Who changed it.
        by: Actor,
    },
    /// A message was given up on.
    DeadLettered {
        /// Of which endpoint.
        name: EndpointName,
        /// Which message.
        message: MessageKey,
        /// After how many tries.
        tries: u32,
        /// What the last try came to.
        why: String,
    },
    /// It was taken out of service.
    Disabled {
        /// Which.
        name: EndpointName,
        /// Why.
        why: DisabledWhy,
    },
    /// There is no such endpoint any more.
    Removed {
        /// Which.
        name: EndpointName,
        /// Who removed it.
        by: Actor,
    },
    /// Messages are signed with another key, and with the one before for a while.
    Rotated {
        /// Of which endpoint.
        name: EndpointName,
        /// The new key.
        key: SigningKey,
        /// Until when they are signed with the old one too.
        until: UnixNanos,
        /// Who changed it.
        by: Actor,
    },
    /// A dead letter is none any more.
    Settled {
        /// Of which endpoint.
        name: EndpointName,
        /// Which message.
        message: MessageKey,
        /// What became of it.
        how: SettledHow,
        /// Who asked for that.
        by: Actor,
    },
}

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry of an endpoint: {what}")]
pub struct EntryError {
    what: &'static str,
}

const fn bad(what: &'static str) -> EntryError {
    EntryError { what }
}

fn field<T, E>(what: &'static str, decoded: Result<T, E>) -> Result<T, EntryError> {
    decoded.map_err(|_| bad(what))
}

fn parsed<T: std::str::FromStr>(d: &mut Decoder<'_>, what: &'static str) -> Result<T, EntryError> {
    field(what, field(what, d.str())?.parse())
}

fn message(d: &mut Decoder<'_>) -> Result<MessageKey, EntryError> {
    let position = field("position", d.u64())?;
    let event_type = EventType::named(field("event type", d.str())?).ok_or(bad("event type"))?;
    Ok(MessageKey { position, event_type })
}

fn key(d: &mut Decoder<'_>) -> Result<SigningKey, EntryError> {
    let scheme = Scheme::named(field("scheme", d.str())?).ok_or(bad("scheme"))?;
    SigningKey::from_bytes(scheme, field("key", d.bytes())?).ok_or(bad("key"))
}

fn settings(d: &mut Decoder<'_>) -> Result<Settings, EntryError> {
    let target = parsed(d, "url")?;
    let count = field("events", d.array())?.ok_or(bad("events"))?;
    let mut names = Vec::new();
    for _ in 0..count {
        // More than there are fails at the comparison with the one encoding; before that, nothing grows without bytes.
        names.push(field("events", d.str())?);
    }
    let events = field("events", Events::parse(names))?;
    Ok(Settings { target, events, accounts: field("accounts", d.bool())? })
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write_settings(e: &mut Encoder<Vec<u8>>, settings: &Settings) -> Encoded {
    e.str(settings.target.as_str())?;
    let names = settings.events.names();
    e.array(u64::try_from(names.len()).unwrap_or(u64::MAX))?;
    for name in names {
        e.str(name)?;
    }
    e.bool(settings.accounts)?;
    Ok(())
}

fn write_key(e: &mut Encoder<Vec<u8>>, key: &SigningKey) -> Encoded {
    e.str(key.scheme().as_str())?.bytes(key.bytes())?;
    Ok(())
}

fn write_message(e: &mut Encoder<Vec<u8>>, message: &MessageKey) -> Encoded {
    e.u64(message.position)?.str(message.event_type.as_str())?;
    Ok(())
}

impl Entry {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledged(_) => "acknowledged",
            Self::Added { .. } => "added",
            Self::Changed { .. } => "changed",
            Self::DeadLettered { .. } => "dead_lettered",
            Self::Disabled { .. } => "disabled",
            Self::Removed { .. } => "removed",
            Self::Rotated { .. } => "rotated",
            Self::Settled { .. } => "settled",
        }
    }

    /// Who did it, where somebody did.
    #[must_use]
    pub const fn by(&self) -> Option<&Actor> {
        match self {
            Self::Added { by, .. }
            | Self::Changed { by, .. }
            | Self::Removed { by, .. }
            | Self::Rotated { by, .. }
            | Self::Settled { by, .. } => Some(by),
            Self::Acknowledged(_) | Self::DeadLettered { .. } | Self::Disabled { .. } => None,
        }
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        // Writing to memory does not fail.
        drop(self.write(&mut encoder));
        encoder.into_writer()
    }

    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        let head = |e: &mut Encoder<Vec<u8>>, fields: u64| -> Encoded {
            e.array(fields + 2)?.u8(VERSION)?.str(self.as_str())?;
            Ok(())
        };
        match self {
            Self::Acknowledged(positions) => {
                head(e, 1)?;
                e.array(u64::try_from(positions.len()).unwrap_or(u64::MAX))?;
                for (name, position) in positions {
                    e.array(2)?.str(name.as_str())?.u64(*position)?;
                }
            }
            Self::Added { name, settings, key, by } => {
                head(e, 7)?;
                e.str(name.as_str())?;
                write_settings(e, settings)?;
                write_key(e, key)?;
                e.str(&by.to_string())?;
            }
            Self::Changed { name, settings, enabled, skip, by } => {
                head(e, 7)?;
                e.str(name.as_str())?;
                write_settings(e, settings)?;
                e.bool(*enabled)?.bool(*skip)?.str(&by.to_string())?;
            }
            Self::DeadLettered { name, message, tries, why } => {
                head(e, 5)?;
                e.str(name.as_str())?;
                write_message(e, message)?;
                e.u32(*tries)?.str(why)?;
            }
            Self::Disabled { name, why } => {
                head(e, 2)?;
                e.str(name.as_str())?.str(why.as_str())?;
            }
            Self::Removed { name, by } => {
                head(e, 2)?;
                e.str(name.as_str())?.str(&by.to_string())?;
            }
            Self::Rotated { name, key, until, by } => {
                head(e, 5)?;
                e.str(name.as_str())?;
                write_key(e, key)?;
                e.u64(until.0)?.str(&by.to_string())?;
            }
            Self::Settled { name, message, how, by } => {
                head(e, 5)?;
                e.str(name.as_str())?;
                write_message(e, message)?;
                e.str(how.as_str())?.str(&by.to_string())?;
            }
        }
        Ok(())
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`EntryError`] for anything [`Entry::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut d = Decoder::new(bytes);
        let fields = field("fields", d.array())?.ok_or(bad("fields"))?;
        if field("version", d.u8())? != VERSION {
            return Err(bad("version"));
        }
        let what = field("what happened", d.str())?;
        let entry = match (what, fields) {
            ("acknowledged", 3) => {
                let count = field("positions", d.array())?.ok_or(bad("positions"))?;
                if count > ENDPOINTS_MAX as u64 {
                    return Err(bad("positions"));
                }
                let mut positions = Vec::new();
                for _ in 0..count {
                    if field("position", d.array())? != Some(2) {
                        return Err(bad("position"));
                    }
                    positions.push((parsed(&mut d, "name")?, field("position", d.u64())?));
                }
                Self::Acknowledged(positions)
            }
            ("added", 9) => Self::Added {
                name: parsed(&mut d, "name")?,
                settings: settings(&mut d)?,
                key: key(&mut d)?,
                by: parsed(&mut d, "actor")?,
            },
            ("changed", 9) => Self::Changed {
                name: parsed(&mut d, "name")?,
                settings: settings(&mut d)?,
                enabled: field("enabled", d.bool())?,
                skip: field("skip", d.bool())?,
                by: parsed(&mut d, "actor")?,
            },
            ("dead_lettered", 7) => Self::DeadLettered {
                name: parsed(&mut d, "name")?,
                message: message(&mut d)?,
                tries: field("tries", d.u32())?,
                why: {
                    let why = field("why", d.str())?;
                    if why.len() > TEXT_BYTES_MAX {
                        return Err(bad("why"));
                    }
                    why.to_owned()
                },
            },
            ("disabled", 4) => Self::Disabled {
                name: parsed(&mut d, "name")?,
                why: DisabledWhy::named(field("why", d.str())?).ok_or(bad("why"))?,
            },
            ("removed", 4) => Self::Removed { name: parsed(&mut d, "name")?, by: parsed(&mut d, "actor")? },
            ("rotated", 7) => Self::Rotated {
                name: parsed(&mut d, "name")?,
                key: key(&mut d)?,
                until: UnixNanos(field("until", d.u64())?),
                by: parsed(&mut d, "actor")?,
            },
            ("settled", 7) => Self::Settled {
                name: parsed(&mut d, "name")?,
                message: message(&mut d)?,
                how: match field("how", d.str())? {
                    "delivered" => SettledHow::Delivered,
                    "discarded" => SettledHow::Discarded,
                    _ => return Err(bad("how")),
                },
                by: parsed(&mut d, "actor")?,
            },
            _ => return Err(bad("what happened")),
        };
        // The one encoding: lengths, order and integers have no second form.
        if entry.encode() == bytes { Ok(entry) } else { Err(bad("encoding")) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn name(text: &str) -> EndpointName {
        text.parse().unwrap()
    }

    pub(crate) fn added(text: &str) -> Entry {
        Entry::Added {
            name: name(text),
            settings: Settings {
                target: "https://hooks.example.com/caponier".parse().unwrap(),
                events: "decision, alert.fraud".parse().unwrap(),
                accounts: false,
            },
            key: SigningKey::new(Scheme::Hmac, [7; 32]),
            by: Actor::operator(),
        }
    }

    fn samples() -> Vec<Entry> {
        let Entry::Added { settings, .. } = added("siem") else { unreachable!("it is that") };
        let message = MessageKey { position: 70_000, event_type: EventType::DecisionHeld };
        let by = Actor::operator;
        vec![
            added("siem"),
            Entry::Acknowledged(vec![(name("a"), 0), (name("siem"), u64::MAX)]),
            Entry::Changed { name: name("siem"), settings, enabled: false, skip: true, by: by() },
            Entry::DeadLettered { name: name("siem"), message, tries: 18, why: "answered 500".to_owned() },
            Entry::Disabled { name: name("siem"), why: DisabledWhy::Gone },
            Entry::Removed { name: name("siem"), by: by() },
            Entry::Rotated {
                name: name("siem"),
                key: SigningKey::new(Scheme::Ed25519, [8; 32]),
                until: UnixNanos(5),
                by: by(),
            },
            Entry::Settled { name: name("siem"), message, how: SettledHow::Discarded, by: by() },
        ]
    }

    #[test]
    fn entries_round_trip_and_nothing_is_left_over() {
        for entry in samples() {
            let bytes = entry.encode();
            assert_eq!(Entry::decode(&bytes).unwrap().encode(), bytes);
            for cut in 0..bytes.len() {
                assert!(Entry::decode(&bytes[..cut]).is_err(), "{} cut at {cut}", entry.as_str());
            }
            assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic_and_what_decodes_is_canonical(
            which in 0_usize..8, at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            let mut bytes = samples()[which].encode();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
