//! Pratt parser of the language: text to syntax tree, bounded in bytes, nodes, height and recursion.
//!
//! Source: Common Expression Language specification, "Grammar" (precedence and associativity of its operators).

use crate::{
    ast::{BinaryOp, Cmp, Expr, ExprKind, power},
    bounds::{DEPTH_MAX, INLINE_LIST_MAX, NAME_BYTES_MAX, NESTING_MAX, NODES_MAX},
    error::{ExpressionError, ExpressionFault},
    lex::{Token, tokens},
    span::Span,
};

/// Words that CEL keeps for itself, besides those with a meaning.
pub(crate) const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "var",
    "void",
    "while",
    "in",
];

/// Words of other languages for operators of this one.
const FOREIGN: [(&str, &str); 5] = [("and", "&&"), ("or", "||"), ("not", "!"), ("is", "=="), ("then", "?")];

/// An expression with the height of its tree.
struct Parsed {
    expr: Expr,
    height: usize,
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    n_nodes: usize,
    nesting: usize,
}

type Result<T> = std::result::Result<T, ExpressionError>;

/// Parses one expression.
///
/// # Errors
/// What is wrong and where; any text is either parsed or refused, in time linear in its length.
pub fn parse(source: &str) -> Result<Expr> {
    let tokens = tokens(source)?;
    let mut parser = Parser { source, tokens, at: 0, n_nodes: 0, nesting: 0 };
    let parsed = parser.expression(power::IF)?;
    match parser.peek() {
        Token::End => Ok(parsed.expr),
        _ => Err(parser.expected("an operator or the end")),
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map_or_else(Span::default, |(_, span)| *span)
    }

    fn bump(&mut self) -> (Token, Span) {
        let taken = self.tokens.get(self.at).cloned().unwrap_or((Token::End, self.span()));
        self.at += 1;
        taken
    }

    fn takes(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(found) if *found == mark);
        self.at += usize::from(found);
        found
    }

    fn error(&self, span: Span, fault: ExpressionFault) -> ExpressionError {
        ExpressionError::new(self.source, span, fault)
    }

    fn malformed(&self, span: Span, what: impl Into<String>) -> ExpressionError {
        self.error(span, ExpressionFault::Malformed { what: what.into() })
    }

    /// Refuses the next token.
    fn expected(&self, what: &str) -> ExpressionError {
        let hint = match self.peek() {
            Token::Name(name) => FOREIGN
                .into_iter()
                .find(|(word, _)| name == word)
                .map_or_else(String::new, |(word, mark)| format!(" (`{word}` is written `{mark}`)")),
            _ => String::new(),
        };
        self.malformed(self.span(), format!("expected {what}, found {}{hint}", self.peek().shown()))
    }

    fn closes(&mut self, mark: &str) -> Result<Span> {
        let span = self.span();
        if self.takes(mark) { Ok(span) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    fn node(&mut self, kind: ExprKind, span: Span, height: usize) -> Result<Parsed> {
        self.n_nodes += 1;
        if self.n_nodes > NODES_MAX {
            return Err(self.error(span, ExpressionFault::TooLarge { what: "nodes", max: NODES_MAX }));
        }
        if height > DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        Ok(Parsed { expr: Expr { kind, span }, height })
    }

    fn too_deep(&self, span: Span) -> ExpressionError {
        self.error(span, ExpressionFault::TooLarge { what: "levels of nesting", max: DEPTH_MAX })
    }

    /// Runs `parse` one level deeper.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Result<Parsed>) -> Result<Parsed> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.too_deep(self.span()));
        }
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Parsed> {
        self.nested(|parser| parser.operators(least))
    }

    fn operators(&mut self, least: u8) -> Result<Parsed> {
        let mut left = self.prefix()?;
        loop {
            left = match self.peek() {
                Token::Mark("?") if least <= power::IF => self.conditional(left)?,
                Token::Mark("||") if least <= power::ANY => {
                    self.chain(left, "||", power::ANY, ExprKind::Any)?
                }
                Token::Mark("&&") if least <= power::ALL => {
                    self.chain(left, "&&", power::ALL, ExprKind::All)?
                }
                token => match binary(token) {
                    Some(op) if op.power() >= least => {
                        self.bump();
                        let right = self.expression(op.power() + 1)?;
                        let span = left.expr.span.to(right.expr.span);
                        let height = left.height.max(right.height) + 1;
                        self.node(ExprKind::Binary(op, Box::new([left.expr, right.expr])), span, height)?
                    }
                    _ => return Ok(left),
                },
            };
        }
    }

    /// `left && ...`: all operands of one operator side by side.
    fn chain(
        &mut self,
        left: Parsed,
        mark: &str,
        power: u8,
        kind: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Parsed> {
        let start = left.expr.span;
        let mut height = left.height;
        let mut operands = vec![left.expr];
        while self.takes(mark) {
            let operand = self.expression(power + 1)?;
            height = height.max(operand.height);
            operands.push(operand.expr);
        }
        let span = operands.last().map_or(start, |last| start.to(last.span));
        self.node(kind(operands), span, height + 1)
    }

    /// `condition ? ...`: CEL's grammar wants no bare conditional between `?` and `:`.
    fn conditional(&mut self, condition: Parsed) -> Result<Parsed> {
        self.bump();
        let then = self.expression(power::ANY)?;
        self.closes(":")?;
        let otherwise = self.expression(power::IF)?;
        let span = condition.expr.span.to(otherwise.expr.span);
        let height = condition.height.max(then.height).max(otherwise.height) + 1;
        self.node(ExprKind::If(Box::new([condition.expr, then.expr, otherwise.expr])), span, height)
    }

    fn prefix(&mut self) -> Result<Parsed> {
        let span = self.span();
        if self.takes("!") {
            let operand = self.nested(Self::prefix)?;
            let whole = span.to(operand.expr.span);
            return self.node(ExprKind::Not(Box::new(operand.expr)), whole, operand.height + 1);
        }
        if self.takes("-") {
            let whole = span.to(self.span());
            // A sign and its digits are one literal, so that the smallest integer has one.
            match *self.peek() {
                Token::Int(magnitude) => {
                    let value = 0_i64.checked_sub_unsigned(magnitude);
                    let value = value.ok_or_else(|| self.malformed(whole, "a number out of range"))?;
                    self.bump();
                    return self.node(ExprKind::Int(value), whole, 1);
                }
                Token::Double(value) => {
                    self.bump();
                    return self.node(ExprKind::Double(-value), whole, 1);
                }
                _ => {}
            }
            let operand = self.nested(Self::prefix)?;
            let whole = span.to(operand.expr.span);
            return self.node(ExprKind::Negate(Box::new(operand.expr)), whole, operand.height + 1);
        }
        self.postfix()
    }

    /// An operand and the methods called on it.
    fn postfix(&mut self) -> Result<Parsed> {
        let mut operand = self.operand()?;
        while self.takes(".") {
            let (name, name_span) = self.name("the name of a method")?;
            if !self.takes("(") {
                return Err(self.malformed(name_span, "only names have fields here"));
            }
            let (arguments, height, end) = self.arguments(")")?;
            let span = operand.expr.span.to(end);
            let height = height.max(operand.height) + 1;
            operand = self.node(ExprKind::Method(Box::new(operand.expr), name, arguments), span, height)?;
        }
        Ok(operand)
    }

    fn operand(&mut self) -> Result<Parsed> {
        let (token, span) = match self.peek() {
            Token::Name(_) => return self.named(),
            Token::Mark("(" | "[") | Token::Int(_) | Token::Double(_) | Token::Text(_) => self.bump(),
            _ => return Err(self.expected("a value")),
        };
        match token {
            Token::Int(magnitude) => match i64::try_from(magnitude) {
                Ok(value) => self.node(ExprKind::Int(value), span, 1),
                Err(_) => Err(self.malformed(span, "a number out of range")),
            },
            Token::Double(value) => self.node(ExprKind::Double(value), span, 1),
            Token::Text(text) => self.node(ExprKind::Text(text), span, 1),
            Token::Mark("[") => {
                let (items, height, end) = self.arguments("]")?;
                self.node(ExprKind::List(items), span.to(end), height + 1)
            }
            _ => {
                let inner = self.expression(power::IF)?;
                self.closes(")")?;
                Ok(inner)
            }
        }
    }

    /// A word, a function call, or a name with its dots. A dot before a call belongs to the method.
    fn named(&mut self) -> Result<Parsed> {
        let (mut name, mut span) = self.name("a name")?;
        match name.as_str() {
            "true" | "false" => return self.node(ExprKind::Bool(name == "true"), span, 1),
            _ => {}
        }
        if self.takes("(") {
            let (arguments, height, end) = self.arguments(")")?;
            return self.node(ExprKind::Call(name, arguments), span.to(end), height + 1);
        }
        loop {
            let field = match (self.peek(), self.tokens.get(self.at + 1), self.tokens.get(self.at + 2)) {
                (Token::Mark("."), Some((Token::Name(_), _)), Some((Token::Mark("("), _))) => None,
                (Token::Mark("."), ..) => Some(()),
                _ => None,
            };
            if field.is_none() {
                break;
            }
            self.bump();
            let (field, field_span) = self.name("a name")?;
            name.push('.');
            name.push_str(&field);
            span = span.to(field_span);
            if name.len() > NAME_BYTES_MAX {
                return Err(self.error(
                    span,
                    ExpressionFault::TooLarge { what: "bytes in a name", max: NAME_BYTES_MAX },
                ));
            }
        }
        self.node(ExprKind::Name(name), span, 1)
    }

    fn name(&mut self, what: &str) -> Result<(String, Span)> {
        let span = self.span();
        let Token::Name(name) = self.peek() else { return Err(self.expected(what)) };
        if RESERVED.contains(&name.as_str()) {
            return Err(self.malformed(span, format!("`{name}` is a reserved word")));
        }
        let name = name.clone();
        if name.len() > NAME_BYTES_MAX {
            return Err(
                self.error(span, ExpressionFault::TooLarge { what: "bytes in a name", max: NAME_BYTES_MAX })
            );
        }
        self.bump();
        Ok((name, span))
    }

    /// Expressions between commas up to `close`, their greatest height, the place of `close`.
    fn arguments(&mut self, close: &str) -> Result<(Vec<Expr>, usize, Span)> {
        let mut items = Vec::new();
        let mut height = 0;
        loop {
            let span = self.span();
            if self.takes(close) {
                return Ok((items, height, span));
            }
            if items.len() >= INLINE_LIST_MAX {
                let fault = ExpressionFault::TooLarge { what: "values in one list", max: INLINE_LIST_MAX };
                return Err(self.error(span, fault));
            }
            let item = self.expression(power::IF)?;
            height = height.max(item.height);
            items.push(item.expr);
            // CEL allows a comma behind the last value of a list, not behind the last argument.
            if !self.takes(",") {
                let span = self.closes(close)?;
                return Ok((items, height, span));
            }
            if close == ")" && matches!(self.peek(), Token::Mark(")")) {
                return Err(self.expected("a value"));
            }
        }
    }
}

/// The operator between two operands that a token is.
fn binary(token: &Token) -> Option<BinaryOp> {
    Some(match token {
        Token::Mark("+") => BinaryOp::Add,
        Token::Mark("/") => BinaryOp::Divide,
        Token::Mark("==") => BinaryOp::Compare(Cmp::Eq),
        Token::Mark(">=") => BinaryOp::Compare(Cmp::Ge),
        Token::Mark(">") => BinaryOp::Compare(Cmp::Gt),
        Token::Mark("<=") => BinaryOp::Compare(Cmp::Le),
        Token::Mark("<") => BinaryOp::Compare(Cmp::Lt),
        Token::Mark("!=") => BinaryOp::Compare(Cmp::Ne),
        Token::Mark("*") => BinaryOp::Multiply,
        Token::Mark("%") => BinaryOp::Remainder,
        Token::Mark("-") => BinaryOp::Subtract,
        Token::Name(name) if name == "in" => BinaryOp::In,
        _ => return None,
    })
}
