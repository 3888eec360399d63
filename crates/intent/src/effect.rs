//! What a transaction or message would do, as far as its text says: effects, how grave they are, and who is concerned.
//!
//! An effect is what a call **says**. Whether the contract behind it does that, only its execution shows.

use std::{collections::BTreeSet, fmt};

use chain::{
    evm::{Account, ApprovalScope},
    u256::U256,
};

/// What the reader may rely on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The chain that is meant.
    pub chain_id: Option<u64>,
    /// Accounts the operator vouches for: spenders, operators, delegates, modules, owners, code that is run in the name of
    /// others. What is granted to anybody else is granted to a stranger.
    pub trusted: BTreeSet<Account>,
}

/// How much a person should hesitate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Does what it says and no more, once.
    Plain,
    /// Leaves something behind, cannot be judged from the text alone, or is unusual.
    Caution,
    /// Gives away control or an unlimited permission, or loses what is moved.
    Danger,
}

impl Severity {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Caution => "caution",
            Self::Danger => "danger",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an allowance is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Set to so much.
    Set,
    /// Raised by so much.
    Raised,
    /// Lowered by so much.
    Lowered,
}

/// What a token transfer's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Units of a fungible token, or the id of a single one: the call is the same for both (ERC-20, ERC-721).
    AmountOrId(U256),
    /// The id of a single token (ERC-721).
    Id(U256),
    /// So many of one kind (ERC-1155).
    OfKind {
        /// The kind.
        id: U256,
        /// How many.
        amount: U256,
    },
    /// Units of a fungible token.
    Amount(U256),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => write!(f, "{amount} units"),
            Self::AmountOrId(number) => write!(f, "{number} units (or the single token of that number)"),
            Self::Id(id) => write!(f, "the single token {id}"),
            Self::OfKind { id, amount } => write!(f, "{amount} of kind {id}"),
        }
    }
}

/// What somebody is in an effect. The order has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Its code runs in another's name.
    Code,
    /// Is called, or is the token.
    Contract,
    /// Gets control.
    Controller,
    /// Receives.
    Recipient,
    /// Loses what is moved or gives the permission.
    Source,
    /// May move what is another's.
    Spender,
}

impl Role {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Contract => "contract",
            Self::Controller => "controller",
            Self::Recipient => "recipient",
            Self::Source => "source",
            Self::Spender => "spender",
        }
    }
}

/// One thing that would be done. Where an acting account is `None`, it is whoever signs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields are named by what they hold; sentences are in the Display form")]
pub enum Act {
    /// Tokens of others may be moved: approve, increaseAllowance, permit, Permit2.
    Allowance {
        token: Account,
        owner: Option<Account>,
        spender: Account,
        grant: Grant,
        amount: U256,
        /// Until when, in seconds since 1970; `None` for ever.
        until_s: Option<U256>,
    },
    /// Code for blobs.
    Blobs { count: usize },
    /// A contract is created; its code is not read here.
    Creation { by: Option<Account>, account: Option<Account>, code_len: usize },
    /// EIP-7702: an account runs another's code from now on.
    Delegation { authority: Option<Account>, delegate: Account, is_for_every_chain: bool, has_effect: bool },
    /// Somebody's code runs in the name of an account, with all it holds.
    DelegateCall { by: Option<Account>, code: Account },
    /// A contract is taken down; what it holds goes to another. No text says so, only execution shows it.
    Destruction { contract: Account, heir: Account },
    /// Nothing is said to the contract, which may do anything or nothing with that.
    EmptyCall { to: Account },
    /// A fee beyond gas, to be set by whoever carries the transaction.
    GasRefund { safe: Account, token: Account, receiver: Account, price: U256 },
    /// A known function with arguments that are not its own.
    Malformed { to: Account, signature: &'static str, reason: String },
    /// Native value moves.
    NativeTransfer { from: Option<Account>, to: Account, amount: U256 },
    /// An operator may move everything of a collection.
    OperatorApproval { token: Account, owner: Option<Account>, operator: Account, allowed: bool },
    /// An order to trade: what is given and what must come back to the offerer.
    Order { offerer: Account, gives: Vec<String>, receives: Vec<String> },
    /// It is for another chain than the one that is meant.
    OtherChain { meant: u64, got: U256 },
    /// Another holds the contract.
    Ownership { contract: Account, owner: Account },
    /// Nobody holds the contract any more, or an offered ownership is taken.
    OwnershipAct { contract: Account, what: &'static str },
    /// It can be carried to every chain.
    Replayable,
    /// A role is given or taken.
    Role { contract: Account, role: [u8; 32], account: Account, granted: bool },
    /// A Safe approves a hash, of which nothing more is known.
    SafeApprovedHash { safe: Account, hash: [u8; 32] },
    /// Who may intervene in a Safe: guard, module guard, fallback handler, code.
    SafeHook { safe: Account, hook: &'static str, account: Account },
    /// A module may do everything in a Safe's name without signatures.
    SafeModule { safe: Account, module: Account, enabled: bool },
    /// A Safe's owners change.
    SafeOwner { safe: Account, added: Option<Account>, removed: Option<Account>, threshold: Option<U256> },
    /// How many owners must sign.
    SafeThreshold { safe: Account, threshold: U256 },
    /// It is put off; when, the contract decides.
    Scheduled { contract: Account, delay_s: U256 },
    /// Tokens move.
    TokenTransfer { token: Account, from: Option<Account>, to: Account, quantity: Quantity },
    /// Bytes behind the arguments, which nothing here reads.
    TrailingData { to: Account, count: usize },
    /// A signature of a message nobody here understands.
    UnknownMessage { kind: String, contract: Option<Account>, reason: String },
    /// A call nobody here understands.
    UnknownCall { to: Account, selector: Option<[u8; 4]>, data_len: usize, in_name_of: Option<Account> },
    /// Parts that were not read because there are too many of them.
    Unread { what: &'static str },
    /// The code of a contract changes.
    Upgrade { proxy: Account, what: &'static str, code: Option<Account> },
}

/// An act with its place and weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The place of the call that says so: nothing for the outermost, then the number of the inner call, from 0.
    pub path: Vec<u16>,
    /// What.
    pub act: Act,
    /// How grave.
    pub severity: Severity,
}

/// All that a text says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// In the order of execution.
    pub effects: Vec<Effect>,
}

impl Reading {
    /// The gravest of the effects. A text without any is plain.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.effects.iter().map(|effect| effect.severity).max().unwrap_or(Severity::Plain)
    }

    /// Whether every part was understood. What was not is never harmless for that.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.effects.iter().all(|effect| effect.act.is_understood())
    }

    /// Everybody concerned, with all they are, in the order of accounts.
    #[must_use]
    pub fn parties(&self) -> Vec<(Account, Role)> {
        let parties: BTreeSet<(Account, Role)> =
            self.effects.iter().flat_map(|effect| effect.act.parties()).collect();
        parties.into_iter().collect()
    }
}

/// An account in the form of EIP-55.
pub(crate) fn shown(account: &Account) -> String {
    chain::address::encode(&account.address())
}

fn who(account: Option<&Account>) -> String {
    account.map_or_else(|| "the signer".to_owned(), shown)
}

/// An amount, or the word for one that has no end in practice.
fn much(amount: U256) -> String {
    if ApprovalScope::Amount(amount).is_unlimited() {
        "an unlimited amount".to_owned()
    } else {
        amount.to_string()
    }
}

impl Act {
    /// Whether the text says what would be done.
    #[must_use]
    pub const fn is_understood(&self) -> bool {
        !matches!(
            self,
            Self::Creation { .. }
                | Self::EmptyCall { .. }
                | Self::Malformed { .. }
                | Self::SafeApprovedHash { .. }
                | Self::TrailingData { .. }
                | Self::UnknownCall { .. }
                | Self::UnknownMessage { .. }
                | Self::Unread { .. }
        )
    }

    /// Stable lower-case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Allowance { .. } => "allowance",
            Self::Blobs { .. } => "blobs",
            Self::Creation { .. } => "creation",
            Self::DelegateCall { .. } => "delegate_call",
            Self::Delegation { .. } => "delegation",
            Self::Destruction { .. } => "destruction",
            Self::EmptyCall { .. } => "empty_call",
            Self::GasRefund { .. } => "gas_refund",
            Self::Malformed { .. } => "malformed",
            Self::NativeTransfer { .. } => "native_transfer",
            Self::OperatorApproval { .. } => "operator_approval",
            Self::Order { .. } => "order",
            Self::OtherChain { .. } => "other_chain",
            Self::Ownership { .. } => "ownership",
            Self::OwnershipAct { .. } => "ownership_act",
            Self::Replayable => "replayable",
            Self::Role { .. } => "role",
            Self::SafeApprovedHash { .. } => "safe_approved_hash",
            Self::SafeHook { .. } => "safe_hook",
            Self::SafeModule { .. } => "safe_module",
            Self::SafeOwner { .. } => "safe_owner",
            Self::SafeThreshold { .. } => "safe_threshold",
            Self::Scheduled { .. } => "scheduled",
            Self::TokenTransfer { .. } => "token_transfer",
            Self::TrailingData { .. } => "trailing_data",
            Self::UnknownCall { .. } => "unknown_call",
            Self::UnknownMessage { .. } => "unknown_message",
            Self::Unread { .. } => "unread",
            Self::Upgrade { .. } => "upgrade",
        }
    }

    /// How grave it is, given whom the operator trusts.
    #[must_use]
    pub fn severity(&self, context: &Context) -> Severity {
        let is_trusted = |account: &Account| context.trusted.contains(account);
        let unless_trusted =
            |account: &Account| if is_trusted(account) { Severity::Caution } else { Severity::Danger };
        match self {
            Self::Allowance { spender, grant, amount, .. } => {
                let takes_back = *grant == Grant::Lowered || amount.is_zero();
                let is_unlimited = ApprovalScope::Amount(*amount).is_unlimited();
                match (takes_back, is_unlimited, is_trusted(spender)) {
                    (true, ..) | (_, false, true) => Severity::Plain,
                    (_, true, false) => Severity::Danger,
                    _ => Severity::Caution,
                }
            }
            Self::OperatorApproval { operator, allowed, .. } => {
                if *allowed {
                    unless_trusted(operator)
                } else {
                    Severity::Plain
                }
            }
            Self::Delegation { delegate, is_for_every_chain, has_effect, .. } => {
                if !*has_effect || *delegate == Account::ZERO {
                    Severity::Plain
                } else if *is_for_every_chain {
                    Severity::Danger
                } else {
                    unless_trusted(delegate)
                }
            }
            Self::DelegateCall { code, .. } => {
                if is_multi_send(code) {
                    Severity::Plain
                } else {
                    unless_trusted(code)
                }
            }
            Self::NativeTransfer { to, .. } | Self::TokenTransfer { to, .. } if *to == Account::ZERO => {
                Severity::Danger
            }
            Self::TokenTransfer { token, to, .. } if token == to => Severity::Danger,
            Self::Blobs { .. } | Self::NativeTransfer { .. } | Self::TokenTransfer { .. } => Severity::Plain,
            Self::Order { receives, .. } => {
                if receives.is_empty() {
                    Severity::Danger
                } else {
                    Severity::Caution
                }
            }
            Self::Ownership { owner, .. } => unless_trusted(owner),
            Self::Role { account, granted: true, .. } => unless_trusted(account),
            Self::SafeModule { module, enabled: true, .. } => unless_trusted(module),
            // Without a guard nothing intervenes any more, so nobody can be vouched for.
            Self::SafeHook { account, .. } => {
                if *account == Account::ZERO {
                    Severity::Danger
                } else {
                    unless_trusted(account)
                }
            }
            Self::Upgrade { code, .. } => code.as_ref().map_or(Severity::Danger, unless_trusted),
            Self::Destruction { .. }
            | Self::OtherChain { .. }
            | Self::Replayable
            | Self::SafeApprovedHash { .. }
            | Self::SafeOwner { .. }
            | Self::SafeThreshold { .. }
            | Self::Unread { .. } => Severity::Danger,
            Self::OwnershipAct { .. }
            | Self::Creation { .. }
            | Self::EmptyCall { .. }
            | Self::GasRefund { .. }
            | Self::Malformed { .. }
            | Self::Role { .. }
            | Self::SafeModule { .. }
            | Self::Scheduled { .. }
            | Self::TrailingData { .. }
            | Self::UnknownCall { .. }
            | Self::UnknownMessage { .. } => Severity::Caution,
        }
    }

    /// Who is concerned, and as what. The signer, where not named, is not among them.
    #[must_use]
    pub fn parties(&self) -> Vec<(Account, Role)> {
        let mut out = Vec::with_capacity(3);
        let mut add = |account: Option<&Account>, role| {
            if let Some(account) = account.filter(|account| **account != Account::ZERO) {
                out.push((*account, role));
            }
        };
        match self {
            Self::Allowance { token, owner, spender, .. } => {
                add(Some(token), Role::Contract);
                add(owner.as_ref(), Role::Source);
                add(Some(spender), Role::Spender);
            }
            Self::Creation { by, account, .. } => {
                add(by.as_ref(), Role::Source);
                add(account.as_ref(), Role::Contract);
            }
            Self::DelegateCall { by, code } => {
                add(by.as_ref(), Role::Source);
                add(Some(code), Role::Code);
            }
            Self::Delegation { authority, delegate, .. } => {
                add(authority.as_ref(), Role::Source);
                add(Some(delegate), Role::Code);
            }
            Self::Destruction { contract, heir } => {
                add(Some(contract), Role::Contract);
                add(Some(heir), Role::Recipient);
            }
            Self::GasRefund { safe, token, receiver, .. } => {
                add(Some(safe), Role::Source);
                add(Some(token), Role::Contract);
                add(Some(receiver), Role::Recipient);
            }
            Self::EmptyCall { to }
            | Self::Malformed { to, .. }
            | Self::TrailingData { to, .. }
            | Self::UnknownCall { to, .. } => {
                add(Some(to), Role::Contract);
            }
            Self::NativeTransfer { from, to, .. } => {
                add(from.as_ref(), Role::Source);
                add(Some(to), Role::Recipient);
            }
            Self::OperatorApproval { token, owner, operator, .. } => {
                add(Some(token), Role::Contract);
                add(owner.as_ref(), Role::Source);
                add(Some(operator), Role::Spender);
            }
            Self::Order { offerer, .. } => add(Some(offerer), Role::Source),
            Self::Ownership { contract, owner } => {
                add(Some(contract), Role::Contract);
                add(Some(owner), Role::Controller);
            }
            Self::OwnershipAct { contract, .. } | Self::Scheduled { contract, .. } => {
                add(Some(contract), Role::Contract);
            }
            Self::Role { contract, account, .. } => {
                add(Some(contract), Role::Contract);
                add(Some(account), Role::Controller);
            }
            Self::SafeApprovedHash { safe, .. } | Self::SafeThreshold { safe, .. } => {
                add(Some(safe), Role::Contract);
            }
            Self::SafeHook { safe, account, .. } => {
                add(Some(safe), Role::Contract);
                add(Some(account), Role::Controller);
            }
            Self::SafeModule { safe, module, .. } => {
                add(Some(safe), Role::Contract);
                add(Some(module), Role::Controller);
            }
            Self::SafeOwner { safe, added, removed, .. } => {
                add(Some(safe), Role::Contract);
                add(added.as_ref(), Role::Controller);
                add(removed.as_ref(), Role::Controller);
            }
            Self::TokenTransfer { token, from, to, .. } => {
                add(Some(token), Role::Contract);
                add(from.as_ref(), Role::Source);
                add(Some(to), Role::Recipient);
            }
            Self::UnknownMessage { contract, .. } => add(contract.as_ref(), Role::Contract),
            Self::Upgrade { proxy, code, .. } => {
                add(Some(proxy), Role::Contract);
                add(code.as_ref(), Role::Code);
            }
            Self::Blobs { .. } | Self::OtherChain { .. } | Self::Replayable | Self::Unread { .. } => {}
        }
        out
    }
}

impl fmt::Display for Act {
    /// One plain sentence without a period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowance { token, owner, spender, grant, amount, until_s } => {
                let (owner, spender, token) = (who(owner.as_ref()), shown(spender), shown(token));
                match grant {
                    Grant::Set if amount.is_zero() => {
                        write!(f, "{spender} may no longer move token {token} of {owner}")
                    }
                    Grant::Set => {
                        write!(f, "{spender} may move {} of token {token} of {owner}", much(*amount))
                    }
                    Grant::Raised => write!(
                        f,
                        "{spender} may move {} more of token {token} of {owner} than before",
                        much(*amount)
                    ),
                    Grant::Lowered => {
                        write!(f, "{spender} may move {amount} less of token {token} of {owner} than before")
                    }
                }?;
                match until_s {
                    Some(until) => write!(f, ", until second {until}"),
                    None => Ok(()),
                }
            }
            Self::Blobs { count } => write!(f, "carries {count} blobs"),
            Self::Creation { by, account, code_len } => {
                write!(f, "{} creates a contract from {code_len} bytes of code", who(by.as_ref()))?;
                match account {
                    Some(account) => write!(f, " at {}", shown(account)),
                    None => Ok(()),
                }
            }
            Self::DelegateCall { by, code } => write!(
                f,
                "code of {} runs in the name of {} with all it holds",
                shown(code),
                who(by.as_ref())
            ),
            Self::Delegation { authority, delegate, is_for_every_chain, has_effect } => {
                let authority =
                    authority.as_ref().map_or_else(|| "an account that cannot be told".to_owned(), shown);
                if *delegate == Account::ZERO {
                    write!(f, "{authority} stops running another's code")
                } else {
                    write!(f, "{authority} runs the code of {} from now on", shown(delegate))
                }?;
                if *is_for_every_chain {
                    f.write_str(", on every chain")?;
                }
                if !*has_effect {
                    f.write_str(" (signed for another chain or not at all: without effect here)")?;
                }
                Ok(())
            }
            Self::Destruction { contract, heir } => {
                write!(f, "{} is destroyed, what it holds goes to {}", shown(contract), shown(heir))
            }
            Self::EmptyCall { to } => write!(f, "{} is called with nothing", shown(to)),
            Self::GasRefund { safe, token, receiver, price } => {
                let token = if *token == Account::ZERO {
                    "native value".to_owned()
                } else {
                    format!("token {}", shown(token))
                };
                let receiver = if *receiver == Account::ZERO {
                    "whoever carries it".to_owned()
                } else {
                    shown(receiver)
                };
                write!(f, "{} pays {price} of {token} for each gas to {receiver}", shown(safe))
            }
            Self::Malformed { to, signature, reason } => {
                write!(f, "{} is called with {signature}, but the arguments are not: {reason}", shown(to))
            }
            Self::NativeTransfer { from, to, amount } => {
                write!(f, "{} sends {amount} wei to {}", who(from.as_ref()), shown(to))
            }
            Self::OperatorApproval { token, owner, operator, allowed } => write!(
                f,
                "{} {} everything {} holds at {}",
                shown(operator),
                if *allowed { "may move" } else { "may no longer move" },
                who(owner.as_ref()),
                shown(token)
            ),
            Self::Order { offerer, gives, receives } => {
                write!(f, "{} offers {}", shown(offerer), gives.join(" and "))?;
                if receives.is_empty() {
                    f.write_str(" and gets nothing back")
                } else {
                    write!(f, " for {}", receives.join(" and "))
                }
            }
            Self::OtherChain { meant, got } => write!(f, "it is for chain {got}, not for chain {meant}"),
            Self::Ownership { contract, owner } => {
                write!(f, "{} becomes the owner of {}", shown(owner), shown(contract))
            }
            Self::OwnershipAct { contract, what } => write!(f, "{what} of {}", shown(contract)),
            Self::Replayable => f.write_str("it names no chain and can be carried to every one"),
            Self::Role { contract, role, account, granted } => {
                let given = if *granted { "gets" } else { "loses" };
                write!(f, "{} {given} the role 0x", shown(account))?;
                role.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, "{} at {}", if *role == [0; 32] { " (administrator)" } else { "" }, shown(contract))
            }
            Self::SafeApprovedHash { safe, hash } => {
                write!(f, "an owner of {} approves the hash 0x", shown(safe))?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(", of which nothing more is known")
            }
            Self::SafeHook { safe, hook, account } => {
                if *account == Account::ZERO {
                    write!(f, "Safe {} has no {hook} any more", shown(safe))
                } else {
                    write!(f, "{} becomes the {hook} of Safe {}", shown(account), shown(safe))
                }
            }
            Self::SafeModule { safe, module, enabled } => write!(
                f,
                "{} {} act for Safe {} without signatures",
                shown(module),
                if *enabled { "may" } else { "may no longer" },
                shown(safe)
            ),
            Self::SafeOwner { safe, added, removed, threshold } => {
                let mut sentence = Vec::new();
                if let Some(added) = added {
                    sentence.push(format!("{} becomes an owner", shown(added)));
                }
                if let Some(removed) = removed {
                    sentence.push(format!("{} is an owner no more", shown(removed)));
                }
                if let Some(threshold) = threshold {
                    sentence.push(format!("{threshold} owners must sign"));
                }
                write!(f, "Safe {}: {}", shown(safe), sentence.join(", "))
            }
            Self::SafeThreshold { safe, threshold } => {
                write!(f, "Safe {}: {threshold} owners must sign", shown(safe))
            }
            Self::Scheduled { contract, delay_s } => {
                write!(f, "{} does what follows after {delay_s} seconds", shown(contract))
            }
            Self::TokenTransfer { token, from, to, quantity } => write!(
                f,
                "{} sends {quantity} of token {} to {}",
                who(from.as_ref()),
                shown(token),
                shown(to)
            ),
            Self::TrailingData { to, count } => {
                write!(f, "{count} bytes follow the arguments of the call to {}", shown(to))
            }
            Self::UnknownCall { to, selector, data_len, in_name_of } => {
                write!(f, "{} is called", shown(to))?;
                if let Some(account) = in_name_of {
                    write!(f, " in the name of {}", shown(account))?;
                }
                match selector {
                    Some([a, b, c, d]) => write!(
                        f,
                        " by a function that is not known (0x{a:02x}{b:02x}{c:02x}{d:02x}, {data_len} bytes)"
                    ),
                    None => write!(f, " with {data_len} bytes that name no function"),
                }
            }
            Self::UnknownMessage { kind, contract, reason } => {
                write!(f, "a message of the kind {kind:?} is signed")?;
                if let Some(contract) = contract {
                    write!(f, " for {}", shown(contract))?;
                }
                write!(f, ", which is not known: {reason}")
            }
            Self::Unread { what } => write!(f, "the rest was not read: {what}"),
            Self::Upgrade { proxy, what, code } => match code {
                Some(code) => write!(f, "{} becomes the {what} of {}", shown(code), shown(proxy)),
                None => write!(f, "the {what} of {} changes", shown(proxy)),
            },
        }
    }
}

/// The deployments of Safe's MultiSend, whose code only makes the calls it is given.
///
/// Addresses of versions 1.3.0 (both ways of deployment), 1.4.1 and 1.5.0, the same on every chain.
const MULTI_SENDS: [[u8; 20]; 8] = [
    *b"\xa2\x38\xcb\xeb\x14\x2c\x10\xef\x7a\xd8\x44\x2c\x6d\x1f\x9e\x89\xe0\x7e\x77\x61",
    *b"\x99\x87\x39\xbf\xda\xad\xde\x7c\x93\x3b\x94\x2a\x68\x05\x39\x33\x09\x8f\x9e\xda",
    *b"\x40\xa2\xac\xcb\xd9\x2b\xca\x93\x8b\x02\x01\x0e\x17\xa5\xb8\x92\x9b\x49\x13\x0d",
    *b"\xa1\xda\xbe\xf3\x3b\x3b\x82\xc7\x81\x4b\x6d\x82\xa7\x9e\x50\xf4\xac\x44\x10\x2b",
    *b"\x38\x86\x9b\xf6\x6a\x61\xcf\x6b\xdb\x99\x6a\x6a\xe4\x0d\x58\x53\xfd\x43\xb5\x26",
    *b"\x96\x41\xd7\x64\xfc\x13\xc8\xb6\x24\xc0\x44\x30\xc7\x35\x6c\x1c\x7c\x81\x02\xe2",
    *b"\x21\x85\x43\x28\x80\x04\xcd\x07\x83\x24\x72\xd4\x64\x64\x81\x73\xc7\x7d\x7e\xb7",
    *b"\xa8\x3c\x33\x6b\x20\x40\x1a\xf7\x73\xb6\x21\x9b\xa5\x02\x71\x74\x33\x8d\x18\x36",
];

/// Whether it is one of them.
#[must_use]
pub fn is_multi_send(account: &Account) -> bool {
    MULTI_SENDS.contains(&account.0)
}
