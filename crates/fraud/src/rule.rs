//! The rules by name.

use domain::{ReasonCode, Verdict};

/// A rule, in the order of examination. Names, codes and versions are stable; a change of meaning is a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// A new device, a new destination and a large share of the balance together.
    AccountTakeover,
    /// A password, contact or second factor was changed a short time ago.
    CredentialChange,
    /// Nearly all of an asset goes to a destination that was added moments ago.
    BalanceDrain,
    /// Nearly all of an asset has gone to new destinations within a day, in several parts.
    CumulativeDrain,
    /// More withdrawals within an hour than people make.
    WithdrawalVelocity,
    /// Several accounts pay a destination that nobody had paid before today.
    SharedDestination,
    /// A large or unknown share of the balance goes to a destination not used before.
    FirstUse,
    /// Many failed logins, then one that succeeds from a new network.
    FailedLogins,
    /// Many accounts log in from one device. Only ever watched.
    SharedDevice,
}

impl Rule {
    /// Every rule, in the order of examination.
    pub const ALL: [Self; 9] = [
        Self::AccountTakeover,
        Self::CredentialChange,
        Self::BalanceDrain,
        Self::CumulativeDrain,
        Self::WithdrawalVelocity,
        Self::SharedDestination,
        Self::FirstUse,
        Self::FailedLogins,
        Self::SharedDevice,
    ];

    /// Stable name for configuration and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountTakeover => "account_takeover",
            Self::CredentialChange => "credential_change",
            Self::BalanceDrain => "balance_drain",
            Self::CumulativeDrain => "cumulative_drain",
            Self::WithdrawalVelocity => "withdrawal_velocity",
            Self::SharedDestination => "shared_destination",
            Self::FirstUse => "first_use",
            Self::FailedLogins => "failed_logins",
            Self::SharedDevice => "shared_device",
        }
    }

    /// What the rule looks for, in one sentence.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::AccountTakeover => {
                "A new device, a new destination and a large share of the balance together."
            }
            Self::CredentialChange => "A password, contact or second factor was changed a short time ago.",
            Self::BalanceDrain => "Nearly all of an asset goes to a destination that was added moments ago.",
            Self::CumulativeDrain => {
                "Nearly all of an asset has gone to new destinations within a day, in several parts."
            }
            Self::WithdrawalVelocity => "More withdrawals within an hour than people make.",
            Self::SharedDestination => {
                "Several accounts pay a destination that nobody had paid before today."
            }
            Self::FirstUse => {
                "A large or unknown share of the balance goes to a destination not used before."
            }
            Self::FailedLogins => "Many failed logins, then one that succeeds from a new network.",
            Self::SharedDevice => "Many accounts log in from one device. Only ever watched.",
        }
    }

    /// Version of the rule's meaning, named in its findings.
    #[must_use]
    pub const fn version(self) -> u32 {
        1
    }

    /// Reason code of its findings. [`Rule::CredentialChange`] says `fraud.recent_password_change` instead
    /// when the password is what changed.
    #[must_use]
    pub const fn code(self) -> ReasonCode {
        match self {
            Self::AccountTakeover => code::ACCOUNT_TAKEOVER_PATTERN,
            Self::CredentialChange => code::RECENT_CREDENTIAL_CHANGE,
            Self::BalanceDrain => code::BALANCE_DRAIN,
            Self::CumulativeDrain => code::CUMULATIVE_DRAIN,
            Self::WithdrawalVelocity => code::WITHDRAWAL_VELOCITY,
            Self::SharedDestination => code::SHARED_FRESH_DESTINATION,
            Self::FirstUse => code::FIRST_USE_LARGE_SHARE,
            Self::FailedLogins => code::FAILED_LOGIN_BURST,
            Self::SharedDevice => code::SHARED_DEVICE,
        }
    }

    /// What the rule asks for when its pattern is complete.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::AccountTakeover
            | Self::CredentialChange
            | Self::BalanceDrain
            | Self::CumulativeDrain
            | Self::WithdrawalVelocity
            | Self::SharedDestination => Verdict::Hold,
            Self::FirstUse | Self::FailedLogins | Self::SharedDevice => Verdict::Challenge,
        }
    }

    /// Whether the rule can never have an effect of its own.
    #[must_use]
    pub const fn observes_only(self) -> bool {
        matches!(self, Self::SharedDevice)
    }

    /// The rule of a name from configuration.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

/// Reason codes; documented for customers' support in `docs/reasons/fraud.md`.
pub(crate) mod code {
    use domain::ReasonCode;

    pub(crate) const ACCOUNT_TAKEOVER_PATTERN: ReasonCode = ReasonCode::new("fraud.account_takeover_pattern");
    pub(crate) const BALANCE_DRAIN: ReasonCode = ReasonCode::new("fraud.balance_drain");
    pub(crate) const CUMULATIVE_DRAIN: ReasonCode = ReasonCode::new("fraud.cumulative_drain");
    pub(crate) const ESTABLISHED_DESTINATION: ReasonCode = ReasonCode::new("fraud.established_destination");
    pub(crate) const FAILED_LOGIN_BURST: ReasonCode = ReasonCode::new("fraud.failed_login_burst");
    pub(crate) const FIRST_USE_LARGE_SHARE: ReasonCode = ReasonCode::new("fraud.first_use_large_share");
    pub(crate) const NO_HISTORY: ReasonCode = ReasonCode::new("fraud.no_history");
    pub(crate) const NO_RULE_FIRED: ReasonCode = ReasonCode::new("fraud.no_rule_fired");
    pub(crate) const RECENT_CREDENTIAL_CHANGE: ReasonCode = ReasonCode::new("fraud.recent_credential_change");
    pub(crate) const RECENT_PASSWORD_CHANGE: ReasonCode = ReasonCode::new("fraud.recent_password_change");
    pub(crate) const SHARED_DEVICE: ReasonCode = ReasonCode::new("fraud.shared_device");
    pub(crate) const SHARED_FRESH_DESTINATION: ReasonCode = ReasonCode::new("fraud.shared_fresh_destination");
    pub(crate) const WITHDRAWAL_VELOCITY: ReasonCode = ReasonCode::new("fraud.withdrawal_velocity");
}
