//! What the analyst's pages show: decisions, customers, and the way to anything by its name.

use std::{collections::HashMap, sync::Arc};

use chain::address;
use console::{
    AccountFile, AddressFile, BoxFuture, CaseFile, CaseFilter, CasePage, Casework, DecisionFilter,
    DecisionLine, DecisionPage, Deed, Explanation, Export, ExportFilter, LinkLine, Links, Neighbourhood,
    NotDone, Nothing, ROWS_MAX, Rows, TrailFilter, Unavailable,
};
use domain::{AccountId, Actor, Decision, Destination, DeviceId, Subject, UnixNanos, Verdict};
use journal::{Kind, record};

use super::{cases, moments::found};
use crate::{
    core::Core,
    trails::{Linked, Node, Sort, Trails},
};

/// Decisions read for one page that asks for a text, some 30 ms of reading.
const READ_MAX: usize = 5_000;
/// Decisions or entries of a trail passed over at once while everybody who records waits: less than a millisecond.
const LOOK_MAX: usize = 100_000;
/// Rounds of looking for one page.
const ROUNDS_MAX: usize = 40;
/// Entries passed over rather than looked for: reading on is faster than finding the place again.
const SKIP_MAX: u64 = 500;
/// Links of a customer on its page.
pub(super) const LINKS_SHOWN: usize = 50;
/// Rows read at a time for a table that is taken away.
const ROWS_AT_ONCE: usize = 500;

/// The installation as analysts see it.
pub(super) struct Cabinet {
    pub(super) core: Arc<Core>,
}

impl std::fmt::Debug for Cabinet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cabinet")
    }
}

/// A trail or link that nobody keeps, as of a fold that is not looked into.
const NO_TRAILS: &str = "What happened to whom is not remembered by this process.";

fn unavailable(error: &dyn std::fmt::Display) -> Unavailable {
    tracing::error!(%error, "decisions cannot be shown");
    Unavailable("Decisions cannot be read at the moment.".to_owned())
}

/// Decisions with their places in the journal.
type Placed = Vec<(u64, Decision)>;

/// What a customer or thing is called.
pub(super) fn name_of(node: &Node) -> (&'static str, String) {
    match node {
        Node::Account(account) => ("account", account.to_string()),
        Node::Address(address) => ("address", address::encode(address)),
        Node::Device(device) => ("device", device.to_string()),
        Node::Ip(ip) => ("network address", ip.to_string()),
    }
}

/// What it is called in the address of the graph.
pub(super) fn entity_of(node: &Node) -> String {
    match node {
        Node::Ip(ip) => format!("ip:{ip}"),
        node => {
            let (kind, name) = name_of(node);
            format!("{kind}:{name}")
        }
    }
}

/// Who is called so.
pub(super) fn node_of(entity: &str) -> Option<Node> {
    let (kind, name) = entity.split_once(':')?;
    match kind {
        "account" => AccountId::parse(name).ok().map(Node::Account),
        "address" => address::decode_any(name).ok().map(Node::Address),
        "device" => DeviceId::parse(name).ok().map(Node::Device),
        "ip" => name.parse::<std::net::IpAddr>().ok().map(|ip| Node::Ip(ip.to_canonical())),
        _ => None,
    }
}

/// A decision in one line.
pub(super) fn line(core: &Core, position: u64, decision: &Decision) -> DecisionLine {
    let request = &decision.request;
    DecisionLine {
        id: core.decider.ids().id(position).to_string(),
        at: decision.decided_at,
        account: request.account.to_string(),
        amount: format!("{} {}", request.amount, request.asset),
        destination: request.destination.text().to_owned(),
        network: match &request.destination {
            Destination::OnChain { network, .. } => Some(network.as_str()),
            _ => None,
        },
        verdict: decision.verdict,
        reason: match decision.leading() {
            Some(finding) if decision.verdict != Verdict::Allow => finding.message.clone(),
            _ => String::new(),
        },
    }
}

impl Cabinet {
    pub(super) fn trails<T>(&self, look: impl FnOnce(&Trails) -> T) -> Result<T, Unavailable> {
        self.core.ground.read(|fold| fold.trails().map(look)).ok_or_else(|| Unavailable(NO_TRAILS.to_owned()))
    }

    pub(super) fn line(&self, position: u64, decision: &Decision) -> DecisionLine {
        line(&self.core, position, decision)
    }

    /// Decisions at positions that fall, in that order. Those about erased persons are left out.
    pub(super) fn read_decisions(&self, positions: &[u64]) -> Result<Placed, Unavailable> {
        let journal = self.core.ground.journal();
        let mut reader = None;
        let (mut read, mut payload) = (Vec::with_capacity(positions.len()), Vec::new());
        for position in positions.iter().rev() {
            let at = match &reader {
                Some(reader) => journal::Reader::position(reader),
                None => u64::MAX,
            };
            if at > *position || position - at > SKIP_MAX {
                reader = Some(journal.reader(*position));
            }
            let Some(reader) = &mut reader else { break };
            while journal::Reader::position(reader) < *position {
                if let Some(Err(error)) = reader.next_ref() {
                    return Err(unavailable(&error));
                }
            }
            let Some(entry) = reader.next_ref() else { break };
            let entry = entry.map_err(|error| unavailable(&error))?;
            if entry.kind == Kind::Decision
                && journal.open_payload_into(&entry, &mut payload).map_err(|error| unavailable(&error))?
            {
                let decision = record::decode_decision(&payload).map_err(|error| unavailable(&error))?;
                read.push((*position, decision));
            }
        }
        read.reverse();
        Ok(read)
    }

    /// Decisions as a filter wants them, at most `most`, and where to go on.
    pub(super) fn wanted(
        &self,
        wanted: &DecisionFilter,
        most: usize,
    ) -> Result<(Placed, Option<u64>), Unavailable> {
        let account = match &wanted.account {
            None => None,
            // A name that no customer can have is of none.
            Some(name) => match AccountId::parse(name) {
                Ok(account) => Some(account),
                Err(_) => return Ok((Vec::new(), None)),
            },
        };
        let text = wanted.text.as_ref().map(|text| text.to_lowercase());
        let (mut found, mut before, mut read) = (Vec::new(), wanted.before.unwrap_or(u64::MAX), 0);
        for _ in 0..ROUNDS_MAX {
            let room = most - found.len();
            let ask = if text.is_some() { ROWS_AT_ONCE } else { room };
            let (positions, next) = self
                .trails(|trails| trails.decisions(before, wanted.verdict, account.as_ref(), ask, LOOK_MAX))?;
            read += positions.len();
            let decisions = self.read_decisions(&positions)?;
            for (position, decision) in decisions {
                // The account is compared again: it was found by a digest of its name.
                let fits = account.as_ref().is_none_or(|account| *account == decision.request.account)
                    && text.as_ref().is_none_or(|text| self.mentions(&decision, text));
                if fits {
                    if found.len() == most {
                        // More than fits: the next page begins behind the last that is shown.
                        let last = found.last().map(|(position, _)| *position);
                        return Ok((found, last));
                    }
                    found.push((position, decision));
                }
            }
            match next {
                None => return Ok((found, None)),
                Some(next) => before = next,
            }
            if found.len() >= most || read >= READ_MAX {
                break;
            }
        }
        Ok((found, Some(before)))
    }

    fn mentions(&self, decision: &Decision, text: &str) -> bool {
        let line = self.line(0, decision);
        let in_text = |value: &str| value.to_lowercase().contains(text);
        in_text(&line.account)
            || in_text(&line.amount)
            || in_text(&line.destination)
            || in_text(&line.reason)
            || decision.findings.iter().any(|finding| in_text(finding.code.as_str()))
    }

    /// What is linked to a node, with how many others each is linked to.
    pub(super) fn links(
        &self,
        node: &Node,
        most: usize,
        want: impl Fn(&Linked) -> bool,
    ) -> Result<Links, Unavailable> {
        self.trails(|trails| {
            let (linked, more) = trails.links(node);
            let wanted: Vec<Linked> = linked.into_iter().filter(want).collect();
            let left = wanted.len().saturating_sub(most);
            let lines = wanted.into_iter().take(most).map(|link| {
                let (kind, name) = name_of(&link.other);
                let (others, gone) = trails.links(&link.other);
                let mut accounts: Vec<&Node> =
                    others.iter().map(|other| &other.other).filter(|other| *other != node).collect();
                accounts.sort_unstable();
                accounts.dedup();
                LinkLine {
                    kind,
                    name,
                    entity: entity_of(&link.other),
                    how: link.how.as_str(),
                    times: link.times,
                    last: UnixNanos::from_secs(u64::from(link.last_s)),
                    others: u64::try_from(accounts.len()).unwrap_or(u64::MAX) + gone,
                }
            });
            Links { lines: lines.collect(), more: more + u64::try_from(left).unwrap_or(u64::MAX) }
        })
    }

    fn customer(&self, name: &str, wanted: &TrailFilter) -> Result<AccountFile, Nothing> {
        let unknown =
            || Nothing::Unknown("No customer of this name did anything that is remembered.".to_owned());
        let account = AccountId::parse(name).map_err(|_| unknown())?;
        let node = Node::Account(account.clone());
        let subject = Subject::Account(account.clone());
        let mut file = AccountFile {
            account: account.to_string(),
            is_erased: self.core.ground.journal().is_erased(&subject),
            moments: Vec::new(),
            moments_in_all: 0,
            next: None,
            links: Links::default(),
            cases: Vec::new(),
        };
        let is_known = self.trails(|trails| trails.knows(&node))?;
        // Somebody who came back after being erased is somebody new.
        if !is_known {
            return if file.is_erased { Ok(file) } else { Err(unknown()) };
        }
        file.is_erased = false;
        let sorts: Vec<Sort> = wanted.sorts.iter().filter_map(|sort| Sort::named(sort)).collect();
        let (trail, next, all) = self.trails(|trails| {
            let (trail, next) = trails.trail(&node, wanted.from, &sorts, ROWS_MAX, LOOK_MAX);
            (trail, next, trails.steps_of(&node))
        })?;
        let positions: Vec<u64> = trail.iter().map(|found| found.position).collect();
        let known: HashMap<u64, Sort> = trail.iter().map(|found| (found.position, found.sort)).collect();
        file.moments = self.moments(&positions, &known);
        // Reported together is not happened together: people read by when it happened.
        file.moments.sort_by_key(|moment| (std::cmp::Reverse(moment.at), std::cmp::Reverse(moment.position)));
        (file.next, file.moments_in_all) = (next, all);
        file.links = self.links(&node, LINKS_SHOWN, |_| true)?;
        file.cases = cases::about(&self.core, &fraud::cases::Entity::Account(account));
        Ok(file)
    }

    /// The page of what somebody typed.
    fn page_of(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if self.core.decider.ids().position(text).is_ok() {
            return Some(format!("/console/decisions/{text}"));
        }
        let number = text.strip_prefix("case-").and_then(|number| number.parse::<u64>().ok());
        if let Some(number) = number
            && self.core.ground.read(|fold| fold.cases().case(number).is_some())
        {
            return Some(format!("/console/cases/{number}"));
        }
        let knows = |node: &Node| self.trails(|trails| trails.knows(node)).unwrap_or(false);
        // By its sort, as the graph and the cases write it.
        if let Some(node) = node_of(text) {
            return Some(page_of_node(&node));
        }
        if let Ok(ip) = text.parse::<std::net::IpAddr>() {
            return Some(page_of_node(&Node::Ip(ip.to_canonical())));
        }
        if let Ok(account) = AccountId::parse(text) {
            let is_erased = self.core.ground.journal().is_erased(&Subject::Account(account.clone()));
            let node = Node::Account(account);
            if is_erased || knows(&node) {
                return Some(page_of_node(&node));
            }
        }
        if let Ok(device) = DeviceId::parse(text)
            && knows(&Node::Device(device.clone()))
        {
            return Some(page_of_node(&Node::Device(device)));
        }
        address::decode_any(text).ok().map(|address| page_of_node(&Node::Address(address)))
    }
}

/// The page of a customer or thing.
pub(super) fn page_of_node(node: &Node) -> String {
    // Names of customers and devices are made of characters that stand for themselves in an address, or for nothing else there.
    match node {
        Node::Account(account) => format!("/console/accounts/{account}"),
        Node::Address(address) => format!("/console/addresses/any/{}", address::encode(address)),
        node => format!("/console/graph?entity={}", entity_of(node)),
    }
}

impl Casework for Cabinet {
    fn decisions(&self, wanted: &DecisionFilter) -> Result<DecisionPage, Unavailable> {
        tokio::task::block_in_place(|| {
            let (found, before) = self.wanted(wanted, ROWS_MAX)?;
            let lines = found.iter().map(|(position, decision)| self.line(*position, decision)).collect();
            Ok(DecisionPage { lines, before })
        })
    }

    fn decision<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explanation>, Unavailable>> {
        Box::pin(async move {
            let read = self.core.decider.explain(id).await.map_err(|error| {
                tracing::error!(%error, "a decision cannot be shown");
                Unavailable("The decision cannot be read at the moment.".to_owned())
            })?;
            Ok(read.map(|decided| {
                let position = self.core.decider.ids().position(decided.id.as_str()).ok();
                self.explanation(position, &decided.decision)
            }))
        })
    }

    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(async move {
            let labelled = api::Cases::label(&*self.core.desk, actor, decision, is_fraud).await;
            labelled.map(drop).map_err(|error| cases::not_done(&error))
        })
    }

    fn cases(&self, wanted: &CaseFilter) -> CasePage {
        cases::page(&self.core, wanted, ROWS_MAX)
    }

    fn case(&self, id: u64) -> Result<Option<CaseFile>, Unavailable> {
        tokio::task::block_in_place(|| self.case_file(id))
    }

    fn act(&self, actor: Actor, case: u64, revision: u64, deed: Deed) -> BoxFuture<'_, Result<(), NotDone>> {
        cases::act(&self.core.desk, actor, case, revision, deed)
    }

    fn account(&self, account: &str, wanted: &TrailFilter) -> Result<AccountFile, Nothing> {
        tokio::task::block_in_place(|| self.customer(account, wanted))
    }

    fn address(
        &self,
        network: Option<&str>,
        address: &str,
        sees_customers: bool,
    ) -> Result<AddressFile, Nothing> {
        tokio::task::block_in_place(|| self.address_file(network, address, sees_customers))
    }

    fn graph(&self, entity: &str) -> Result<Neighbourhood, Nothing> {
        tokio::task::block_in_place(|| self.neighbourhood(entity))
    }

    fn find(&self, text: &str) -> Option<String> {
        self.page_of(text)
    }

    fn rows(&self, table: Export, wanted: &ExportFilter) -> Result<Rows, Unavailable> {
        tokio::task::block_in_place(|| self.rows_of(table, wanted, ROWS_AT_ONCE))
    }
}

impl Cabinet {
    fn explanation(&self, position: Option<u64>, decision: &Decision) -> Explanation {
        let request = &decision.request;
        let mut asked = vec![
            ("network address".to_owned(), request.ip.to_string()),
            (
                "channel".to_owned(),
                match &request.channel {
                    domain::Channel::ApiKey(key) => format!("API key {key}"),
                    domain::Channel::Exchange => "the exchange itself".to_owned(),
                },
            ),
            ("requested".to_owned(), request.requested_at.to_string()),
        ];
        let optional = [
            ("device", request.device.as_ref().map(ToString::to_string)),
            ("client", request.client_ja4.clone()),
            ("client's id", request.client_id.clone()),
            ("fee", request.fee.map(|fee| fee.to_string())),
        ];
        asked.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Explanation {
            line: self.line(position.unwrap_or(0), decision),
            asked,
            found: decision.findings.iter().map(found).collect(),
            position,
        }
    }
}

#[cfg(test)]
mod tests;
