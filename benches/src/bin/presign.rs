//! Writes signed requests for the load generator, or the key table for a rival that verifies them too.
//!
//! `presign --keys N --out FILE [--bad]`: a line each of target, key, signature, timestamp and passphrase, signed
//! now and good for thirty seconds; `--bad` spoils every signature. `presign --keys N --table FILE`: a line each of
//! key, secret and passphrase. Fields are parted by tabs.

use std::{fmt::Write as _, fs, path::PathBuf, time::SystemTime};

use anyhow::{Context as _, Result, bail};
use auth::okx;
use benches::keys;
use domain::UnixNanos;

/// What stands in for a signature when it must be wrong: the right form, no one's MAC.
const BAD_SIGNATURE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn main() -> Result<()> {
    let mut n_keys = None;
    let mut requests: Option<PathBuf> = None;
    let mut table: Option<PathBuf> = None;
    let mut is_bad = false;
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().with_context(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--keys" => n_keys = Some(value()?.parse::<u32>().context("--keys")?),
            "--out" => requests = Some(value()?.into()),
            "--table" => table = Some(value()?.into()),
            "--bad" => is_bad = true,
            _ => bail!("unknown argument {flag}"),
        }
    }
    let n_keys = n_keys.context("--keys is missing")?;
    if let Some(path) = &requests {
        let lines = signed_requests(n_keys, is_bad)?;
        fs::write(path, lines).with_context(|| format!("could not write {}", path.display()))?;
    }
    if let Some(path) = &table {
        let mut lines = String::new();
        for index in 0..n_keys {
            writeln!(lines, "{}\t{}\t{}", keys::id(index), keys::secret(index), keys::PASSPHRASE)?;
        }
        fs::write(path, lines).with_context(|| format!("could not write {}", path.display()))?;
    }
    if requests.is_none() && table.is_none() {
        bail!("neither --out nor --table");
    }
    Ok(())
}

fn signed_requests(n_keys: u32, is_bad: bool) -> Result<String> {
    let timestamp = okx::timestamp_text(now()?);
    let mut lines = String::new();
    for index in 0..n_keys {
        let signature = if is_bad { BAD_SIGNATURE.to_owned() } else { keys::sign(index, &timestamp) };
        let (target, id, passphrase) = (keys::TARGET, keys::id(index), keys::PASSPHRASE);
        writeln!(lines, "{target}\t{id}\t{signature}\t{timestamp}\t{passphrase}")?;
    }
    Ok(lines)
}

#[allow(clippy::disallowed_methods, reason = "the load is signed with the time of the machine it runs on")]
fn now() -> Result<UnixNanos> {
    let since = SystemTime::UNIX_EPOCH.elapsed().context("the clock stands before 1970")?;
    Ok(UnixNanos(u64::try_from(since.as_nanos()).context("the clock stands after 2554")?))
}
