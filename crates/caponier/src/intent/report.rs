//! What a person or a program is told.

use std::collections::BTreeMap;

use chain::evm::Account;
use intent::{Effect, Reading, Severity};
use serde_json::{Value, json};

use super::Signable;

/// An account in the form people know.
pub(crate) fn shown(account: &Account) -> String {
    chain::address::encode(&account.address())
}

/// A hash in hexadecimal.
pub(crate) fn hash(bytes: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// What is to be signed, in short.
pub(crate) fn subject(signable: &Signable, signer: Option<&Account>) -> Value {
    match signable {
        Signable::Transaction(envelope) => {
            let tx = &envelope.transaction;
            json!({
                "type": tx.kind,
                "chain_id": envelope.chain_id.map(|id| id.to_string()),
                "from": signer.map(shown),
                "to": tx.to.as_ref().map(shown),
                "value": tx.value.to_string(),
                "nonce": tx.nonce,
                "gas": tx.gas,
                "signed": envelope.is_signed(),
                "signing_hash": hash(&envelope.signing_hash),
            })
        }
        Signable::Message(message) => json!({
            "primary_type": message.primary_type,
            "domain": {
                "name": message.domain.name,
                "version": message.domain.version,
                "chain_id": message.domain.chain_id.map(|id| id.to_string()),
                "contract": message.domain.contract.as_ref().map(shown),
            },
            "from": signer.map(shown),
            "domain_separator": hash(&message.domain_separator),
            "message_hash": hash(&message.message_hash),
            "signing_hash": hash(&message.signing_hash),
        }),
    }
}

/// One effect.
pub(crate) fn effect(effect: &Effect) -> Value {
    let parties: Vec<Value> = effect
        .act
        .parties()
        .iter()
        .map(|(account, role)| json!({"account": shown(account), "role": role.as_str()}))
        .collect();
    json!({
        "path": effect.path,
        "kind": effect.act.kind(),
        "severity": effect.severity.as_str(),
        "understood": effect.act.is_understood(),
        "sentence": effect.act.to_string(),
        "parties": parties,
    })
}

/// All effects.
pub(crate) fn effects(reading: &Reading) -> Vec<Value> {
    reading.effects.iter().map(effect).collect()
}

/// Everybody in readings, with what they are.
pub(crate) fn parties<'r>(
    readings: impl IntoIterator<Item = &'r Reading>,
) -> BTreeMap<Account, Vec<&'static str>> {
    let mut parties: BTreeMap<Account, Vec<&'static str>> = BTreeMap::new();
    for (account, role) in readings.into_iter().flat_map(Reading::parties) {
        let roles = parties.entry(account).or_default();
        if !roles.contains(&role.as_str()) {
            roles.push(role.as_str());
        }
    }
    parties
}

/// As text: one line for each effect, indented as calls lie within each other.
pub(crate) fn effect_lines(reading: &Reading) -> Vec<String> {
    let line = |effect: &Effect| {
        let mark = match effect.severity {
            Severity::Danger => "DANGER ",
            Severity::Caution => "caution",
            Severity::Plain => "plain  ",
        };
        format!("  {mark} {}{}", "  ".repeat(effect.path.len()), effect.act)
    };
    reading.effects.iter().map(line).collect()
}
