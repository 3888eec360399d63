//! What the kernel says about a process and its sockets (Linux, `/proc`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Processor time of a process so far, user and system.
///
/// # Errors
/// A process that is gone.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read the process's state")?;
    // The name is in parentheses and may hold anything; fields 14 and 15 count from after it.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|field| field.parse().unwrap_or(0)).sum();
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1_000 / ticks_per_second))
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// A process that is gone.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read the process's state")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS")?;
    Ok(kibibytes * 1_024)
}

/// Connections to `server` whose client side is at `from`, still open on the server's side.
///
/// # Errors
/// When `/proc/net/tcp` cannot be read.
pub fn established(server: SocketAddr, from: IpAddr) -> Result<usize> {
    const ESTABLISHED: &str = "01";
    let text = std::fs::read_to_string("/proc/net/tcp").context("read /proc/net/tcp")?;
    let (IpAddr::V4(server_ip), IpAddr::V4(from)) = (server.ip(), from) else { return Ok(0) };
    let shown = |ip: std::net::Ipv4Addr| {
        ip.octets().iter().rev().map(|byte| format!("{byte:02X}")).collect::<String>()
    };
    let local = format!("{}:{:04X}", shown(server_ip), server.port());
    let remote = format!("{}:", shown(from));
    let is_open = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local)
            && fields.next().is_some_and(|field| field.starts_with(&remote))
            && fields.next() == Some(ESTABLISHED)
    };
    Ok(text.lines().filter(|line| is_open(line)).count())
}

/// Raises our own limit of open files to what is allowed, and returns it.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(0),
    }
}
