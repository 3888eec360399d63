//! Apps: what a customer is asked, what they answer, what they have granted.
//!
//! Accounts stand in bodies and not in addresses, which end up in logs.

use std::time::Duration;

use auth::{
    Environment, IpAllowList, Permissions,
    authority::{NotionalBounds, Restrictions},
    oauth::{Consent, ConsentView, GRANT_LIFE_MAX, GrantSummary, parse_scope, scope_text},
};
use domain::{AccountId, Amount, Asset};
use serde_json::{Value, json};

use super::fields::{Fault, Fields};
const DAY: Duration = Duration::from_secs(86_400);

/// What a customer answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Approve(Box<Approval>),
    Deny,
}

/// What a customer agrees to.
#[derive(Debug)]
pub(crate) struct Approval {
    /// `None` for all that was asked for.
    pub(crate) scopes: Option<Permissions>,
    account: AccountId,
    restrictions: Restrictions,
    ip_allow: IpAllowList,
    environment: Environment,
    life: Duration,
}

impl Approval {
    /// With the scopes that were asked for.
    pub(crate) fn of(self, asked: Permissions) -> Consent {
        let Self { scopes, account, restrictions, ip_allow, environment, life } = self;
        Consent { account, scopes: scopes.unwrap_or(asked), restrictions, ip_allow, environment, life }
    }
}

/// Parses the body of `POST /v1/oauth/authorizations/{handle}`.
pub(crate) fn answer(body: &[u8]) -> Result<Answer, Fault> {
    let mut fields = Fields::parse(body)?;
    match &*fields.text("decision")? {
        "approve" => {}
        "deny" => {
            fields.finish("a refusal")?;
            return Ok(Answer::Deny);
        }
        _ => return Err(fields.fault("decision", "expected approve or deny")),
    }
    let account = fields.parsed("account", AccountId::parse)?;
    let scopes = fields.optional_parsed("scopes", |text| {
        parse_scope(text).ok_or("expected read, trade or both, with a space between them")
    })?;
    let days_max = GRANT_LIFE_MAX.as_secs() / DAY.as_secs();
    let life = match fields.optional_integer("days")? {
        None => GRANT_LIFE_MAX,
        Some(days) if (1..=days_max).contains(&days) => Duration::from_secs(days * DAY.as_secs()),
        Some(days) => return Err(fields.fault("days", format!("is {days}, 1 to {days_max} are allowed"))),
    };
    let environment = fields.optional_parsed("environment", |name| {
        [Environment::Demo, Environment::Live]
            .into_iter()
            .find(|environment| environment.as_str() == name)
            .ok_or("expected demo or live")
    })?;
    let ip_allow = fields.optional_parsed("ips", |text| IpAllowList::parse(&listed(text)))?;
    let restrictions = restrictions(&mut fields)?;
    fields.finish("an approval")?;
    Ok(Answer::Approve(Box::new(Approval {
        scopes,
        account,
        restrictions,
        ip_allow: ip_allow.unwrap_or_default(),
        environment: environment.unwrap_or(Environment::Live),
        life,
    })))
}

fn restrictions(fields: &mut Fields) -> Result<Restrictions, Fault> {
    let none = Restrictions::default();
    let mut restrictions = fields
        .optional_parsed("instruments", |text| Restrictions::default().with_instruments(&listed(text)))?
        .unwrap_or(none);
    let per_order = fields.optional_parsed("per_order", Amount::parse_non_negative)?;
    let per_day = fields.optional_parsed("per_day", Amount::parse_non_negative)?;
    match fields.optional_parsed("quote", Asset::parse)? {
        Some(quote) => {
            let bounds = NotionalBounds::new(quote, per_order, per_day);
            let bounds = bounds.map_err(|error| fields.fault("per_order", error.to_string()))?;
            restrictions = restrictions.with_notional(bounds);
        }
        None if per_order.is_some() || per_day.is_some() => {
            return Err(fields.fault("quote", "is missing: the asset of per_order and per_day"));
        }
        None => {}
    }
    Ok(restrictions)
}

/// Entries between commas.
fn listed(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// Parses a body that names an account and nothing else.
pub(crate) fn account_of(body: &[u8]) -> Result<AccountId, Fault> {
    let mut fields = Fields::parse(body)?;
    let account = fields.parsed("account", AccountId::parse)?;
    fields.finish("this request")?;
    Ok(account)
}

/// What to ask a customer.
pub(crate) fn view_json(view: &ConsentView) -> Value {
    json!({
        "client_id": view.app.client_id(), "name": view.app.name(), "scopes": scope_text(view.scopes),
        "redirect_uri": view.redirect_uri, "expires_at": view.expires_at.to_string(),
    })
}

/// What a customer has granted.
pub(crate) fn grants_json(grants: &[GrantSummary]) -> Value {
    let grants: Vec<Value> = grants
        .iter()
        .map(|grant| {
            let restrictions = grant.restrictions.as_deref().map(Restrictions::parts).unwrap_or_default();
            let restrictions: serde_json::Map<String, Value> =
                restrictions.into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
            let last = grant.last_uses.first();
            json!({
                "grant": grant.key_id.as_str(), "client_id": grant.app.client_id(), "name": grant.app.name(),
                "scopes": scope_text(grant.scopes), "environment": grant.environment.as_str(),
                "restrictions": restrictions, "granted_at": grant.granted_at.to_string(),
                "expires_at": grant.expires_at.to_string(),
                "last_used_at": last.map(|last| last.at.to_string()),
                "last_used_from": last.map(|last| last.ip.to_string()),
            })
        })
        .collect();
    json!({ "grants": grants })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> String {
        answer(body.as_bytes()).unwrap_err().field
    }

    #[test]
    fn an_approval_is_read_whole() {
        let body = r#"{"decision":"approve","account":"u-1","scopes":"read","days":7,"environment":"demo",
            "ips":"192.0.2.0/24, 198.51.100.7","instruments":"BTC-USDT, ETH-*","quote":"USDT","per_order":"100",
            "per_day":"1000"}"#;
        let Ok(Answer::Approve(approval)) = answer(body.as_bytes()) else { panic!() };
        let both = parse_scope("read trade").unwrap();
        let consent = approval.of(both);
        assert_eq!((consent.account.as_str(), scope_text(consent.scopes)), ("u-1", "read".to_owned()));
        assert_eq!((consent.environment, consent.life), (Environment::Demo, DAY * 7));
        assert_eq!(consent.ip_allow.entries().count(), 2);
        let parts: Vec<_> = consent.restrictions.parts();
        assert_eq!(
            parts,
            [
                ("instruments", "BTC-USDT, ETH-*".into()),
                ("per_order", "100 USDT".into()),
                ("per_day", "1000 USDT".into())
            ]
        );
        let Ok(Answer::Approve(short)) = answer(br#"{"decision":"approve","account":"u-1"}"#) else {
            panic!()
        };
        let consent = short.of(both);
        assert!(consent.scopes == both && consent.restrictions.is_empty() && consent.life == GRANT_LIFE_MAX);
        assert!(matches!(answer(br#"{"decision":"deny"}"#), Ok(Answer::Deny)));
    }

    #[test]
    fn mistakes_are_named() {
        let with = |more: &str| fault(&format!(r#"{{"decision":"approve","account":"u-1",{more}}}"#));
        assert_eq!(fault(r#"{"decision":"yes"}"#), "decision");
        assert_eq!(fault(r#"{"decision":"approve"}"#), "account");
        assert_eq!(fault(r#"{"decision":"deny","account":"u-1"}"#), "account");
        for (more, field) in [
            (r#""scopes":"withdraw""#, "scopes"),
            (r#""days":0"#, "days"),
            (r#""days":91"#, "days"),
            (r#""environment":"prod""#, "environment"),
            (r#""ips":"10.0.0.7/8""#, "ips"),
            (r#""instruments":"""#, "instruments"),
            (r#""per_order":"1""#, "quote"),
            (r#""quote":"USDT""#, "per_order"),
            (r#""quote":"USDT","per_day":"0""#, "per_order"),
            (r#""life":1"#, "life"),
        ] {
            assert_eq!(with(more), field, "{more}");
        }
    }
}
