//! The packet filter: scripts for nftables, as text an operator could type, and running them with `nft -f -`.
//!
//! Everything lies in one table of our own, `inet caponier`. Its chain runs before connection tracking, so that a
//! dropped packet costs next to nothing. Bans are elements of four sets with a time limit each; single addresses have
//! sets of their own because those are hash tables: adding to one does not read the others. Nothing but addresses,
//! prefixes and numbers, all typed, gets into a script.

use std::{
    fmt,
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    never::NeverBan,
    prefix::Prefix,
    protocol::{BATCH_COMMANDS_MAX, Ttl},
};

/// The table.
pub const TABLE: &str = "inet caponier";

/// The sets of bans: single addresses and networks, by family.
const SETS: [(&str, &str, &str); 4] = [
    ("ban4", "ipv4_addr", "timeout"),
    ("ban6", "ipv6_addr", "timeout"),
    ("net4", "ipv4_addr", "interval, timeout"),
    ("net6", "ipv6_addr", "interval, timeout"),
];

/// Sources the limit on connection attempts remembers, per family; beyond them it does not act.
const SYN_SOURCES_MAX: u32 = 65_536;

/// Seconds after which it forgets a source.
const SYN_FORGET_SECONDS: u32 = 60;

/// The rules that drop packets, by what they look at; see [`setup`].
const RULES: [&str; 4] = ["ip saddr @ban4 ", "ip saddr @net4 ", "ip6 saddr @ban6 ", "ip6 saddr @net6 "];

/// Bytes of an error of `nft` that are kept.
const ERROR_BYTES_MAX: usize = 512;

/// How the table is made.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Sources whose packets pass before any ban and any limit is looked at.
    pub never: NeverBan,
    /// Connection attempts per second from one IPv4 address or one IPv6 `/64`; more are dropped. `None`: no limit.
    pub syn_per_second: Option<u32>,
}

/// Why the packet filter did not take a script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirewallError {
    /// The program could not be run.
    #[error("nft could not be run: {source}")]
    NotRun {
        /// The cause.
        #[from]
        source: io::Error,
    },
    /// It refused the script; nothing of it is in force.
    #[error("nft refused: {text}")]
    Refused {
        /// What it said, cut.
        text: String,
    },
}

/// What takes scripts. Each is in force wholly or not at all.
pub trait Firewall: Send + fmt::Debug {
    /// Puts a script in force.
    ///
    /// # Errors
    /// [`FirewallError`].
    fn apply(&mut self, script: &str) -> Result<(), FirewallError>;

    /// Whether the rules that drop packets are there: anybody with the privilege may have flushed them.
    ///
    /// # Errors
    /// [`FirewallError::NotRun`]: nobody knows.
    fn is_intact(&mut self) -> Result<bool, FirewallError>;
}

fn set_of(prefix: &Prefix) -> usize {
    usize::from(prefix.net().addr().is_ipv6()) + if prefix.is_address() { 0 } else { 2 }
}

fn group<T>(
    out: &mut String,
    verb: &str,
    items: &[T],
    set: impl Fn(&T) -> usize,
    text: impl Fn(&T) -> String,
) {
    for (number, (name, _, _)) in SETS.iter().enumerate() {
        let elements: Vec<String> = items.iter().filter(|item| set(item) == number).map(&text).collect();
        for elements in elements.chunks(BATCH_COMMANDS_MAX) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{verb} element {TABLE} {name} {{ {} }}", elements.join(", "));
        }
    }
}

/// A script that empties the sets if `flush`, ends bans that are in force and begins others that are not.
#[must_use]
pub fn change(flush: bool, ended: &[Prefix], begun: &[(Prefix, Ttl)]) -> String {
    let mut out = String::new();
    if flush {
        for (name, _, _) in SETS {
            let _ = writeln!(out, "flush set {TABLE} {name}");
        }
    }
    group(&mut out, "delete", ended, set_of, ToString::to_string);
    let timed = |(prefix, ttl): &(Prefix, Ttl)| format!("{prefix} timeout {}s", ttl.seconds());
    group(&mut out, "add", begun, |(prefix, _)| set_of(prefix), timed);
    out
}

/// A script that makes the table anew, without bans, replacing what has its name.
#[must_use]
pub fn setup(setup: &Setup) -> String {
    // Added first so that deleting never fails.
    let mut out = format!("add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
    for (family, name) in [(false, "never4"), (true, "never6")] {
        let kind = if family { "ipv6_addr" } else { "ipv4_addr" };
        let networks: Vec<String> = setup
            .never
            .networks()
            .filter(|network| network.addr().is_ipv6() == family)
            .map(ToString::to_string)
            .collect();
        let _ = writeln!(
            out,
            "  set {name} {{ type {kind}; flags interval; auto-merge; elements = {{ {} }}; }}",
            networks.join(", ")
        );
    }
    for (name, kind, flags) in SETS {
        let _ = writeln!(out, "  set {name} {{ type {kind}; flags {flags}; }}");
    }
    if setup.syn_per_second.is_some() {
        for (name, kind) in [("syn4", "ipv4_addr"), ("syn6", "ipv6_addr")] {
            let _ = writeln!(
                out,
                "  set {name} {{ type {kind}; size {SYN_SOURCES_MAX}; flags dynamic, timeout; timeout {SYN_FORGET_SECONDS}s; }}"
            );
        }
    }
    out.push_str(
        "  chain prerouting {\n    type filter hook prerouting priority raw; policy accept;\n    \
         ip saddr @never4 accept\n    ip6 saddr @never6 accept\n    \
         ip saddr @ban4 counter drop\n    ip saddr @net4 counter drop\n    \
         ip6 saddr @ban6 counter drop\n    ip6 saddr @net6 counter drop\n",
    );
    if let Some(rate) = setup.syn_per_second {
        let burst = rate.saturating_mul(2);
        for (set, source) in [("syn4", "ip saddr"), ("syn6", "ip6 saddr and ffff:ffff:ffff:ffff::")] {
            let _ = writeln!(
                out,
                "    tcp flags & (fin|syn|rst|ack) == syn update @{set} {{ {source} limit rate over {rate}/second burst {burst} packets }} counter drop"
            );
        }
    }
    out.push_str("  }\n}\n");
    out
}

/// The real packet filter, by the `nft` program.
#[derive(Debug)]
pub struct Nft {
    program: PathBuf,
}

impl Nft {
    /// By the program at this path.
    #[must_use]
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }
}

impl Firewall for Nft {
    fn apply(&mut self, script: &str) -> Result<(), FirewallError> {
        let mut child = Command::new(&self.program)
            .args(["-f", "-"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // It reads everything before it says anything. If it dies early, its own words tell more than the broken pipe.
        let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(ERROR_BYTES_MAX)]);
            return Err(FirewallError::Refused { text: text.into_owned() });
        }
        Ok(fed?)
    }

    fn is_intact(&mut self) -> Result<bool, FirewallError> {
        // The chain alone: its rules name the sets, whose elements may be many.
        let output = Command::new(&self.program)
            .args(["list", "chain", "inet", "caponier", "prerouting"])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()?;
        Ok(output.status.success() && drops(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Whether a chain, as `nft` lists it, has all rules that drop packets.
fn drops(chain: &str) -> bool {
    let has = |rule: &&str| {
        let drops = |line: &str| line.trim_start().starts_with(rule) && line.trim_end().ends_with(" drop");
        chain.lines().any(drops)
    };
    RULES.iter().all(has)
}

/// No packet filter: scripts are written where they can be read.
#[derive(Debug)]
pub struct DryRun<W>(pub W);

impl<W: io::Write + Send + fmt::Debug> Firewall for DryRun<W> {
    fn apply(&mut self, script: &str) -> Result<(), FirewallError> {
        self.0.write_all(script.as_bytes())?;
        Ok(self.0.flush()?)
    }

    fn is_intact(&mut self) -> Result<bool, FirewallError> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_shows_what_would_be_done() {
        let mut dry = DryRun(Vec::new());
        let prefix = Prefix::parse("2001:db8::1").unwrap();
        dry.apply(&change(true, &[], &[(prefix, Ttl::clamp(5))])).unwrap();
        assert_eq!(
            String::from_utf8(dry.0).unwrap(),
            "flush set inet caponier ban4\nflush set inet caponier ban6\nflush set inet caponier net4\n\
             flush set inet caponier net6\nadd element inet caponier ban6 { 2001:db8::1 timeout 5s }\n"
        );
        assert_eq!(change(false, &[], &[]), "");
    }

    #[test]
    fn what_was_set_up_is_recognised() {
        // As it is listed, with counters that count.
        let listed = setup(&Setup::default()).replace("counter drop", "counter packets 7 bytes 420 drop");
        assert!(drops(&listed));
        for rule in RULES {
            let without: String =
                listed.lines().filter(|line| !line.contains(rule)).map(|line| format!("{line}\n")).collect();
            assert!(!drops(&without), "{rule}");
        }
        assert!(!drops(&listed.replace(" drop", " accept")) && !drops(""));
        assert!(!Nft::new("/bin/false".into()).is_intact().unwrap_or(false));
        assert!(Nft::new("/nonexistent/nft".into()).is_intact().is_err());
    }

    #[test]
    fn what_fails_is_said() {
        let missing = Nft::new("/nonexistent/nft".into()).apply("");
        assert!(matches!(missing, Err(FirewallError::NotRun { .. })));
        let refused = Nft::new("/bin/false".into()).apply("");
        assert!(matches!(refused, Err(FirewallError::Refused { .. } | FirewallError::NotRun { .. })));
    }

    #[test]
    fn the_limit_on_connection_attempts_is_there_only_on_request() {
        assert!(!setup(&Setup::default()).contains("syn"));
        let with = setup(&Setup { syn_per_second: Some(50), ..Setup::default() });
        assert!(
            with.contains("{ ip saddr limit rate over 50/second burst 100 packets } counter drop"),
            "{with}"
        );
    }
}
