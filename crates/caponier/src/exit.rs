//! Exit codes: the numbers of `sysexits.h` where one fits, documented in `docs/operating/exit-codes.md`.

use std::fmt;

/// Why a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, and the answer is yes.
    Ok,
    /// 1: done, and the answer is no: a fault was found, an address is listed, a drill or demo check failed.
    No,
    /// 64: wrong arguments or configuration; nothing was started.
    Usage,
    /// 65: a file or value given as input is malformed; nothing was changed.
    Input,
    /// 66: a named thing (file, key, decision) does not exist.
    NotFound,
    /// 70: a defect in this program.
    Internal,
    /// 74: reading or writing failed, or stored data is damaged.
    Io,
    /// 75: another process holds the data directory, or the service cannot answer now; try again.
    Busy,
}

impl Exit {
    /// The number the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Input => 65,
            Self::NotFound => 66,
            Self::Internal => 70,
            Self::Io => 74,
            Self::Busy => 75,
        }
    }

    /// From the number, for failures that crossed the control socket.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::No,
            64 => Self::Usage,
            65 => Self::Input,
            66 => Self::NotFound,
            74 => Self::Io,
            75 => Self::Busy,
            _ => Self::Internal,
        }
    }
}

/// A failed command: what the user is told and how the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong and where, without a full stop; may have several lines.
    pub message: String,
}

impl Failure {
    /// Names a failure.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Reading, writing or stored data failed.
    #[must_use]
    pub fn io(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::new(Exit::Io, format!("{what}: {error}"))
    }
}

impl From<crate::config::Faults> for Failure {
    fn from(faults: crate::config::Faults) -> Self {
        Self::new(Exit::Usage, faults.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
