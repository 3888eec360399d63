//! A story as files: events for the intake over HTTP, a recording to be replayed and evaluated, and the truth.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::IpAddr,
};

use domain::{
    Amount, Asset, Channel, Destination, Event, EventId, EventKind, LabelTarget, UnixNanos, WithdrawalRequest,
};

use super::{Item, Story, What};
use crate::report::line;

/// Columns of a recording after its time, id and label: fields of the live record, with their types in a mapping.
pub const RECORDING_FIELDS: [(&str, &str); 29] = [
    ("kind", "category"),
    ("account", "entity"),
    ("device", "entity"),
    ("ip", "entity"),
    ("ip_network", "entity"),
    ("asn", "entity"),
    ("country", "category"),
    ("anonymizer", "category"),
    ("api_key", "entity"),
    ("channel", "category"),
    ("destination", "entity"),
    ("destination_type", "category"),
    ("sender", "entity"),
    ("counterparty", "entity"),
    ("payment", "entity"),
    ("document", "entity"),
    ("asset", "category"),
    ("network", "category"),
    ("instrument", "category"),
    ("side", "category"),
    ("value", "money"),
    ("success", "bool"),
    ("second_factor", "bool"),
    ("may_withdraw", "bool"),
    ("ip_bound", "bool"),
    ("credential", "category"),
    ("kyc_level", "number"),
    ("status", "category"),
    ("topic", "category"),
];

/// Every event of the story, and every label as it arrives, one JSON object a line, in order of time: what the exchange
/// would post to `/v1/events`. Withdrawal requests are not events; that they were carried out is.
///
/// # Errors
/// When writing fails.
pub fn write_events(story: &Story, mut out: impl Write) -> io::Result<()> {
    let mut labels = story.labels.iter().peekable();
    let mut number = 0_u64;
    let mut label_until = |until: Option<UnixNanos>, out: &mut dyn Write| -> io::Result<()> {
        while let Some(label) = labels.next_if(|label| until.is_none_or(|until| label.arrival <= until)) {
            // A request is labelled by the event that tells it was carried out, which follows it.
            let after = story.items.iter().skip(label.item).take(64);
            let account = story.items.get(label.item).map(Item::account);
            let event =
                after.filter(|item| Some(item.account()) == account).find_map(|item| match &item.what {
                    What::Event(event) => Some(event),
                    What::Withdrawal(_) => None,
                });
            let Some(event) = event else { continue };
            let kind = EventKind::Label {
                target: LabelTarget::Event(event.id.clone()),
                is_fraud: label.is_fraud,
                source: label.source.to_owned(),
            };
            let id = EventId::parse(&format!("label-{number}")).expect("a word and a number are an id");
            number += 1;
            let told = Event {
                id,
                account: event.account.clone(),
                occurred_at: label.arrival,
                device: None,
                ip: None,
                context: domain::EventContext::default(),
                kind,
            };
            writeln!(out, "{}", line(&told))?;
        }
        Ok(())
    };
    for item in &story.items {
        label_until(Some(item.at()), &mut out)?;
        if let What::Event(event) = &item.what {
            writeln!(out, "{}", line(event))?;
        }
    }
    label_until(None, &mut out)?;
    out.flush()
}

/// The story as CSV with a header: `time`, `id`, `fraud` and [`RECORDING_FIELDS`], one row per live record. `fraud` is
/// given where money moves: 1, or 0.
///
/// # Errors
/// When writing fails.
pub fn write_recording(story: &Story, mut out: impl Write) -> io::Result<()> {
    write!(out, "time,id,fraud")?;
    for (field, _) in RECORDING_FIELDS {
        write!(out, ",{field}")?;
    }
    writeln!(out)?;
    let mut rates = BTreeMap::new();
    for (place, item) in story.items.iter().enumerate() {
        let rows = match &item.what {
            What::Event(event) => {
                let mut rows = vec![event_row(event, &mut rates)];
                rows.extend(other_side(event, &rows[0]));
                rows
            }
            What::Withdrawal(request) => vec![request_row(request, &rates)],
        };
        for (number, row) in rows.iter().enumerate() {
            let judged =
                matches!(row.get("kind"), Some("withdrawal_requested" | "transfer" | "bonus_granted"));
            let fraud = match item.case {
                Some(_) if judged => "1",
                None if judged => "0",
                _ => "",
            };
            write!(out, "{},{place}-{number},{fraud}", item.at())?;
            for (field, _) in RECORDING_FIELDS {
                // Names, numbers and addresses of a story need no quotes.
                write!(out, ",{}", row.get(field).unwrap_or_default())?;
            }
            writeln!(out)?;
        }
    }
    out.flush()
}

/// The mapping that reads such a recording. Labels arrive at different times in the story; a recording knows one delay.
#[must_use]
pub fn mapping(label_delay_days: u32) -> String {
    let mut text = format!(
        "version = 1\nname = \"scenarios\"\nsubject = \"account\"\n\n[time]\ncolumn = \"time\"\nunit = \"rfc3339\"\n\n\
         [id]\ncolumn = \"id\"\n\n[label]\ncolumn = \"fraud\"\npositive = [\"1\"]\nnegative = [\"0\"]\n\
         delay = \"{label_delay_days}d\"\n"
    );
    for (field, field_type) in RECORDING_FIELDS {
        text +=
            &format!("\n[field.{field}]\ntype = \"{field_type}\"\ncolumn = \"{field}\"\noptional = true\n");
        match field_type {
            "money" => text += "scale = 2\n",
            "bool" => text += "true = [\"true\"]\n",
            _ => {}
        }
    }
    text
}

/// One line per fraud: its number, kind and accounts, and its events in the recording.
///
/// # Errors
/// When writing fails.
pub fn write_truth(story: &Story, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "case,typology,accounts,events")?;
    for (number, case) in story.cases.iter().enumerate() {
        let accounts: Vec<&str> = case.accounts.iter().map(domain::AccountId::as_str).collect();
        let events = story.items.iter().filter(|item| item.case == Some(number)).count();
        writeln!(out, "{number},{},{},{events}", case.typology.as_str(), accounts.join(" "))?;
    }
    out.flush()
}

#[derive(Debug, Clone, Default)]
struct Row(BTreeMap<&'static str, String>);

impl Row {
    fn set(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.insert(field, text.into());
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    fn ip(&mut self, ip: IpAddr) {
        self.set("ip", ip.to_string());
        let network = match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            // A story has none.
            IpAddr::V6(ip) => ip.to_string(),
        };
        self.set("ip_network", network);
    }

    fn value(&mut self, value: Amount) {
        self.set("value", value.truncate(2).to_string());
    }
}

/// The last rate told, by asset: value over amount.
type Rates = BTreeMap<Asset, Amount>;

fn event_row(event: &Event, rates: &mut Rates) -> Row {
    let mut row = Row::default();
    row.set("kind", event.kind.as_str());
    row.set("account", event.account.as_str());
    if let Some(device) = &event.device {
        row.set("device", device.as_str());
    }
    if let Some(ip) = event.ip {
        row.ip(ip);
    }
    let context = &event.context;
    if let Some(asn) = context.asn {
        row.set("asn", asn.to_string());
    }
    if let Some(country) = &context.country {
        row.set("country", country.as_str());
    }
    if let Some(anonymizer) = context.anonymizer {
        row.set("anonymizer", anonymizer.as_str());
    }
    if let Some(value) = context.value {
        row.value(value);
    }
    match &event.kind {
        EventKind::AccountOpened { referrer: Some(referrer) } => row.set("counterparty", referrer.as_str()),
        EventKind::AddressAdded { network, address } => {
            row.set("network", network.as_str());
            row.set("destination", address.as_str());
            row.set("destination_type", "on_chain");
        }
        EventKind::ApiKeyCreated { key, may_withdraw, ip_bound } => {
            row.set("api_key", key.as_str());
            row.set("may_withdraw", may_withdraw.to_string());
            row.set("ip_bound", ip_bound.to_string());
        }
        EventKind::BalanceChanged { asset, .. } => row.set("asset", asset.as_str()),
        EventKind::CredentialChanged { credential } => row.set("credential", credential.as_str()),
        EventKind::KycChanged { level, document } => {
            row.set("kyc_level", level.to_string());
            row.set("document", document.clone().unwrap_or_default());
        }
        EventKind::Login { success, second_factor } => {
            row.set("success", success.to_string());
            row.set("second_factor", second_factor.to_string());
        }
        EventKind::OrderFilled { instrument, .. } => row.set("instrument", instrument.as_str()),
        EventKind::OrderPlaced { instrument, side, .. } => {
            row.set("instrument", instrument.as_str());
            row.set("side", side.as_str());
        }
        EventKind::P2pTrade { counterparty, side, payment, status, .. } => {
            row.set("counterparty", counterparty.as_str());
            row.set("side", side.as_str());
            row.set("payment", payment.clone().unwrap_or_default());
            row.set("status", status.as_str());
        }
        EventKind::SupportContacted { topic } => row.set("topic", topic.as_str()),
        EventKind::Transfer { to, .. } => row.set("counterparty", to.as_str()),
        EventKind::Deposit { network, from, .. } => {
            row.set("network", network.as_str());
            row.set("sender", from.clone().unwrap_or_default());
        }
        EventKind::WithdrawalAccepted { network, address, .. } => {
            row.set("network", network.as_str());
            row.set("destination", address.as_str());
            row.set("destination_type", "on_chain");
        }
        _ => {}
    }
    if let EventKind::BonusGranted { asset, amount, .. }
    | EventKind::Deposit { asset, amount, .. }
    | EventKind::P2pTrade { asset, amount, .. }
    | EventKind::Transfer { asset, amount, .. }
    | EventKind::WithdrawalAccepted { asset, amount, .. } = &event.kind
    {
        row.set("asset", asset.as_str());
        if let Some(rate) = context.value.and_then(|value| value.checked_div(*amount)) {
            rates.insert(asset.clone(), rate);
        }
    }
    row
}

fn other_side(event: &Event, row: &Row) -> Option<Row> {
    let (other, kind) = match &event.kind {
        EventKind::AccountOpened { referrer: Some(referrer) } => (referrer, "referral"),
        EventKind::P2pTrade { counterparty, .. } => (counterparty, "p2p_trade"),
        EventKind::Transfer { to, .. } => (to, "transfer_received"),
        _ => return None,
    };
    let mut mirrored = Row::default();
    mirrored.set("kind", kind);
    mirrored.set("account", other.as_str());
    mirrored.set("counterparty", event.account.as_str());
    for field in ["asset", "value", "status"] {
        if let Some(text) = row.get(field) {
            mirrored.set(field, text);
        }
    }
    if let EventKind::P2pTrade { side, .. } = &event.kind {
        mirrored.set("side", side.other().as_str());
    }
    Some(mirrored)
}

fn request_row(request: &WithdrawalRequest, rates: &Rates) -> Row {
    let mut row = Row::default();
    row.set("kind", "withdrawal_requested");
    row.set("account", request.account.as_str());
    if let Some(device) = &request.device {
        row.set("device", device.as_str());
    }
    row.ip(request.ip);
    match &request.channel {
        Channel::ApiKey(key) => {
            row.set("api_key", key.as_str());
            row.set("channel", "api_key");
        }
        Channel::Exchange => row.set("channel", "exchange"),
    }
    row.set("asset", request.asset.as_str());
    row.set("destination", request.destination.text());
    if let Destination::OnChain { network, .. } = &request.destination {
        row.set("network", network.as_str());
        row.set("destination_type", "on_chain");
    }
    if let Some(value) = rates.get(&request.asset).and_then(|rate| request.amount.checked_mul(*rate)) {
        row.value(value);
    }
    row
}
