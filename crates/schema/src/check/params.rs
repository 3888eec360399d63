//! Parameters in path and query.
//!
//! Queries are read as HTML forms write them (`a=1&b=2`, `+` is a space, percent-encoding is UTF-8), names included.
//! Names are compared exactly. A parameter without `=` has the empty value.

use std::borrow::Cow;

use super::schema::{Full, Judge};
use crate::bounds::PARAMS_MAX;
use crate::model::{List, Param, Route};
use crate::pointer::Pointer;
use crate::router;
use crate::violation::Deviation;

/// Pairs in one query.
pub(crate) const PAIRS_MAX: usize = 256;

/// Checks the parameters of a path that matched the route's template.
pub(super) fn path(judge: &mut Judge<'_>, route: &Route, path: &str) -> Result<(), Full> {
    if route.path_params.is_empty() {
        return Ok(());
    }
    let (Some(template), Some(segments)) = (router::segments(&route.template), router::segments(path)) else {
        return Ok(());
    };
    let values = template.zip(segments).filter(|(name, _)| router::parameter(name).is_some());
    for (param, (_, raw)) in route.path_params.iter().zip(values) {
        let at = Pointer::ROOT;
        let at = at.name(&param.name);
        match decode(raw, false) {
            Some(value) => check_value(judge, param, &value, &at)?,
            None => {
                judge.violation(Deviation::Malformed, &at)?;
            }
        }
    }
    Ok(())
}

/// Checks a query.
pub(super) fn query(judge: &mut Judge<'_>, route: &Route, raw: &str) -> Result<(), Full> {
    let at = Pointer::ROOT;
    // Which parameters were there; a route has at most PARAMS_MAX.
    let mut seen = [0u32; PARAMS_MAX];
    for (n_pairs, pair) in pairs(raw).enumerate() {
        if n_pairs == PAIRS_MAX {
            judge.violation(Deviation::TooMany, &at)?;
            break;
        }
        let (name, value) = pair;
        let (Some(name), Some(value)) = (decode(name, true), decode(value, true)) else {
            judge.violation(Deviation::Malformed, &at.name(name))?;
            continue;
        };
        let at = at.name(&name);
        let Ok(i) = route.query_params.binary_search_by(|param| (*param.name).cmp(&*name)) else {
            judge.violation(Deviation::UnknownParameter, &at)?;
            continue;
        };
        let param = &route.query_params[i];
        seen[i] += 1;
        if seen[i] > 1 && param.list != List::Repeats {
            judge.violation(Deviation::RepeatedParameter, &at)?;
            continue;
        }
        check_value(judge, param, &value, &at)?;
    }
    for (param, n_seen) in route.query_params.iter().zip(seen) {
        let at = at.name(&param.name);
        if n_seen == 0 && param.is_required {
            judge.violation(Deviation::MissingParameter, &at)?;
        }
        if n_seen > 0 && param.list == List::Repeats {
            judge.count_elements(param.node, u64::from(n_seen), &at)?;
        }
    }
    Ok(())
}

fn check_value(judge: &mut Judge<'_>, param: &Param, value: &str, at: &Pointer<'_>) -> Result<(), Full> {
    if value.is_empty() && param.may_be_empty {
        return Ok(());
    }
    match param.list {
        List::No => judge.text(param.node, value, at).map(|_| ()),
        List::Repeats => judge.element(param.node, value, at),
        List::Commas => {
            let mut n = 0;
            for element in value.split(',') {
                judge.element(param.node, element, at)?;
                n += 1;
            }
            judge.count_elements(param.node, n, at)
        }
    }
}

/// The pairs of a raw query; empty pairs, as between two `&`, are no pairs.
pub(crate) fn pairs(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Percent-decodes; `None` if an escape is broken or the result is not UTF-8.
pub(crate) fn decode(raw: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let is_plain = |byte: u8| byte != b'%' && !(plus_is_space && byte == b'+');
    if raw.bytes().all(is_plain) {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_decode_as_forms_do() {
        assert_eq!(decode("BTC%2CETH", true).as_deref(), Some("BTC,ETH"));
        assert_eq!(decode("a+b", true).as_deref(), Some("a b"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        for raw in ["%", "%2", "%zz", "%+1", "%ff"] {
            assert_eq!(decode(raw, true), None, "{raw}");
        }
        assert_eq!(pairs("a=1&&b&c==").collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "=")]);
    }
}
