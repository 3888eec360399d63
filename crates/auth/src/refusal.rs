//! Every refusal Caponier sends in OKX v5 words: code, HTTP status, message, JSON body, metric label.
//!
//! Not here: the decision to refuse. Texts are the documented ones to the full stop, since clients match on them.
//! The tables are those of the OKX v5 documentation, "REST API error codes" and "WebSocket error codes".

use std::{borrow::Cow, net::IpAddr};

use crate::v2::Fault;

/// Longest parameter repeated in a message, in bytes; the rest is cut off.
pub const PARAMETER_BYTES_MAX: usize = 64;

/// Why a request is answered by Caponier instead of the exchange. One variant per cause; several causes may share
/// a code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 50030: the key is bound in what it trades or transfers, and the effect of this endpoint is not known here.
    ActionUnreadable,
    /// 58207: the withdrawal address is not in the address book.
    AddressNotVerified,
    /// 58217: a scam or sanctions hit on the withdrawal address.
    AddressRisk,
    /// 58221: the network needs `address:label`.
    AddressTagMissing,
    /// 50119: the key had trade or withdraw permission, no IP binding, and was not used for 14 days.
    ApiKeyExpired,
    /// 50100: the key is frozen.
    ApiKeyFrozen,
    /// 50103: `OK-ACCESS-KEY` is absent or empty.
    ApiKeyMissing,
    /// 50119: the key was revoked.
    ApiKeyRevoked,
    /// 50111: no such key ever existed here.
    ApiKeyUnknown,
    /// 50114: an authorization that contradicts itself, such as a repeated `OK-ACCESS-*` header.
    AuthorizationInvalid,
    /// 50000: a POST without a body.
    BodyEmpty,
    /// 51016: the client order id was used before.
    ClientOrderIdExists,
    /// 50113: the body is not the one whose digest was signed.
    ContentDigestMismatch,
    /// 50006: the body is not declared as JSON.
    ContentTypeInvalid,
    /// 58219: a contact or second factor changed within the last 24 hours.
    CredentialCoolDown,
    /// 50053: the feature exists in demo trading only.
    DemoOnly,
    /// 50038: the feature does not exist in demo trading.
    DemoUnsupported,
    /// 58207: the key may not withdraw to this destination.
    DestinationForbidden,
    /// 50114: the proof of possession is not one for this request and this access token.
    DpopInvalid,
    /// 50030: the endpoint is not on the allow-list.
    EndpointForbidden,
    /// 50005: unknown or disabled endpoint.
    EndpointUnavailable,
    /// 50101: a demo key in live trading or the reverse.
    EnvironmentMismatch,
    /// 50109: unknown exchange domain.
    ExchangeDomainUnknown,
    /// 50108: unknown exchange id.
    ExchangeIdUnknown,
    /// 50036: the order's deadline had passed before it was sent.
    ExpiryInPast,
    /// 58102: too many funding transfers.
    FundingRateLimited,
    /// 50119: the customer's grant to the app was revoked, has run out, or never was.
    GrantEnded,
    /// 50120: the key is not good at this hour of the week.
    HoursClosed,
    /// 51000: the instrument is not one the key may trade.
    InstrumentForbidden,
    /// 58213: the recipient of an internal transfer is not an e-mail address, phone number or account name.
    InternalRecipientInvalid,
    /// 50035: the endpoint demands a key that is bound to addresses, and this one is not.
    IpBindingRequired,
    /// 50121: nobody is served from this address.
    IpForbidden {
        /// The client's address.
        ip: IpAddr,
    },
    /// 50110: the key is bound to other addresses.
    IpNotBound {
        /// The client's address.
        ip: IpAddr,
    },
    /// 50002: the body is not JSON.
    JsonInvalid,
    /// 58219: the key was issued, or its restrictions were changed, less than 24 hours ago.
    KeyCoolDown,
    /// 50114: a session may not do this; the key itself must sign.
    KeySignatureRequired,
    /// 50115: the method is not one of the API's.
    MethodInvalid,
    /// 58214: withdrawals over one network are suspended.
    NetworkMaintenance {
        /// The network's name as the client knows it.
        network: String,
    },
    /// 58228: the asset cannot be traded, so its withdrawal demands a key bound to addresses.
    NonTradableNeedsIpBinding,
    /// 50120: the order does not fit what the key may trade for in 24 hours.
    NotionalSpent,
    /// 51000: the order is worth more than the key may trade for at once.
    NotionalTooLarge,
    /// 51000: what the order is worth at most cannot be known, and the key has a bound.
    NotionalUnknown,
    /// 50037: the order's deadline passed on the way.
    OrderExpired,
    /// 50061: the account's order rate is used up.
    OrderRateLimited,
    /// 58254: the private wallet has not been proven to be the customer's.
    OwnershipUnproven,
    /// 50014: a parameter is empty.
    ParameterEmpty {
        /// Name of the parameter.
        parameter: String,
    },
    /// 50071: the value of a parameter was used before.
    ParameterExists {
        /// Name of the parameter.
        parameter: String,
    },
    /// 51000: the value of a parameter is not acceptable.
    ParameterInvalid {
        /// Name of the parameter.
        parameter: String,
    },
    /// 50105: the passphrase is not the key's.
    PassphraseIncorrect,
    /// 50104: `OK-ACCESS-PASSPHRASE` is absent or empty.
    PassphraseMissing,
    /// 50120: the key lacks the permission the endpoint demands.
    PermissionMissing,
    /// 50011 with HTTP 429: a rate limit of Caponier; sent with `Retry-After`.
    RateLimited,
    /// 50011 with HTTP 200: a rate limit in the form the exchange itself sends.
    RateLimitedUpstream,
    /// 50042: the same signed request a second time.
    Repeated,
    /// 50001: the exchange cannot be reached, or Caponier is stopping.
    ServiceUnavailable,
    /// 50111: the session is unknown, has run out, or ended with a freeze of its key.
    SessionUnknown,
    /// 50113: the signature is not that of this request under this key.
    SignatureInvalid,
    /// 50114: the HTTP message signature is not of the profile.
    SignatureMalformed {
        /// What is wrong with it.
        fault: Fault,
    },
    /// 50106: `OK-ACCESS-SIGN` is absent or empty.
    SignatureMissing,
    /// 58209: sub-accounts do not withdraw.
    SubAccountWithdrawal,
    /// 50013: load is being shed, or a bounded store that must not forget is full.
    SystemBusy,
    /// 50026: a fault of ours.
    SystemError,
    /// 50102: the timestamp is more than 30 seconds from the server's time.
    TimestampExpired,
    /// 50112: the timestamp is not in the one accepted form.
    TimestampInvalid,
    /// 50107: `OK-ACCESS-TIMESTAMP` is absent or empty.
    TimestampMissing,
    /// 50114: the access token has run out.
    TokenExpired,
    /// 50114: the access token is none of ours.
    TokenInvalid,
    /// 50040: an operation repeated too soon.
    TooFrequent,
    /// 50120: the key may not transfer in this direction.
    TransferForbidden,
    /// 50004: the exchange did not answer in time; the outcome is unknown.
    UpstreamTimeout,
    /// 50007: the customer is blocked.
    UserBlocked,
    /// 58222: the text is no address of the network.
    WithdrawalAddressInvalid,
    /// 58203: no withdrawal address was given.
    WithdrawalAddressMissing,
    /// 58204: withdrawals of this account are held by risk control.
    WithdrawalHeld,
    /// 58216: withdrawals are not allowed.
    WithdrawalNotAllowed,
}

/// One line of the table. `text` may contain one `{}`.
struct Row {
    code: &'static str,
    http_status: u16,
    label: &'static str,
    text: &'static str,
}

const ADDRESS_NOT_VERIFIED: &str = "Withdrawal address isn't on the verified address list. (The format for withdrawal \
     addresses with a label is \u{201c}address:label\u{201d}.)";
const COOL_DOWN: &str = "You cannot withdraw crypto within 24 hours after changing your mobile number, email address, \
     or Google Authenticator.";

const fn row(code: &'static str, http_status: u16, label: &'static str, text: &'static str) -> Row {
    Row { code, http_status, label, text }
}

impl Refusal {
    #[rustfmt::skip]
    const fn row(&self) -> Row {
        match self {
            // Authentication.
            Self::ApiKeyFrozen => row("50100", 400, "api_key_frozen", "API frozen, please contact customer service."),
            Self::EnvironmentMismatch => row("50101", 401, "environment_mismatch", "APIKey does not match current environment."),
            Self::TimestampExpired => row("50102", 401, "timestamp_expired", "Timestamp request expired."),
            Self::ApiKeyMissing => row("50103", 401, "api_key_missing", "Request header \"OK-ACCESS-KEY\" cannot be empty."),
            Self::PassphraseMissing => row("50104", 401, "passphrase_missing", "Request header \"OK-ACCESS-PASSPHRASE\" cannot be empty."),
            Self::PassphraseIncorrect => row("50105", 401, "passphrase_incorrect", "Request header \"OK-ACCESS-PASSPHRASE\" incorrect."),
            Self::SignatureMissing => row("50106", 401, "signature_missing", "Request header \"OK-ACCESS-SIGN\" cannot be empty."),
            Self::TimestampMissing => row("50107", 401, "timestamp_missing", "Request header \"OK-ACCESS-TIMESTAMP\" cannot be empty."),
            Self::ExchangeIdUnknown => row("50108", 401, "exchange_id_unknown", "Exchange ID does not exist."),
            Self::ExchangeDomainUnknown => row("50109", 401, "exchange_domain_unknown", "Exchange domain does not exist."),
            Self::IpNotBound { .. } => row("50110", 401, "ip_not_bound", "Your IP {} is not included in your API key's IP whitelist."),
            Self::ApiKeyUnknown => row("50111", 401, "api_key_unknown", "Invalid OK-ACCESS-KEY."),
            Self::TimestampInvalid => row("50112", 401, "timestamp_invalid", "Invalid OK-ACCESS-TIMESTAMP."),
            Self::SignatureInvalid => row("50113", 401, "signature_invalid", "Invalid signature."),
            Self::AuthorizationInvalid => row("50114", 401, "authorization_invalid", "Invalid authorization."),
            Self::MethodInvalid => row("50115", 405, "method_invalid", "Invalid request method."),
            Self::ApiKeyExpired => row("50119", 200, "api_key_expired", "API key doesn't exist"),
            Self::ApiKeyRevoked => row("50119", 200, "api_key_revoked", "API key doesn't exist"),
            Self::PermissionMissing => row("50120", 200, "permission_missing", "This API key doesn't have permission to use this function"),
            Self::IpForbidden { .. } => row("50121", 200, "ip_forbidden", "You can't access our services through the IP address ({})"),
            // HTTP message signatures. Their clients are not those of the exchange, so the texts say what to repair.
            Self::ContentDigestMismatch => row("50113", 401, "content_digest_mismatch", "Invalid signature: the body is not that of Content-Digest."),
            Self::KeySignatureRequired => row("50114", 401, "key_signature_required", "Invalid authorization: this request must be signed by the key itself."),
            Self::SessionUnknown => row("50111", 401, "session_unknown", "Invalid session: open a new one."),
            Self::SignatureMalformed { .. } => row("50114", 401, "signature_malformed", "Invalid authorization: {}."),
            // Authority of a key or grant.
            Self::ActionUnreadable => row("50030", 200, "action_unreadable", "You don't have permission to use this API endpoint"),
            Self::HoursClosed => row("50120", 200, "hours_closed", "This API key doesn't have permission to use this function"),
            Self::NotionalSpent => row("50120", 200, "notional_spent", "This API key doesn't have permission to use this function"),
            Self::TransferForbidden => row("50120", 200, "transfer_forbidden", "This API key doesn't have permission to use this function"),
            Self::InstrumentForbidden => row("51000", 400, "instrument_forbidden", "Parameter instId error"),
            Self::NotionalTooLarge => row("51000", 400, "notional_too_large", "Parameter sz error"),
            Self::NotionalUnknown => row("51000", 400, "notional_unknown", "Parameter px error"),
            Self::DestinationForbidden => row("58207", 200, "destination_forbidden", ADDRESS_NOT_VERIFIED),
            Self::KeyCoolDown => row("58219", 200, "key_cool_down", COOL_DOWN),
            // Apps. Their clients are not those of the exchange and expect 401.
            Self::DpopInvalid => row("50114", 401, "dpop_invalid", "Invalid authorization."),
            Self::GrantEnded => row("50119", 401, "grant_ended", "API key doesn't exist"),
            Self::TokenExpired => row("50114", 401, "token_expired", "Invalid authorization."),
            Self::TokenInvalid => row("50114", 401, "token_invalid", "Invalid authorization."),
            // General.
            Self::BodyEmpty => row("50000", 400, "body_empty", "Body for POST request cannot be empty."),
            Self::ServiceUnavailable => row("50001", 503, "service_unavailable", "Service temporarily unavailable. Please try again later."),
            Self::JsonInvalid => row("50002", 400, "json_invalid", "JSON syntax error"),
            Self::UpstreamTimeout => row("50004", 400, "upstream_timeout", "API endpoint request timeout. (does not mean that the request was successful or failed, please check the request result)."),
            Self::EndpointUnavailable => row("50005", 410, "endpoint_unavailable", "API endpoint is inactive or unavailable."),
            Self::ContentTypeInvalid => row("50006", 400, "content_type_invalid", "Invalid Content-Type. Please use \"application/JSON\"."),
            Self::UserBlocked => row("50007", 200, "user_blocked", "User blocked."),
            Self::RateLimited => row("50011", 429, "rate_limited", "Too Many Requests"),
            Self::RateLimitedUpstream => row("50011", 200, "rate_limited_upstream", "Rate limit reached. Please refer to API documentation and throttle requests accordingly."),
            Self::SystemBusy => row("50013", 429, "system_busy", "Systems are busy. Please try again later."),
            Self::ParameterEmpty { .. } => row("50014", 400, "parameter_empty", "Parameter {} can not be empty."),
            Self::SystemError => row("50026", 500, "system_error", "System error. Try again later"),
            Self::EndpointForbidden => row("50030", 200, "endpoint_forbidden", "You don't have permission to use this API endpoint"),
            Self::IpBindingRequired => row("50035", 403, "ip_binding_required", "This endpoint requires that APIKey must be bound to IP"),
            Self::ExpiryInPast => row("50036", 200, "expiry_in_past", "The expTime can't be earlier than the current system time. Please adjust the expTime and try again."),
            Self::OrderExpired => row("50037", 200, "order_expired", "Order expired."),
            Self::DemoUnsupported => row("50038", 200, "demo_unsupported", "This feature is unavailable in demo trading."),
            Self::TooFrequent => row("50040", 200, "too_frequent", "Too frequent operations, please try again later"),
            Self::Repeated => row("50042", 200, "repeated", "Repeated request"),
            Self::DemoOnly => row("50053", 200, "demo_only", "This feature is only available in demo trading."),
            Self::OrderRateLimited => row("50061", 200, "order_rate_limited", "You've reached the maximum order rate limit for this account."),
            Self::ParameterExists { .. } => row("50071", 200, "parameter_exists", "{} already exists"),
            Self::ParameterInvalid { .. } => row("51000", 400, "parameter_invalid", "Parameter {} error"),
            Self::ClientOrderIdExists => row("51016", 200, "client_order_id_exists", "Client order ID already exists."),
            Self::FundingRateLimited => row("58102", 429, "funding_rate_limited", "Rate limit reached. Please refer to API documentation and throttle requests accordingly."),
            // Withdrawals.
            Self::WithdrawalAddressMissing => row("58203", 200, "withdrawal_address_missing", "Please add a withdrawal address."),
            Self::WithdrawalHeld => row("58204", 200, "withdrawal_held", "Withdrawal suspended due to your account activity triggering risk control. Please contact customer support for assistance."),
            Self::AddressNotVerified => row("58207", 200, "address_not_verified", ADDRESS_NOT_VERIFIED),
            Self::SubAccountWithdrawal => row("58209", 200, "sub_account_withdrawal", "Sub-accounts don't support withdrawals or deposits. Please use your main account instead"),
            Self::InternalRecipientInvalid => row("58213", 200, "internal_recipient_invalid", "The internal transfer address is illegal. It must be an email, phone number, or account name"),
            Self::NetworkMaintenance { .. } => row("58214", 200, "network_maintenance", "Withdrawals suspended due to {} maintenance"),
            Self::WithdrawalNotAllowed => row("58216", 200, "withdrawal_not_allowed", "Operation not allowed."),
            Self::AddressRisk => row("58217", 200, "address_risk", "Withdrawals are temporarily suspended for your account due to a risk detected in your withdrawal address. Contact customer support for assistance"),
            Self::CredentialCoolDown => row("58219", 200, "credential_cool_down", COOL_DOWN),
            Self::AddressTagMissing => row("58221", 200, "address_tag_missing", "The toAddr parameter format is incorrect, withdrawal address needs labels. The format should be \"address:label\"."),
            Self::WithdrawalAddressInvalid => row("58222", 200, "withdrawal_address_invalid", "Invalid withdrawal address"),
            Self::NonTradableNeedsIpBinding => row("58228", 200, "non_tradable_needs_ip_binding", "Withdrawal of non-tradable assets requires that the API key must be bound to an IP"),
            Self::OwnershipUnproven => row("58254", 200, "ownership_unproven", "Due to local compliance requirements, please complete the digital signature or satoshi test via our app or website first before withdrawing to a private wallet via API."),
        }
    }

    /// The code clients act on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().code
    }

    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        self.row().http_status
    }

    /// Stable `snake_case` name for metrics and the decision log; unique per variant.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.row().label
    }

    /// The documented message with its parameter filled in, cut to [`PARAMETER_BYTES_MAX`].
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        let text = self.row().text;
        let filled = |value: &str| Cow::Owned(text.replacen("{}", cut(value), 1));
        match self {
            Self::IpForbidden { ip } | Self::IpNotBound { ip } => filled(&ip.to_canonical().to_string()),
            Self::NetworkMaintenance { network } => filled(network),
            Self::SignatureMalformed { fault } => Cow::Owned(text.replacen("{}", fault.text(), 1)),
            Self::ParameterEmpty { parameter }
            | Self::ParameterExists { parameter }
            | Self::ParameterInvalid { parameter } => filled(parameter),
            _ => Cow::Borrowed(text),
        }
    }

    /// The JSON body, `{"code":"..","msg":"..","data":[]}`; to be sent as `application/json`. `data` is always
    /// there and empty, since some clients look into it before they look at the code.
    #[must_use]
    pub fn body(&self) -> String {
        let message = self.message();
        let mut body = String::with_capacity(message.len() + 48);
        body.push_str("{\"code\":\"");
        body.push_str(self.code());
        body.push_str("\",\"msg\":\"");
        push_json_escaped(&mut body, &message);
        body.push_str("\",\"data\":[]}");
        body
    }

    /// Code and message of the `error` event that answers a refused WebSocket login.
    #[must_use]
    pub const fn login_error(&self) -> (&'static str, &'static str) {
        match self {
            Self::TimestampInvalid | Self::TimestampMissing => ("60004", "Invalid timestamp"),
            Self::ApiKeyMissing | Self::ApiKeyUnknown => ("60005", "Invalid apiKey"),
            Self::TimestampExpired => ("60006", "Timestamp request expired"),
            Self::SignatureInvalid | Self::SignatureMissing => ("60007", "Invalid sign"),
            Self::RateLimited | Self::SystemBusy => ("60014", "Requests too frequent"),
            Self::PassphraseIncorrect | Self::PassphraseMissing => ("60024", "Wrong passphrase"),
            Self::ApiKeyExpired | Self::ApiKeyRevoked => ("60032", "API key doesn't exist."),
            Self::SystemError | Self::ServiceUnavailable => {
                ("63999", "Login failed due to internal error. Please try again later.")
            }
            _ => ("60009", "Login failure"),
        }
    }
}

/// The longest prefix of at most [`PARAMETER_BYTES_MAX`] bytes that ends between characters.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(PARAMETER_BYTES_MAX)]
}

/// Escapes as RFC 8259 section 7 demands: quotation mark, reverse solidus and control characters.
fn push_json_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let code = u32::from(control) as usize;
                out.push_str("\\u00");
                out.push(char::from(HEX[code >> 4]));
                out.push(char::from(HEX[code & 15]));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
