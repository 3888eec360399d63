//! The handle that the product shares between the journal and the decision path.

use domain::{Decision, Event, Finding, UnixNanos, WithdrawalRequest};
use parking_lot::Mutex;

use crate::{Config, ConfigError, facts::Facts, rules, state::State};

/// The fraud engine of one installation. Calls take a short lock (microseconds) and never wait for anything else.
#[derive(Debug)]
pub struct Fraud {
    config: Config,
    state: Mutex<State>,
}

/// How much is remembered, for metrics and capacity planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Accounts remembered.
    pub accounts: usize,
    /// Accounts forgotten so far to make room: above zero, `accounts_max` is too small.
    pub accounts_evicted: u64,
    /// Events and decisions applied.
    pub applied: u64,
    /// Devices remembered.
    pub devices: usize,
    /// Destinations remembered.
    pub destinations: usize,
    /// Window samples that came too late to be counted.
    pub late: u64,
}

impl Fraud {
    /// An engine that has seen nothing; replay the journal into it.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let state = Mutex::new(State::new(&config.bounds));
        Ok(Self { config, state })
    }

    /// Takes in an event of the journal. Call once per event, in journal order: `seq` is its position and breaks
    /// ties between events of the same time. Duplicates are removed before the journal, by event id.
    pub fn apply(&self, seq: u64, event: &Event) {
        self.state.lock().apply(seq, event);
    }

    /// Takes in a decision of the journal, under the same contract as [`Fraud::apply`]. Only an allowed withdrawal
    /// counts as made; any decision counts as an attempt to pay the destination.
    pub fn apply_decision(&self, seq: u64, decision: &Decision) {
        self.state.lock().apply_decision(seq, decision);
    }

    /// What behaviour says about a request at `now`. Depends on the applied entries, the request, `now` and the
    /// configuration only, and changes nothing: examined again after a replay, the answer is the same.
    ///
    /// Never empty: when no rule fires it says so, with what speaks for the request.
    #[must_use]
    pub fn examine(&self, request: &WithdrawalRequest, now: UnixNanos) -> Vec<Finding> {
        let facts = Facts::gather(&mut self.state.lock(), &self.config.thresholds, request, now);
        rules::examine(&facts, &self.config)
    }

    /// SHA-256 of everything remembered: equal for equal folds. Takes time linear in the state.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.state.lock().digest()
    }

    /// How much is remembered.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let state = self.state.lock();
        Sizes {
            accounts: state.accounts.len(),
            accounts_evicted: state.accounts.evicted(),
            applied: state.applied,
            devices: state.device_accounts.len(),
            destinations: state.payers.len(),
            late: state.late(),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }
}

#[cfg(test)]
mod tests;
