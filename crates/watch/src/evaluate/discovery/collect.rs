//! From a stream to the windows of the protocol.

use std::{
    collections::{BTreeMap, VecDeque},
    io::BufRead,
    time::Duration,
};

use domain::UnixNanos;

use crate::{
    discovery::{Direction, TokenStep, Traffic, WINDOW_MAX, Window, features},
    replay::{Item, Parties, Party, Stream, TokenTransfer, Transaction},
    table::{Row, Table, TableError, Wanted},
};

/// Most windows of a table.
pub const WINDOWS_MAX: usize = 1_000_000;
/// Most accounts of a table.
pub const ACCOUNTS_MAX: usize = 10_000_000;

/// Columns of a table of windows.
pub const WINDOW_COLUMNS: &[Wanted] = &[
    Wanted::required("account"),
    Wanted::required("start"),
    Wanted::required("quarter"),
    Wanted::required("illicit"),
    Wanted::required("split"),
];

/// Columns of a table of accounts.
pub const ACCOUNT_COLUMNS: &[Wanted] = &[Wanted::required("address"), Wanted::required("illicit")];

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// A benign account from its first transaction on; only judged, and told apart.
    New,
    /// Likewise, trained on by the model that serves: every other account of the table that is not illicit.
    NewTrain,
    /// Trained on.
    Train,
    /// Judged.
    Validate,
}

/// One window with what was measured of it after each of its transactions.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Whose.
    pub account: Party,
    /// Position of its first transaction among those of the account.
    pub start: u64,
    /// Quarter it falls into, by the table's count.
    pub quarter: u64,
    /// Whether the account is illicit.
    pub illicit: bool,
    /// What it is for.
    pub split: Split,
    /// When each transaction was made.
    pub times: Vec<UnixNanos>,
    /// Features after each transaction.
    pub rows: Vec<Vec<f32>>,
    /// What had flowed into the account by then since it appeared, in whole coins.
    pub inflow: Vec<f64>,
    /// How many inbound transactions with value the account had had by then.
    pub inbound: Vec<u64>,
    window: Window,
}

/// All windows of a stream.
#[derive(Debug)]
pub struct Collected {
    /// In the order of the table; then those of new benign accounts.
    pub samples: Vec<Sample>,
    /// What flowed into each sample's account in all, in whole coins.
    pub inflow_total: Vec<f64>,
    /// What had flowed into each sample's account after each of its first inbound transactions, at most ten.
    pub inflow_first: Vec<Vec<f64>>,
    inflow_weekly: Vec<Vec<(u64, f64)>>,
    /// Transactions per window at most.
    pub k: usize,
    /// The addresses.
    pub parties: Parties,
}

impl Collected {
    /// What had flowed into a sample's account by the end of the last whole week before `time`, in whole coins: what
    /// somebody who trains at that time can know.
    #[must_use]
    pub fn inflow_before(&self, sample: usize, time: UnixNanos) -> f64 {
        let week = time.as_secs() / WEEK;
        let weeks = self.inflow_weekly.get(sample).map_or(&[][..], Vec::as_slice);
        let known = weeks.partition_point(|(at, _)| *at < week);
        known.checked_sub(1).and_then(|at| weeks.get(at)).map_or(0.0, |(_, inflow)| *inflow)
    }
}

/// How long after its window began a training account counts as known to be malicious: lists do not name an address at once.
const KNOWN_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Seconds of a week.
const WEEK: u64 = 7 * 86_400;
/// Inbound transactions whose sums are kept for the bounds of what could be saved.
const FIRST_INBOUND: usize = 10;

/// Reads the protocol and runs the stream past it.
///
/// # Errors
/// [`TableError`].
pub fn collect<R: BufRead>(
    mut stream: Stream<R>,
    mut windows: Table<R>,
    accounts: Option<Table<R>>,
    k: usize,
) -> Result<Collected, TableError> {
    let k = k.clamp(1, WINDOW_MAX);
    let mut samples = Vec::new();
    while let Some(row) = windows.next_row()? {
        if samples.len() == WINDOWS_MAX {
            return Err(row.malformed(format!("more than {WINDOWS_MAX} windows")));
        }
        let split = match row.bytes(4) {
            b"train" => Split::Train,
            b"validate" => Split::Validate,
            _ => return Err(row.bad(4, "neither train nor validate".to_owned())),
        };
        let account = stream.parties.of_row(row.bytes(0)).map_err(|error| row.bad(0, error.to_string()))?;
        let account = account.ok_or_else(|| row.bad(0, "empty".to_owned()))?;
        samples.push(Sample::new(account, row.number(1)?, row.number(2)?, flag(&row, 3)?, split));
    }
    if let Some(mut accounts) = accounts {
        let (mut count, mut benign) = (0, 0_u64);
        while let Some(row) = accounts.next_row()? {
            count += 1;
            if count > ACCOUNTS_MAX {
                return Err(row.malformed(format!("more than {ACCOUNTS_MAX} accounts")));
            }
            let account =
                stream.parties.of_row(row.bytes(0)).map_err(|error| row.bad(0, error.to_string()))?;
            if let (Some(account), false) = (account, flag(&row, 1)?) {
                let split = if benign % 2 == 0 { Split::NewTrain } else { Split::New };
                samples.push(Sample::new(account, 0, 0, false, split));
                benign += 1;
            }
        }
    }
    let mut by_account: BTreeMap<Party, Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        by_account.entry(sample.account).or_default().push(at);
    }
    let mut watched = vec![u32::MAX; stream.parties.len()];
    let mut accounts: Vec<Account> = Vec::with_capacity(by_account.len());
    for (party, of) in by_account {
        if let (Some(place), Ok(at)) = (watched.get_mut(party.index()), u32::try_from(accounts.len())) {
            *place = at;
        }
        accounts.push(Account { windows: of, ..Account::default() });
    }
    let (traffic, known) = (Traffic::default(), VecDeque::new());
    let mut collector = Collector { samples, watched, accounts, traffic, known, k };
    while let Some(item) = stream.advance()? {
        match item {
            Item::Transaction(transaction) => collector.transaction(&transaction),
            Item::Token(token) => collector.token(&token),
        }
    }
    Ok(collector.finish(stream.parties))
}

/// 1 or 0.
fn flag<R: BufRead>(row: &Row<'_, R>, column: usize) -> Result<bool, TableError> {
    match row.bytes(column) {
        b"0" | b"false" => Ok(false),
        b"1" | b"true" => Ok(true),
        _ => Err(row.bad(column, "neither 0 nor 1".to_owned())),
    }
}

impl Sample {
    fn new(account: Party, start: u64, quarter: u64, illicit: bool, split: Split) -> Self {
        Self {
            account,
            start,
            quarter,
            illicit,
            split,
            times: Vec::new(),
            rows: Vec::new(),
            inflow: Vec::new(),
            inbound: Vec::new(),
            window: Window::default(),
        }
    }

    /// When its first transaction was made; `None` if the stream had none.
    #[must_use]
    pub fn began(&self) -> Option<UnixNanos> {
        self.times.first().copied()
    }

    /// Features after its last transaction; `None` if the stream had none.
    #[must_use]
    pub fn last(&self) -> Option<&[f32]> {
        self.rows.last().map(Vec::as_slice)
    }
}

#[derive(Default)]
struct Account {
    windows: Vec<usize>,
    /// Transactions so far.
    seen: u64,
    inflow: f64,
    inbound: u64,
    inflow_first: Vec<f64>,
    /// What had flowed in by the end of each week in which something did.
    inflow_weekly: Vec<(u64, f64)>,
}

struct Collector {
    samples: Vec<Sample>,
    /// Place of each party among the accounts; `u32::MAX` if nobody watches it.
    watched: Vec<u32>,
    accounts: Vec<Account>,
    traffic: Traffic,
    /// Who becomes known to be malicious, and when, in the order of time.
    known: VecDeque<(UnixNanos, Party)>,
    k: usize,
}

impl Collector {
    fn transaction(&mut self, tx: &Transaction) {
        while let Some((_, party)) = self.known.pop_front_if(|(from, _)| *from <= tx.at) {
            self.traffic.mark(party.0);
        }
        self.steps(tx);
        tx.observed_by(&mut self.traffic);
    }

    fn steps(&mut self, tx: &Transaction) {
        // What creates a contract has no recipient and is not part of an account's list.
        let Some(to) = tx.to else { return };
        if let Some(from) = tx.from {
            self.step(from, to, Direction::Out, tx);
        }
        if tx.from != Some(to) {
            self.step(to, tx.from.unwrap_or(to), Direction::In, tx);
        }
    }

    fn account(&mut self, party: Party) -> Option<&mut Account> {
        let at = *self.watched.get(party.index())?;
        self.accounts.get_mut(at as usize)
    }

    fn step(&mut self, party: Party, other: Party, direction: Direction, tx: &Transaction) {
        let k = self.k as u64;
        let Some(at) = self.watched.get(party.index()).copied() else { return };
        let Some(account) = self.accounts.get_mut(at as usize) else { return };
        let position = account.seen;
        account.seen += 1;
        let step = tx.step(party, other, direction, &self.traffic);
        if direction == Direction::In && !tx.failed && tx.value > 0 {
            account.inflow += step.coins;
            account.inbound += 1;
            let week = tx.at.as_secs() / WEEK;
            match account.inflow_weekly.last_mut() {
                Some((at, inflow)) if *at == week => *inflow = account.inflow,
                _ => account.inflow_weekly.push((week, account.inflow)),
            }
            if account.inflow_first.len() < FIRST_INBOUND {
                account.inflow_first.push(account.inflow);
            }
        }
        let (inflow, inbound) = (account.inflow, account.inbound);
        let open: Vec<usize> = account.windows.clone();
        for at in open {
            let Some(sample) = self.samples.get_mut(at) else { continue };
            if !(sample.start..sample.start.saturating_add(k)).contains(&position)
                || !sample.window.push(step)
            {
                continue;
            }
            if sample.times.is_empty() && sample.illicit && sample.split == Split::Train {
                self.known.push_back((tx.at.plus(KNOWN_AFTER), party));
            }
            sample.times.push(tx.at);
            sample.rows.push(features(&sample.window));
            sample.inflow.push(inflow);
            sample.inbound.push(inbound);
        }
    }

    fn token(&mut self, token: &TokenTransfer) {
        let Some(contract) = token.token else { return };
        let sides = [(token.from, token.to, Direction::Out), (token.to, token.from, Direction::In)];
        for (party, other, direction) in sides {
            let (Some(party), Some(other)) = (party, other) else { continue };
            let k = self.k;
            let Some(account) = self.account(party) else { continue };
            for at in account.windows.clone() {
                if let Some(sample) = self.samples.get_mut(at)
                    && (1..k).contains(&sample.rows.len())
                {
                    let step = TokenStep { direction, token: contract.0, other: other.0 };
                    sample.window.push_token(step);
                }
            }
        }
    }

    fn finish(self, parties: Parties) -> Collected {
        let Self { samples, watched, accounts, k, .. } = self;
        let account = |sample: &Sample| accounts.get(*watched.get(sample.account.index())? as usize);
        let inflow_total =
            samples.iter().map(|sample| account(sample).map_or(0.0, |account| account.inflow)).collect();
        let inflow_first = samples
            .iter()
            .map(|sample| account(sample).map_or_else(Vec::new, |account| account.inflow_first.clone()))
            .collect();
        let inflow_weekly = samples
            .iter()
            .map(|sample| account(sample).map_or_else(Vec::new, |account| account.inflow_weekly.clone()))
            .collect();
        Collected { samples, inflow_total, inflow_first, inflow_weekly, k, parties }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        discovery::FEATURES,
        replay::{TRANSACTION_COLUMNS, Transaction},
    };

    /// Address number `n` as text.
    pub(crate) fn address(n: u32) -> String {
        format!("0x{n:040x}")
    }

    /// A stream of payments: day, from, to, coins.
    pub(crate) fn collected(
        payments: &[(u64, u32, u32, u32)],
        windows: &str,
        accounts: Option<&str>,
        k: usize,
    ) -> Collected {
        let mut text =
            String::from("block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len\n");
        for (at, (day, from, to, coins)) in payments.iter().enumerate() {
            let (from, to) = (address(*from), address(*to));
            text.push_str(&format!(
                "{at},{},0,{from},{to},{coins}000000000000000000,21000,0,,0\n",
                day * 86_400
            ));
        }
        let transactions = Table::open("transactions", text.as_bytes(), TRANSACTION_COLUMNS).unwrap();
        let windows = format!("account,start,quarter,illicit,split\n{windows}");
        let windows = Table::open("windows", windows.as_bytes(), WINDOW_COLUMNS).unwrap();
        let accounts = accounts.map(|accounts| format!("address,illicit\n{accounts}"));
        let accounts = accounts
            .as_ref()
            .map(|accounts| Table::open("accounts", accounts.as_bytes(), ACCOUNT_COLUMNS).unwrap());
        collect(Stream::new(Parties::default(), transactions, None), windows, accounts, k).unwrap()
    }

    fn feature(row: &[f32], name: &str) -> f32 {
        row[FEATURES.iter().position(|(other, _)| *other == name).unwrap()]
    }

    #[test]
    fn a_training_account_is_known_a_month_later_and_a_judged_one_never() {
        let (trained, judged, early, late, later) = (1, 2, 3, 4, 5);
        let payments = [
            (100, 9, trained, 5),
            (100, 9, judged, 5),
            (129, trained, early, 1),
            (130, trained, late, 1),
            (180, judged, later, 1),
        ];
        let rows: String = [(trained, 0, 1, "train"), (judged, 0, 1, "validate")]
            .into_iter()
            .chain([early, late, later].map(|account| (account, 0, 0, "validate")))
            .map(|(account, quarter, illicit, split)| {
                format!("{},0,{quarter},{illicit},{split}\n", address(account))
            })
            .collect();
        let collected = collected(&payments, &rows, None, 5);
        let marked = |sample: usize| feature(&collected.samples[sample].rows[0], "senders_marked");
        assert_eq!([2, 3, 4].map(marked), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn what_flows_in_later_is_not_known_before() {
        let account = 1;
        let payments = [(7, 9, account, 1), (13, 9, account, 2), (14, 9, account, 4), (40, 9, account, 8)];
        let rows = format!("{},0,0,1,train\n", address(account));
        let collected = collected(&payments, &rows, None, 2);
        let known = |day: u64| collected.inflow_before(0, UnixNanos::from_secs(day * 86_400));
        assert_eq!([0, 13, 14, 20, 21, 1_000].map(known), [0.0, 0.0, 3.0, 3.0, 7.0, 15.0]);
        assert_eq!(collected.samples[0].inflow, [1.0, 3.0], "the window ends after two");
        assert!((collected.inflow_total[0] - 15.0).abs() < 1e-12);
    }

    #[test]
    fn every_other_new_benign_account_is_trained_on() {
        let payments: Vec<(u64, u32, u32, u32)> = (1..5).map(|n| (u64::from(n), 9, n, 1)).collect();
        let accounts: String = [(1, 0), (2, 1), (3, 0), (4, 0)]
            .map(|(n, illicit)| format!("{},{illicit}\n", address(n)))
            .concat();
        let collected = collected(&payments, &format!("{},0,0,1,train\n", address(2)), Some(&accounts), 3);
        let splits: Vec<Split> = collected.samples.iter().map(|sample| sample.split).collect();
        assert_eq!(splits, [Split::Train, Split::NewTrain, Split::New, Split::NewTrain]);
    }

    #[test]
    fn a_transaction_does_not_count_in_what_was_seen_before_it() {
        let collected = collected(
            &[(1, 8, 7, 10), (2, 7, 1, 4), (3, 7, 1, 3)],
            &format!("{},0,0,0,train\n", address(1)),
            None,
            5,
        );
        let rows = &collected.samples[0].rows;
        assert_eq!(feature(&rows[0], "sender_transactions_first"), 1.0);
        assert!((feature(&rows[0], "sender_spends_first") - 0.4).abs() < 1e-6);
        assert_eq!(feature(&rows[1], "sender_transactions_max"), 2.0);
        assert_eq!(feature(&rows[1], "sender_counterparties_max"), 1.0, "the judged one does not count");
    }

    #[test]
    fn creating_a_contract_is_seen_of_its_creator() {
        let mut traffic = Traffic::default();
        let transaction = Transaction {
            block: 0,
            index: 0,
            at: UnixNanos(0),
            from: Some(Party(3)),
            to: None,
            value: 5,
            gas_used: 0,
            failed: false,
            input_bytes: 0,
            method: None,
            created: Some(Party(4)),
        };
        transaction.observed_by(&mut traffic);
        let peer = traffic.peer(3, 0);
        assert_eq!((peer.transactions, peer.sent, peer.counterparties), (1, 0, 0));
    }
}
