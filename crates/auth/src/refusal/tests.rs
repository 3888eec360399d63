use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Every variant with its documented code, status and message. A new variant makes the count below wrong.
fn table() -> Vec<(Refusal, &'static str, u16, &'static str)> {
    use Refusal as R;
    let ip: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
    let parameter = || "clOrdId".to_owned();
    vec![
        (R::ApiKeyFrozen, "50100", 400, "API frozen, please contact customer service."),
        (R::EnvironmentMismatch, "50101", 401, "APIKey does not match current environment."),
        (R::TimestampExpired, "50102", 401, "Timestamp request expired."),
        (R::ApiKeyMissing, "50103", 401, r#"Request header "OK-ACCESS-KEY" cannot be empty."#),
        (R::PassphraseMissing, "50104", 401, r#"Request header "OK-ACCESS-PASSPHRASE" cannot be empty."#),
        (R::PassphraseIncorrect, "50105", 401, r#"Request header "OK-ACCESS-PASSPHRASE" incorrect."#),
        (R::SignatureMissing, "50106", 401, r#"Request header "OK-ACCESS-SIGN" cannot be empty."#),
        (R::TimestampMissing, "50107", 401, r#"Request header "OK-ACCESS-TIMESTAMP" cannot be empty."#),
        (R::ExchangeIdUnknown, "50108", 401, "Exchange ID does not exist."),
        (R::ExchangeDomainUnknown, "50109", 401, "Exchange domain does not exist."),
        (
            R::IpNotBound { ip },
            "50110",
            401,
            "Your IP 203.0.113.7 is not included in your API key's IP whitelist.",
        ),
        (R::ApiKeyUnknown, "50111", 401, "Invalid OK-ACCESS-KEY."),
        (R::TimestampInvalid, "50112", 401, "Invalid OK-ACCESS-TIMESTAMP."),
        (R::SignatureInvalid, "50113", 401, "Invalid signature."),
        (R::AuthorizationInvalid, "50114", 401, "Invalid authorization."),
        (R::MethodInvalid, "50115", 405, "Invalid request method."),
        (R::ApiKeyExpired, "50119", 200, "API key doesn't exist"),
        (R::ApiKeyRevoked, "50119", 200, "API key doesn't exist"),
        (R::PermissionMissing, "50120", 200, "This API key doesn't have permission to use this function"),
        (
            R::IpForbidden { ip },
            "50121",
            200,
            "You can't access our services through the IP address (203.0.113.7)",
        ),
        (
            R::ContentDigestMismatch,
            "50113",
            401,
            "Invalid signature: the body is not that of Content-Digest.",
        ),
        (
            R::KeySignatureRequired,
            "50114",
            401,
            "Invalid authorization: this request must be signed by the key itself.",
        ),
        (R::SessionUnknown, "50111", 401, "Invalid session: open a new one."),
        (
            R::SignatureMalformed { fault: Fault::InputShape },
            "50114",
            401,
            "Invalid authorization: Signature-Input does not cover the components of the profile in their order.",
        ),
        (R::ActionUnreadable, "50030", 200, "You don't have permission to use this API endpoint"),
        (R::HoursClosed, "50120", 200, "This API key doesn't have permission to use this function"),
        (R::NotionalSpent, "50120", 200, "This API key doesn't have permission to use this function"),
        (R::TransferForbidden, "50120", 200, "This API key doesn't have permission to use this function"),
        (R::InstrumentForbidden, "51000", 400, "Parameter instId error"),
        (R::NotionalTooLarge, "51000", 400, "Parameter sz error"),
        (R::NotionalUnknown, "51000", 400, "Parameter px error"),
        (
            R::DestinationForbidden,
            "58207",
            200,
            "Withdrawal address isn't on the verified address list. (The format for withdrawal addresses with a label \
             is “address:label”.)",
        ),
        (
            R::KeyCoolDown,
            "58219",
            200,
            "You cannot withdraw crypto within 24 hours after changing your mobile number, email address, or Google \
             Authenticator.",
        ),
        (R::DpopInvalid, "50114", 401, "Invalid authorization."),
        (R::GrantEnded, "50119", 401, "API key doesn't exist"),
        (R::TokenExpired, "50114", 401, "Invalid authorization."),
        (R::TokenInvalid, "50114", 401, "Invalid authorization."),
        (R::BodyEmpty, "50000", 400, "Body for POST request cannot be empty."),
        (R::ServiceUnavailable, "50001", 503, "Service temporarily unavailable. Please try again later."),
        (R::JsonInvalid, "50002", 400, "JSON syntax error"),
        (
            R::UpstreamTimeout,
            "50004",
            400,
            "API endpoint request timeout. (does not mean that the request was successful or failed, please check the \
             request result).",
        ),
        (R::EndpointUnavailable, "50005", 410, "API endpoint is inactive or unavailable."),
        (R::ContentTypeInvalid, "50006", 400, r#"Invalid Content-Type. Please use "application/JSON"."#),
        (R::UserBlocked, "50007", 200, "User blocked."),
        (R::RateLimited, "50011", 429, "Too Many Requests"),
        (
            R::RateLimitedUpstream,
            "50011",
            200,
            "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
        ),
        (R::SystemBusy, "50013", 429, "Systems are busy. Please try again later."),
        (R::ParameterEmpty { parameter: parameter() }, "50014", 400, "Parameter clOrdId can not be empty."),
        (R::SystemError, "50026", 500, "System error. Try again later"),
        (R::EndpointForbidden, "50030", 200, "You don't have permission to use this API endpoint"),
        (R::IpBindingRequired, "50035", 403, "This endpoint requires that APIKey must be bound to IP"),
        (
            R::ExpiryInPast,
            "50036",
            200,
            "The expTime can't be earlier than the current system time. Please adjust the expTime and try again.",
        ),
        (R::OrderExpired, "50037", 200, "Order expired."),
        (R::DemoUnsupported, "50038", 200, "This feature is unavailable in demo trading."),
        (R::TooFrequent, "50040", 200, "Too frequent operations, please try again later"),
        (R::Repeated, "50042", 200, "Repeated request"),
        (R::DemoOnly, "50053", 200, "This feature is only available in demo trading."),
        (R::OrderRateLimited, "50061", 200, "You've reached the maximum order rate limit for this account."),
        (R::ParameterExists { parameter: parameter() }, "50071", 200, "clOrdId already exists"),
        (R::ParameterInvalid { parameter: parameter() }, "51000", 400, "Parameter clOrdId error"),
        (R::ClientOrderIdExists, "51016", 200, "Client order ID already exists."),
        (
            R::FundingRateLimited,
            "58102",
            429,
            "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
        ),
        (R::WithdrawalAddressMissing, "58203", 200, "Please add a withdrawal address."),
        (
            R::WithdrawalHeld,
            "58204",
            200,
            "Withdrawal suspended due to your account activity triggering risk control. Please contact customer \
             support for assistance.",
        ),
        (
            R::AddressNotVerified,
            "58207",
            200,
            "Withdrawal address isn't on the verified address list. (The format for withdrawal addresses with a label \
             is “address:label”.)",
        ),
        (
            R::SubAccountWithdrawal,
            "58209",
            200,
            "Sub-accounts don't support withdrawals or deposits. Please use your main account instead",
        ),
        (
            R::InternalRecipientInvalid,
            "58213",
            200,
            "The internal transfer address is illegal. It must be an email, phone number, or account name",
        ),
        (
            R::NetworkMaintenance { network: "USDT-TRC20".into() },
            "58214",
            200,
            "Withdrawals suspended due to USDT-TRC20 maintenance",
        ),
        (R::WithdrawalNotAllowed, "58216", 200, "Operation not allowed."),
        (
            R::AddressRisk,
            "58217",
            200,
            "Withdrawals are temporarily suspended for your account due to a risk detected in your withdrawal \
             address. Contact customer support for assistance",
        ),
        (
            R::CredentialCoolDown,
            "58219",
            200,
            "You cannot withdraw crypto within 24 hours after changing your mobile number, email address, or Google \
             Authenticator.",
        ),
        (
            R::AddressTagMissing,
            "58221",
            200,
            "The toAddr parameter format is incorrect, withdrawal address needs labels. The format should be \
             \"address:label\".",
        ),
        (R::WithdrawalAddressInvalid, "58222", 200, "Invalid withdrawal address"),
        (
            R::NonTradableNeedsIpBinding,
            "58228",
            200,
            "Withdrawal of non-tradable assets requires that the API key must be bound to an IP",
        ),
        (
            R::OwnershipUnproven,
            "58254",
            200,
            "Due to local compliance requirements, please complete the digital signature or satoshi test via our app \
             or website first before withdrawing to a private wallet via API.",
        ),
    ]
}

#[test]
fn codes_statuses_messages_and_bodies() {
    for (refusal, code, status, message) in table() {
        assert_eq!((refusal.code(), refusal.http_status()), (code, status), "{refusal:?}");
        assert_eq!(refusal.message(), message, "{refusal:?}");
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
        assert_eq!(body, serde_json::json!({"code": code, "msg": message, "data": []}), "{refusal:?}");
    }
    assert_eq!(Refusal::SignatureInvalid.body(), r#"{"code":"50113","msg":"Invalid signature.","data":[]}"#);
}

#[test]
fn labels_are_unique_snake_case() {
    let table = table();
    let labels: BTreeSet<&str> = table.iter().map(|(refusal, ..)| refusal.label()).collect();
    assert_eq!(labels.len(), table.len());
    assert_eq!(table.len(), 75, "the table of this test lists every variant");
    for label in labels {
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
    }
}

#[test]
fn long_parameters_are_cut_between_characters() {
    let refusal = Refusal::ParameterInvalid { parameter: "é".repeat(100) };
    assert_eq!(refusal.message(), format!("Parameter {} error", "é".repeat(32)));
    // A parameter that looks like a placeholder is not filled again.
    assert_eq!(Refusal::ParameterExists { parameter: "{}".into() }.message(), "{} already exists");
}

#[test]
fn login_errors_have_the_codes_of_the_websocket() {
    for (refusal, code) in [
        (Refusal::TimestampInvalid, "60004"),
        (Refusal::ApiKeyUnknown, "60005"),
        (Refusal::TimestampExpired, "60006"),
        (Refusal::SignatureInvalid, "60007"),
        (Refusal::ApiKeyFrozen, "60009"),
        (Refusal::RateLimited, "60014"),
        (Refusal::PassphraseIncorrect, "60024"),
        (Refusal::ApiKeyRevoked, "60032"),
        (Refusal::SystemError, "63999"),
    ] {
        assert_eq!(refusal.login_error().0, code, "{refusal:?}");
    }
}

proptest! {
    /// Whatever a parameter holds, the body is JSON that says it.
    #[test]
    fn bodies_parse(parameter in any::<String>()) {
        let refusal = Refusal::ParameterInvalid { parameter };
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
        prop_assert_eq!(body["msg"].as_str(), Some(&*refusal.message()));
    }
}
