//! The syntax tree of an expression: what was written, before names and types have a meaning.

use crate::span::Span;

/// An expression and where it stands. Two are equal when they say the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `a && b && c`: two operands or more.
    All(Vec<Expr>),
    /// `a || b || c`: two operands or more.
    Any(Vec<Expr>),
    /// An operator between two operands.
    Binary(BinaryOp, Box<[Expr; 2]>),
    /// `true`, `false`.
    Bool(bool),
    /// `f(a, b)`.
    Call(String, Vec<Expr>),
    /// A floating-point number, finite.
    Double(f64),
    /// `a ? b : c`.
    If(Box<[Expr; 3]>),
    /// An integer.
    Int(i64),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `a.f(b)`.
    Method(Box<Expr>, String, Vec<Expr>),
    /// A slot or list, with its dots.
    Name(String),
    /// `-a`.
    Negate(Box<Expr>),
    /// `!a`.
    Not(Box<Expr>),
    /// A string.
    Text(String),
}

/// Operators between two operands, `&&` and `||` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `/`
    Divide,
    /// A comparison.
    Compare(Cmp),
    /// `in`
    In,
    /// `*`
    Multiply,
    /// `%`
    Remainder,
    /// `-`
    Subtract,
}

impl BinaryOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Divide => "/",
            Self::Compare(cmp) => cmp.as_str(),
            Self::In => "in",
            Self::Multiply => "*",
            Self::Remainder => "%",
            Self::Subtract => "-",
        }
    }
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cmp {
    /// `==`
    Eq,
    /// `>=`
    Ge,
    /// `>`
    Gt,
    /// `<=`
    Le,
    /// `<`
    Lt,
    /// `!=`
    Ne,
}

impl Cmp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ge => ">=",
            Self::Gt => ">",
            Self::Le => "<=",
            Self::Lt => "<",
            Self::Ne => "!=",
        }
    }

    /// Whether it holds for this order of left and right.
    #[must_use]
    pub const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ge => order.is_ge(),
            Self::Gt => order.is_gt(),
            Self::Le => order.is_le(),
            Self::Lt => order.is_lt(),
            Self::Ne => order.is_ne(),
        }
    }

    /// The comparison that holds when this one does not.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ge => Self::Lt,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
            Self::Lt => Self::Ge,
            Self::Ne => Self::Eq,
        }
    }

    /// The comparison with left and right exchanged.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            Self::Eq | Self::Ne => self,
            Self::Ge => Self::Le,
            Self::Gt => Self::Lt,
            Self::Le => Self::Ge,
            Self::Lt => Self::Gt,
        }
    }
}

/// How tightly an operator binds; shared by parser and printer. Operators of one power associate to the left.
pub(crate) mod power {
    pub(crate) const IF: u8 = 1;
    pub(crate) const ANY: u8 = 2;
    pub(crate) const ALL: u8 = 3;
    pub(crate) const RELATION: u8 = 4;
    pub(crate) const SUM: u8 = 5;
    pub(crate) const PRODUCT: u8 = 6;
    pub(crate) const PREFIX: u8 = 7;
}

impl BinaryOp {
    pub(crate) const fn power(self) -> u8 {
        match self {
            Self::Compare(_) | Self::In => power::RELATION,
            Self::Add | Self::Subtract => power::SUM,
            Self::Divide | Self::Multiply | Self::Remainder => power::PRODUCT,
        }
    }
}
