//! Thresholds, modes and bounds.

use std::{collections::BTreeSet, time::Duration};

use crate::Rule;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Everything that can be set.
///
/// # Defaults
/// - `thresholds`, `bounds`: see there.
/// - `shadow`: [`Rule::SharedDevice`] only; the other rules are patterns strong enough to act on at once.
/// - `off`: none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// When rules fire. Who controls them decides which thefts pass.
    pub thresholds: Thresholds,
    /// Rules whose findings are reported without effect.
    pub shadow: BTreeSet<Rule>,
    /// Rules that are not asked.
    pub off: BTreeSet<Rule>,
    /// How much is remembered.
    pub bounds: Bounds,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            shadow: BTreeSet::from([Rule::SharedDevice]),
            off: BTreeSet::new(),
            bounds: Bounds::default(),
        }
    }
}

/// When rules fire.
///
/// "New" means known for less than the given time: exactly that long is not new any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// A device or network is new for this long. Default 24 h.
    pub device_new: Duration,
    /// A destination is new for this long after it was first added or used. Default 24 h.
    pub destination_new: Duration,
    /// A share of the balance of this many percent or more is large. Default 50.
    pub large_share_percent: u32,
    /// After a change of password, contact or second factor, withdrawals wait this long. Default 24 h.
    pub credential_cooling: Duration,
    /// A share of this many percent or more empties the balance. Default 90.
    pub drain_share_percent: u32,
    /// Emptying the balance to a destination known for less than this is a drain. Default 1 h.
    pub drain_destination_new: Duration,
    /// Withdrawals an account may make within one hour. Default 20.
    pub withdrawals_per_hour_max: u32,
    /// Accounts (this one included) paying a new destination within a day that stop a large share. Default 2.
    pub shared_destination_accounts_large: u32,
    /// Accounts (this one included) paying a new destination within a day that stop any share. Default 5.
    pub shared_destination_accounts_any: u32,
    /// Failed logins within a day that make a success from a new network suspicious. Default 8.
    pub failed_logins: u32,
    /// Accounts on one device within seven days that are worth watching. Default 5.
    pub device_accounts: u32,
    /// Uses that make a destination established. Default 3.
    pub established_uses: u32,
    /// Time since its first use that makes a destination established. Default 30 d.
    pub established_age: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            device_new: DAY,
            destination_new: DAY,
            large_share_percent: 50,
            credential_cooling: DAY,
            drain_share_percent: 90,
            drain_destination_new: HOUR,
            withdrawals_per_hour_max: 20,
            shared_destination_accounts_large: 2,
            shared_destination_accounts_any: 5,
            failed_logins: 8,
            device_accounts: 5,
            established_uses: 3,
            established_age: 30 * DAY,
        }
    }
}

/// How much is remembered. About 1 KiB for an account with a few devices and destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Accounts remembered; the coldest is forgotten and then has no history. Default 1,000,000.
    pub accounts_max: usize,
    /// Destinations whose payers are remembered. Default 1,000,000.
    pub destinations_max: usize,
    /// Devices whose accounts are remembered. Default 1,000,000.
    pub devices_max: usize,
    /// Samples per entity and window table. Default 1,024.
    pub samples_max: usize,
    /// How late an event may be reported and still enter its windows. Default 24 h: long enough for a reporter that
    /// was down over night, and for a clock that was set back.
    pub lateness: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            accounts_max: 1_000_000,
            destinations_max: 1_000_000,
            devices_max: 1_000_000,
            samples_max: 1_024,
            lateness: DAY,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A share outside 1 to 100 percent.
    #[error("{field} is {percent}, a share is 1 to 100 percent")]
    Share {
        /// Which threshold.
        field: &'static str,
        /// What it is.
        percent: u32,
    },
    /// A ring too short to count up to a threshold.
    #[error("samples_max is {samples_max}, it must exceed {field} ({threshold})")]
    SamplesTooFew {
        /// The bound.
        samples_max: usize,
        /// Which threshold.
        field: &'static str,
        /// What it is.
        threshold: u32,
    },
    /// A threshold or bound of zero, which would fire always or never.
    #[error("{field} is zero")]
    Zero {
        /// Which one.
        field: &'static str,
    },
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { thresholds, bounds, .. } = self;
        for (field, percent) in [
            ("large_share_percent", thresholds.large_share_percent),
            ("drain_share_percent", thresholds.drain_share_percent),
        ] {
            if !(1..=100).contains(&percent) {
                return Err(ConfigError::Share { field, percent });
            }
        }
        for (field, zero) in [
            ("accounts_max", bounds.accounts_max == 0),
            ("destinations_max", bounds.destinations_max == 0),
            ("devices_max", bounds.devices_max == 0),
            ("shared_destination_accounts_large", thresholds.shared_destination_accounts_large == 0),
            ("shared_destination_accounts_any", thresholds.shared_destination_accounts_any == 0),
            ("failed_logins", thresholds.failed_logins == 0),
            ("device_accounts", thresholds.device_accounts == 0),
            ("established_uses", thresholds.established_uses == 0),
        ] {
            if zero {
                return Err(ConfigError::Zero { field });
            }
        }
        for (field, threshold) in [
            ("withdrawals_per_hour_max", thresholds.withdrawals_per_hour_max),
            ("failed_logins", thresholds.failed_logins),
            ("shared_destination_accounts_any", thresholds.shared_destination_accounts_any),
            ("shared_destination_accounts_large", thresholds.shared_destination_accounts_large),
            ("device_accounts", thresholds.device_accounts),
        ] {
            if bounds.samples_max <= usize::try_from(threshold).unwrap_or(usize::MAX) {
                return Err(ConfigError::SamplesTooFew { samples_max: bounds.samples_max, field, threshold });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(Config::default().check(), Ok(()));
        let mut config = Config::default();
        config.thresholds.drain_share_percent = 101;
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "drain_share_percent is 101, a share is 1 to 100 percent"
        );
        let mut config = Config::default();
        config.bounds.samples_max = 20;
        assert!(matches!(config.check(), Err(ConfigError::SamplesTooFew { threshold: 20, .. })));
        let mut config = Config::default();
        config.thresholds.failed_logins = 0;
        assert_eq!(config.check(), Err(ConfigError::Zero { field: "failed_logins" }));
    }
}
