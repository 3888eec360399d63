//! The `caponier-bouncer` program: the one process that may change the packet filter.

#![allow(clippy::print_stderr, reason = "its log goes to standard error, where the service manager takes it")]

use std::{fmt::Display, path::PathBuf, process::ExitCode, sync::Arc};

use bouncer::{DryRun, Firewall, Limits, NeverBan, Nft, Server, Setup, Table, never, server};
use clap::Parser;
use domain::{Clock, UnixNanos};
use rustix::time::{ClockId, clock_gettime};

/// Drops the packets of sources the gateway bans, in the table `inet caponier` of nftables.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where to listen; the directory must exist and be writable for this process alone.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Whose processes may speak: the user id of the gateway.
    #[arg(long, value_name = "UID")]
    peer_uid: u32,
    /// An address or network that is never banned; may be given often.
    #[arg(long, value_name = "PREFIX")]
    never_ban: Vec<String>,
    /// A file with such networks, one a line.
    #[arg(long, value_name = "PATH")]
    never_ban_file: Option<PathBuf>,
    /// Most bans in force.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    entries_max: u32,
    /// Also drop connection attempts beyond so many a second from one address, or one /64 of IPv6.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    syn_per_second: Option<u32>,
    /// The nft program.
    #[arg(long, value_name = "PATH", default_value = "/usr/sbin/nft")]
    nft: PathBuf,
    /// Write what would be done to standard output and leave the packet filter alone.
    #[arg(long)]
    dry_run: bool,
}

/// Time since the machine started: bans must not depend on somebody setting the clock.
#[derive(Debug)]
struct SinceBoot;

impl Clock for SinceBoot {
    fn now(&self) -> UnixNanos {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        UnixNanos(seconds.saturating_mul(1_000_000_000) + u64::try_from(now.tv_nsec).unwrap_or_default())
    }
}

/// Wrong arguments.
const USAGE: u8 = 64;
/// Reading, listening or setting up failed.
const IO: u8 = 74;

fn fault(code: u8, what: &dyn Display, error: &dyn Display) -> ExitCode {
    eprintln!("caponier-bouncer: {what}: {error}");
    ExitCode::from(code)
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let failed = error.use_stderr();
            // There is nobody left to tell.
            drop(error.print());
            return ExitCode::from(if failed { USAGE } else { 0 });
        }
    };
    let mut never = NeverBan::default();
    for prefix in &arguments.never_ban {
        if let Err(error) = never.add(prefix) {
            return fault(USAGE, prefix, &error);
        }
    }
    if let Some(path) = &arguments.never_ban_file {
        match read_bounded(path) {
            Err(error) => return fault(IO, &path.display(), &error),
            Ok(text) => {
                if let Err(error) = never.add_lines(&text) {
                    return fault(USAGE, &path.display(), &error);
                }
            }
        }
    }
    let clock = Arc::new(SinceBoot);
    let limits = Limits {
        entries_max: usize::try_from(arguments.entries_max).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let setup = Setup { never, syn_per_second: arguments.syn_per_second };
    let table = Table::new(limits, setup, clock.now());
    let firewall: Box<dyn Firewall> = if arguments.dry_run {
        Box::new(DryRun(std::io::stdout()))
    } else {
        Box::new(Nft::new(arguments.nft))
    };
    let started =
        Server::start(&arguments.socket, arguments.peer_uid, server::BATCH_INTERVAL, table, firewall, clock);
    let mut server = match started {
        Ok(server) => server,
        Err(error) => return fault(IO, &arguments.socket.display(), &error),
    };
    eprintln!("caponier-bouncer: listening on {}", arguments.socket.display());
    loop {
        match server.serve_next() {
            Ok(session) => eprintln!("caponier-bouncer: {session}"),
            Err(error) => return fault(IO, &arguments.socket.display(), &error),
        }
    }
}

/// Reads a file, but no more of it than a list may have.
fn read_bounded(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(never::NEVER_BAN_FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}
