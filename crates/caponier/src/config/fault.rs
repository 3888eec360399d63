//! What is wrong with a configuration file, and where.

use std::fmt;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File as named by the user.
    pub file: String,
    /// One-based line; 0 when the fault is an absence or concerns the whole file.
    pub line: usize,
    /// One-based column in characters; 0 as for `line`.
    pub column: usize,
    /// Dotted key; empty when the text is not TOML.
    pub key: String,
    /// What is wrong, without a full stop.
    pub message: String,
}

impl Fault {
    pub(crate) fn whole_file(file: &str, message: String) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, key: String::new(), message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All faults of a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(crate) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, fault) in self.0.iter().enumerate() {
            if idx > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
