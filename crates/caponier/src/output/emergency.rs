//! What is stopped, for people.

use serde_json::Value;

use super::{array, text_of};

pub(super) fn text(state: &Value) -> String {
    let mut lines = Vec::new();
    for freeze in array(state, "freezes") {
        lines.push(format!(
            "frozen  {}  since {}  by {}: {}",
            text_of(freeze, "scope"),
            text_of(freeze, "at"),
            text_of(freeze, "by"),
            text_of(freeze, "reason")
        ));
        let proposal = &freeze["unfreeze"];
        if proposal.is_object() {
            lines.push(format!(
                "  to be lifted: proposal {}  by {}: {}  (somebody else must approve until {})",
                proposal["proposal"],
                text_of(proposal, "by"),
                text_of(proposal, "reason"),
                text_of(proposal, "until")
            ));
        }
    }
    let alarm = &state["alarm"];
    if alarm.is_object() {
        lines.push(format!(
            "alarm  until {}  by {}: {}",
            text_of(alarm, "until"),
            text_of(alarm, "by"),
            text_of(alarm, "reason")
        ));
    }
    if lines.is_empty() { "nothing is stopped".to_owned() } else { lines.join("\n") }
}
