//! Screening of addresses: what is asked, what is answered.

use chain::{address, exposure::Direction};
use crypto::sha256;
use domain::{Address, UnixNanos, Verdict};
use serde_json::{Value, json};
use watch::{
    ListState, ListedLabel,
    assess::{Assessment, Derived, Exposed, Knowledge, SeenOn},
    flows::AssetExposure,
};

use crate::{
    ScreenLine, ScreenRequest,
    limits::{ADDRESS_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, NAME_BYTES_MAX, SCREEN_LINES_MAX},
    problem::{Kind, Problem},
};

use super::fields::{Fault, Fields};

/// Labels told of one address; how many more there are is told too.
const LABELS_MAX: usize = 32;
/// Assets told of one address and chain.
const ASSETS_MAX: usize = 16;

/// A line of a bulk screening that cannot be read.
#[derive(Debug)]
pub(crate) struct BadLine {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) fault: Fault,
}

/// The body of `POST /v1/screen` that is one object.
pub(crate) fn screen_request(body: &[u8], caller: &str) -> Result<ScreenRequest, Fault> {
    let mut fields = Fields::parse(body)?;
    let idempotency_key = fields.optional_label("idempotency_key", IDEMPOTENCY_KEY_BYTES_MAX)?;
    let line = line(fields)?;
    Ok(ScreenRequest {
        caller: caller.to_owned(),
        lines: vec![line],
        is_bulk: false,
        idempotency_key,
        digest: sha256(&[body]),
    })
}

/// The body that is one object a line. Blank lines count and are skipped.
pub(crate) fn screen_lines(
    body: &[u8],
    caller: &str,
) -> Result<(ScreenRequest, Vec<usize>, Vec<BadLine>), Problem> {
    let (mut lines, mut places, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (number, text) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if lines.len() + bad.len() == SCREEN_LINES_MAX {
            let detail = format!("at most {SCREEN_LINES_MAX} addresses are screened at once; none was");
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        match Fields::parse(text).and_then(line) {
            Ok(line) => {
                lines.push(line);
                places.push(number);
            }
            Err(fault) => bad.push(BadLine { line: number, fault }),
        }
    }
    if lines.is_empty() && bad.is_empty() {
        return Err(Problem::new(Kind::InvalidRequest, "the body holds no address"));
    }
    let (caller, digest) = (caller.to_owned(), sha256(&[body]));
    Ok((ScreenRequest { caller, lines, is_bulk: true, idempotency_key: None, digest }, places, bad))
}

fn line(mut fields: Fields) -> Result<ScreenLine, Fault> {
    let line = ScreenLine {
        address: fields.label("address", ADDRESS_BYTES_MAX)?,
        network: match fields.optional_label("network", NAME_BYTES_MAX)? {
            None => None,
            Some(name) => Some(
                name.parse()
                    .map_err(|error: domain::UnknownNetwork| fields.fault("network", error.to_string()))?,
            ),
        },
        reference: fields.optional_label("reference", NAME_BYTES_MAX)?,
    };
    fields.finish("a screening")?;
    Ok(line)
}

fn text(address: Option<Address>) -> Option<String> {
    address.map(|address| address::encode(&address))
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Source => "received",
        Direction::Destination => "paid",
    }
}

/// Six digits are more than a share over busy holders means.
fn share(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// What was found about one address, without the lists that were consulted.
#[must_use]
pub fn assessment_json(line: &ScreenLine, assessment: &Assessment) -> Value {
    let screening = &assessment.screening;
    let categories: Vec<&str> =
        screening.categories().into_iter().map(|category| category.as_str()).collect();
    let more = screening.labels.len().saturating_sub(LABELS_MAX);
    json!({
        "reference": line.reference,
        "address": line.address,
        "network": line.network.map(|network| network.as_str()),
        "canonical": screening.canonical,
        "family": screening.family.map(domain::ChainFamily::as_str),
        "invalid": screening.invalid.as_ref().map(ToString::to_string),
        "verdict": assessment.verdict.as_str(),
        "categories": categories,
        "is_contradictory": screening.is_contradictory(),
        "labels": screening.labels.iter().take(LABELS_MAX).map(label_json).collect::<Vec<_>>(),
        "more_labels": more,
        "exposed": assessment.exposed.iter().map(|one| exposed_json(one, assessment.is_exposure_shadow)).collect::<Vec<_>>(),
        "suspected": assessment.suspected.iter().map(|held| suspected_json(held, assessment.suspected_verdict)).collect::<Vec<_>>(),
        "derived": assessment.derived.iter().map(|one| derived_json(one, assessment.is_association_shadow)).collect::<Vec<_>>(),
        "seen": assessment.seen.iter().map(seen_json).collect::<Vec<_>>(),
        "knowledge": assessment.knowledge.iter().map(|one| knowledge_json(one, assessment.is_stale_shadow)).collect::<Vec<_>>(),
    })
}

/// The lists that were consulted.
#[must_use]
pub fn lists_json(lists: &[ListState]) -> Value {
    let lists = lists.iter().map(|list| {
        json!({
            "name": list.name.as_str(),
            "imported_at": list.imported_at.to_string(),
            "entries": list.addresses + list.texts,
            "sha256": hex(&list.source_sha256),
        })
    });
    lists.collect()
}

fn label_json(label: &ListedLabel) -> Value {
    let time = |at: Option<UnixNanos>| at.map(|at| at.to_string());
    json!({
        "list": label.list.as_str(),
        "imported_at": label.list_imported_at.to_string(),
        "category": label.category.as_str(),
        "confidence": label.confidence.as_str(),
        "label": label.text,
        "source": label.source,
        "asset": label.asset,
        "licence": label.licence,
        "first_seen": time(label.first_seen),
        "last_seen": time(label.last_seen),
        "verdict": label.verdict.as_str(),
    })
}

fn suspected_json(held: &watch::suspicions::Held, verdict: Verdict) -> Value {
    let is_shadow = verdict == Verdict::Allow;
    json!({
        "chain": held.chain,
        "verdict": if is_shadow { Verdict::Challenge } else { verdict }.as_str(),
        "shadow": is_shadow,
        "model_sha256": hex(&held.model),
        "probability": f64::from(held.probability) / 1e6,
        "block": held.height,
        "transaction": (held.transaction != [0; 32]).then(|| hex(&held.transaction)),
        "transactions_seen": held.transactions,
        "reasons": held.reasons,
        "recorded_at": held.at.to_string(),
    })
}

fn derived_json(derived: &Derived, is_shadow: bool) -> Value {
    let found = &derived.association;
    let path = found.path.iter().map(
        |tie| json!({ "tie": tie.kind.as_str(), "address": text(Some(tie.address)), "acted": tie.acted }),
    );
    json!({
        "chain": &*derived.chain,
        "category": found.category.as_str(),
        "verdict": Verdict::Challenge.as_str(),
        "shadow": is_shadow,
        "confidence": share(found.confidence),
        "illicit_share": share(found.score),
        "illicit_around": found.illicit,
        "licit_around": found.licit,
        "path": path.collect::<Vec<_>>(),
    })
}

fn exposed_json(exposed: &Exposed, is_shadow: bool) -> Value {
    let found = &exposed.share;
    let path: Vec<Value> = found
        .path
        .iter()
        .map(|step| {
            json!({
                "address": text(step.address),
                "block": step.height,
                "transaction": step.transaction.map(|hash| hex(&hash)),
                "value": step.value.map(|value| value.to_string()),
            })
        })
        .collect();
    json!({
        "chain": &*exposed.chain,
        "asset": text(exposed.asset),
        "direction": direction(exposed.direction),
        "category": found.category.as_str(),
        "verdict": exposed.verdict.as_str(),
        "shadow": is_shadow,
        "direct": share(found.direct),
        "indirect": share(found.indirect),
        "amount": format!("{:.0}", found.amount),
        "of": format!("{:.0}", exposed.of),
        "hops": found.hops,
        "listed_address": text(found.holder),
        "by_cluster_with": text(found.by_cluster),
        "path": path,
    })
}

fn seen_json(on: &SeenOn) -> Value {
    let seen = &on.seen;
    let activity: Vec<Value> = seen
        .activity
        .iter()
        .take(ASSETS_MAX)
        .map(|one| {
            json!({
                "asset": text(one.asset),
                "received": {"transfers": one.received.transfers, "amount": format!("{:.0}", one.received.amount)},
                "paid": {"transfers": one.paid.transfers, "amount": format!("{:.0}", one.paid.amount)},
                "counterparties": one.counterparties,
            })
        })
        .collect();
    json!({
        "chain": &*on.chain,
        "first_seen": seen.first_seen.to_string(),
        "watched_since": seen.since.to_string(),
        "cluster": seen.cluster.map(|cluster| json!({
            "name": address::encode(&cluster.name),
            "members": cluster.members,
            "listed_member": cluster.labelled.map(|(member, _)| address::encode(&member)),
            "category": cluster.labelled.map(|(_, category)| category.as_str()),
        })),
        "shared_deposits": on.shared_deposits.iter().map(|shared| json!({
            "deposit_address": address::encode(&shared.deposit),
            "exchange": address::encode(&shared.exchange),
            "others": shared.others.iter().map(address::encode).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "worthless_transfers_sent": seen.bait.zero_value.saturating_add(seen.bait.dust),
        "activity": activity,
        "exposure": seen.exposures.iter().take(2 * ASSETS_MAX).map(exposure_json).collect::<Vec<_>>(),
    })
}

fn exposure_json(exposure: &AssetExposure) -> Value {
    let shares: Vec<Value> = exposure
        .shares
        .iter()
        .map(|found| {
            json!({
                "category": found.category.as_str(),
                "direct": share(found.direct),
                "indirect": share(found.indirect),
                "amount": format!("{:.0}", found.amount),
                "hops": found.hops,
            })
        })
        .collect();
    json!({
        "asset": text(exposure.asset),
        "direction": direction(exposure.direction),
        "amount": format!("{:.0}", exposure.amount),
        "shares": shares,
        "unknown": share(exposure.unknown),
        "beyond": share(exposure.beyond),
        "unresolved": share(exposure.unresolved),
    })
}

fn knowledge_json(knowledge: &Knowledge, is_shadow: bool) -> Value {
    json!({
        "chain": &*knowledge.chain,
        "block": knowledge.tip.map(|(height, _)| height),
        "block_time": knowledge.tip.map(|(_, at)| at.to_string()),
        "age_s": knowledge.age.map(|age| age.as_secs()),
        "is_stale": knowledge.is_stale,
        "shadow": is_shadow,
        "complete_since_block": knowledge.complete_since.filter(|since| since.complete).map(|since| since.first),
    })
}

/// The last line of a bulk answer.
pub(crate) fn summary_json(id: &str, screened: usize, refused: usize, found: usize, lists: &Value) -> Value {
    json!({ "summary": { "id": id, "screened": screened, "refused": refused, "found": found, "lists": lists } })
}

/// Whether something speaks against the address.
pub(crate) fn is_found(verdict: Verdict) -> bool {
    verdict > Verdict::Allow
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
