//! From syntax tree to checked tree: names become slots, types are checked, constants are computed.
//!
//! Numbers mix as analysts expect: integers and doubles compare exactly, and an integer becomes a double where it meets one
//! in a calculation (rounded to the nearest beyond 2^53). That second rule is this language's one widening of CEL, which
//! wants `double(n)` there. Money takes integers and double literals exactly as written, never a double that was computed.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Amount, UnixNanos};

use crate::{
    ast::{BinaryOp, Cmp, Expr, ExprKind},
    bounds::COST_MAX,
    error::{ExpressionError, ExpressionFault},
    intern::{Interner, Symbol},
    list::List,
    nearest::nearest,
    number::{TimePart, exact_double, exact_int, parse_duration},
    schema::{LISTS, Schema, Type},
    slots::Slots,
    span::Span,
    tree::{Double, Int, Leaf, Logic, Money, Search, Tally, Test, Text},
};

/// The functions, for "did you mean".
const FUNCTIONS: [&str; 12] = [
    "contains",
    "double",
    "duration",
    "endsWith",
    "getDayOfWeek",
    "getHours",
    "has",
    "int",
    "money",
    "size",
    "startsWith",
    "timestamp",
];

type Result<T> = std::result::Result<T, ExpressionError>;

/// A checked expression of some type.
#[derive(Debug, Clone)]
enum Typed {
    Bool(Logic),
    Double(Double),
    /// With the type its numbers mean: int, duration or timestamp.
    Int(Int, Type),
    Money(Money),
    Text(Text),
}

impl Typed {
    const fn ty(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Double(_) => Type::Double,
            Self::Int(_, ty) => *ty,
            Self::Money(_) => Type::Money,
            Self::Text(_) => Type::String,
        }
    }
}

/// Checks expressions of one set.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    source: &'a str,
    schema: &'a Schema,
    lists: &'a BTreeMap<String, List>,
    interner: &'a mut Interner,
    /// Constants are computed by the evaluation itself, without any slot.
    nothing: Slots,
}

/// A condition with what it reads and costs.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) logic: Logic,
    pub(crate) tally: Tally,
}

/// Checks that an expression is a condition over slots of `schema` and lists, within the bounds.
pub(crate) fn check(
    source: &str,
    expr: &Expr,
    schema: &Schema,
    lists: &BTreeMap<String, List>,
    interner: &mut Interner,
) -> Result<Checked> {
    let nothing = Slots::new(Arc::default(), Arc::default());
    let mut checker = Checker { source, schema, lists, interner, nothing };
    let logic = checker.condition(expr)?;
    let tally = Tally::of(&logic);
    if tally.reads.is_empty() {
        return Err(checker.error(expr.span, ExpressionFault::ReadsNothing));
    }
    if tally.cost > COST_MAX {
        return Err(checker.error(expr.span, ExpressionFault::Costly { cost: tally.cost, max: COST_MAX }));
    }
    Ok(Checked { logic, tally })
}

impl Checker<'_> {
    fn error(&self, span: Span, fault: ExpressionFault) -> ExpressionError {
        ExpressionError::new(self.source, span, fault)
    }

    fn types(&self, span: Span, what: impl Into<String>) -> ExpressionError {
        self.error(span, ExpressionFault::Types { what: what.into() })
    }

    fn condition(&mut self, expr: &Expr) -> Result<Logic> {
        match self.expr(expr)? {
            Typed::Bool(logic) => Ok(logic),
            other => {
                Err(self.types(expr.span, format!("a condition is wanted here, this is {}", other.ty())))
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Result<Typed> {
        match &expr.kind {
            ExprKind::All(operands) => self.chain(operands, false),
            ExprKind::Any(operands) => self.chain(operands, true),
            ExprKind::Binary(BinaryOp::Compare(cmp), operands) => self.compare(expr, *cmp, operands),
            ExprKind::Binary(BinaryOp::In, operands) => self.is_in(expr, operands),
            ExprKind::Binary(op, operands) => {
                let [left, right] = &**operands;
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                self.arithmetic(expr.span, *op, left, right)
            }
            ExprKind::Bool(value) => Ok(Typed::Bool(Logic::Const(*value))),
            ExprKind::Call(name, arguments) => self.call(expr, name, arguments),
            ExprKind::Double(value) => Ok(Typed::Double(Double::Const(*value))),
            ExprKind::If(parts) => self.conditional(expr.span, parts),
            ExprKind::Int(value) => Ok(Typed::Int(Int::Const(*value), Type::Int)),
            ExprKind::List(_) => Err(self.types(expr.span, "a list stands only behind `in`")),
            ExprKind::Method(receiver, name, arguments) => self.method(expr, receiver, name, arguments),
            ExprKind::Name(name) => self.name(expr, name),
            ExprKind::Negate(operand) => self.negate(expr.span, operand),
            ExprKind::Not(operand) => match self.condition(operand)? {
                Logic::Const(value) => Ok(Typed::Bool(Logic::Const(!value))),
                logic => Ok(Typed::Bool(Logic::Not(Box::new(logic)))),
            },
            ExprKind::Text(text) => Ok(Typed::Text(Text::Const(self.symbol(expr.span, text)?))),
        }
    }

    fn symbol(&mut self, span: Span, text: &str) -> Result<Symbol> {
        let symbol = self.interner.intern(text);
        let fault = ExpressionFault::TooLarge { what: "strings in a set", max: crate::bounds::SYMBOLS_MAX };
        symbol.ok_or_else(|| self.error(span, fault))
    }

    /// `&&` (`decisive` false) or `||`: a constant that decides is all, one that does not goes.
    fn chain(&mut self, operands: &[Expr], decisive: bool) -> Result<Typed> {
        let mut parts = Vec::with_capacity(operands.len());
        let mut is_decided = false;
        for operand in operands {
            match self.condition(operand)? {
                Logic::Const(value) => is_decided |= value == decisive,
                part => parts.push(part),
            }
        }
        Ok(Typed::Bool(match (is_decided, parts.len()) {
            (true, _) => Logic::Const(decisive),
            (false, 0) => Logic::Const(!decisive),
            (false, 1) => parts.remove(0),
            (false, _) if decisive => Logic::Any(parts.into()),
            (false, _) => Logic::All(parts.into()),
        }))
    }

    fn name(&self, expr: &Expr, name: &str) -> Result<Typed> {
        let Some(id) = self.schema.slot(name) else {
            if name.split('.').next() == Some(LISTS) {
                return Err(self.types(expr.span, "a list stands only behind `in`"));
            }
            return Err(self.unknown_name(expr.span, name));
        };
        let slot = id.0;
        Ok(match self.schema.describe(id).ty {
            Type::Bool => self.leaf(expr, Test::Flag(slot)),
            Type::Double => Typed::Double(Double::Slot(slot)),
            ty @ (Type::Duration | Type::Int | Type::Timestamp) => Typed::Int(Int::Slot(slot), ty),
            Type::Money => Typed::Money(Money::Slot(slot)),
            Type::String => Typed::Text(Text::Slot(slot)),
        })
    }

    fn unknown_name(&self, span: Span, name: &str) -> ExpressionError {
        let nearest = self.schema.nearest(name).map(str::to_owned);
        self.error(span, ExpressionFault::UnknownName { name: name.to_owned(), nearest })
    }

    /// A leaf, or its value when it reads nothing.
    fn leaf(&self, expr: &Expr, test: Test) -> Typed {
        if Tally::of_test(&test).reads.is_empty()
            && let Some(value) = test.eval(&self.nothing)
        {
            return Typed::Bool(Logic::Const(value));
        }
        Typed::Bool(Logic::Leaf(Box::new(Leaf { test, source: expr.clone() })))
    }

    fn compare(&mut self, expr: &Expr, cmp: Cmp, operands: &[Expr; 2]) -> Result<Typed> {
        let [left, right] = operands;
        if let ExprKind::Binary(BinaryOp::Compare(_), _) = left.kind
            && !matches!(cmp, Cmp::Eq | Cmp::Ne)
        {
            return Err(self.error(expr.span, ExpressionFault::Chained));
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (left_ty, right_ty) = (left.ty(), right.ty());
        let same = match cmp {
            Cmp::Eq => Some(true),
            Cmp::Ne => Some(false),
            _ => None,
        };
        let test = match (left, right) {
            (Typed::Int(a, x), Typed::Int(b, y)) if x == y => Test::Int(cmp, a, b),
            (Typed::Int(a, Type::Int), Typed::Double(b)) => mixed(cmp, a, b),
            (Typed::Double(a), Typed::Int(b, Type::Int)) => mixed(cmp.swapped(), b, a),
            (Typed::Double(a), Typed::Double(b)) => Test::Double(cmp, a, b),
            (Typed::Money(a), b) if is_number(&b) => Test::Money(cmp, a, self.money(expr.span, b)?),
            (a, Typed::Money(b)) if is_number(&a) => Test::Money(cmp, self.money(expr.span, a)?, b),
            (Typed::Bool(a), Typed::Bool(b)) if same.is_some() => match (a, b, same == Some(true)) {
                // `flag == true` is the flag.
                (Logic::Const(value), logic, same) | (logic, Logic::Const(value), same) => {
                    let logic = if value == same { logic } else { Logic::Not(Box::new(logic)) };
                    return Ok(Typed::Bool(match logic {
                        Logic::Not(inner) if matches!(*inner, Logic::Const(_)) => {
                            Logic::Const(inner.eval(&self.nothing) == Some(false))
                        }
                        logic => logic,
                    }));
                }
                (a, b, same) => Test::Iff(same, a, b),
            },
            (Typed::Text(a), Typed::Text(b)) if same.is_some() => Test::Same(same == Some(true), a, b),
            _ => {
                let hint = match (left_ty, right_ty) {
                    (Type::Bool, Type::Bool) | (Type::String, Type::String) => " (only `==` and `!=` are)",
                    (Type::Duration, _) | (_, Type::Duration) => {
                        " (a duration is written `duration(\"24h\")`)"
                    }
                    (Type::Timestamp, _) | (_, Type::Timestamp) => {
                        " (a timestamp is written `timestamp(\"2026-01-31T00:00:00Z\")`)"
                    }
                    (Type::String, Type::Double | Type::Int) => " (a string stands in quotes)",
                    _ => "",
                };
                let what = format!("{left_ty} {} {right_ty} is not defined{hint}", cmp.as_str());
                return Err(self.types(expr.span, what));
            }
        };
        Ok(self.leaf(expr, test))
    }

    fn is_in(&mut self, expr: &Expr, operands: &[Expr; 2]) -> Result<Typed> {
        let [value, list] = operands;
        let value = self.expr(value)?;
        let list = match &list.kind {
            ExprKind::Name(name) => match name.split_once('.') {
                Some((LISTS, list_name)) => match self.lists.get(list_name) {
                    Some(list) => list.clone(),
                    None => {
                        let nearest =
                            nearest(list_name, self.lists.keys().map(String::as_str)).map(str::to_owned);
                        let fault = ExpressionFault::UnknownList { name: list_name.to_owned(), nearest };
                        return Err(self.error(list.span, fault));
                    }
                },
                _ => {
                    let what = "a list is wanted behind `in`: `[1, 2]`, or `lists.NAME`";
                    return Err(self.types(list.span, what));
                }
            },
            ExprKind::List(items) => self.list(items)?,
            _ => return Err(self.types(list.span, "a list is wanted behind `in`: `[1, 2]`, or `lists.NAME`")),
        };
        let ty = value.ty();
        if ty != Type::Money && !list.fits(ty) {
            return Err(self.types(expr.span, format!("{ty} in a list of {} is not defined", list.shown())));
        }
        let test = match value {
            Typed::Double(value) => Test::DoubleIn(value, list.doubles),
            Typed::Int(value, _) => Test::IntIn(value, list.ints),
            Typed::Text(value) => Test::TextIn(value, list.symbols),
            Typed::Bool(_) | Typed::Money(_) => {
                return Err(self.types(expr.span, format!("there are no lists of {ty}")));
            }
        };
        Ok(self.leaf(expr, test))
    }

    /// A list written in the expression: constants of one kind.
    fn list(&mut self, items: &[Expr]) -> Result<List> {
        let mut list = List::builder();
        for item in items {
            let value = self.expr(item)?;
            let added = match value {
                Typed::Double(Double::Const(value)) => list.double(value),
                Typed::Int(Int::Const(value), Type::Int) => list.int(value),
                Typed::Int(Int::Const(value), ty) => list.moment(value, ty),
                Typed::Text(Text::Const(symbol)) => list.symbol(symbol),
                _ => return Err(self.types(item.span, "lists hold constants only")),
            };
            if !added {
                return Err(self.types(item.span, "a list holds values of one kind"));
            }
        }
        Ok(list.build())
    }

    fn arithmetic(&self, span: Span, op: BinaryOp, left: Typed, right: Typed) -> Result<Typed> {
        let (left_ty, right_ty) = (left.ty(), right.ty());
        let undefined = |hint: &str| {
            let what = format!("{left_ty} {} {right_ty} is not defined{hint}", op.as_str());
            Err(self.types(span, what))
        };
        let is_sum = matches!(op, BinaryOp::Add | BinaryOp::Subtract);
        match (left, right) {
            (Typed::Int(a, Type::Int), Typed::Int(b, Type::Int)) => self.int(span, op, a, b, Type::Int),
            (Typed::Int(a, Type::Duration), Typed::Int(b, Type::Duration)) if is_sum => {
                self.int(span, op, a, b, Type::Duration)
            }
            (Typed::Int(a, Type::Timestamp), Typed::Int(b, Type::Duration)) if is_sum => {
                self.int(span, op, a, b, Type::Timestamp)
            }
            (Typed::Int(a, Type::Duration), Typed::Int(b, Type::Timestamp)) if op == BinaryOp::Add => {
                self.int(span, op, a, b, Type::Timestamp)
            }
            (Typed::Int(a, Type::Timestamp), Typed::Int(b, Type::Timestamp)) if op == BinaryOp::Subtract => {
                self.int(span, op, a, b, Type::Duration)
            }
            (a, b)
                if matches!(
                    (left_ty, right_ty),
                    (Type::Double, Type::Double | Type::Int) | (Type::Int, Type::Double)
                ) =>
            {
                let pair = Box::new([self.double(span, a)?, self.double(span, b)?]);
                let is_const = matches!(&*pair, [Double::Const(_), Double::Const(_)]);
                let node = match op {
                    BinaryOp::Add => Double::Add(pair),
                    BinaryOp::Subtract => Double::Subtract(pair),
                    BinaryOp::Multiply => Double::Multiply(pair),
                    BinaryOp::Divide => Double::Divide(pair),
                    _ => return undefined(" (remainders are of integers)"),
                };
                if !is_const {
                    return Ok(Typed::Double(node));
                }
                let value = node.eval(&self.nothing);
                value
                    .map(|value| Typed::Double(Double::Const(value)))
                    .ok_or_else(|| self.error(span, ExpressionFault::AlwaysMissing))
            }
            (Typed::Money(a), Typed::Int(b, Type::Int)) | (Typed::Int(b, Type::Int), Typed::Money(a))
                if op == BinaryOp::Multiply =>
            {
                Ok(Typed::Money(Money::Times(Box::new((a, b)))))
            }
            (a, b)
                if is_sum
                    && (left_ty, right_ty) != (Type::Int, Type::Int)
                    && is_number(&a)
                    && is_number(&b) =>
            {
                let pair = Box::new([self.money(span, a)?, self.money(span, b)?]);
                Ok(Typed::Money(if op == BinaryOp::Add { Money::Add(pair) } else { Money::Subtract(pair) }))
            }
            _ => match (left_ty, right_ty) {
                (Type::Money, _) | (_, Type::Money) => {
                    undefined(" (`double(amount)` makes a ratio possible)")
                }
                (Type::String, _) | (_, Type::String) => undefined(" (strings are compared, not joined)"),
                (Type::Bool, _) | (_, Type::Bool) => {
                    undefined(" (`flag ? 1 : 0` makes a number of a condition)")
                }
                _ => undefined(""),
            },
        }
    }

    fn int(&self, span: Span, op: BinaryOp, a: Int, b: Int, ty: Type) -> Result<Typed> {
        let pair = Box::new([a, b]);
        let is_const = matches!(&*pair, [Int::Const(_), Int::Const(_)]);
        let by_zero = matches!(&*pair, [_, Int::Const(0)]);
        let node = match op {
            BinaryOp::Add => Int::Add(pair),
            BinaryOp::Subtract => Int::Subtract(pair),
            BinaryOp::Multiply => Int::Multiply(pair),
            BinaryOp::Divide => Int::Divide(pair),
            _ => Int::Remainder(pair),
        };
        let is_division = matches!(op, BinaryOp::Divide | BinaryOp::Remainder);
        let value = if is_const { node.eval(&self.nothing) } else { None };
        match value {
            Some(value) => Ok(Typed::Int(Int::Const(value), ty)),
            None if is_const || (by_zero && is_division) => {
                Err(self.error(span, ExpressionFault::AlwaysMissing))
            }
            None => Ok(Typed::Int(node, ty)),
        }
    }

    /// A number as a double.
    fn double(&self, span: Span, value: Typed) -> Result<Double> {
        match value {
            Typed::Double(value) => Ok(value),
            Typed::Int(Int::Const(value), Type::Int) if exact_double(value).is_some() => {
                Ok(Double::Const(crate::number::to_double(value)))
            }
            Typed::Int(value, Type::Int) => Ok(Double::FromInt(Box::new(value))),
            other => Err(self.types(span, format!("{} is no double", other.ty()))),
        }
    }

    /// A number as an amount: exact, or refused.
    fn money(&self, span: Span, value: Typed) -> Result<Money> {
        match value {
            Typed::Money(value) => Ok(value),
            Typed::Int(Int::Const(value), Type::Int) => Amount::from_parts(value.into(), 0)
                .map(Money::Const)
                .map_err(|_| self.types(span, "out of the range of money")),
            Typed::Int(value, Type::Int) => Ok(Money::FromInt(Box::new(value))),
            // The shortest decimal of a float is the number that was written.
            Typed::Double(Double::Const(value)) => Amount::parse(&format!("{value}"))
                .map(Money::Const)
                .map_err(|_| self.types(span, "out of the range of money")),
            other => {
                let what =
                    format!("{} does not become money (write `double(amount)` to compare)", other.ty());
                Err(self.types(span, what))
            }
        }
    }

    fn negate(&mut self, span: Span, operand: &Expr) -> Result<Typed> {
        match self.expr(operand)? {
            Typed::Int(Int::Const(value), ty @ (Type::Int | Type::Duration)) => match value.checked_neg() {
                Some(value) => Ok(Typed::Int(Int::Const(value), ty)),
                None => Err(self.error(span, ExpressionFault::AlwaysMissing)),
            },
            Typed::Int(value, ty @ (Type::Int | Type::Duration)) => {
                Ok(Typed::Int(Int::Negate(Box::new(value)), ty))
            }
            Typed::Double(Double::Const(value)) => Ok(Typed::Double(Double::Const(-value))),
            Typed::Double(value) => Ok(Typed::Double(Double::Negate(Box::new(value)))),
            Typed::Money(value) => Ok(Typed::Money(Money::Negate(Box::new(value)))),
            other => {
                let hint = if other.ty() == Type::Bool { " (not is `!`)" } else { "" };
                Err(self.types(span, format!("-{} is not defined{hint}", other.ty())))
            }
        }
    }

    fn conditional(&mut self, span: Span, parts: &[Expr; 3]) -> Result<Typed> {
        let [condition, then, otherwise] = parts;
        let condition = self.condition(condition)?;
        let (then, otherwise) = (self.expr(then)?, self.expr(otherwise)?);
        if let Logic::Const(value) = condition
            && then.ty() == otherwise.ty()
        {
            return Ok(if value { then } else { otherwise });
        }
        let (then_ty, otherwise_ty) = (then.ty(), otherwise.ty());
        Ok(match (then, otherwise) {
            (Typed::Bool(a), Typed::Bool(b)) => Typed::Bool(Logic::If(Box::new([condition, a, b]))),
            (Typed::Text(a), Typed::Text(b)) => Typed::Text(Text::If(Box::new((condition, a, b)))),
            (Typed::Int(a, x), Typed::Int(b, y)) if x == y => {
                Typed::Int(Int::If(Box::new((condition, a, b))), x)
            }
            (
                a @ (Typed::Double(_) | Typed::Int(_, Type::Int)),
                b @ (Typed::Double(_) | Typed::Int(_, Type::Int)),
            ) => {
                let (a, b) = (self.double(span, a)?, self.double(span, b)?);
                Typed::Double(Double::If(Box::new((condition, a, b))))
            }
            (a, b) if is_number(&a) && is_number(&b) => {
                let (a, b) = (self.money(span, a)?, self.money(span, b)?);
                Typed::Money(Money::If(Box::new((condition, a, b))))
            }
            _ => {
                let what = format!("both branches have one type, these are {then_ty} and {otherwise_ty}");
                return Err(self.types(span, what));
            }
        })
    }

    fn call(&mut self, expr: &Expr, name: &str, arguments: &[Expr]) -> Result<Typed> {
        let wrong = |checker: &Self, expected| {
            Err(checker.error(expr.span, ExpressionFault::Arguments { function: name.to_owned(), expected }))
        };
        let literal = match arguments {
            [Expr { kind: ExprKind::Text(text), .. }] => Some(text.as_str()),
            _ => None,
        };
        let malformed = |checker: &Self, what: &str, expected| {
            Err(checker.error(expr.span, ExpressionFault::Literal { what: format!("{what:?}"), expected }))
        };
        match (name, arguments) {
            ("has", [Expr { kind: ExprKind::Name(slot), span }]) => match self.schema.slot(slot) {
                Some(id) => Ok(self.leaf(expr, Test::Has(id.0))),
                None => Err(self.unknown_name(*span, slot)),
            },
            ("has", _) => wrong(self, "one name"),
            ("duration", _) => match literal {
                None => wrong(self, "one string, such as \"24h\""),
                Some(text) => match parse_duration(text) {
                    Some(nanos) => Ok(Typed::Int(Int::Const(nanos), Type::Duration)),
                    None => malformed(
                        self,
                        text,
                        "a duration such as \"90m\", \"24h\" or \"7d\", up to 292 years",
                    ),
                },
            },
            ("timestamp", _) => match literal {
                None => wrong(self, "one string, such as \"2026-01-31T00:00:00Z\""),
                Some(text) => {
                    match UnixNanos::parse_rfc3339(text).ok().and_then(|at| i64::try_from(at.0).ok()) {
                        Some(nanos) => Ok(Typed::Int(Int::Const(nanos), Type::Timestamp)),
                        None => malformed(self, text, "an RFC 3339 time from 1970 to 2262"),
                    }
                }
            },
            ("money", _) => match literal {
                None => wrong(self, "one string, such as \"1000.50\""),
                Some(text) => match Amount::parse(text) {
                    Ok(amount) => Ok(Typed::Money(Money::Const(amount))),
                    Err(_) => malformed(self, text, "a plain decimal amount"),
                },
            },
            ("double", [argument]) => match self.expr(argument)? {
                Typed::Money(value) => Ok(Typed::Double(Double::FromMoney(Box::new(value)))),
                value => Ok(Typed::Double(self.double(expr.span, value)?)),
            },
            ("int", [argument]) => match self.expr(argument)? {
                value @ Typed::Int(_, Type::Int) => Ok(value),
                Typed::Double(Double::Const(value)) => match crate::number::to_int(value) {
                    Some(value) => Ok(Typed::Int(Int::Const(value), Type::Int)),
                    None => Err(self.error(expr.span, ExpressionFault::AlwaysMissing)),
                },
                Typed::Double(value) => Ok(Typed::Int(Int::FromDouble(Box::new(value)), Type::Int)),
                _ => wrong(self, "one number"),
            },
            ("double" | "int", _) => wrong(self, "one number"),
            ("size", [argument]) => match self.expr(argument)? {
                Typed::Text(Text::Const(symbol)) => {
                    let n_chars = self.interner.text(symbol).map_or(0, |text| text.chars().count());
                    Ok(Typed::Int(Int::Const(i64::try_from(n_chars).unwrap_or(i64::MAX)), Type::Int))
                }
                Typed::Text(text) => Ok(Typed::Int(Int::Size(text), Type::Int)),
                _ => wrong(self, "one string"),
            },
            ("size", _) => wrong(self, "one string"),
            ("contains" | "endsWith" | "startsWith" | "getDayOfWeek" | "getHours", _) => {
                wrong(self, "a value in front of its dot, as in `name.startsWith(\"a\")`")
            }
            ("matches", _) => {
                Err(self.error(expr.span, ExpressionFault::Unsupported { what: "regular expressions" }))
            }
            _ => {
                let nearest = nearest(name, FUNCTIONS).map(str::to_owned);
                Err(self
                    .error(expr.span, ExpressionFault::UnknownFunction { name: name.to_owned(), nearest }))
            }
        }
    }

    fn method(&mut self, expr: &Expr, receiver: &Expr, name: &str, arguments: &[Expr]) -> Result<Typed> {
        let wrong = |checker: &Self, expected| {
            Err(checker.error(expr.span, ExpressionFault::Arguments { function: name.to_owned(), expected }))
        };
        let search = match name {
            "contains" => Some(Search::Anywhere),
            "endsWith" => Some(Search::AtEnd),
            "startsWith" => Some(Search::AtStart),
            _ => None,
        };
        if let Some(search) = search {
            let [part] = arguments else { return wrong(self, "a string in front and one string") };
            let (text, part) = (self.expr(receiver)?, self.expr(part)?);
            let (Typed::Text(text), Typed::Text(part)) = (text, part) else {
                return wrong(self, "a string in front and one string");
            };
            if let (Text::Const(text), Text::Const(part)) = (&text, &part) {
                let (text, part) = (self.interner.text(*text), self.interner.text(*part));
                let (text, part) = (text.unwrap_or_default(), part.unwrap_or_default());
                return Ok(Typed::Bool(Logic::Const(match search {
                    Search::Anywhere => text.contains(part),
                    Search::AtEnd => text.ends_with(part),
                    Search::AtStart => text.starts_with(part),
                })));
            }
            return Ok(self.leaf(expr, Test::Search(search, text, part)));
        }
        let part = match name {
            "getDayOfWeek" => [(Type::Timestamp, TimePart::DayOfWeek); 2],
            "getHours" => [(Type::Timestamp, TimePart::HourOfDay), (Type::Duration, TimePart::Hours)],
            "getMinutes" => [(Type::Duration, TimePart::Minutes); 2],
            "getSeconds" => [(Type::Duration, TimePart::Seconds); 2],
            "size" => return self.call(expr, name, std::slice::from_ref(receiver)),
            "matches" => {
                return Err(
                    self.error(expr.span, ExpressionFault::Unsupported { what: "regular expressions" })
                );
            }
            _ => {
                let nearest = nearest(name, FUNCTIONS).map(str::to_owned);
                return Err(self
                    .error(expr.span, ExpressionFault::UnknownFunction { name: name.to_owned(), nearest }));
            }
        };
        let expected =
            "a duration in front (or, of hours and days, a timestamp) and nothing between its brackets";
        match self.expr(receiver)? {
            Typed::Int(value, ty) if arguments.is_empty() => {
                match part.into_iter().find(|(wanted, _)| *wanted == ty) {
                    Some((_, part)) => match value {
                        Int::Const(value) => Ok(Typed::Int(Int::Const(part.of(value)), Type::Int)),
                        value => Ok(Typed::Int(Int::Part(part, Box::new(value)), Type::Int)),
                    },
                    None => wrong(self, expected),
                }
            }
            _ => wrong(self, expected),
        }
    }
}

/// Whether it counts: an int, a double or money.
const fn is_number(value: &Typed) -> bool {
    matches!(value.ty(), Type::Double | Type::Int | Type::Money)
}

/// An integer beside a double, as one type where a constant allows it exactly.
fn mixed(cmp: Cmp, int: Int, double: Double) -> Test {
    match (int, double) {
        (Int::Const(value), double) if exact_double(value).is_some() => {
            Test::Double(cmp, Double::Const(crate::number::to_double(value)), double)
        }
        (int, Double::Const(value)) => match exact_int(value) {
            Some(value) => Test::Int(cmp, int, Int::Const(value)),
            None => Test::Mixed(cmp, int, Double::Const(value)),
        },
        (int, double) => Test::Mixed(cmp, int, double),
    }
}
