//! Restrictions of keys as people write them, and back.
//!
//! Hours are days and a span, both inclusive of the first and the span exclusive of the last: `Mon-Fri 08-18`,
//! `Sat,Sun 10-12`, or `00-06` for every day; always UTC. A destination is the id of an entry of the address book, or
//! `network:address`, from which the id follows.

use auth::authority::{NotionalBounds, RestrictionError, Restrictions, TransferDirection, WeeklyHours};
use decide::EntryId;
use domain::{Amount, Asset, Network, UnixNanos};

use crate::{
    control::RestrictionWords,
    exit::{Exit, Failure},
};

/// Monday first, as the engine counts.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Most spans of hours.
const HOURS_MAX: usize = 32;

/// Reads words.
///
/// # Errors
/// [`Failure`] naming the part at fault.
pub(super) fn read(words: &RestrictionWords) -> Result<Restrictions, Failure> {
    let mut restrictions = Restrictions::default();
    if !words.endpoints.is_empty() {
        restrictions = restrictions.with_endpoints(&words.endpoints).map_err(refused)?;
    }
    if !words.instruments.is_empty() {
        restrictions = restrictions.with_instruments(&words.instruments).map_err(refused)?;
    }
    if let Some(asset) = &words.notional_asset {
        let asset = Asset::parse(asset).map_err(|error| bad("notional asset", asset, &error))?;
        let amount = |text: &Option<String>| {
            let parse =
                |text: &String| Amount::parse(text).map_err(|error| bad("notional bound", text, &error));
            text.as_ref().map(parse).transpose()
        };
        let bounds = NotionalBounds::new(asset, amount(&words.order_max)?, amount(&words.day_max)?);
        restrictions = restrictions.with_notional(bounds.map_err(refused)?);
    } else if words.order_max.is_some() || words.day_max.is_some() {
        return Err(Failure::new(Exit::Input, "a notional bound needs the asset it is in"));
    }
    if !words.transfers.is_empty() {
        let direction = |name: &String| {
            let known = TransferDirection::ALL.map(TransferDirection::as_str).join(", ");
            TransferDirection::parse(name).ok_or_else(|| bad("transfer", name, &format!("there are {known}")))
        };
        let directions: Vec<_> = words.transfers.iter().map(direction).collect::<Result<_, _>>()?;
        restrictions = restrictions.with_transfers(&directions).map_err(refused)?;
    }
    if !words.destinations.is_empty() {
        let ids: Vec<_> = words.destinations.iter().map(|text| entry(text)).collect::<Result<_, _>>()?;
        restrictions = restrictions.with_destinations(&ids).map_err(refused)?;
    }
    if !words.hours.is_empty() {
        restrictions = restrictions.with_hours(hours(&words.hours)?);
    }
    Ok(restrictions)
}

/// Writes them as [`read`] takes them.
pub(super) fn write(restrictions: &Restrictions) -> RestrictionWords {
    fn texts<T: ToString>(entries: Option<&[T]>) -> Vec<String> {
        entries.unwrap_or_default().iter().map(T::to_string).collect()
    }
    let notional = restrictions.notional();
    let directions = restrictions.transfers().unwrap_or_default();
    RestrictionWords {
        endpoints: texts(restrictions.endpoints()),
        instruments: texts(restrictions.instruments()),
        notional_asset: notional.map(|bounds| bounds.quote().to_string()),
        order_max: notional.and_then(|bounds| Some(bounds.per_order()?.to_string())),
        day_max: notional.and_then(|bounds| Some(bounds.per_day()?.to_string())),
        transfers: directions.into_iter().map(|direction| direction.as_str().to_owned()).collect(),
        destinations: texts(restrictions.destinations()),
        hours: restrictions.hours().map(spans).unwrap_or_default(),
    }
}

/// The id of an entry of the address book.
fn entry(text: &str) -> Result<String, Failure> {
    let Some((network, address)) = text.split_once(':') else { return Ok(text.to_owned()) };
    let network: Network = network.parse().map_err(|error| bad("destination", text, &error))?;
    if address.is_empty() || address.contains(':') {
        return Err(bad("destination", text, &"not an address without a tag"));
    }
    Ok(EntryId::of(network, address).to_string())
}

fn hours(texts: &[String]) -> Result<WeeklyHours, Failure> {
    if texts.len() > HOURS_MAX {
        return Err(Failure::new(Exit::Input, format!("more than {HOURS_MAX} spans of hours")));
    }
    let mut all: Option<WeeklyHours> = None;
    for text in texts {
        let span = span(text).ok_or_else(|| bad("hours", text, &"not like \"Mon-Fri 08-18\""))?;
        all = Some(all.map_or(span, |all| all.or(span)));
    }
    all.ok_or_else(|| Failure::new(Exit::Input, "no hours"))
}

fn span(text: &str) -> Option<WeeklyHours> {
    let (days, span) = text.trim().rsplit_once(' ').unwrap_or(("Mon-Sun", text.trim()));
    let (from, to) = span.split_once('-')?;
    let hour = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let day = |name: &str| DAYS.iter().position(|known| *known == name);
    let mut weekdays = Vec::new();
    for part in days.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // Over the end of the week as well: Sat-Mon.
        let length = (last + 7 - first) % 7;
        weekdays.extend((0..=length).filter_map(|step| u8::try_from((first + step) % 7).ok()));
    }
    WeeklyHours::daily(&weekdays, hour(from)?, hour(to)?)
}

/// Days with the same spans are told once.
fn spans(hours: &WeeklyHours) -> Vec<String> {
    // The Unix epoch was a Thursday; the Monday after it is day 4.
    let is_in = |day: usize, hour: usize| {
        let hours_since = (4 + day as u64) * 24 + hour as u64;
        hours.contains(UnixNanos::from_secs(hours_since * 3_600))
    };
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for (day, name) in DAYS.iter().enumerate() {
        let mut from = None;
        for hour in 0..=24 {
            let inside = hour < 24 && is_in(day, hour);
            match (from, inside) {
                (None, true) => from = Some(hour),
                (Some(start), false) => {
                    let span = format!("{start:02}-{hour:02}");
                    match told.iter_mut().find(|(known, _)| *known == span) {
                        Some((_, days)) => days.push(name),
                        None => told.push((span, vec![name])),
                    }
                    from = None;
                }
                _ => {}
            }
        }
    }
    told.into_iter().map(|(span, days)| format!("{} {span}", days.join(","))).collect()
}

fn bad(what: &str, text: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Input, format!("{what} {text:?}: {why}"))
}

fn refused(error: RestrictionError) -> Failure {
    Failure::new(Exit::Input, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were_meant() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let id = EntryId::of(Network::Ethereum, address).to_string();
        let words = RestrictionWords {
            endpoints: texts(&["GET /api/v5/account/*", "POST /api/v5/trade/order"]),
            instruments: texts(&["BTC-USDT", "ETH-*"]),
            notional_asset: Some("USDT".to_owned()),
            order_max: Some("1000".to_owned()),
            day_max: Some("2500.5".to_owned()),
            transfers: texts(&["funding_to_trading"]),
            destinations: vec![format!("ethereum:{address}"), "cold-1".to_owned()],
            hours: texts(&["Mon-Wed 08-18", "Sat-Mon 20-24"]),
        };
        let written = write(&read(&words).unwrap());
        assert_eq!(written.destinations, [id, "cold-1".to_owned()]);
        assert_eq!(written.hours, ["Mon,Tue,Wed 08-18", "Mon,Sat,Sun 20-24"]);
        let again = write(&read(&written).unwrap());
        assert_eq!(again, written);
        assert_eq!((written.endpoints, written.instruments), (words.endpoints, words.instruments));
        assert_eq!((written.order_max, written.day_max), (words.order_max, words.day_max));
        assert_eq!(read(&RestrictionWords::default()).unwrap(), Restrictions::default());
    }

    #[test]
    fn every_hour_of_the_week_comes_back() {
        for day in 0..7 {
            for hour in 0..24 {
                let one = WeeklyHours::daily(&[day], hour, hour + 1).unwrap();
                assert_eq!(hours(&spans(&one)).unwrap(), one);
            }
        }
    }

    #[test]
    fn faults_are_named() {
        let fault = |change: fn(&mut RestrictionWords)| {
            let mut words = RestrictionWords::default();
            change(&mut words);
            read(&words).unwrap_err().message
        };
        assert!(fault(|words| words.endpoints = vec!["order".into()]).contains("endpoints"));
        assert!(fault(|words| words.instruments = vec!["btc".into()]).contains("instruments"));
        assert!(fault(|words| words.order_max = Some("1".into())).contains("asset"));
        assert!(fault(|words| words.transfers = vec!["out".into()]).contains("funding_to_trading"));
        for text in ["18-08", "Mon", "Mon-Fri", "Mon-Fry 08-18", "08-25", "+8-18", "Mon 08:00-18:00", ""] {
            assert!(hours(&[text.to_owned()]).is_err(), "{text}");
        }
        for text in ["atlantis:x", "bitcoin:", "tron:a:b"] {
            assert!(entry(text).is_err(), "{text}");
        }
    }
}
