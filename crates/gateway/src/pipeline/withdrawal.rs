//! A withdrawal on its way through: the OKX v5 request read into domain words, and the answer written back.
//!
//! Reading is stricter than an exchange need be, because the exchange acts on the same bytes: whatever could be read
//! in two ways is refused. A decision other than *allow* becomes a documented OKX error whose message starts with the
//! documented text and ends with the decision id.

use std::net::IpAddr;

use auth::Refusal;
use domain::{
    AccountId, Amount, ApiKeyId, Asset, Channel, Destination, Network, UnixNanos, Verdict, WithdrawalRequest,
};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{Charged, Shared, json::Object};
use crate::{
    answer::{Refused, is_field_value},
    peer::Peer,
    ports::Answer,
};

/// Longest address, recipient or network name taken from a request, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Longest `clientId`, in bytes (OKX: up to 32 letters and digits).
const CLIENT_ID_BYTES_MAX: usize = 32;

/// Who asks, from where and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) api_key: &'a ApiKeyId,
    pub(crate) ip: IpAddr,
    /// Fingerprint of the TLS client.
    pub(crate) ja4: Option<&'a str>,
    pub(crate) at: UnixNanos,
}

impl Shared {
    /// Asks for the decision about a withdrawal; gives its id if the withdrawal may go ahead.
    pub(super) async fn decide(
        &self,
        body: &[u8],
        charged: &Charged,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<String, Refused> {
        let (account, api_key) = (charged.verified().account(), charged.verified().key_id());
        let origin = Origin { account, api_key, ip: peer.ip, ja4: peer.ja4(), at: now };
        let request = parse(body, origin).map_err(|refusal| Refused::from(refusal).of(account))?;
        let decided = timeout(self.timeouts.decision, self.withdrawals.decide(request)).await;
        let unavailable = |reason: &str| {
            tracing::error!(reason, "withdrawal refused: no decision");
            Refused::from(Refusal::ServiceUnavailable).labelled("decision_unavailable").of(account)
        };
        let answer = match decided {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unavailable(&error.reason)),
            Err(_) => return Err(unavailable("no answer in time")),
        };
        match refusal(&answer) {
            // Client and exchange are told the id in a header line.
            None if !is_field_value(&answer.id) => Err(unavailable("its id cannot be quoted")),
            None => Ok(answer.id),
            Some(refusal) => {
                Err(Refused { decision: Some(answer.id.into()), ..Refused::from(refusal) }.of(account))
            }
        }
    }
}

/// Reads the body of `POST /api/v5/asset/withdrawal`.
///
/// Numbers may be JSON strings or JSON numbers, since clients send both; their text is read exactly. `null` and the
/// empty string count as absent. Fields that do not decide where the money goes are ignored.
pub(crate) fn parse(body: &[u8], origin: Origin<'_>) -> Result<WithdrawalRequest, Refusal> {
    let object = Object::parse(body).map_err(|_| Refusal::JsonInvalid)?;
    let optional = |name: &'static str| {
        object.field(name).map_err(|_| invalid(name))?.map_or(Ok(None), |value| text(value, name))
    };
    let required = |name: &'static str| {
        optional(name)?.ok_or_else(|| Refusal::ParameterEmpty { parameter: name.to_owned() })
    };
    let asset = Asset::parse(&required("ccy")?).map_err(|_| invalid("ccy"))?;
    let amount = Amount::parse_non_negative(&required("amt")?).map_err(|_| invalid("amt"))?;
    if amount.is_zero() {
        return Err(invalid("amt"));
    }
    let dest = required("dest")?;
    let to = required("toAddr")?;
    let chain = optional("chain")?;
    let fee = optional("fee")?
        .map(|fee| Amount::parse_non_negative(&fee).map_err(|_| invalid("fee")))
        .transpose()?;
    let client_id = optional("clientId")?;
    if client_id.as_ref().is_some_and(|id| {
        id.len() > CLIENT_ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }) {
        return Err(invalid("clientId"));
    }
    let destination = match dest.as_str() {
        "3" => Destination::Internal { recipient: to },
        "4" => on_chain(&asset, chain, to)?,
        _ => return Err(invalid("dest")),
    };
    Ok(WithdrawalRequest {
        account: origin.account.clone(),
        channel: Channel::ApiKey(origin.api_key.clone()),
        asset,
        amount,
        fee,
        destination,
        client_id,
        ip: origin.ip,
        device: None,
        client_ja4: origin.ja4.map(str::to_owned),
        requested_at: origin.at,
    })
}

fn on_chain(asset: &Asset, chain: Option<String>, to: String) -> Result<Destination, Refusal> {
    let network = match chain {
        Some(chain) => match Network::from_okx_chain(asset.as_str(), &chain) {
            Ok(network) => network,
            Err(_) => return Ok(Destination::UnknownNetwork { network: chain, address: to }),
        },
        // The exchange would take the asset's main network. Only where that is beyond doubt may it be left out.
        None => match asset.as_str() {
            "BTC" => Network::Bitcoin,
            "ETH" => Network::Ethereum,
            "TRX" => Network::Tron,
            "BCH" => Network::BitcoinCash,
            "LTC" => Network::Litecoin,
            "SOL" => Network::Solana,
            "XRP" => Network::Xrp,
            _ => return Err(invalid("chain")),
        },
    };
    let (address, tag) = network.split_tag(&to);
    let (address, tag) = (address.to_owned(), tag.map(str::to_owned));
    Ok(Destination::OnChain { network, address, tag })
}

/// The text of a JSON string or number; `None` for `null` and the empty string.
fn text(value: &RawValue, name: &'static str) -> Result<Option<String>, Refusal> {
    let raw = value.get();
    let text = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).map_err(|_| invalid(name))?,
        Some(b'-' | b'0'..=b'9') => raw.to_owned(),
        Some(b'n') => return Ok(None),
        _ => return Err(invalid(name)),
    };
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(invalid(name));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn invalid(parameter: &str) -> Refusal {
    Refusal::ParameterInvalid { parameter: parameter.to_owned() }
}

/// The OKX error of a decision; `None` when the withdrawal goes ahead.
///
/// The reason decides the code where OKX has one for it; otherwise the verdict does:
///
/// | decision | code |
/// |---|---|
/// | reason `*.address_not_in_book` | 58207 |
/// | reason `*.invalid_address` | 58222 |
/// | hold or deny for `watch.*_address`: the destination is listed | 58217 |
/// | hold or deny for `*.recent_credential_change`: contact or second factor | 58219 |
/// | challenge | 58254: OKX's answer where the customer must first prove something in the app or on the website |
/// | hold, or deny for any other reason | 58204 |
pub(crate) fn refusal(answer: &Answer) -> Option<Refusal> {
    let code = answer.code.as_str();
    let (source, reason) = code.split_once('.').unwrap_or(("", code));
    match (answer.verdict, source, reason) {
        (Verdict::Allow, ..) => None,
        (_, _, "address_not_in_book") => Some(Refusal::AddressNotVerified),
        (_, _, "invalid_address") => Some(Refusal::WithdrawalAddressInvalid),
        (Verdict::Hold | Verdict::Deny, "watch", _) if reason.ends_with("_address") => {
            Some(Refusal::AddressRisk)
        }
        (Verdict::Hold | Verdict::Deny, _, "recent_credential_change") => Some(Refusal::CredentialCoolDown),
        (Verdict::Challenge, ..) => Some(Refusal::OwnershipUnproven),
        (Verdict::Hold | Verdict::Deny, ..) => Some(Refusal::WithdrawalHeld),
    }
}

#[cfg(test)]
mod tests {
    use domain::ReasonCode;
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<WithdrawalRequest, Refusal> {
        let account = AccountId::parse("alice").unwrap();
        let api_key = ApiKeyId::parse("key-1").unwrap();
        let origin = Origin {
            account: &account,
            api_key: &api_key,
            ip: "10.0.0.1".parse().unwrap(),
            ja4: None,
            at: UnixNanos(7),
        };
        parse(body.as_bytes(), origin)
    }

    fn parameter(result: Result<WithdrawalRequest, Refusal>) -> String {
        match result {
            Err(Refusal::ParameterInvalid { parameter }) => parameter,
            Err(Refusal::ParameterEmpty { parameter }) => format!("{parameter} empty"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_real_clients_send_is_read() {
        let ccxt = r#"{"ccy":"USDT","toAddr":"TXk","dest":"4","amt":"10.50","chain":"USDT-TRC20","fee":"1"}"#;
        let request = read(ccxt).unwrap();
        assert_eq!(request.amount.to_string(), "10.5");
        assert_eq!(request.fee.unwrap().to_string(), "1");
        assert_eq!(
            request.destination,
            Destination::OnChain { network: Network::Tron, address: "TXk".to_owned(), tag: None }
        );
        let python = r#"{"ccy": "BTC", "amt": 0.001, "dest": 4, "toAddr": "bc1q:7", "chain": "", "areaCode": null,
            "rcvrInfo": {"walletType": "private"}, "clientId": "a1", "tag": "159881cb7207BCDE"}"#;
        let request = read(python).unwrap();
        assert_eq!(request.amount, Amount::parse("0.001").unwrap());
        assert_eq!(
            request.destination,
            Destination::OnChain {
                network: Network::Bitcoin,
                address: "bc1q".to_owned(),
                tag: Some("7".to_owned())
            }
        );
        let internal = read(r#"{"ccy":"USDT","amt":"1","dest":"3","toAddr":"bob@example.com"}"#).unwrap();
        assert_eq!(internal.destination, Destination::Internal { recipient: "bob@example.com".to_owned() });
        let other =
            read(r#"{"ccy":"ADA","amt":"1","dest":"4","toAddr":"x:y","chain":"ADA-Cardano"}"#).unwrap();
        assert_eq!(
            other.destination,
            Destination::UnknownNetwork { network: "ADA-Cardano".to_owned(), address: "x:y".to_owned() }
        );
    }

    #[test]
    fn each_fault_is_named() {
        let with = |from: &str, to: &str| {
            let body = r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"bc1","fee":"1","clientId":"c"}"#;
            assert!(body.contains(from));
            parameter(read(&body.replace(from, to)))
        };
        assert_eq!(with(r#""ccy":"BTC","#, ""), "ccy empty");
        assert_eq!(with(r#""BTC""#, r#""btc""#), "ccy");
        assert_eq!(with(r#""BTC""#, r#"["BTC"]"#), "ccy");
        assert_eq!(with(r#""BTC""#, r#""USDT""#), "chain");
        assert_eq!(with(r#""amt":"1""#, r#""amt":"""#), "amt empty");
        for amount in
            [r#""0""#, "-1", r#""1e3""#, "1e3", "true", r#"" 1""#, r#""0.00000000000000000000000000001""#]
        {
            assert_eq!(with(r#""amt":"1""#, &format!("\"amt\":{amount}")), "amt", "{amount}");
        }
        assert_eq!(with(r#""dest":"4""#, r#""dest":"5""#), "dest");
        assert_eq!(with(r#""dest":"4","#, ""), "dest empty");
        assert_eq!(with(r#""bc1""#, "null"), "toAddr empty");
        assert_eq!(with(r#""bc1""#, r#""bc\u00001""#), "toAddr");
        assert_eq!(with(r#""bc1""#, &format!("\"{}\"", "x".repeat(257))), "toAddr");
        assert_eq!(with("toAddr", "toaddr"), "toAddr");
        assert_eq!(with(r#""fee":"1""#, r#""fee":"-1""#), "fee");
        assert_eq!(with(r#""c"}"#, r#""a b"}"#), "clientId");
        assert_eq!(read(r#"{"ccy":"BTC","ccy":"ETH"}"#), Err(Refusal::JsonInvalid));
        assert_eq!(read("[]"), Err(Refusal::JsonInvalid));
    }

    #[test]
    fn decisions_map_to_documented_codes() {
        let code = |verdict, code: &str| {
            let answer = Answer {
                id: "d".to_owned(),
                verdict,
                code: ReasonCode::stored(code),
                message: String::new(),
            };
            refusal(&answer).map(|refusal| refusal.code())
        };
        assert_eq!(code(Verdict::Allow, "watch.no_lists"), None);
        assert_eq!(code(Verdict::Hold, "decide.address_not_in_book"), Some("58207"));
        assert_eq!(code(Verdict::Hold, "watch.mixer_address"), Some("58217"));
        assert_eq!(code(Verdict::Challenge, "watch.mixer_address"), Some("58254"));
        assert_eq!(code(Verdict::Deny, "watch.unscreenable_network"), Some("58204"));
        assert_eq!(code(Verdict::Deny, "watch.invalid_address"), Some("58222"));
        assert_eq!(code(Verdict::Deny, "watch.sanctioned_address"), Some("58217"));
        assert_eq!(code(Verdict::Hold, "watch.unscreenable_network"), Some("58204"));
        assert_eq!(code(Verdict::Hold, "fraud.recent_credential_change"), Some("58219"));
        assert_eq!(code(Verdict::Challenge, "fraud.new_device"), Some("58254"));
        assert_eq!(code(Verdict::Deny, "fraud.balance_drain"), Some("58204"));
        assert_eq!(code(Verdict::Hold, "oddly-named"), Some("58204"));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&String::from_utf8_lossy(&body)).is_ok();
        }

        #[test]
        fn near_misses_never_panic(
            amount in r#"[-0-9.eE"]{0,12}"#, to in r#"[a-z:\\"\u{0}]{0,9}"#, dest in "[2345\"]{0,3}",
        ) {
            let body = format!(r#"{{"ccy":"BTC","amt":{amount},"dest":{dest},"toAddr":"{to}"}}"#);
            if let Ok(request) = read(&body) {
                prop_assert!(!request.amount.is_negative() && !request.amount.is_zero());
            }
        }
    }
}
