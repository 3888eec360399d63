//! What can be asked about webhooks over the control socket; names, URLs and types in words.

use serde::{Deserialize, Serialize};

/// Something to do with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum WebhookWork {
    Add {
        name: String,
        url: String,
        events: String,
        scheme: String,
        accounts: bool,
        /// `whsec_` or `whsk_`.
        key: Option<String>,
    },
    Change {
        name: String,
        url: Option<String>,
        events: Option<String>,
        accounts: Option<bool>,
        enabled: Option<bool>,
        skip: bool,
    },
    DeadLetters {
        name: String,
    },
    Discard {
        name: String,
        message: Option<String>,
    },
    List,
    Remove {
        name: String,
    },
    Replay {
        name: String,
        message: Option<String>,
    },
    Rotate {
        name: String,
        key: Option<String>,
        overlap_hours: u64,
    },
    Test {
        name: String,
    },
}
