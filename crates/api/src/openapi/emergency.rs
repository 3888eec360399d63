//! The calls about emergencies, described.

use domain::{AccountId, Asset, Network, UnixNanos};
use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{answer, described, request, time},
};
use crate::{
    ALARM_MINUTES_MAX, Alarm, EmergencyCall, EmergencyState, FrozenScope, REASON_BYTES_MAX, UnfreezeProposal,
    emergency_json, problem::Kind,
};

/// 2026-11-22T10:00:00Z.
const AT: UnixNanos = UnixNanos::from_secs(1_795_341_600);

fn sample() -> Value {
    let state = || {
        let (ann, bob) = ("user:ann".parse().ok()?, "user:bob".parse().ok()?);
        let freeze = decide::Freeze {
            scope: "asset:USDT".parse().ok()?,
            by: ann,
            reason: "unexplained outflow".to_owned(),
            at: AT,
        };
        let proposal = UnfreezeProposal {
            position: 4_711,
            by: bob,
            reason: "reconciled".to_owned(),
            at: UnixNanos(AT.0 + 1_800_000_000_000),
            until: UnixNanos(AT.0 + 5_400_000_000_000),
        };
        let alarm = Alarm {
            by: "user:sue".parse().ok()?,
            reason: "flood of sign-ins".to_owned(),
            at: AT,
            until: UnixNanos(AT.0 + 1_800_000_000_000),
        };
        let freezes = vec![FrozenScope { freeze, proposal: Some(proposal) }];
        Some(EmergencyState { freezes, alarm: Some(alarm) })
    };
    state().map_or(Value::Null, |state| emergency_json(&state, true))
}

/// A body that each call takes.
pub(super) fn body(call: EmergencyCall) -> Option<Value> {
    Some(match call {
        EmergencyCall::Approve => json!({ "scope": "asset:USDT", "proposal": 4_711 }),
        EmergencyCall::Decline => {
            json!({ "scope": "asset:USDT", "proposal": 4_711, "reason": "not reconciled yet" })
        }
        EmergencyCall::EndAlarm => json!({ "reason": "it is over" }),
        EmergencyCall::Freeze => json!({ "scope": "asset:USDT", "reason": "unexplained outflow" }),
        EmergencyCall::Propose => json!({ "scope": "asset:USDT", "reason": "reconciled" }),
        EmergencyCall::RaiseAlarm => json!({ "minutes": 30, "reason": "flood of sign-ins" }),
        EmergencyCall::Show => return None,
    })
}

pub(super) fn operation(call: EmergencyCall) -> Operation {
    let (id, summary, description, name, problems): (_, _, _, _, &[Kind]) = match call {
        EmergencyCall::Approve => (
            "approveUnfreeze",
            "Lifts a freeze that somebody else proposed to lift.",
            "The proposal is named by its number, so that nothing is approved that was not seen. Persons only.",
            "UnfreezeApproval",
            &[Kind::NotFound, Kind::FourEyes, Kind::Unavailable],
        ),
        EmergencyCall::Decline => (
            "declineUnfreeze",
            "Declines a proposal to lift a freeze, or takes it back.",
            "The freeze stays.",
            "UnfreezeRefusal",
            &[Kind::NotFound, Kind::FourEyes, Kind::Unavailable],
        ),
        EmergencyCall::EndAlarm => (
            "endAlarm",
            "Ends the alarm before its time.",
            "The gateway goes back to how it is configured.",
            "AlarmEnd",
            &[Kind::NotFound, Kind::Unavailable],
        ),
        EmergencyCall::Freeze => (
            "freezeOutflow",
            "Denies every withdrawal of a scope from now on.",
            "One caller is enough. When this returns, the freeze is durable, and no decision recorded behind it lets anything \
             out of its scope; a withdrawal that was allowed before and is asked for again by its idempotency key is not let \
             through either. A scope that is frozen stays as it was.",
            "FreezeRequest",
            &[Kind::Unavailable],
        ),
        EmergencyCall::Propose => (
            "proposeUnfreeze",
            "Proposes to lift a freeze; another person must approve within an hour.",
            "A new proposal takes the place of the one before. Persons only.",
            "FreezeRequest",
            &[Kind::NotFound, Kind::FourEyes, Kind::Unavailable],
        ),
        EmergencyCall::RaiseAlarm => (
            "raiseAlarm",
            "Puts the gateway on its guard for some minutes.",
            "Browsers are asked for proof of work, and who would be banned in shadow mode is banned. It ends by itself. A new \
             alarm takes the place of the one before.",
            "AlarmRequest",
            &[Kind::Unavailable],
        ),
        EmergencyCall::Show => (
            "showEmergency",
            "Says what is stopped at present.",
            "Which accounts are frozen is told to those alone who may read cases.",
            "",
            &[],
        ),
    };
    let content =
        body(call).map(|body| Content::json("What to do, and why.", schema(name), vec![("example", body)]));
    Operation {
        id,
        tag: "emergencies",
        summary,
        description,
        query: vec![],
        body: content.into_iter().collect(),
        answer: Content::json("What is stopped then.", schema("EmergencyState"), vec![("state", sample())]),
        problems,
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let reason = || {
        // No control character, and something to read.
        let any = "[^\u{0}-\u{1f}\u{7f}-\u{9f}]*";
        let pattern = format!("^{any}[^\u{0}-\u{20}\u{7f}-\u{9f}]{any}$");
        json!({ "type": "string", "minLength": 1, "maxLength": REASON_BYTES_MAX, "pattern": pattern })
    };
    let scope = || {
        let networks = Network::ALL.map(Network::as_str).join("|");
        let pattern = format!(
            "^(all|account:[A-Za-z0-9._:@-]{{1,{}}}|asset:[A-Z0-9._-]{{1,{}}}|network:({networks}))$",
            AccountId::BYTES_MAX,
            Asset::BYTES_MAX
        );
        described(json!({ "type": "string", "pattern": pattern }), "What is frozen.")
    };
    let number = || json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    let minutes = || json!({ "type": "integer", "minimum": 1, "maximum": ALARM_MINUTES_MAX });
    let proposal = answer(
        &[("proposal", number()), ("by", plain()), ("reason", plain()), ("at", time()), ("until", time())],
        &[],
    );
    let freeze = answer(
        &[("scope", plain()), ("by", plain()), ("reason", plain()), ("at", time())],
        &[("unfreeze", described(proposal, "Somebody would lift it; another person must agree."))],
    );
    let alarm = answer(&[("by", plain()), ("reason", plain()), ("at", time()), ("until", time())], &[]);
    let state = answer(
        &[("freezes", json!({ "type": "array", "items": freeze }))],
        &[("alarm", described(alarm, "Absent where none is raised."))],
    );
    vec![
        ("AlarmEnd", request(&[("reason", reason())], &[])),
        ("AlarmRequest", request(&[("minutes", minutes()), ("reason", reason())], &[])),
        ("EmergencyState", state),
        ("FreezeRequest", request(&[("scope", scope()), ("reason", reason())], &[])),
        ("UnfreezeApproval", request(&[("scope", scope()), ("proposal", number())], &[])),
        (
            "UnfreezeRefusal",
            request(&[("scope", scope()), ("proposal", number()), ("reason", reason())], &[]),
        ),
    ]
}
