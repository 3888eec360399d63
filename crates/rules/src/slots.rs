//! The values of one event, by slot. A slot that was not filled is missing.
//!
//! One [`Slots`] serves many events: [`Slots::clear`] empties it without giving memory back. It belongs to the set of rules
//! it was made for, since its strings are that set's numbers.

use std::sync::Arc;

use domain::{Amount, UnixNanos};

use crate::{
    bounds::TEXT_BYTES_MAX,
    error::SlotError,
    intern::{Interner, Symbol},
    number::exact_int,
    schema::{Schema, SlotId, Type},
};

/// Strings of one event that no rule mentions, for each string slot of the schema. More than one is only used when a slot
/// is filled again before [`Slots::clear`].
const LOCALS_PER_SLOT: usize = 4;

/// A value as the caller has it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// For [`Type::Bool`].
    Bool(bool),
    /// For [`Type::Double`].
    Double(f64),
    /// For [`Type::Duration`], nanoseconds.
    Duration(i64),
    /// For [`Type::Int`].
    Int(i64),
    /// For [`Type::Money`].
    Money(Amount),
    /// For [`Type::String`].
    String(&'a str),
    /// For [`Type::Timestamp`].
    Timestamp(UnixNanos),
}

impl Value<'_> {
    /// Its type.
    #[must_use]
    pub const fn ty(self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Double(_) => Type::Double,
            Self::Duration(_) => Type::Duration,
            Self::Int(_) => Type::Int,
            Self::Money(_) => Type::Money,
            Self::String(_) => Type::String,
            Self::Timestamp(_) => Type::Timestamp,
        }
    }
}

/// One slot's value. `bits` are an integer, a float's bits, 0 or 1, or a symbol; of money the position says where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    pub(crate) bits: u64,
    pub(crate) present: bool,
}

/// The values of one event.
#[derive(Debug, Clone)]
pub struct Slots {
    pub(crate) schema: Arc<Schema>,
    pub(crate) interner: Arc<Interner>,
    pub(crate) cells: Box<[Cell]>,
    /// As long as `cells` if the schema has money, else empty.
    money: Box<[Amount]>,
    /// Strings of this event without a number of the set; the first `n_locals` count.
    locals: Vec<String>,
    n_locals: usize,
    locals_max: usize,
}

impl Slots {
    pub(crate) fn new(schema: Arc<Schema>, interner: Arc<Interner>) -> Self {
        let count = |ty| schema.slots().iter().filter(|slot| slot.ty == ty).count();
        let n_money = if count(Type::Money) > 0 { schema.slots().len() } else { 0 };
        Self {
            cells: vec![Cell::default(); schema.slots().len()].into(),
            money: vec![Amount::ZERO; n_money].into(),
            locals: Vec::new(),
            n_locals: 0,
            locals_max: LOCALS_PER_SLOT * count(Type::String),
            schema,
            interner,
        }
    }

    /// Makes every slot missing.
    pub fn clear(&mut self) {
        self.cells.fill(Cell::default());
        self.n_locals = 0;
    }

    /// The schema it follows.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Makes a slot missing.
    pub fn unset(&mut self, id: SlotId) {
        if let Some(cell) = self.cells.get_mut(id.index()) {
            *cell = Cell::default();
        }
    }

    /// Fills a slot with a string that the set or this event has.
    pub(crate) fn set_symbol(&mut self, id: SlotId, symbol: Symbol) {
        if let Some(cell) = self.cells.get_mut(id.index()) {
            *cell = Cell { bits: u64::from(symbol.0), present: true };
        }
    }

    /// Gives a slot the value it has in slots that this was cloned from.
    pub(crate) fn copy_slot(&mut self, from: &Self, slot: u16) {
        let index = usize::from(slot);
        if let (Some(cell), Some(other)) = (self.cells.get_mut(index), from.cells.get(index)) {
            *cell = *other;
        }
        if let (Some(money), Some(other)) = (self.money.get_mut(index), from.money.get(index)) {
            *money = *other;
        }
    }

    /// Fills a slot. An integer also fills a slot of doubles. A float that is not finite makes it missing.
    ///
    /// # Errors
    /// The value does not fit; the slot is missing then.
    pub fn set(&mut self, id: SlotId, value: Value<'_>) -> Result<(), SlotError> {
        let index = id.index();
        let Some(ty) = self.schema.slots().get(index).map(|slot| slot.ty) else {
            return Err(SlotError::Unknown(id.0));
        };
        self.cells[index] = Cell::default();
        let bits = match (ty, value) {
            (Type::Bool, Value::Bool(value)) => Some(u64::from(value)),
            (Type::Double, Value::Double(value)) => {
                if !value.is_finite() {
                    return Ok(());
                }
                Some(value.to_bits())
            }
            (Type::Double, Value::Int(value)) => crate::number::exact_double(value).map(f64::to_bits),
            (Type::Int, Value::Int(value)) | (Type::Duration, Value::Duration(value)) => {
                Some(value.cast_unsigned())
            }
            (Type::Money, Value::Money(value)) => {
                self.money[index] = value;
                Some(0)
            }
            (Type::String, Value::String(text)) => Some(u64::from(self.symbol(id, text)?.0)),
            (Type::Timestamp, Value::Timestamp(at)) => i64::try_from(at.0).ok().map(i64::cast_unsigned),
            _ => {
                let slot = self.name(id);
                return Err(SlotError::Type { slot, expected: ty, got: value.ty() });
            }
        };
        match bits {
            Some(bits) => {
                self.cells[index] = Cell { bits, present: true };
                Ok(())
            }
            None => Err(SlotError::OutOfRange { slot: self.name(id), expected: ty }),
        }
    }

    /// Fills a slot from a number of a feature vector: a double as it is, an int that has no fraction, a bool from 0 and 1.
    /// NaN and infinities make it missing.
    ///
    /// # Errors
    /// The number is no value of the slot's type; the slot is missing then.
    pub fn set_number(&mut self, id: SlotId, value: f64) -> Result<(), SlotError> {
        let Some(ty) = self.schema.slots().get(id.index()).map(|slot| slot.ty) else {
            return Err(SlotError::Unknown(id.0));
        };
        if !value.is_finite() {
            self.unset(id);
            return Ok(());
        }
        match (ty, exact_int(value)) {
            (Type::Bool, Some(int @ (0 | 1))) => self.set(id, Value::Bool(int == 1)),
            (Type::Int, Some(int)) => self.set(id, Value::Int(int)),
            (Type::Bool | Type::Int, _) => {
                self.unset(id);
                Err(SlotError::OutOfRange { slot: self.name(id), expected: ty })
            }
            _ => self.set(id, Value::Double(value)),
        }
    }

    /// The value of a slot, `None` if it is missing.
    #[must_use]
    pub fn value(&self, id: SlotId) -> Option<Value<'_>> {
        let cell = self.cells.get(id.index()).filter(|cell| cell.present)?;
        Some(match self.schema.slots().get(id.index())?.ty {
            Type::Bool => Value::Bool(cell.bits == 1),
            Type::Double => Value::Double(f64::from_bits(cell.bits)),
            Type::Duration => Value::Duration(cell.bits.cast_signed()),
            Type::Int => Value::Int(cell.bits.cast_signed()),
            Type::Money => Value::Money(self.money[id.index()]),
            Type::String => Value::String(self.text(self.symbol_at(id.0)?)),
            Type::Timestamp => Value::Timestamp(UnixNanos(cell.bits)),
        })
    }

    fn name(&self, id: SlotId) -> String {
        self.schema.slots().get(id.index()).map_or_else(String::new, |slot| slot.name.clone())
    }

    /// The number of a string within this event.
    fn symbol(&mut self, id: SlotId, text: &str) -> Result<Symbol, SlotError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SlotError::TooLong { slot: self.name(id) });
        }
        if let Some(symbol) = self.interner.lookup(text) {
            return Ok(symbol);
        }
        let known = self.locals[..self.n_locals].iter().position(|local| local == text);
        let local = match known {
            Some(local) => local,
            None if self.n_locals >= self.locals_max => {
                return Err(SlotError::TooLong { slot: self.name(id) });
            }
            None => {
                match self.locals.get_mut(self.n_locals) {
                    Some(local) => {
                        local.clear();
                        local.push_str(text);
                    }
                    None => self.locals.push(text.to_owned()),
                }
                self.n_locals += 1;
                self.n_locals - 1
            }
        };
        // Both counts are bounded far below the end of the numbers.
        u32::try_from(self.interner.len() + local)
            .map(Symbol)
            .map_err(|_| SlotError::TooLong { slot: self.name(id) })
    }

    /// The string of a number of this event.
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        let index = symbol.0 as usize;
        match self.interner.text(symbol) {
            Some(text) => text,
            None => self.locals[..self.n_locals].get(index - self.interner.len()).map_or("", String::as_str),
        }
    }

    #[inline]
    pub(crate) fn cell(&self, slot: u16) -> Option<u64> {
        self.cells.get(usize::from(slot)).filter(|cell| cell.present).map(|cell| cell.bits)
    }

    pub(crate) fn int_at(&self, slot: u16) -> Option<i64> {
        self.cell(slot).map(u64::cast_signed)
    }

    pub(crate) fn double_at(&self, slot: u16) -> Option<f64> {
        self.cell(slot).map(f64::from_bits)
    }

    pub(crate) fn bool_at(&self, slot: u16) -> Option<bool> {
        self.cell(slot).map(|bits| bits == 1)
    }

    pub(crate) fn money_at(&self, slot: u16) -> Option<Amount> {
        self.cell(slot).and_then(|_| self.money.get(usize::from(slot)).copied())
    }

    pub(crate) fn symbol_at(&self, slot: u16) -> Option<Symbol> {
        self.cell(slot).and_then(|bits| u32::try_from(bits).ok()).map(Symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Slot;

    fn slots() -> Slots {
        let types =
            [Type::Bool, Type::Double, Type::Duration, Type::Int, Type::Money, Type::String, Type::Timestamp];
        let slots = types
            .into_iter()
            .map(|ty| Slot::new(format!("a_{ty}"), ty))
            .chain([Slot::new("other", Type::String)]);
        let mut interner = Interner::default();
        interner.intern("DE");
        Slots::new(Arc::new(Schema::new(slots.collect()).unwrap()), Arc::new(interner))
    }

    #[test]
    fn what_is_set_is_read_and_what_does_not_fit_is_missing() {
        let mut slots = slots();
        let values = [
            Value::Bool(true),
            Value::Double(1.5),
            Value::Duration(-7),
            Value::Int(i64::MIN),
            Value::Money(Amount::parse("0.1").unwrap()),
            Value::String("somewhere"),
            Value::Timestamp(UnixNanos::from_secs(1)),
        ];
        for (id, value) in (0..).map(SlotId).zip(values) {
            assert_eq!(slots.value(id), None);
            slots.set(id, value).unwrap();
            assert_eq!(slots.value(id), Some(value));
            let wrong = if value.ty() == Type::Bool { Value::String("") } else { Value::Bool(true) };
            assert!(matches!(slots.set(id, wrong), Err(SlotError::Type { .. })));
            assert_eq!(slots.value(id), None);
        }
        assert!(slots.set(SlotId(6), Value::Timestamp(UnixNanos(u64::MAX))).is_err());
        assert_eq!(slots.set(SlotId(99), Value::Int(1)), Err(SlotError::Unknown(99)));
        slots.set(SlotId(1), Value::Double(f64::NAN)).unwrap();
        assert_eq!(slots.value(SlotId(1)), None);
    }

    #[test]
    fn numbers_of_a_vector_fit_their_types() {
        let mut slots = slots();
        for (slot, number, value) in [
            (0, 1.0, Some(Value::Bool(true))),
            (1, 0.5, Some(Value::Double(0.5))),
            (3, -3.0, Some(Value::Int(-3))),
            (3, f64::NAN, None),
        ] {
            slots.set_number(SlotId(slot), number).unwrap();
            assert_eq!(slots.value(SlotId(slot)), value);
        }
        for (slot, number) in [(0, 2.0), (0, 0.5), (3, 0.5), (3, 1e19), (2, 1.0), (5, 1.0)] {
            slots.set_number(SlotId(slot), number).unwrap_err();
            assert_eq!(slots.value(SlotId(slot)), None);
        }
    }

    #[test]
    fn strings_of_an_event_do_not_stay() {
        let mut slots = slots();
        slots.set(SlotId(5), Value::String("x")).unwrap();
        slots.set(SlotId(7), Value::String("x")).unwrap();
        assert_eq!(slots.cells[5], slots.cells[7]);
        slots.set(SlotId(7), Value::String("DE")).unwrap();
        assert_eq!(slots.symbol_at(7), Some(Symbol(0)));
        for n in 0..100 {
            drop(slots.set(SlotId(5), Value::String(&format!("y{n}"))));
        }
        assert!(slots.locals.len() <= 2 * LOCALS_PER_SLOT);
        slots.clear();
        slots.set(SlotId(5), Value::String("z")).unwrap();
        assert_eq!((slots.value(SlotId(5)), slots.interner.len()), (Some(Value::String("z")), 1));
        let long = "é".repeat(TEXT_BYTES_MAX);
        assert!(matches!(slots.set(SlotId(5), Value::String(&long)), Err(SlotError::TooLong { .. })));
    }
}
