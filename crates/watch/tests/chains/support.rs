//! Recorded data beside the checkout.

use std::{
    io::BufReader,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use watch::{
    replay::{Parties, Stream, TOKEN_COLUMNS, TRANSACTION_COLUMNS},
    table::{Table, Wanted},
};

/// What a test reads from.
pub(crate) type Source = BufReader<ChildStdout>;

/// A recorded file, unpacked by `zstd`; `None`, said aloud, where there is none.
pub(crate) fn recorded(name: &str) -> Option<Source> {
    let path: PathBuf =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain")).join(name);
    if !path.is_file() {
        eprintln!("skipped: {name} is not there");
        return None;
    }
    let unpacked = Command::new("zstd").arg("-dc").arg(&path).stdout(Stdio::piped()).spawn();
    match unpacked {
        Ok(Child { stdout: Some(stdout), .. }) => Some(BufReader::with_capacity(1 << 18, stdout)),
        _ => {
            eprintln!("skipped: zstd is not installed");
            None
        }
    }
}

/// A recorded table.
pub(crate) fn table(name: &str, columns: &'static [Wanted]) -> Option<Table<Source>> {
    recorded(name).map(|source| Table::open(name, source, columns).unwrap())
}

/// The recorded stretch of Ethereum.
pub(crate) fn stream() -> Option<Stream<Source>> {
    let parties = Parties::read(recorded("replay/addresses.bin.zst")?).unwrap();
    let transactions = table("replay/txs.csv.zst", TRANSACTION_COLUMNS)?;
    Some(Stream::new(parties, transactions, table("replay/erc20.csv.zst", TOKEN_COLUMNS)))
}
