//! HTTP/1.1 as this gateway speaks it: to clients ([`server`]) and to the exchange
//! ([`upstream`](crate::upstream) over [`answer`] and [`body`]).
//!
//! [`head`], [`answer`], [`body`] and [`text`] take bytes and give results, without I/O or time. Only one form of
//! each message is taken, in which every reader finds the same end: RFC 9112, read strictly.

pub(crate) mod answer;
pub(crate) mod body;
mod date;
pub(crate) mod head;
pub(crate) mod server;
pub(crate) mod text;

#[cfg(test)]
mod tests;
