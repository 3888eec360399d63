//! Who may use the control API, and for what.
//!
//! An engine without clock, socket, disk or randomness of its own.
//!
//! # Reading order
//! [`Capability`], the one table of what there is to be allowed and which [`Role`] has it.

mod capability;

pub use self::capability::{Capability, Role, Row, TABLE};
