//! An address as screening sees it now, with everything behind that.

use chain::{address, exposure::Direction, label::Category, propagation::EdgeKind};
use console::{
    ActivityLine, AddressFile, DerivedLine, ExposureLine, Graph, GraphEdge, GraphNode, LabelLine, Nothing,
    ROWS_MAX, SuspicionLine, Tone,
};
use domain::{Address, Network, Verdict};
use watch::{
    assess::Assessment,
    flows::{Dealing, Flows, Tie},
};

use super::casework::{Cabinet, LINKS_SHOWN};
use crate::trails::{Node, Sort};

/// Labels shown of one address.
const LABELS_SHOWN: usize = 64;
/// Counterparties shown of each asset and direction.
const DEALINGS_SHOWN: usize = 8;
/// Boxes of the flow on either side.
const SIDE_MAX: usize = 24;
/// Entries of its trail that are shown, and looked at.
const MOMENTS_SHOWN: usize = 50;
/// Longest address that is asked about; longer than any there is.
const ASKED_CHARS_MAX: usize = 128;

fn of_asset(chain: &str, asset: Option<Address>) -> String {
    match asset {
        None => format!("{chain}, coin"),
        Some(contract) => format!("{chain}, token {}", address::encode(&contract)),
    }
}

const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Source => "received from",
        Direction::Destination => "paid to",
    }
}

fn tone_of(category: Category) -> Tone {
    match category.verdict() {
        Verdict::Allow => Tone::Plain,
        Verdict::Deny => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn labels(assessment: &Assessment) -> Vec<LabelLine> {
    let labels = assessment.screening.labels.iter().take(LABELS_SHOWN);
    labels
        .map(|label| LabelLine {
            text: label.text.clone(),
            category: label.category.as_str().to_owned(),
            verdict: label.verdict,
            confidence: label.confidence.as_str().to_owned(),
            list: label.list.to_string(),
            imported_at: label.list_imported_at,
            source: label.source.clone(),
            licence: label.licence.clone(),
            said: (label.first_seen, label.last_seen),
        })
        .collect()
}

/// Why the verdict is what it is, in sentences.
fn reasons(assessment: &Assessment) -> Vec<String> {
    let mut reasons: Vec<String> = assessment
        .screening
        .labels
        .iter()
        .filter(|label| label.verdict > Verdict::Allow)
        .take(8)
        .map(|label| {
            let text = if label.text.is_empty() { String::new() } else { format!(" ({})", label.text) };
            format!("List {} names it as {}{text}.", label.list, label.category.as_str().replace('_', " "))
        })
        .collect();
    let shadow = |is_shadow: bool| if is_shadow { " This only reports." } else { "" };
    reasons.extend(assessment.exposed.iter().take(8).map(|exposed| {
        let share = (exposed.share.direct + exposed.share.indirect) * 100.0;
        let (verb, how) = match exposed.direction {
            Direction::Source => ("received", "came from"),
            Direction::Destination => ("paid", "went to"),
        };
        format!(
            "{share:.1} % of what it {verb} on {} {how} {}.{}",
            exposed.chain,
            exposed.share.category.as_str().replace('_', " "),
            shadow(assessment.is_exposure_shadow)
        )
    }));
    let asks = if assessment.suspected_verdict == Verdict::Allow { " This only reports." } else { "" };
    reasons.extend(assessment.suspected.iter().take(8).map(|held| {
        let probability = f64::from(held.probability) / 1e4;
        format!(
            "Its first transactions on {} are like those of addresses that turned out malicious ({probability:.1} %).{asks}",
            held.chain
        )
    }));
    reasons.extend(assessment.derived.iter().take(8).map(|derived| {
        let found = &derived.association;
        format!(
            "On {} it is tied to a holder listed for {} ({:.0} % of that label).{}",
            derived.chain,
            found.category.as_str().replace('_', " "),
            found.confidence * 100.0,
            shadow(assessment.is_association_shadow)
        )
    }));
    reasons.extend(assessment.knowledge.iter().filter(|one| one.is_stale).map(|one| {
        format!("What is known of the chain {} is too old.{}", one.chain, shadow(assessment.is_stale_shadow))
    }));
    reasons
}

fn suspicions(assessment: &Assessment) -> Vec<SuspicionLine> {
    let lines = assessment.suspected.iter().map(|held| SuspicionLine {
        chain: held.chain.clone(),
        probability: f64::from(held.probability) / 1e6,
        at: held.at,
        height: held.height,
        transaction: (held.transaction != [0; 32]).then(|| hex::encode(held.transaction)),
        transactions: held.transactions,
        reasons: held.reasons.clone(),
        model: hex::encode(held.model),
        entry: held.entry,
    });
    lines.take(ROWS_MAX).collect()
}

fn derived(assessment: &Assessment) -> Vec<DerivedLine> {
    let lines = assessment.derived.iter().map(|derived| {
        let found = &derived.association;
        let tie = |tie: &Tie| {
            let how = match (tie.kind, tie.acted) {
                (EdgeKind::Deployment, true) => "created by",
                (EdgeKind::Deployment, false) => "created",
                (EdgeKind::Funding, true) => "first paid by",
                (EdgeKind::Funding, false) => "was the first to pay",
                (EdgeKind::SharedSink, _) => "pays the same sink as",
                _ => "payments with",
            };
            (how.to_owned(), address::encode(&tie.address))
        };
        DerivedLine {
            chain: derived.chain.to_string(),
            category: found.category.as_str().to_owned(),
            confidence: found.confidence,
            path: found.path.iter().map(tie).collect(),
            around: (found.illicit, found.licit),
        }
    });
    lines.take(ROWS_MAX).collect()
}

fn exposures(assessment: &Assessment) -> Vec<ExposureLine> {
    let mut lines = Vec::new();
    for seen in &assessment.seen {
        for exposure in &seen.seen.exposures {
            let of = of_asset(&seen.chain, exposure.asset);
            lines.extend(exposure.shares.iter().map(|share| ExposureLine {
                of: of.clone(),
                way: way(exposure.direction),
                category: Some(share.category.as_str().to_owned()),
                direct: share.direct,
                indirect: share.indirect,
                hops: share.hops,
                tone: tone_of(share.category),
            }));
            let rest = exposure.unknown + exposure.beyond + exposure.unresolved;
            if rest > 0.0 {
                lines.push(ExposureLine {
                    of,
                    way: way(exposure.direction),
                    category: None,
                    direct: 0.0,
                    indirect: rest,
                    hops: 0,
                    tone: Tone::Plain,
                });
            }
        }
    }
    lines.truncate(ROWS_MAX);
    lines
}

fn page_of(address: &Address) -> String {
    format!("/console/addresses/any/{}", address::encode(address))
}

/// One side of the flow: the counterparties of one direction, over all assets.
fn side(dealings: &[(String, Dealing)], direction: Direction) -> Vec<&(String, Dealing)> {
    let mut side: Vec<_> = dealings.iter().filter(|(_, dealing)| dealing.direction == direction).collect();
    let grave = |dealing: &Dealing| dealing.category.is_some_and(Category::is_malicious);
    // Amounts of different assets cannot be compared; those a list speaks of come first, then each as its chain orders it.
    side.sort_by_key(|(_, dealing)| !grave(dealing));
    side.truncate(SIDE_MAX);
    side
}

fn boxed(dealing: &Dealing, column: usize) -> GraphNode {
    let tone = dealing.category.map_or(Tone::Plain, tone_of);
    match (dealing.other, dealing.category) {
        (Some(other), Some(category)) => GraphNode {
            kind: "address",
            name: format!("{}: {}", category.as_str().replace('_', " "), address::encode(&other)),
            href: Some(page_of(&other)),
            tone,
            column,
        },
        (Some(other), None) => GraphNode {
            kind: "address",
            name: address::encode(&other),
            href: Some(page_of(&other)),
            tone,
            column,
        },
        (None, _) => GraphNode {
            kind: "others",
            name: "several at once, or nobody".to_owned(),
            href: None,
            tone,
            column,
        },
    }
}

/// Where the money came from and went: sources at the left, the address in the middle.
fn flow(of: &Address, flows: &[&Flows]) -> Option<Graph> {
    let (mut all, mut more, mut is_partial) = (Vec::new(), 0, false);
    for chain in flows {
        let dealings = chain.dealings(of, DEALINGS_SHOWN);
        more += dealings.more;
        is_partial |= dealings.is_partial;
        all.extend(
            dealings.dealings.into_iter().map(|dealing| (of_asset(chain.chain(), dealing.asset), dealing)),
        );
    }
    if all.is_empty() {
        return None;
    }
    let mut graph = Graph { columns: vec!["Came from", "The address", "Went to"], ..Graph::default() };
    let (left, right) = (side(&all, Direction::Source), side(&all, Direction::Destination));
    more += (all.len() - left.len() - right.len()) as u64;
    let middle = left.len();
    let told = |asset: &str, dealing: &Dealing| {
        let times = if dealing.transfers == 1 { "transfer" } else { "transfers" };
        format!(
            "{:.0} of {asset} in {} {times}, the last in block {}",
            dealing.amount, dealing.transfers, dealing.height
        )
    };
    // Widths compare within an asset and direction.
    let most = |asset: &str, direction| {
        let same = all.iter().filter(|(of, dealing)| of == asset && dealing.direction == direction);
        same.map(|(_, dealing)| dealing.amount).fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE)
    };
    graph.nodes.extend(left.iter().map(|(_, dealing)| boxed(dealing, 0)));
    graph.nodes.push(GraphNode {
        kind: "address",
        name: address::encode(of),
        href: None,
        tone: Tone::Plain,
        column: 1,
    });
    graph.nodes.extend(right.iter().map(|(_, dealing)| boxed(dealing, 2)));
    for (place, (asset, dealing)) in left.iter().enumerate() {
        let weight = dealing.amount / most(asset, Direction::Source);
        graph.edges.push(GraphEdge { ends: (place, middle), how: told(asset, dealing), weight });
    }
    for (place, (asset, dealing)) in right.iter().enumerate() {
        let weight = dealing.amount / most(asset, Direction::Destination);
        graph.edges.push(GraphEdge { ends: (middle, middle + 1 + place), how: told(asset, dealing), weight });
    }
    if more > 0 {
        graph.left_out.push(format!("{more} more counterparties are not shown; those that moved most are."));
    }
    if is_partial {
        graph.left_out.push("It has more transfers than are looked at: this is a part.".to_owned());
    }
    Some(graph)
}

impl Cabinet {
    pub(super) fn address_file(
        &self,
        network: Option<&str>,
        text: &str,
        sees_customers: bool,
    ) -> Result<AddressFile, Nothing> {
        let network = match network {
            None => None,
            Some(name) => match name.parse::<Network>() {
                Ok(network) => Some(network),
                Err(_) => return Err(Nothing::Unknown("No network has this name.".to_owned())),
            },
        };
        let text: String = text.trim().chars().take(ASKED_CHARS_MAX).collect();
        if let Some(why) = self.core.gaps.problem() {
            return Err(Nothing::Unavailable(console::Unavailable(format!(
                "Nothing can be said about addresses: {why}."
            ))));
        }
        let assessment = self.core.assessor.assess(&text, network, self.core.clock.now());
        let screening = &assessment.screening;
        let followed = self.core.assessor.followed();
        let flows: Vec<&Flows> = screening
            .address
            .iter()
            .flat_map(|address| followed.iter().filter(|chain| chain.flows.family() == address.family()))
            .map(|chain| &*chain.flows)
            .collect();
        let node = screening.address.map(Node::Address);
        let (mut customers, mut moments) = (None, None);
        if let (true, Some(node)) = (sees_customers, &node) {
            customers = Some(self.links(node, LINKS_SHOWN, |_| true)?);
            let (trail, _) =
                self.trails(|trails| trails.trail(node, None, &[], MOMENTS_SHOWN, MOMENTS_SHOWN))?;
            let positions: Vec<u64> = trail.iter().map(|found| found.position).collect();
            moments = Some(self.moments(&positions, &std::collections::HashMap::new()));
        }
        let chains = assessment.knowledge.iter().map(|chain| {
            let tip = match (chain.tip, chain.age) {
                (Some((height, at)), Some(age)) => match age.as_secs() / 3_600 {
                    0 => format!("block {height} of {at}, {} s ago", age.as_secs()),
                    hours => format!("block {height} of {at}, {hours} h ago"),
                },
                _ => "no block yet".to_owned(),
            };
            let stale = if chain.is_stale { ", too old to rely on" } else { "" };
            (format!("chain {}", chain.chain), format!("{tip}{stale}"))
        });
        Ok(AddressFile {
            network: network.map(|network| network.as_str().to_owned()),
            canonical: screening.canonical.clone(),
            invalid: screening.invalid.as_ref().map(ToString::to_string),
            verdict: assessment.verdict,
            reasons: reasons(&assessment),
            suspicions: suspicions(&assessment),
            derived: derived(&assessment),
            labels: labels(&assessment),
            is_contradictory: screening.is_contradictory(),
            seen: assessment
                .seen
                .iter()
                .map(|on| (on.chain.to_string(), on.seen.first_seen, on.seen.since))
                .collect(),
            activity: assessment
                .seen
                .iter()
                .flat_map(|on| on.seen.activity.iter().map(move |activity| (on, activity)))
                .take(ROWS_MAX)
                .map(|(on, activity)| ActivityLine {
                    of: of_asset(&on.chain, activity.asset),
                    received: activity.received.transfers,
                    received_amount: activity.received.amount,
                    paid: activity.paid.transfers,
                    paid_amount: activity.paid.amount,
                    counterparties: activity.counterparties,
                })
                .collect(),
            exposures: exposures(&assessment),
            flow: screening.address.and_then(|address| flow(&address, &flows)),
            chains: chains.collect(),
            lists: screening
                .lists
                .iter()
                .map(|list| (list.name.to_string(), list.imported_at, list.addresses))
                .collect(),
            customers,
            moments,
            asked: text,
        })
    }

    /// Alerts from chains about addresses that a customer used, as positions.
    pub(super) fn alerts_of_addresses(&self, nodes: &[Node]) -> Vec<(u64, Sort)> {
        let found = self.trails(|trails| {
            let trails = nodes.iter().flat_map(|node| trails.trail(node, None, &[Sort::Alert], 5, 200).0);
            trails.map(|found| (found.position, found.sort)).collect()
        });
        found.unwrap_or_default()
    }
}
