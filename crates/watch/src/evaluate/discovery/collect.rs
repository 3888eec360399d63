//! From a stream to the windows of the protocol.

use std::{collections::BTreeMap, io::BufRead};

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
    /// When its first transaction was made.
    pub began: UnixNanos,
    /// When its last transaction was made.
    pub ended: UnixNanos,
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
    /// Transactions per window at most.
    pub k: usize,
    /// The addresses.
    pub parties: Parties,
}

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
        let mut count = 0;
        while let Some(row) = accounts.next_row()? {
            count += 1;
            if count > ACCOUNTS_MAX {
                return Err(row.malformed(format!("more than {ACCOUNTS_MAX} accounts")));
            }
            let account =
                stream.parties.of_row(row.bytes(0)).map_err(|error| row.bad(0, error.to_string()))?;
            if let (Some(account), false) = (account, flag(&row, 1)?) {
                samples.push(Sample::new(account, 0, 0, false, Split::New));
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
        accounts.push(Account { windows: of, seen: 0, inflow: 0.0, inbound: 0, inflow_first: Vec::new() });
    }
    let mut collector = Collector { samples, watched, accounts, traffic: Traffic::default(), k };
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
            began: UnixNanos(0),
            ended: UnixNanos(0),
            rows: Vec::new(),
            inflow: Vec::new(),
            inbound: Vec::new(),
            window: Window::default(),
        }
    }

    /// Features after its last transaction; `None` if the stream had none.
    #[must_use]
    pub fn last(&self) -> Option<&[f32]> {
        self.rows.last().map(Vec::as_slice)
    }
}

struct Account {
    windows: Vec<usize>,
    /// Transactions so far.
    seen: u64,
    inflow: f64,
    inbound: u64,
    inflow_first: Vec<f64>,
}

struct Collector {
    samples: Vec<Sample>,
    /// Place of each party among the accounts; `u32::MAX` if nobody watches it.
    watched: Vec<u32>,
    accounts: Vec<Account>,
    traffic: Traffic,
    k: usize,
}

impl Collector {
    fn transaction(&mut self, tx: &Transaction) {
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
            if sample.rows.is_empty() {
                sample.began = tx.at;
            }
            sample.ended = tx.at;
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
        Collected { samples, inflow_total, inflow_first, k, parties }
    }
}
