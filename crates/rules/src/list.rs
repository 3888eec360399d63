//! Lists behind `in`: sorted, without repetition, in the form each type of value is looked up in.

use std::sync::Arc;

use crate::{
    intern::Symbol,
    number::{exact_double, exact_int},
    schema::Type,
};

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Durations or timestamps.
    Moments(Type),
    /// Ints and doubles; equal numbers are equal whatever their type.
    Numbers,
    Strings,
}

/// A list. Of numbers, both forms hold those values that a value of the form's type can equal.
#[derive(Debug, Clone)]
pub(crate) struct List {
    /// `None` when it is empty: it fits any type then.
    kind: Option<Kind>,
    pub(crate) ints: Arc<[i64]>,
    pub(crate) doubles: Arc<[f64]>,
    pub(crate) symbols: Arc<[Symbol]>,
}

/// A list that is being filled.
#[derive(Debug, Default)]
pub(crate) struct ListBuilder {
    kind: Option<Kind>,
    ints: Vec<i64>,
    doubles: Vec<f64>,
    symbols: Vec<Symbol>,
}

impl ListBuilder {
    fn is(&mut self, kind: Kind) -> bool {
        *self.kind.get_or_insert(kind) == kind
    }

    /// Adds an integer; `false` if the list is of another kind.
    pub(crate) fn int(&mut self, value: i64) -> bool {
        self.ints.push(value);
        // Beyond 2^53 only some integers are doubles; the way back says which.
        let double = exact_double(value).or_else(|| {
            let near = crate::number::to_double(value);
            (exact_int(near) == Some(value)).then_some(near)
        });
        self.doubles.extend(double);
        self.is(Kind::Numbers)
    }

    /// Adds a finite float; `false` if the list is of another kind.
    pub(crate) fn double(&mut self, value: f64) -> bool {
        self.doubles.push(value + 0.0);
        self.ints.extend(exact_int(value));
        self.is(Kind::Numbers)
    }

    /// Adds a duration or timestamp; `false` if the list is of another kind.
    pub(crate) fn moment(&mut self, nanos: i64, ty: Type) -> bool {
        self.ints.push(nanos);
        self.is(Kind::Moments(ty))
    }

    /// Adds a string; `false` if the list is of another kind.
    pub(crate) fn symbol(&mut self, symbol: Symbol) -> bool {
        self.symbols.push(symbol);
        self.is(Kind::Strings)
    }

    pub(crate) fn build(mut self) -> List {
        self.ints.sort_unstable();
        self.ints.dedup();
        self.doubles.sort_unstable_by(f64::total_cmp);
        self.doubles.dedup();
        self.symbols.sort_unstable();
        self.symbols.dedup();
        List {
            kind: self.kind,
            ints: self.ints.into(),
            doubles: self.doubles.into(),
            symbols: self.symbols.into(),
        }
    }
}

impl List {
    pub(crate) fn builder() -> ListBuilder {
        ListBuilder::default()
    }

    /// Whether values of a type can be looked up.
    pub(crate) fn fits(&self, ty: Type) -> bool {
        match self.kind {
            None => true,
            Some(Kind::Moments(held)) => held == ty,
            Some(Kind::Numbers) => matches!(ty, Type::Double | Type::Int),
            Some(Kind::Strings) => ty == Type::String,
        }
    }

    /// What it holds, for messages.
    pub(crate) const fn shown(&self) -> &'static str {
        match self.kind {
            None => "nothing",
            Some(Kind::Moments(ty)) => ty.as_str(),
            Some(Kind::Numbers) => "numbers",
            Some(Kind::Strings) => "strings",
        }
    }
}
