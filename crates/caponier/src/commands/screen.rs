//! `caponier screen --bulk` and `caponier watch load`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    sync::Arc,
};

use domain::Network;
use watch::flows::load::{Loaded, load};

use super::{must_exist, resolve, watch as recordings};
use crate::{
    cli::{Place, watch::Load},
    clock::SystemClock,
    config::Config,
    control::{Request, Response},
    core::{Core, chain, control_socket},
    exit::{Exit, Failure},
    output::{self, Bar},
    socket,
};

/// Addresses asked about at once.
const LINES_AT_ONCE: usize = 1_000;
/// Longest line.
const LINE_BYTES_MAX: u64 = 1_024;

/// Whoever holds the data directory, or the directory itself.
enum Holder {
    Core(Box<Core>),
    Process,
}

/// Screens every line of a file and prints an answer for each, in their order.
pub(super) async fn bulk(
    place: &Place,
    path: &Path,
    network: Option<&str>,
    json: bool,
) -> Result<Exit, Failure> {
    let config = resolve(place)?;
    let mut source = BufReader::new(recordings::open(path)?);
    let (mut holder, mut exit) = (None, Exit::Ok);
    let (mut number, mut line) = (0_u64, Vec::new());
    loop {
        let mut lines = Vec::new();
        while lines.len() < LINES_AT_ONCE {
            line.clear();
            number += 1;
            let bad =
                |what: &str| Failure::new(Exit::Input, format!("{}, line {number}: {what}", path.display()));
            let read = (&mut source).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(|error| Failure::io(path.display(), error))?;
            if read == 0 {
                break;
            }
            if u64::try_from(read).unwrap_or(u64::MAX) == LINE_BYTES_MAX {
                return Err(bad("is longer than 1024 bytes"));
            }
            let text = std::str::from_utf8(&line).map_err(|_| bad("is not UTF-8"))?.trim();
            if text.is_empty() {
                continue;
            }
            let (address, own) = match text.split_once(',') {
                Some((address, own)) => {
                    (address.trim_end(), Some(own.trim_start()).filter(|own| !own.is_empty()))
                }
                None => (text, None),
            };
            if address.is_empty() {
                return Err(bad("no address before the comma"));
            }
            let network = own.or(network);
            if let Some(Err(unknown)) = network.map(str::parse::<Network>) {
                return Err(bad(&unknown.to_string()));
            }
            lines.push((address.to_owned(), network.map(str::to_owned)));
        }
        if lines.is_empty() {
            break;
        }
        let is_found =
            |value: &serde_json::Value| value.get("verdict").and_then(|it| it.as_str()) != Some("allow");
        let response = ask(&config, &mut holder, Request::ScreenAll { lines }, json).await?;
        if let Response::ScreenedAll(values) = &response {
            if values.iter().any(is_found) {
                exit = Exit::No;
            }
            if json {
                values.iter().for_each(output::line);
            } else {
                output::line(output::response_text(&response));
            }
        }
    }
    if let Some(Holder::Core(core)) = holder {
        tokio::task::block_in_place(|| core.close())?;
    }
    Ok(exit)
}

async fn ask(
    config: &Config,
    holder: &mut Option<Holder>,
    request: Request,
    json: bool,
) -> Result<Response, Failure> {
    let mut bar = Bar::new(json);
    let mut report = |what: &str, done, total| bar.report(what, done, total);
    if !matches!(holder, Some(Holder::Core(_)))
        && let Some(answer) = socket::ask(&control_socket(&config.data.dir), &request, &mut report).await
    {
        *holder = Some(Holder::Process);
        return answer;
    }
    let core = match holder {
        Some(Holder::Core(core)) => core,
        Some(Holder::Process) => {
            return Err(Failure::new(Exit::Io, "the process that serves has gone in between"));
        }
        None => {
            must_exist(config)?;
            let core = Core::open(config.clone(), Arc::new(SystemClock), &mut report).await?;
            let Holder::Core(core) = holder.insert(Holder::Core(Box::new(core))) else {
                return Err(Failure::new(Exit::Internal, "the data directory was opened and is not"));
            };
            core
        }
    };
    core.handle(request, &mut report).await
}

/// Takes a recording in as the history of a chain.
pub(super) async fn load_history(config: Config, options: &Load, json: bool) -> Result<Exit, Failure> {
    let name = &options.chain;
    if !config.chains.iter().any(|chain| chain.name == *name) {
        let message = format!("no chain {name:?} is configured: add a table [watch.evm.{name}]");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut bar = Bar::new(json);
    let mut report = |what: &str, done, total| bar.report(what, done, total);
    let core = Core::open(config, Arc::new(SystemClock), &mut report).await?;
    drop(bar);
    let loaded = tokio::task::block_in_place(|| take_in(&core, options));
    tokio::task::block_in_place(|| core.close())?;
    let Loaded { blocks, transactions, token_transfers, other_tokens, first, last } = loaded?;
    if json {
        output::line(serde_json::json!({
            "ok": true, "chain": name, "blocks": blocks, "transactions": transactions,
            "token_transfers": token_transfers, "transfers_of_other_tokens": other_tokens,
            "first_block": first, "last_block": last,
        }));
    } else {
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
        output::line(format!(
            "{name}: {transactions} transactions and {token_transfers} transfers of tokens in {blocks} blocks from \
             {first} to {last}; {other_tokens} transfers of tokens that are not in its tokens count for nothing"
        ));
    }
    Ok(Exit::Ok)
}

fn take_in(core: &Core, options: &Load) -> Result<Loaded, Failure> {
    let name = options.chain.as_str();
    let followed = core.assessor.followed().iter().find(|followed| &**followed.flows.chain() == name);
    let Some(followed) = followed else {
        return Err(Failure::new(
            Exit::Usage,
            format!("flows_max of the chain {name} is 0: nothing is kept of it"),
        ));
    };
    if followed.flows.family() != domain::ChainFamily::Evm {
        let message = format!("{name} is not an EVM chain; recordings are of EVM chains");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut stream = recordings::stream(&options.recording)?;
    load(&followed.flows, &mut stream).map_err(|error| Failure::new(Exit::Input, chain(&error)))
}
