//! JSON as this crate reads it: a strict lexer over text, a scan that refuses what two readers could read differently,
//! exact decimal numbers, and a small tree for documents. RFC 8259; numbers keep their text.

pub(crate) mod decimal;
pub(crate) mod lexer;
pub(crate) mod scan;
pub(crate) mod tree;
