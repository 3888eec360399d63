//! Transactions and token transfers from tables, in the order of the chain.

use std::io::BufRead;

use domain::UnixNanos;

use super::parties::{Parties, Party, PartyError};
use crate::discovery::{Direction, Step, Traffic};
use crate::table::{Row, Table, TableError, Wanted};

/// One transaction as a table tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Height of its block.
    pub block: u64,
    /// Its place in the block.
    pub index: u64,
    /// Time of the block.
    pub at: UnixNanos,
    /// Sender; none for an allocation of the first block.
    pub from: Option<Party>,
    /// Recipient; none when a contract is created.
    pub to: Option<Party>,
    /// What moves, in the smallest unit of the chain's coin; moves nothing if `failed`.
    pub value: u128,
    /// Gas its execution took.
    pub gas_used: u64,
    /// Whether it was reverted.
    pub failed: bool,
    /// Bytes of its input.
    pub input_bytes: u64,
    /// The first four bytes of its input, if there are as many.
    pub method: Option<u32>,
    /// The contract it created.
    pub created: Option<Party>,
}

/// Units of the coin in one whole coin, on every chain with EVM addresses.
const COIN: f64 = 1e18;

impl Transaction {
    /// The transaction as one of its parties sees it, before `traffic` takes it in.
    #[must_use]
    pub fn step(&self, party: Party, other: Party, direction: Direction, traffic: &Traffic) -> Step {
        Step {
            at: self.at,
            direction,
            other: other.0,
            coins: self.coins(),
            digits: Step::digits_of(self.value),
            gas_used: self.gas_used,
            failed: self.failed,
            input_bytes: self.input_bytes,
            method: self.method,
            peer: traffic.peer(other.0, party.0),
        }
    }

    /// Tells `traffic` of the transaction.
    pub fn observed_by(&self, traffic: &mut Traffic) {
        let moved = if self.failed { 0.0 } else { self.coins() };
        traffic.observe(self.from.map(|from| from.0), self.to.map(|to| to.0), moved);
    }

    /// What it moves, in whole coins.
    #[expect(clippy::cast_precision_loss, reason = "features are in double precision")]
    fn coins(&self) -> f64 {
        self.value as f64 / COIN
    }
}

/// One transfer of a token as a table tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTransfer {
    /// Height of its block.
    pub block: u64,
    /// Place of its transaction in the block.
    pub index: u64,
    /// Time of the block.
    pub at: UnixNanos,
    /// The contract.
    pub token: Option<Party>,
    /// Sender.
    pub from: Option<Party>,
    /// Recipient.
    pub to: Option<Party>,
    /// What moves, in the token's smallest unit; the greatest number if it is greater still.
    pub value: u128,
    /// Digits after the decimal point, by the token's own word.
    pub decimals: Option<u64>,
    /// The token's symbol, by its own word.
    pub symbol: String,
}

/// What comes next.
#[derive(Debug, Clone)]
pub enum Item {
    /// A transaction.
    Transaction(Transaction),
    /// A transfer of a token.
    Token(TokenTransfer),
}

const BLOCK: usize = 0;
const TIME: usize = 1;
const INDEX: usize = 2;
const FROM: usize = 3;
const TO: usize = 4;

/// Columns of a table of transactions.
pub const TRANSACTION_COLUMNS: &[Wanted] = &[
    Wanted::required("block"),
    Wanted::required("ts"),
    Wanted::required("txidx"),
    Wanted::required("from"),
    Wanted::required("to"),
    Wanted::required("value_wei"),
    Wanted::required("gas_used"),
    Wanted::required("is_error"),
    Wanted::required("method_id"),
    Wanted::required("input_len"),
    Wanted::optional("created"),
];

/// Columns of a table of token transfers.
pub const TOKEN_COLUMNS: &[Wanted] = &[
    Wanted::required("block"),
    Wanted::required("ts"),
    Wanted::required("txidx"),
    Wanted::required("from"),
    Wanted::required("to"),
    Wanted::required("token"),
    Wanted::required("value"),
    Wanted::optional("decimals"),
    Wanted::optional("symbol"),
];

/// Transactions and token transfers as one stream, ordered by block and place in the block; of the same transaction, the
/// transaction itself comes first.
#[derive(Debug)]
pub struct Stream<R> {
    /// Everybody named so far.
    pub parties: Parties,
    transactions: Table<R>,
    tokens: Option<Table<R>>,
    next_transaction: Option<Transaction>,
    next_token: Option<TokenTransfer>,
    started: bool,
}

impl<R: BufRead> Stream<R> {
    /// Over a table of transactions, and one of token transfers if there is one.
    #[must_use]
    pub const fn new(parties: Parties, transactions: Table<R>, tokens: Option<Table<R>>) -> Self {
        Self { parties, transactions, tokens, next_transaction: None, next_token: None, started: false }
    }

    /// The next one; `None` at the end of both tables.
    ///
    /// # Errors
    /// [`TableError`] with file, line and column; also where a table goes back in time.
    pub fn advance(&mut self) -> Result<Option<Item>, TableError> {
        if !self.started {
            self.started = true;
            self.next_transaction = self.read_transaction((0, 0), UnixNanos(0))?;
            self.next_token = self.read_token((0, 0), UnixNanos(0))?;
        }
        let token_first = match (&self.next_transaction, &self.next_token) {
            (Some(transaction), Some(token)) => {
                (token.block, token.index) < (transaction.block, transaction.index)
            }
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if token_first {
            let Some(token) = self.next_token.take() else { return Ok(None) };
            self.next_token = self.read_token((token.block, token.index), token.at)?;
            return Ok(Some(Item::Token(token)));
        }
        let Some(transaction) = self.next_transaction.take() else { return Ok(None) };
        self.next_transaction =
            self.read_transaction((transaction.block, transaction.index), transaction.at)?;
        Ok(Some(Item::Transaction(transaction)))
    }

    fn read_transaction(
        &mut self,
        before: (u64, u64),
        at: UnixNanos,
    ) -> Result<Option<Transaction>, TableError> {
        let parties = &mut self.parties;
        let Some(row) = self.transactions.next_row()? else { return Ok(None) };
        let (block, index, at) = order(&row, before, at)?;
        let method = row.bytes(8);
        Ok(Some(Transaction {
            block,
            index,
            at,
            from: party(&row, FROM, parties)?,
            to: party(&row, TO, parties)?,
            value: row.u128(5)?.ok_or_else(|| row.bad(5, "empty".to_owned()))?,
            gas_used: row.number(6)?,
            failed: match row.bytes(7) {
                b"0" | b"false" | b"" => false,
                b"1" | b"true" => true,
                _ => return Err(row.bad(7, "neither 0 nor 1".to_owned())),
            },
            method: selector(method).map_err(|what| row.bad(8, what.to_owned()))?,
            input_bytes: row.u64(9)?.unwrap_or(0),
            created: party(&row, 10, parties)?,
        }))
    }

    fn read_token(&mut self, before: (u64, u64), at: UnixNanos) -> Result<Option<TokenTransfer>, TableError> {
        let parties = &mut self.parties;
        let Some(tokens) = &mut self.tokens else { return Ok(None) };
        let Some(row) = tokens.next_row()? else { return Ok(None) };
        let (block, index, at) = order(&row, before, at)?;
        Ok(Some(TokenTransfer {
            block,
            index,
            at,
            from: party(&row, FROM, parties)?,
            to: party(&row, TO, parties)?,
            token: party(&row, 5, parties)?,
            value: row.u128_saturating(6)?.unwrap_or(0),
            decimals: row.u64(7)?,
            symbol: String::from_utf8_lossy(row.bytes(8)).into_owned(),
        }))
    }
}

fn order<R: BufRead>(
    row: &Row<'_, R>,
    before: (u64, u64),
    earlier: UnixNanos,
) -> Result<(u64, u64, UnixNanos), TableError> {
    let (block, index) = (row.number(BLOCK)?, row.number(INDEX)?);
    let at = UnixNanos::from_secs(row.number(TIME)?);
    if (block, index) < before || at < earlier {
        let what = format!(
            "block {block}, place {index}, time {at} comes after block {}, place {}, time {earlier}: rows must be in \
             the order of the chain",
            before.0, before.1
        );
        return Err(row.malformed(what));
    }
    Ok((block, index, at))
}

fn party<R: BufRead>(
    row: &Row<'_, R>,
    column: usize,
    parties: &mut Parties,
) -> Result<Option<Party>, TableError> {
    parties.of_row(row.bytes(column)).map_err(|error: PartyError| row.bad(column, error.to_string()))
}

/// The method of an input: `0x` and eight hexadecimal digits. Shorter inputs have none.
fn selector(text: &[u8]) -> Result<Option<u32>, &'static str> {
    const BAD: &str = "not 0x and hexadecimal digits";
    let digits = match text.strip_prefix(b"0x") {
        Some(digits) => digits,
        None if text.is_empty() => return Ok(None),
        None => return Err(BAD),
    };
    let Some(digits) = digits.get(..8) else {
        return if digits.iter().all(u8::is_ascii_hexdigit) { Ok(None) } else { Err(BAD) };
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BAD);
    }
    let text = std::str::from_utf8(digits).map_err(|_| BAD)?;
    u32::from_str_radix(text, 16).map(Some).map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 60] = {
        let mut bytes = [1; 60];
        let mut at = 20;
        while at < 60 {
            bytes[at] = if at < 40 { 2 } else { 3 };
            at += 1;
        }
        bytes
    };

    fn stream<'t>(transactions: &'t str, tokens: &'t str) -> Result<Stream<&'t [u8]>, TableError> {
        let tokens = match tokens {
            "" => None,
            tokens => Some(Table::open("tokens", tokens.as_bytes(), TOKEN_COLUMNS)?),
        };
        Ok(Stream::new(
            Parties::read(ADDRESSES.as_slice()).unwrap(),
            Table::open("txs", transactions.as_bytes(), TRANSACTION_COLUMNS)?,
            tokens,
        ))
    }

    const HEADER: &str =
        "block,ts,txidx,from,to,value_wei,gas_price,gas_used,is_error,method_id,input_len,created\n";

    #[test]
    fn both_tables_make_one_stream() {
        let transactions = format!(
            "{HEADER}1,10,0,,0,5,0,0,0,,0,\n2,20,1,0,1,7,9,21000,1,0x,0,\n2,20,3,1,,0,9,9,0,0xa9059cbb00,68,2\n"
        );
        let tokens =
            "block,ts,txidx,token,from,to,value,decimals,symbol\n1,10,5,2,0,1,3,18,X\n2,20,1,2,0,1,4,,\n";
        let mut stream = stream(&transactions, tokens).unwrap();
        let mut order = Vec::new();
        while let Some(item) = stream.advance().unwrap() {
            order.push(match item {
                Item::Transaction(transaction) => {
                    (transaction.block, transaction.index, false, transaction.value)
                }
                Item::Token(token) => (token.block, token.index, true, token.value),
            });
        }
        assert_eq!(
            order,
            [(1, 0, false, 5), (1, 5, true, 3), (2, 1, false, 7), (2, 1, true, 4), (2, 3, false, 0)]
        );
    }

    #[test]
    fn faults_name_their_place() {
        let fault = |rows: &str| {
            let text = format!("{HEADER}{rows}");
            let mut stream = stream(&text, "").unwrap();
            loop {
                match stream.advance() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("no fault"),
                    Err(error) => return error.to_string(),
                }
            }
        };
        assert!(
            fault("2,20,0,0,1,1,0,0,0,0x,0,\n1,20,0,0,1,1,0,0,0,0x,0,\n").starts_with("txs, line 3: block 1")
        );
        assert!(
            fault("2,20,0,0,9,1,0,0,0,0x,0,\n")
                .starts_with("txs, line 2, column to: there is no address number 9")
        );
        assert!(fault("2,20,0,0,1,,0,0,0,0x,0,\n").ends_with("column value_wei: empty"));
        assert!(fault("2,20,0,0,1,1,0,0,2,0x,0,\n").ends_with("neither 0 nor 1"));
        assert!(fault("2,20,0,0,1,1,0,0,0,zz,0,\n").contains("column method_id"));
    }
}
