//! Clusters of a recorded stretch of a UTXO chain: how many, how fast, and whether they are those of a reference.
//!
//! Transactions are joined by [`chain::cluster`] in the order of the table. A transaction that is said to be a CoinJoin, or
//! is recognised as one where the table does not say, joins nothing. The reference is another table of addresses and
//! cluster names; two clusterings agree if the same addresses are together, whatever the names.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::BufRead,
    time::Duration,
};

use chain::{
    cluster::{
        Clusters,
        coinjoin::{self, Output},
    },
    graph::GraphError,
};
use serde_json::{Value, json};

use crate::table::{Row, Table, TableError, Wanted};

/// Columns of a table of transactions.
pub const TRANSACTION_COLUMNS: &[Wanted] = &[
    Wanted::required("txid"),
    Wanted::required("inputs"),
    Wanted::required("outputs"),
    Wanted::optional("height"),
    Wanted::optional("coinjoin"),
];
/// Columns of a reference.
pub const REFERENCE_COLUMNS: &[Wanted] = &[Wanted::required("address"), Wanted::required("cluster")];

/// Longest text of an address, in bytes.
const ADDRESS_BYTES_MAX: usize = 128;
/// Disagreements a report names.
const DISAGREEMENTS: usize = 20;
/// Transactions joined at once.
const BATCH: usize = 4_096;

/// How transactions with the shape of a CoinJoin are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// They join nothing.
    On,
    /// They join like all others.
    Off,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusteringError {
    /// More addresses than can be numbered.
    #[error("the addresses cannot be numbered")]
    Graph(#[from] GraphError),
    /// A table is not what it should be.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Addresses in the order they were first seen, and their clusters.
#[derive(Debug, Default)]
pub struct Clustering {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    clusters: Clusters,
    transactions: u64,
    coinjoins: BTreeMap<&'static str, u64>,
    /// Transactions the table marks as CoinJoin, and those of them whose shape is one.
    marked: [u64; 2],
    /// Transactions the table marks as none, and those of them whose shape is one.
    unmarked: [u64; 2],
    joining: Duration,
}

/// Transactions read and not yet joined.
#[derive(Debug, Default)]
struct Batch {
    inputs: Vec<u32>,
    ends: Vec<usize>,
}

impl Clustering {
    /// Reads and joins transactions: columns `txid`, `inputs` (addresses separated by spaces), `outputs` (address, colon,
    /// satoshi), and if there `height` (which must not fall) and `coinjoin` (1 or 0; nothing: judge by shape).
    ///
    /// Several addresses joined by `+` are a script with several keys: it has no single owner and joins nothing, nor does
    /// an empty address. `elapsed` tells the time spent since any fixed moment.
    ///
    /// # Errors
    /// [`ClusteringError`], naming file, line and column.
    pub fn read<R: BufRead>(
        mut table: Table<R>,
        guard: Guard,
        mut elapsed: impl FnMut() -> Duration,
    ) -> Result<Self, ClusteringError> {
        let mut clustering = Self::default();
        let (mut batch, mut last_height) = (Batch::default(), 0);
        while let Some(row) = table.next_row()? {
            let height = row.u64(3)?.unwrap_or(last_height);
            if height < last_height {
                return Err(row.bad(3, format!("below {last_height}, the height before")).into());
            }
            last_height = height;
            clustering.add(&row, guard, &mut batch)?;
            if batch.ends.len() >= BATCH {
                clustering.join(&mut batch, &mut elapsed)?;
            }
        }
        clustering.join(&mut batch, &mut elapsed)?;
        Ok(clustering)
    }

    fn add<R: BufRead>(
        &mut self,
        row: &Row<'_, R>,
        guard: Guard,
        batch: &mut Batch,
    ) -> Result<(), TableError> {
        let start = batch.inputs.len();
        for address in row.text(1)?.split_ascii_whitespace() {
            if let Some(number) = self.number(address).map_err(|what| row.bad(1, what))? {
                batch.inputs.push(number);
            }
        }
        let mut outputs = Vec::new();
        for output in row.text(2)?.split_ascii_whitespace() {
            let parts =
                output.rsplit_once(':').and_then(|(address, value)| Some((address, value.parse().ok()?)));
            let Some((address, value)) = parts else {
                return Err(row.bad(2, format!("{:?} is not address:satoshi", cut(output))));
            };
            outputs.push(Output { owner: self.number(address).map_err(|what| row.bad(2, what))?, value });
        }
        self.transactions += 1;
        let shape = coinjoin::shape(batch.inputs.get(start..).unwrap_or_default(), &outputs);
        let is_coinjoin = match row.bytes(4) {
            b"" => shape.is_some(),
            mark @ (b"0" | b"1") => {
                let counts = if mark == b"1" { &mut self.marked } else { &mut self.unmarked };
                counts[0] += 1;
                counts[1] += u64::from(shape.is_some());
                mark == b"1"
            }
            _ => return Err(row.bad(4, "neither 0 nor 1".to_owned())),
        };
        if is_coinjoin {
            *self.coinjoins.entry(shape.map_or("marked", coinjoin::Shape::as_str)).or_default() += 1;
        }
        if is_coinjoin && guard == Guard::On {
            batch.inputs.truncate(start);
        } else {
            batch.ends.push(batch.inputs.len());
        }
        Ok(())
    }

    /// The number of an address; `None` where there is no single owner.
    fn number(&mut self, address: &str) -> Result<Option<u32>, String> {
        if address.is_empty() || address.contains('+') {
            return Ok(None);
        }
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(format!("{:?} is longer than 128 bytes", cut(address)));
        }
        if let Some(number) = self.numbers.get(address) {
            return Ok(Some(*number));
        }
        let number = u32::try_from(self.names.len()).map_err(|_| "too many addresses".to_owned())?;
        self.numbers.insert(address.to_owned(), number);
        self.names.push(address.to_owned());
        Ok(Some(number))
    }

    fn join(&mut self, batch: &mut Batch, elapsed: &mut impl FnMut() -> Duration) -> Result<(), GraphError> {
        self.clusters.grow(self.names.len())?;
        let started = elapsed();
        self.clusters.join_all(&batch.inputs, &batch.ends);
        self.joining += elapsed().saturating_sub(started);
        batch.inputs.clear();
        batch.ends.clear();
        Ok(())
    }

    /// The cluster of an address: its member seen first. `None` if it was never seen.
    #[must_use]
    pub fn cluster_of(&self, address: &str) -> Option<&str> {
        let number = self.numbers.get(address)?;
        self.names.get(self.clusters.cluster_of(*number) as usize).map(String::as_str)
    }

    /// Compares with a reference: columns `address` and `cluster` (any name).
    ///
    /// # Errors
    /// [`TableError`], also for an address listed twice.
    pub fn compare<R: BufRead>(&self, mut table: Table<R>) -> Result<Comparison, TableError> {
        let mut comparison = Comparison::default();
        let mut listed = BTreeSet::new();
        // Pairs of our cluster and theirs. They agree if each occurs in one pair only.
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        let mut members: Vec<(u32, u32, String)> = Vec::new();
        let mut cluster_names: HashMap<String, u32> = HashMap::new();
        while let Some(row) = table.next_row()? {
            let (address, cluster) = (row.text(0)?, row.text(1)?);
            if !listed.insert(address.to_owned()) {
                return Err(row.bad(0, "the address is listed twice".to_owned()));
            }
            let Some(number) = self.numbers.get(address) else {
                comparison.only_in_reference += 1;
                continue;
            };
            let next = u32::try_from(cluster_names.len()).unwrap_or(u32::MAX);
            let their = *cluster_names.entry(cluster.to_owned()).or_insert(next);
            let our = self.clusters.cluster_of(*number);
            ours.entry(our).or_insert_with(BTreeSet::new).insert(their);
            theirs.entry(their).or_insert_with(BTreeSet::new).insert(our);
            members.push((our, their, address.to_owned()));
        }
        comparison.compared = members.len();
        comparison.only_here = self.names.len() - members.len();
        comparison.clusters_here = ours.len();
        comparison.clusters_in_reference = theirs.len();
        let agree = |our: &u32, their: &u32| {
            ours.get(our).is_some_and(|set| set.len() == 1)
                && theirs.get(their).is_some_and(|set| set.len() == 1)
        };
        for (our, their, address) in members {
            if !agree(&our, &their) {
                comparison.disagreeing += 1;
                if comparison.examples.len() < DISAGREEMENTS {
                    comparison.examples.push(address);
                }
            }
        }
        Ok(comparison)
    }

    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        for number in (0_u32..).take(self.names.len()) {
            *sizes.entry(self.clusters.cluster_of(number)).or_default() += 1;
        }
        let largest = sizes.iter().max_by_key(|(name, size)| (**size, std::cmp::Reverse(**name)));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.transactions as f64 / self.joining.as_secs_f64().max(1e-9);
        json!({
            "transactions": self.transactions,
            "addresses": self.names.len(),
            "clusters": sizes.len(),
            "clusters_of_several": sizes.values().filter(|size| **size > 1).count(),
            "largest": largest.map(|(name, size)| json!({
                "name": self.names.get(*name as usize), "addresses": size,
            })),
            "coinjoins": self.coinjoins,
            "marked_coinjoin": {"transactions": self.marked[0], "recognised": self.marked[1]},
            "marked_other": {"transactions": self.unmarked[0], "taken_for_coinjoin": self.unmarked[1]},
            "joining_cpu_seconds": self.joining.as_secs_f64(),
            "joined_per_core_second": rate.round(),
        })
    }
}

/// How a clustering differs from a reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Addresses in both.
    pub compared: usize,
    /// Addresses of clusters that are not the same set in both.
    pub disagreeing: usize,
    /// Some of them.
    pub examples: Vec<String>,
    /// Clusters here, of addresses in both.
    pub clusters_here: usize,
    /// Clusters there, of addresses in both.
    pub clusters_in_reference: usize,
    /// Addresses the reference lacks.
    pub only_here: usize,
    /// Addresses the transactions lack.
    pub only_in_reference: usize,
}

impl Comparison {
    /// Whether every address both know is in the same cluster.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.disagreeing == 0
    }

    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "is_equal": self.is_equal(),
            "compared": self.compared,
            "disagreeing": self.disagreeing,
            "examples": self.examples,
            "clusters_here": self.clusters_here,
            "clusters_in_reference": self.clusters_in_reference,
            "only_here": self.only_here,
            "only_in_reference": self.only_in_reference,
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
