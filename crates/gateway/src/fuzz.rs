//! Doors for the fuzz targets to parsers that are private otherwise. Exists only when built for fuzzing.

use std::net::{IpAddr, Ipv4Addr};

use auth::Refusal;
use domain::{AccountId, ApiKeyId, UnixNanos, WithdrawalRequest};

use crate::{head, json, strict, withdrawal};

/// Length of the request head that `bytes` start with and of the body it announces; `None` if it is refused or
/// incomplete.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<(usize, u64)> {
    head::measure(bytes)
}

/// What a connection hands on of pieces that arrive one after the other, and whether it refused a head.
#[must_use]
pub fn handed_on<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let (mut framing, mut out) = (head::Framing::default(), Vec::new());
    for piece in pieces {
        if framing.is_refused() {
            break;
        }
        let mut extra = Vec::new();
        if framing.is_inside_head() {
            framing.feed_pending(piece, &mut extra);
        } else {
            let whole = framing.feed(piece, &mut extra);
            out.extend_from_slice(piece.get(..whole).unwrap_or_default());
        }
        out.append(&mut extra);
    }
    (out, framing.is_refused())
}

/// Whether every server finds the same resource under the path.
#[must_use]
pub fn is_canonical(path: &str) -> bool {
    strict::is_canonical(path)
}

/// How many orders a body holds; `None` if it is not JSON.
#[must_use]
pub fn element_count(body: &[u8]) -> Option<usize> {
    json::element_count(body).ok()
}

/// The withdrawal a body asks for, from a fixed account, key, address and time.
///
/// # Errors
/// As the client would be told.
///
/// # Panics
/// Never: the fixed names are valid.
pub fn withdrawal(body: &[u8]) -> Result<WithdrawalRequest, Refusal> {
    let origin = withdrawal::Origin {
        account: &AccountId::parse("alice").expect("a valid account id"),
        api_key: &ApiKeyId::parse("key-1").expect("a valid key id"),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        at: UnixNanos(7),
    };
    withdrawal::parse(body, origin)
}
