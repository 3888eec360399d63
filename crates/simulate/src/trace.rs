//! What happens during an execution, in order; what is reverted did not happen.

use std::collections::BTreeMap;

use chain::{evm::Account, u256::U256};
use revm::{
    Inspector,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps as _, MemoryTr as _},
    },
    primitives::{Address, Log, U256 as Word},
};

use crate::database::{account, integer};

/// Most events of one transaction that are kept.
pub const EVENTS_MAX: usize = 65_536;
/// Most places in mappings that are remembered.
const MAPPED_MAX: usize = 16_384;
/// Instructions between two looks at whether to go on.
const STRIDE: u64 = 1_024;
/// `KECCAK256`.
const KECCAK256: u8 = 0x20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A contract is created.
    Creation { by: Account, contract: Account },
    /// Code of another account runs in the name of an account.
    DelegateCall { by: Account, code: Account },
    /// A contract is destroyed.
    Destruction { contract: Account, heir: Account },
    /// A contract says something.
    Log { emitter: Account, topics: Vec<[u8; 32]>, data: Vec<u8> },
    /// Native value moves.
    Value { from: Account, to: Account, amount: U256 },
}

/// Where in a mapping a storage slot lies: the key, and the slot of the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) key: [u8; 32],
    pub(crate) base: [u8; 32],
}

/// Watches an execution.
pub(crate) struct Trace<'g> {
    pub(crate) events: Vec<Event>,
    /// For each open frame, how many events there were before it.
    marks: Vec<usize>,
    pub(crate) mapped: BTreeMap<[u8; 32], Mapped>,
    pub(crate) steps: u64,
    pub(crate) is_cut: bool,
    pub(crate) is_stopped: bool,
    go_on: &'g mut dyn FnMut() -> bool,
}

impl<'g> Trace<'g> {
    pub(crate) fn new(go_on: &'g mut dyn FnMut() -> bool) -> Self {
        Self {
            events: Vec::new(),
            marks: Vec::new(),
            mapped: BTreeMap::new(),
            steps: 0,
            is_cut: false,
            is_stopped: false,
            go_on,
        }
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.is_cut = true;
        }
    }

    fn close(&mut self, is_ok: bool) {
        let mark = self.marks.pop().unwrap_or_default();
        if !is_ok {
            self.events.truncate(mark);
        }
    }

    /// Remembers which key of which mapping a hash stands for (Solidity's layout: hash of key and slot).
    fn keep_place(&mut self, interpreter: &Interpreter<EthInterpreter>) {
        let [.., len, at] = interpreter.stack.data()[..] else { return };
        let Ok(at) = usize::try_from(at) else { return };
        if len != Word::from(64) || self.mapped.len() >= MAPPED_MAX {
            return;
        }
        let Some(end) = at.checked_add(64) else { return };
        // Memory that is not there yet is zero: no place anybody meant.
        if end > interpreter.memory.size() {
            return;
        }
        let bytes = interpreter.memory.slice(at..end);
        let (Some(key), Some(base)) = (bytes.first_chunk::<32>(), bytes.last_chunk::<32>()) else { return };
        use sha3::Digest as _;
        let slot = sha3::Keccak256::digest(&*bytes).into();
        self.mapped.insert(slot, Mapped { key: *key, base: *base });
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for Trace<'_> {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _context: &mut CTX) {
        self.steps = self.steps.saturating_add(1);
        if self.steps.is_multiple_of(STRIDE) && !(self.go_on)() {
            self.is_stopped = true;
        }
        if self.is_stopped {
            interpreter.halt(InstructionResult::OutOfGas);
        } else if interpreter.bytecode.opcode() == KECCAK256 {
            self.keep_place(interpreter);
        }
    }

    fn log(&mut self, _context: &mut CTX, log: Log) {
        let (topics, data) = log.data.split();
        self.push(Event::Log {
            emitter: account(&log.address),
            topics: topics.into_iter().map(|topic| topic.0).collect(),
            data: data.to_vec(),
        });
    }

    fn call(&mut self, _context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.marks.push(self.events.len());
        match inputs.scheme {
            CallScheme::Call => {
                if let Some(amount) = inputs.transfer_value().filter(|amount| !amount.is_zero()) {
                    self.push(Event::Value {
                        from: account(&inputs.caller),
                        to: account(&inputs.target_address),
                        amount: integer(amount),
                    });
                }
            }
            CallScheme::CallCode | CallScheme::DelegateCall => self.push(Event::DelegateCall {
                by: account(&inputs.target_address),
                code: account(&inputs.bytecode_address),
            }),
            CallScheme::StaticCall => {}
        }
        None
    }

    fn call_end(&mut self, _context: &mut CTX, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.close(outcome.instruction_result().is_ok());
    }

    fn create(&mut self, _context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.marks.push(self.events.len());
        let by = account(&inputs.caller());
        // Which account it becomes is known at the end.
        self.push(Event::Creation { by, contract: Account::ZERO });
        if !inputs.value().is_zero() {
            self.push(Event::Value { from: by, to: Account::ZERO, amount: integer(inputs.value()) });
        }
        None
    }

    fn create_end(&mut self, _context: &mut CTX, _inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        let mark = self.marks.last().copied().unwrap_or_default();
        if let Some(address) = outcome.address {
            let contract_is = account(&address);
            if let Some(Event::Creation { contract, .. }) = self.events.get_mut(mark) {
                *contract = contract_is;
            }
            if let Some(Event::Value { to, .. }) = self.events.get_mut(mark + 1)
                && *to == Account::ZERO
            {
                *to = contract_is;
            }
        }
        self.close(outcome.instruction_result().is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: Word) {
        let (contract, heir) = (account(&contract), account(&target));
        self.push(Event::Destruction { contract, heir });
        if !value.is_zero() {
            self.push(Event::Value { from: contract, to: heir, amount: integer(value) });
        }
    }
}
