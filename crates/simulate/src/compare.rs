//! What was said against what is done. Where they differ, somebody is misled.

use std::fmt;

use chain::{evm::Account, u256::U256};
use intent::{
    Act, Effect, Reading, Severity,
    effect::{Grant, Quantity},
};

use crate::outcome::{End, Simulation};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// An allowance is another than the token's log says.
    AllowanceUntrue {
        /// The token.
        token: Account,
        /// Whose tokens.
        owner: Account,
        /// Who may move them.
        spender: Account,
        /// What the log says.
        logged: U256,
        /// What the token answers.
        real: U256,
    },
    /// A balance moves otherwise than the token's logs say: a fee, a rebase, or a lie.
    BalanceUntrue {
        /// The token.
        token: Account,
        /// Whose balance.
        account: Account,
    },
    /// It does not end as it should.
    Failed(End),
    /// Said, but not done.
    NotDone(Effect),
    /// Done, but not said.
    Unsaid(Effect),
}

impl Difference {
    /// How grave it is. What a text that was understood in full does not say is hidden in it.
    #[must_use]
    pub fn severity(&self, said: &Reading) -> Severity {
        match self {
            Self::Unsaid(_) if said.is_understood() => Severity::Danger,
            Self::Unsaid(effect) => effect.severity.max(Severity::Caution),
            Self::AllowanceUntrue { .. } => Severity::Danger,
            Self::BalanceUntrue { .. } | Self::Failed(_) | Self::NotDone(_) => Severity::Caution,
        }
    }

    /// Stable lower-case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AllowanceUntrue { .. } => "allowance_untrue",
            Self::BalanceUntrue { .. } => "balance_untrue",
            Self::Failed(_) => "failed",
            Self::NotDone(_) => "not_done",
            Self::Unsaid(_) => "unsaid",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowanceUntrue { token, owner, spender, logged, real } => write!(
                f,
                "token {token} says that {spender} may move {logged} of {owner}, but answers {real}"
            ),
            Self::BalanceUntrue { token, account } => {
                write!(f, "the balance of {account} at token {token} does not move as its logs say")
            }
            Self::Failed(end) => write!(f, "{end}"),
            Self::NotDone(effect) => write!(f, "said, but not done: {}", effect.act),
            Self::Unsaid(effect) => write!(f, "done, but not said: {}", effect.act),
        }
    }
}

/// Compares what a text of `from` says with what its execution does.
#[must_use]
pub fn compare(said: &Reading, from: Account, simulation: &Simulation) -> Vec<Difference> {
    let mut differences = Vec::new();
    if simulation.end != End::Done {
        differences.push(Difference::Failed(simulation.end.clone()));
    }
    // Each act done answers for one act said.
    let mut open: Vec<&Effect> = said.effects.iter().filter(|effect| is_checkable(&effect.act)).collect();
    for done in &simulation.done.effects {
        match open.iter().position(|said| agree(&said.act, &done.act, from)) {
            Some(at) => {
                open.swap_remove(at);
            }
            None if is_implied(&done.act, said, from) => {}
            None => differences.push(Difference::Unsaid(done.clone())),
        }
    }
    if simulation.end == End::Done {
        // Code that an account runs of its own accord is not among what is done, whoever asked for it.
        open.retain(|effect| !matches!(effect.act, Act::DelegateCall { .. }));
        // Its place in the text, not in the list, is what a reader looks for.
        open.sort_by(|a, b| a.path.cmp(&b.path));
        differences.extend(open.into_iter().cloned().map(Difference::NotDone));
    }
    for change in &simulation.tokens {
        if change.is_as_logged() == Some(false) {
            differences.push(Difference::BalanceUntrue { token: change.token, account: change.account });
        }
    }
    for change in &simulation.allowances {
        let logged = simulation.done.effects.iter().rev().find_map(|effect| match &effect.act {
            Act::Allowance { token, owner: Some(owner), spender, amount, until_s: None, .. }
                if (*token, *owner, *spender) == (change.token, change.owner, change.spender) =>
            {
                Some(*amount)
            }
            _ => None,
        });
        if let (Some(logged), Some(real)) = (logged, change.after)
            && real > logged
        {
            let (token, owner, spender) = (change.token, change.owner, change.spender);
            differences.push(Difference::AllowanceUntrue { token, owner, spender, logged, real });
        }
    }
    differences
}

/// Whether an execution shows it.
const fn is_checkable(act: &Act) -> bool {
    matches!(
        act,
        Act::Allowance { .. }
            | Act::Creation { .. }
            | Act::DelegateCall { .. }
            | Act::Delegation { has_effect: true, .. }
            | Act::NativeTransfer { .. }
            | Act::OperatorApproval { .. }
            | Act::Ownership { .. }
            | Act::Role { .. }
            | Act::SafeHook { .. }
            | Act::SafeModule { .. }
            | Act::SafeOwner { .. }
            | Act::SafeThreshold { .. }
            | Act::TokenTransfer { .. }
            | Act::Upgrade { .. }
    )
}

/// Whether what is done follows from what was said in other words: a Safe's owners and threshold change together, an
/// allowance shrinks when it is used.
fn is_implied(done: &Act, said: &Reading, from: Account) -> bool {
    match done {
        Act::SafeThreshold { safe: of, threshold: to } => said.effects.iter().any(|effect| {
            matches!(&effect.act, Act::SafeOwner { safe, threshold: Some(threshold), .. } if safe == of && threshold == to)
        }),
        Act::SafeOwner { safe: of, added, removed, .. } => said.effects.iter().any(|effect| match &effect.act {
            Act::SafeOwner { safe, added: said_added, removed: said_removed, .. } => {
                safe == of
                    && (added.is_none() || added == said_added)
                    && (removed.is_none() || removed == said_removed)
            }
            _ => false,
        }),
        // Some tokens log what is left of an allowance when it is used.
        Act::Allowance { token, owner, spender, .. } => said.effects.iter().any(|effect| match &effect.act {
            Act::TokenTransfer { token: moved, from: of, .. } => {
                moved == token && of.unwrap_or(from) == owner.unwrap_or(from) && *spender == from
            }
            _ => false,
        }),
        _ => false,
    }
}

/// Whether an act done is what an act said.
fn agree(said: &Act, done: &Act, from: Account) -> bool {
    let same = |said: &Option<Account>, done: &Option<Account>| said.unwrap_or(from) == done.unwrap_or(from);
    match (said, done) {
        (
            Act::Allowance { token, owner, spender, grant, amount, .. },
            Act::Allowance { token: t, owner: o, spender: s, amount: a, .. },
        ) => token == t && same(owner, o) && spender == s && (*grant != Grant::Set || amount == a),
        (Act::Creation { by, account, .. }, Act::Creation { by: b, account: a, .. }) => {
            same(by, b) && (account.is_none() || account == a)
        }
        (Act::DelegateCall { by, code }, Act::DelegateCall { by: b, code: c }) => same(by, b) && code == c,
        (Act::Delegation { authority, delegate, .. }, Act::Delegation { authority: a, delegate: d, .. }) => {
            authority == a && delegate == d
        }
        (Act::NativeTransfer { from: f, to, amount }, Act::NativeTransfer { from: g, to: t, amount: a }) => {
            same(f, g) && to == t && amount == a
        }
        (
            Act::OperatorApproval { token, owner, operator, allowed },
            Act::OperatorApproval { token: t, owner: o, operator: p, allowed: a },
        ) => token == t && same(owner, o) && operator == p && allowed == a,
        (
            Act::TokenTransfer { token, from: f, to, quantity },
            Act::TokenTransfer { token: t, from: g, to: r, quantity: q },
        ) => token == t && same(f, g) && to == r && is_same_quantity(quantity, q),
        (Act::Upgrade { proxy, what, code }, Act::Upgrade { proxy: p, what: w, code: c }) => {
            proxy == p && what == w && (code.is_none() || code == c)
        }
        _ => said == done,
    }
}

fn is_same_quantity(said: &Quantity, done: &Quantity) -> bool {
    match (said, done) {
        (Quantity::AmountOrId(number), Quantity::Amount(amount) | Quantity::Id(amount)) => number == amount,
        _ => said == done,
    }
}
