//! How restrictions stand in journal records: one CBOR array of six parts, each `null` where nothing is restricted.
//!
//! The schema is `restrictions` in `docs/journal-apikey.cddl`. Lists keep their order, so what decodes encodes to the
//! same bytes; the caller of [`decode`] compares them, as it does for the whole record.

use std::convert::Infallible;

use domain::{Amount, Asset};
use minicbor::{Decoder, Encoder, data::Type, encode::Error};

use super::{NotionalBounds, Restrictions, WeeklyHours};

/// Longest encoding, in bytes: the lists at their bounds with 3 bytes of head for each entry, and the rest.
pub(crate) const ENCODED_BYTES_MAX: usize = Restrictions::ENDPOINTS_MAX
    * (super::EndpointPattern::BYTES_MAX + 3)
    + Restrictions::INSTRUMENTS_MAX * (super::InstrumentPattern::BYTES_MAX + 3)
    + Restrictions::DESTINATIONS_MAX * (super::DestinationId::BYTES_MAX + 3)
    + 256;

/// A part that is not acceptable, by its name in the schema.
pub(crate) type BadPart = &'static str;

pub(crate) fn encode(
    restrictions: &Restrictions,
    encoder: &mut Encoder<Vec<u8>>,
) -> Result<(), Error<Infallible>> {
    fn texts<T: ToString>(
        entries: Option<&[T]>,
        encoder: &mut Encoder<Vec<u8>>,
    ) -> Result<(), Error<Infallible>> {
        let Some(entries) = entries else { return encoder.null().map(drop) };
        encoder.array(u64::try_from(entries.len()).unwrap_or(u64::MAX))?;
        entries.iter().try_for_each(|entry| encoder.str(&entry.to_string()).map(drop))
    }
    encoder.array(6)?;
    texts(restrictions.endpoints(), encoder)?;
    texts(restrictions.instruments(), encoder)?;
    match restrictions.notional() {
        None => drop(encoder.null()?),
        Some(bounds) => {
            encoder.array(3)?.str(bounds.quote().as_str())?;
            for bound in [bounds.per_order(), bounds.per_day()] {
                match bound {
                    None => encoder.null()?,
                    Some(amount) => encoder.str(&canonical(amount))?,
                };
            }
        }
    }
    match restrictions.transfers {
        None => encoder.null()?,
        Some(bits) => encoder.u8(bits)?,
    };
    texts(restrictions.destinations(), encoder)?;
    match restrictions.hours() {
        None => encoder.null()?,
        Some(hours) => encoder.bytes(hours.as_bytes())?,
    };
    Ok(())
}

/// The one text of an amount: without trailing zeroes.
fn canonical(amount: Amount) -> String {
    let (mantissa, scale) = amount.parts();
    Amount::from_parts(mantissa, scale).map_or_else(|_| amount.to_string(), |amount| amount.to_string())
}

pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Restrictions, BadPart> {
    if !matches!(decoder.array(), Ok(Some(6))) {
        return Err("restrictions");
    }
    let mut restrictions = Restrictions::default();
    if let Some(texts) = texts(decoder, Restrictions::ENDPOINTS_MAX).map_err(|()| "endpoints")? {
        restrictions = restrictions.with_endpoints(&texts).map_err(|_| "endpoints")?;
    }
    if let Some(texts) = texts(decoder, Restrictions::INSTRUMENTS_MAX).map_err(|()| "instruments")? {
        restrictions = restrictions.with_instruments(&texts).map_err(|_| "instruments")?;
    }
    if !is_null(decoder) {
        restrictions = restrictions.with_notional(notional(decoder).ok_or("notional")?);
    }
    if !is_null(decoder) {
        let bits = decoder.u8().map_err(|_| "transfers")?;
        restrictions.transfers = Some(bits).filter(|bits| (1..32).contains(bits));
        restrictions.transfers.ok_or("transfers")?;
    }
    if let Some(texts) = texts(decoder, Restrictions::DESTINATIONS_MAX).map_err(|()| "destinations")? {
        restrictions = restrictions.with_destinations(&texts).map_err(|_| "destinations")?;
    }
    if !is_null(decoder) {
        let bytes = decoder.bytes().ok().and_then(|bytes| bytes.try_into().ok());
        restrictions = restrictions.with_hours(bytes.and_then(WeeklyHours::from_bytes).ok_or("hours")?);
    }
    Ok(restrictions)
}

fn is_null(decoder: &mut Decoder<'_>) -> bool {
    matches!(decoder.datatype(), Ok(Type::Null)) && decoder.null().is_ok()
}

fn texts<'b>(decoder: &mut Decoder<'b>, max: usize) -> Result<Option<Vec<&'b str>>, ()> {
    if is_null(decoder) {
        return Ok(None);
    }
    let entries = decoder.array().ok().flatten().and_then(|entries| usize::try_from(entries).ok());
    let entries = entries.filter(|entries| *entries <= max).ok_or(())?;
    (0..entries).map(|_| decoder.str().map_err(drop)).collect::<Result<_, _>>().map(Some)
}

fn notional(decoder: &mut Decoder<'_>) -> Option<NotionalBounds> {
    if !matches!(decoder.array(), Ok(Some(3))) {
        return None;
    }
    let quote = Asset::parse(decoder.str().ok()?).ok()?;
    let mut bound = || {
        if is_null(decoder) { Some(None) } else { Amount::parse(decoder.str().ok()?).ok().map(Some) }
    };
    let (per_order, per_day) = (bound()?, bound()?);
    NotionalBounds::new(quote, per_order, per_day).ok()
}
