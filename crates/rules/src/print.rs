//! The canonical text of an expression: one spelling, no comments, no needless parentheses.
//!
//! Parsing it gives the same tree again. Hashes of rules are made over this text, so layout and comments do not change them.

use std::fmt;

use crate::ast::{Expr, ExprKind, power};

/// The power of an expression as an operand; names and calls bind tightest.
fn power_of(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::If(_) => power::IF,
        ExprKind::Any(_) => power::ANY,
        ExprKind::All(_) => power::ALL,
        ExprKind::Binary(op, _) => op.power(),
        ExprKind::Negate(_) | ExprKind::Not(_) => power::PREFIX,
        _ => power::PREFIX + 1,
    }
}

/// An operand that must bind at least as tightly as the number says.
struct Operand<'a>(&'a Expr, u8);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if power_of(self.0) >= self.1 { write!(f, "{}", self.0) } else { write!(f, "({})", self.0) }
    }
}

/// A string as a literal.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[Expr]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn chain(f: &mut fmt::Formatter<'_>, operands: &[Expr], mark: &str, power: u8) -> fmt::Result {
    for (index, operand) in operands.iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { mark }, Operand(operand, power + 1))?;
    }
    Ok(())
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::All(operands) => chain(f, operands, " && ", power::ALL),
            ExprKind::Any(operands) => chain(f, operands, " || ", power::ANY),
            ExprKind::Binary(op, operands) => {
                let [left, right] = &**operands;
                let (left, right) = (Operand(left, op.power()), Operand(right, op.power() + 1));
                write!(f, "{left} {} {right}", op.as_str())
            }
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Call(name, arguments) => {
                write!(f, "{name}(")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            ExprKind::Double(value) => write!(f, "{value:?}"),
            ExprKind::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let (condition, then) = (Operand(condition, power::ANY), Operand(then, power::ANY));
                write!(f, "{condition} ? {then} : {otherwise}")
            }
            ExprKind::Int(value) => write!(f, "{value}"),
            ExprKind::List(items) => {
                f.write_str("[")?;
                list(f, items)?;
                f.write_str("]")
            }
            ExprKind::Method(receiver, name, arguments) => {
                match receiver.kind {
                    // The sign or the dot of a number would swallow the method's.
                    ExprKind::Int(_) | ExprKind::Double(_) | ExprKind::Bool(_) => write!(f, "({receiver})")?,
                    _ => write!(f, "{}", Operand(receiver, power::PREFIX + 1))?,
                }
                write!(f, ".{name}(")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            ExprKind::Name(name) => f.write_str(name),
            ExprKind::Negate(operand) => match operand.kind {
                // `-5` is a literal, this is an operation.
                ExprKind::Int(_) | ExprKind::Double(_) => write!(f, "-({operand})"),
                _ => write!(f, "-{}", Operand(operand, power::PREFIX)),
            },
            ExprKind::Not(operand) => write!(f, "!{}", Operand(operand, power::PREFIX)),
            ExprKind::Text(text) => write!(f, "{}", Quoted(text)),
        }
    }
}
