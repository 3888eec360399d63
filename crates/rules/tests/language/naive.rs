//! A naive interpreter: values that know their type at run time, straight over the syntax tree. Slow and obvious.

#![allow(clippy::cast_possible_truncation, reason = "floats of checked size, exact in 128 bits")]

use std::cmp::Ordering;

use domain::{Amount, UnixNanos};
use rules::{BinaryOp, Cmp, Expr, ExprKind};

use crate::expressions::{Event, Held, SLOTS};

const HOUR: i64 = 3_600_000_000_000;

/// The value of an expression for an event; `None` is missing.
pub(crate) fn value(expr: &Expr, event: &Event) -> Option<Held> {
    match &expr.kind {
        ExprKind::All(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, event)).collect();
            if truths.contains(&Some(false)) {
                Some(Held::Bool(false))
            } else if truths.contains(&None) {
                None
            } else {
                Some(Held::Bool(true))
            }
        }
        ExprKind::Any(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, event)).collect();
            if truths.contains(&Some(true)) {
                Some(Held::Bool(true))
            } else if truths.contains(&None) {
                None
            } else {
                Some(Held::Bool(false))
            }
        }
        ExprKind::Binary(BinaryOp::In, sides) => {
            let ExprKind::List(items) = &sides[1].kind else { panic!("no list: {expr}") };
            let wanted = value(&sides[0], event)?;
            let mut found = false;
            for item in items {
                found |= order(&wanted, &value(item, event)?)? == Ordering::Equal;
            }
            Some(Held::Bool(found))
        }
        ExprKind::Binary(op, sides) => {
            let (a, b) = (value(&sides[0], event)?, value(&sides[1], event)?);
            match op {
                BinaryOp::Compare(cmp) => {
                    let order = order(&a, &b)?;
                    Some(Held::Bool(match cmp {
                        Cmp::Eq => order == Ordering::Equal,
                        Cmp::Ge => order != Ordering::Less,
                        Cmp::Gt => order == Ordering::Greater,
                        Cmp::Le => order != Ordering::Greater,
                        Cmp::Lt => order == Ordering::Less,
                        Cmp::Ne => order != Ordering::Equal,
                    }))
                }
                op => arithmetic(*op, a, b),
            }
        }
        ExprKind::Bool(value) => Some(Held::Bool(*value)),
        ExprKind::Call(function, arguments) => called(function, arguments, event),
        ExprKind::Double(value) => Some(Held::Double(*value)),
        ExprKind::If(parts) => {
            let [condition, then, otherwise] = &**parts;
            value(if truth(condition, event)? { then } else { otherwise }, event)
        }
        ExprKind::Int(value) => Some(Held::Int(*value)),
        ExprKind::List(_) => panic!("a list has no value"),
        ExprKind::Method(receiver, method, arguments) => {
            let receiver = value(receiver, event)?;
            Some(match (receiver, method.as_str()) {
                (Held::Text(text), "contains") => Held::Bool(text.contains(&string(&arguments[0], event)?)),
                (Held::Text(text), "endsWith") => Held::Bool(text.ends_with(&string(&arguments[0], event)?)),
                (Held::Text(text), "startsWith") => {
                    Held::Bool(text.starts_with(&string(&arguments[0], event)?))
                }
                (Held::Duration(nanos), "getHours") => Held::Int(nanos / HOUR),
                (Held::Duration(nanos), "getMinutes") => Held::Int(nanos / (HOUR / 60)),
                (Held::Duration(nanos), "getSeconds") => Held::Int(nanos / (HOUR / 3600)),
                (Held::Timestamp(nanos), "getHours") => Held::Int(nanos / HOUR % 24),
                (Held::Timestamp(nanos), "getDayOfWeek") => Held::Int((nanos / HOUR / 24 + 4) % 7),
                (receiver, method) => panic!("{receiver:?}.{method}"),
            })
        }
        ExprKind::Name(name) => {
            let index = SLOTS.iter().position(|(slot, _)| slot == name).expect("the name is a slot");
            event[index].clone()
        }
        ExprKind::Negate(part) => match value(part, event)? {
            Held::Int(value) => int(-i128::from(value)),
            Held::Duration(value) => Some(Held::Duration(i64::try_from(-i128::from(value)).ok()?)),
            Held::Double(value) => Some(Held::Double(-value)),
            Held::Money(value) => Some(Held::Money(-value)),
            value => panic!("-{value:?}"),
        },
        ExprKind::Not(part) => truth(part, event).map(|value| Held::Bool(!value)),
        ExprKind::Text(text) => Some(Held::Text(text.clone())),
    }
}

/// The truth of a condition.
pub(crate) fn truth(expr: &Expr, event: &Event) -> Option<bool> {
    match value(expr, event)? {
        Held::Bool(value) => Some(value),
        value => panic!("{expr} is {value:?}"),
    }
}

fn string(expr: &Expr, event: &Event) -> Option<String> {
    match value(expr, event)? {
        Held::Text(text) => Some(text),
        value => panic!("{expr} is {value:?}"),
    }
}

fn called(function: &str, arguments: &[Expr], event: &Event) -> Option<Held> {
    let [argument] = arguments else { panic!("{function} of {}", arguments.len()) };
    if let (ExprKind::Name(name), "has") = (&argument.kind, function) {
        let index = SLOTS.iter().position(|(slot, _)| slot == name).expect("the name is a slot");
        return Some(Held::Bool(event[index].is_some()));
    }
    match (function, value(argument, event)?) {
        ("double", Held::Int(value)) => Some(Held::Double(value as f64)),
        ("double", Held::Money(value)) => Some(Held::Double(value.to_f64_lossy())),
        ("double" | "int", same @ (Held::Double(_) | Held::Int(_))) if function == "double" => Some(same),
        ("duration", Held::Text(text)) => {
            // Only "<minutes>m30s", as the generator writes it.
            let minutes: i64 = text.strip_suffix("m30s")?.parse().ok()?;
            let sign = if text.starts_with('-') { -1 } else { 1 };
            Some(Held::Duration(minutes * 60_000_000_000 + sign * 30_000_000_000))
        }
        ("int", Held::Double(value)) => {
            let whole = value.trunc();
            // Floats of this size are exact in 128 bits.
            if whole.abs() > 1e30 { None } else { int(whole as i128) }
        }
        ("int", Held::Int(value)) => Some(Held::Int(value)),
        ("money", Held::Text(text)) => Some(Held::Money(Amount::parse(&text).expect("an amount"))),
        ("size", Held::Text(text)) => int(text.chars().count() as i128),
        ("timestamp", Held::Text(text)) => {
            let at = UnixNanos::parse_rfc3339(&text).expect("a time");
            Some(Held::Timestamp(i64::try_from(at.0).expect("in range")))
        }
        (function, value) => panic!("{function}({value:?})"),
    }
}

fn int(value: i128) -> Option<Held> {
    i64::try_from(value).ok().map(Held::Int)
}

fn arithmetic(op: BinaryOp, a: Held, b: Held) -> Option<Held> {
    let whole = |a: i64, b: i64| {
        let (a, b) = (i128::from(a), i128::from(b));
        match op {
            BinaryOp::Add => Some(a + b),
            BinaryOp::Divide => (b != 0).then(|| a / b),
            BinaryOp::Multiply => Some(a * b),
            // The smallest integer divided by -1 overflows, and so does its remainder.
            BinaryOp::Remainder => (b != 0 && i64::try_from(a / b).is_ok()).then(|| a % b),
            BinaryOp::Subtract => Some(a - b),
            op => panic!("{op:?}"),
        }
    };
    let float = |a: f64, b: f64| {
        let value = match op {
            BinaryOp::Add => a + b,
            BinaryOp::Divide => a / b,
            BinaryOp::Multiply => a * b,
            BinaryOp::Subtract => a - b,
            op => panic!("{op:?}"),
        };
        value.is_finite().then_some(Held::Double(value))
    };
    let amount = |a: Amount, b: Amount| match op {
        BinaryOp::Add => a.checked_add(b).map(Held::Money),
        BinaryOp::Multiply => a.checked_mul(b).map(Held::Money),
        BinaryOp::Subtract => a.checked_sub(b).map(Held::Money),
        op => panic!("{op:?}"),
    };
    let exact = |value: i64| Amount::from_parts(value.into(), 0).expect("an integer is an amount");
    match (a, b) {
        (Held::Int(a), Held::Int(b)) => whole(a, b).and_then(int),
        (Held::Duration(a), Held::Duration(b)) => Some(Held::Duration(i64::try_from(whole(a, b)?).ok()?)),
        (Held::Timestamp(a), Held::Duration(b)) => Some(Held::Timestamp(i64::try_from(whole(a, b)?).ok()?)),
        (Held::Timestamp(a), Held::Timestamp(b)) => Some(Held::Duration(i64::try_from(whole(a, b)?).ok()?)),
        (Held::Double(a), Held::Double(b)) => float(a, b),
        (Held::Double(a), Held::Int(b)) => float(a, b as f64),
        (Held::Int(a), Held::Double(b)) => float(a as f64, b),
        (Held::Money(a), Held::Money(b)) => amount(a, b),
        (Held::Money(a), Held::Int(b)) => amount(a, exact(b)),
        (Held::Int(a), Held::Money(b)) => amount(exact(a), b),
        (a, b) => panic!("{a:?} {op:?} {b:?}"),
    }
}

fn order(a: &Held, b: &Held) -> Option<Ordering> {
    let mixed = |int: i64, double: f64| {
        // A float is its floor and something below one.
        if double.abs() > 1e30 {
            return if double > 0.0 { Ordering::Less } else { Ordering::Greater };
        }
        let floor = double.floor();
        i128::from(int).cmp(&(floor as i128)).then(if double > floor {
            Ordering::Less
        } else {
            Ordering::Equal
        })
    };
    match (a, b) {
        (Held::Bool(a), Held::Bool(b)) => Some(a.cmp(b)),
        (Held::Double(a), Held::Double(b)) => a.partial_cmp(b),
        (Held::Double(a), Held::Int(b)) => Some(mixed(*b, *a).reverse()),
        (Held::Int(a), Held::Double(b)) => Some(mixed(*a, *b)),
        (Held::Duration(a), Held::Duration(b)) => Some(a.cmp(b)),
        (Held::Int(a), Held::Int(b)) => Some(a.cmp(b)),
        (Held::Money(a), Held::Money(b)) => Some(a.cmp(b)),
        (Held::Money(a), Held::Int(b)) => Some(a.cmp(&Amount::from_parts((*b).into(), 0).ok()?)),
        (Held::Int(a), Held::Money(b)) => Some(Amount::from_parts((*a).into(), 0).ok()?.cmp(b)),
        (Held::Money(a), Held::Double(b)) => Some(a.cmp(&Amount::parse(&b.to_string()).ok()?)),
        (Held::Double(a), Held::Money(b)) => Some(Amount::parse(&a.to_string()).ok()?.cmp(b)),
        (Held::Text(a), Held::Text(b)) => Some(a.cmp(b)),
        (a, b) => panic!("{a:?} beside {b:?}"),
    }
}
