//! The lines spoken over the socket, version 1. ASCII, each line ends with `\n` and is at most
//! [`LINE_BYTES_MAX`] bytes long.
//!
//! ```text
//! server: caponier-bouncer 1
//! client: add 203.0.113.7 600 auth_failures        ban an address or prefix for so many seconds
//! client: remove 203.0.113.7                       end a ban
//! client: flush                                    end every ban
//! client: list                                     tell the bans in force
//! client: apply                                    carry out the lines above as one batch
//! server: ban 203.0.113.0/24 57 scan               one line for each ban, if a list was asked for
//! server: refused 0 too-wide                       one line for each command that was refused, by place in the batch
//! server: applied 1 1 0 3                          bans added, removed, refused; bans in force
//! ```
//!
//! A batch has at most [`BATCH_COMMANDS_MAX`] commands. A line that is no command of the protocol, an overlong line or
//! batch ends the connection with `error` and words; nothing of the batch was done. `failed` and words instead of
//! `applied` mean that the packet filter did not take the batch; the server tries again with the next one.

use std::fmt;

use crate::prefix::{Prefix, PrefixError};

/// What the server says first.
pub const GREETING: &str = "caponier-bouncer 1";

/// Longest line, its end included, in bytes.
pub const LINE_BYTES_MAX: usize = 256;

/// Most commands of one batch.
pub const BATCH_COMMANDS_MAX: usize = 4_096;

/// Longest ban, in seconds.
pub const BAN_TTL_MAX: u32 = 3_600;

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 64;

/// Seconds a ban lasts: 1 to [`BAN_TTL_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// Checks a number of seconds.
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds >= 1 && seconds <= BAN_TTL_MAX { Some(Self(seconds)) } else { None }
    }

    /// The nearest allowed number of seconds.
    #[must_use]
    pub fn clamp(seconds: u64) -> Self {
        Self(u32::try_from(seconds).unwrap_or(BAN_TTL_MAX).clamp(1, BAN_TTL_MAX))
    }

    /// The seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// Why somebody is banned, as a token: letters, digits and `_-./:`, 1 to [`REASON_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason(String);

impl Reason {
    /// Checks a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=REASON_BYTES_MAX).contains(&text.len());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// A token made of any text: what is not allowed becomes `_`, what is too long is cut.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let token: String = text
            .chars()
            .take(REASON_BYTES_MAX)
            .map(|char| if char.is_ascii_alphanumeric() || "_-./:".contains(char) { char } else { '_' })
            .collect();
        Self(if token.is_empty() { "_".to_owned() } else { token })
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is banned, for how long, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Whose packets are dropped.
    pub prefix: Prefix,
    /// For how long from now.
    pub ttl: Ttl,
    /// Why.
    pub reason: Reason,
}

/// One line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin a ban, or lengthen it.
    Add(Ban),
    /// Carry out what was said.
    Apply,
    /// End all bans.
    Flush,
    /// Tell all bans.
    List,
    /// End a ban.
    Remove(Prefix),
}

/// Why a command is refused. The batch goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The prefix has no such form, or is written ambiguously.
    BadPrefix,
    /// A wider prefix is banned already.
    Covered,
    /// As many bans are in force as there may be.
    Full,
    /// It would hit something on the never-ban list.
    Protected,
    /// Too many new bans in too short a time.
    Rate,
    /// Wider than may be banned.
    TooWide,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 6] =
        [Self::BadPrefix, Self::Covered, Self::Full, Self::Protected, Self::Rate, Self::TooWide];

    /// Stable code, as told to the client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPrefix => "bad-prefix",
            Self::Covered => "covered",
            Self::Full => "full",
            Self::Protected => "protected",
            Self::Rate => "rate",
            Self::TooWide => "too-wide",
        }
    }

    /// The refusal of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A prefix that may not be banned; see [`Refusal`].
    #[error("{0}")]
    Prefix(#[from] PrefixError),
    /// A reason of other characters, or of another length.
    #[error("a reason is 1 to 64 letters, digits or characters of _-./:")]
    Reason,
    /// Seconds out of bounds.
    #[error("a ban lasts 1 to 3600 seconds")]
    Ttl,
    /// Not a command of the protocol.
    #[error("not a command: add PREFIX SECONDS REASON, remove PREFIX, flush, list or apply")]
    Unknown,
}

impl CommandError {
    /// What the batch goes on after, if it does.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Prefix(PrefixError::TooWide) => Some(Refusal::TooWide),
            Self::Prefix(_) => Some(Refusal::BadPrefix),
            Self::Reason | Self::Ttl | Self::Unknown => None,
        }
    }
}

impl Command {
    /// Reads a line without its end. Words are separated by exactly one space.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        match words[..] {
            ["add", prefix, seconds, reason] => {
                let digits = seconds.bytes().all(|byte| byte.is_ascii_digit()) && !seconds.starts_with('0');
                let seconds = seconds.parse().ok().filter(|_| digits).and_then(Ttl::new);
                let ttl = seconds.ok_or(CommandError::Ttl)?;
                let reason = Reason::parse(reason).ok_or(CommandError::Reason)?;
                Ok(Self::Add(Ban { prefix: Prefix::parse(prefix)?, ttl, reason }))
            }
            ["remove", prefix] => Ok(Self::Remove(Prefix::parse(prefix)?)),
            ["apply"] => Ok(Self::Apply),
            ["flush"] => Ok(Self::Flush),
            ["list"] => Ok(Self::List),
            _ => Err(CommandError::Unknown),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(Ban { prefix, ttl, reason }) => write!(f, "add {prefix} {} {reason}", ttl.seconds()),
            Self::Apply => f.write_str("apply"),
            Self::Flush => f.write_str("flush"),
            Self::List => f.write_str("list"),
            Self::Remove(prefix) => write!(f, "remove {prefix}"),
        }
    }
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Bans begun or lengthened.
    pub added: usize,
    /// Bans ended on request.
    pub removed: usize,
    /// Commands refused.
    pub refused: usize,
    /// Bans in force.
    pub in_force: usize,
}

/// One line of the server, after the greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The batch was carried out.
    Applied(Applied),
    /// A ban in force.
    Ban(Ban),
    /// The client does not speak the protocol; the connection ends.
    Error(String),
    /// The packet filter did not take the batch.
    Failed(String),
    /// A command was refused.
    Refused {
        /// Its place in the batch, from 0.
        idx: usize,
        /// Why.
        refusal: Refusal,
    },
}

impl Reply {
    /// Reads a line without its end; `None` if it is none of the protocol.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "applied" => {
                let mut numbers = rest.split(' ').map(|number| number.parse::<usize>().ok());
                let mut next = || numbers.next().flatten();
                let applied =
                    Applied { added: next()?, removed: next()?, refused: next()?, in_force: next()? };
                numbers.next().is_none().then_some(Self::Applied(applied))
            }
            "ban" => match Command::parse(&format!("add {rest}")) {
                Ok(Command::Add(ban)) => Some(Self::Ban(ban)),
                _ => None,
            },
            "error" => Some(Self::Error(rest.to_owned())),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "refused" => {
                let (idx, code) = rest.split_once(' ')?;
                let idx = idx.parse().ok().filter(|idx| *idx < BATCH_COMMANDS_MAX)?;
                Some(Self::Refused { idx, refusal: Refusal::from_code(code)? })
            }
            _ => None,
        }
    }
}

/// Words for a line: no line ends, no control characters, cut to what fits.
fn words(text: &str) -> String {
    let clean = |char: char| if (' '..='~').contains(&char) { char } else { ' ' };
    text.chars().take(LINE_BYTES_MAX - 16).map(clean).collect()
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied(Applied { added, removed, refused, in_force }) => {
                write!(f, "applied {added} {removed} {refused} {in_force}")
            }
            Self::Ban(Ban { prefix, ttl, reason }) => write!(f, "ban {prefix} {} {reason}", ttl.seconds()),
            Self::Error(text) => write!(f, "error {}", words(text)),
            Self::Failed(text) => write!(f, "failed {}", words(text)),
            Self::Refused { idx, refusal } => write!(f, "refused {idx} {}", refusal.code()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_protocol_is_understood() {
        for line in [
            "add 1.2.3.4 600 x y",
            "add 1.2.3.4 600",
            "add  1.2.3.4 600 x",
            "ADD 1.2.3.4 600 x",
            "flush all",
            " list",
            "apply ",
            "",
            "add 1.2.3.4 600 x\r",
        ] {
            let error = Command::parse(line).unwrap_err();
            assert_eq!(error.refusal(), None, "{line:?}: {error}");
        }
        for (seconds, ok) in
            [("0", false), ("1", true), ("3600", true), ("3601", false), ("+5", false), ("05", false)]
        {
            assert_eq!(Command::parse(&format!("add 1.2.3.4 {seconds} x")).is_ok(), ok, "{seconds}");
        }
        let refusal = |line| Command::parse(line).unwrap_err().refusal();
        assert_eq!(refusal("add 1.2.0.0/16 9 x"), Some(Refusal::TooWide));
        assert_eq!(refusal("remove 1.2.3.4/24"), Some(Refusal::BadPrefix));
    }

    #[test]
    fn words_of_a_reply_stay_on_their_line() {
        let line = Reply::Failed(format!("a\nban 1.2.3.4 5 x\u{1b}{}", "y".repeat(1_000))).to_string();
        assert!(!line.contains('\n') && line.len() < LINE_BYTES_MAX, "{line}");
    }

    pub(crate) fn any_ban() -> impl Strategy<Value = Ban> {
        (any::<std::net::IpAddr>(), 1_u32..=BAN_TTL_MAX, "[a-z0-9_./:-]{1,64}").prop_map(
            |(ip, ttl, reason)| Ban {
                prefix: Prefix::of(ip),
                ttl: Ttl::new(ttl).unwrap(),
                reason: Reason::parse(&reason).unwrap(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ban in any_ban(), numbers: [u16; 4], idx in 0..BATCH_COMMANDS_MAX, code in 0_usize..6) {
            for command in [Command::Add(ban.clone()), Command::Remove(ban.prefix), Command::Flush, Command::List] {
                let line = command.to_string();
                prop_assert!(line.len() < LINE_BYTES_MAX);
                prop_assert_eq!(Command::parse(&line), Ok(command));
            }
            let [added, removed, refused, in_force] = numbers.map(usize::from);
            let replies = [
                Reply::Ban(ban),
                Reply::Applied(Applied { added, removed, refused, in_force }),
                Reply::Refused { idx, refusal: Refusal::ALL[code] },
                Reply::Failed("no".to_owned()),
            ];
            for reply in replies {
                prop_assert_eq!(Reply::parse(&reply.to_string()), Some(reply));
            }
        }

        #[test]
        fn accepted_lines_have_one_spelling_but_for_the_address(line in "(add|remove) [0-9a-f:./]{2,20}( [0-9]{1,5} [a-z]{1,9})?") {
            if let Ok(command) = Command::parse(&line) {
                prop_assert_eq!(Command::parse(&command.to_string()), Ok(command));
            }
        }

        #[test]
        fn a_reason_of_any_text_is_a_reason(text: String) {
            let reason = Reason::of(&text);
            prop_assert_eq!(Reason::parse(reason.as_str()), Some(reason.clone()));
        }
    }
}
