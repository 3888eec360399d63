//! Measuring what watches, on recorded data: tables in, figures out.
//!
//! Each module states its protocol. Nothing here serves: whatever is measured is the code that serves, called the way the
//! product calls it.

pub mod discovery;
pub mod poisoning;
