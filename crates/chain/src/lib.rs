//! Address formats and the label index: what an address *is*, and what is known about it.
//!
//! An engine: no clock, socket, file, task or global state. Bytes and text come in as arguments, answers go out as
//! values; mapping files, importing lists and judging withdrawals belong to `watch`.
//!
//! Reading order: [`address`] (text to [`domain::Address`] and back), [`label`] (categories, confidence, one label),
//! [`segment`] (the immutable on-disk index of labels by address), [`poisoning`] (addresses made to look like known ones),
//! [`headers`] (the newest blocks as a chain of parents), [`evm`] and [`bitcoin`] (blocks: verified, decoded),
//! [`u256`] (what EVM chains count in).

pub mod address;
pub mod bitcoin;
pub mod evm;
pub mod headers;
pub mod label;
pub mod poisoning;
pub mod segment;
mod siphash;
pub mod u256;
