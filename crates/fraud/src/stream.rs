//! Recorded events as a stream: rows of CSV read through a [`crate::mapping::Mapping`], with dead letters for what
//! cannot be read.
//!
//! One bad row never stops a run and never disappears: [`Events::next`] hands it out as a [`DeadLetter`] with line,
//! column, value and reason, in its place among the others.

pub mod csv;

use std::io::{self, Read};

use self::csv::{Outcome, Row, RowFault, Rows};
use crate::mapping::{BindError, Event, EventFault, Mapping, Reading};

/// Why a stream of events cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The mapping does not fit the header.
    #[error("the mapping does not fit the file: {0}")]
    Bind(#[from] BindError),
    /// The mapping says that there is a header, and there is nothing.
    #[error("the file is empty: a header was expected")]
    Empty,
    /// The header is malformed.
    #[error("line {line}: the header cannot be read: {fault}")]
    Header {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        fault: RowFault,
    },
    /// The input cannot be read.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a row did not become an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeadReason {
    /// A value cannot be read.
    #[error(transparent)]
    Event(#[from] EventFault),
    /// The row cannot be split into fields.
    #[error(transparent)]
    Row(#[from] RowFault),
}

/// A row that did not become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Line the row begins on, from 1.
    pub line: u64,
    /// Why.
    pub reason: DeadReason,
}

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A row that could not be read.
    Dead(DeadLetter),
    /// The end.
    End,
    /// An event was read.
    Event,
}

/// Events of a CSV file in file order.
#[derive(Debug)]
pub struct Events<R> {
    rows: Rows<R>,
    row: Row,
    reading: Reading,
    /// Number of the last row, the header not counted.
    number: u64,
}

impl<R: Read> Events<R> {
    /// Reads the header, if there is one, and resolves the mapping.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn open(input: R, mapping: &Mapping) -> Result<Self, StreamError> {
        let mut rows = Rows::new(input, mapping.delimiter);
        let mut row = Row::default();
        let reading = if mapping.header {
            match rows.next(&mut row)? {
                Outcome::Row => mapping.bind(Some(&row))?,
                Outcome::End => return Err(StreamError::Empty),
                Outcome::Fault(fault) => return Err(StreamError::Header { line: row.line(), fault }),
            }
        } else {
            mapping.bind(None)?
        };
        Ok(Self { rows, row, reading, number: 0 })
    }

    /// The mapping events are read through.
    #[must_use]
    pub const fn mapping(&self) -> &Mapping {
        self.reading.mapping()
    }

    /// Reads the next row into `event`.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next(&mut self, event: &mut Event) -> io::Result<Next> {
        let outcome = self.rows.next(&mut self.row)?;
        let line = self.row.line();
        Ok(match outcome {
            Outcome::End => Next::End,
            Outcome::Fault(fault) => {
                self.number += 1;
                Next::Dead(DeadLetter { line, reason: fault.into() })
            }
            Outcome::Row => {
                self.number += 1;
                match self.reading.read(&self.row, self.number, event) {
                    Ok(()) => Next::Event,
                    Err(fault) => Next::Dead(DeadLetter { line, reason: fault.into() }),
                }
            }
        })
    }
}
