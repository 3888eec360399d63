//! The demo while somebody watches: the installation stays, everyday use goes on, and so do the attacks, one after the
//! other, so that the pages show them as they happen. Bounded: a demo must neither be a load test nor fill a disk.

use std::{pin::Pin, time::Duration};

use anyhow::bail;
use domain::Verdict;
use tokio::time::{MissedTickBehavior, interval};

use super::{Credential, DecisionLine, Installation, decision_line, scenarios};
use crate::control::{Request, Response};

/// Between two everyday uses.
const BEAT: Duration = Duration::from_secs(1);
/// Everyday uses between two attacks.
const BEATS_PER_ATTACK: usize = 4;
/// Most accounts that are taken over: each is a case that stays.
const TAKEOVERS_MAX: usize = 10;
/// Rounds after which only everyday use goes on: some three hours.
const ROUNDS_MAX: usize = 10_000;

/// Who watches: what to call them, with which roles, and what they are for.
const WATCHERS: [(&str, &str, &str); 2] = [
    (
        "ada",
        "security_engineer,compliance_officer,aml_analyst,fraud_analyst",
        "watches the gate and works on cases",
    ),
    ("ben", "approver,viewer", "approves what ada proposes (another browser, or a private window)"),
];

/// Somebody watches until this resolves.
pub(super) struct Watched(Pin<Box<dyn Future<Output = ()> + Send>>);

/// Attacks that go on.
#[derive(Debug, Clone, Copy)]
enum Attack {
    Altered,
    Flood,
    Listed,
    Replay,
    Stolen,
    Takeover,
}

/// In which order.
const ATTACKS: [Attack; 6] =
    [Attack::Stolen, Attack::Flood, Attack::Replay, Attack::Listed, Attack::Altered, Attack::Takeover];

impl Attack {
    async fn run(
        self,
        installation: &Installation,
        victim: &Credential,
        seed: u64,
        round: usize,
    ) -> anyhow::Result<String> {
        match self {
            Self::Altered => scenarios::altered_request(installation, victim, round).await,
            Self::Flood => scenarios::flood(installation, victim).await,
            Self::Listed => scenarios::listed_again(installation, victim, seed, round).await,
            Self::Replay => scenarios::replayed_order(installation, victim, round).await,
            Self::Stolen => scenarios::stolen_key(installation, victim, round).await,
            Self::Takeover => scenarios::takeover(installation, seed, &format!("taken-over-{round}")).await,
        }
    }

    /// What is said when it was stopped, before the details.
    const fn stopped(self) -> &'static str {
        match self {
            Self::Altered => "a request was changed on its way",
            Self::Flood => "one source floods",
            Self::Listed => "money to a listed address",
            Self::Replay => "an order is sent again",
            Self::Stolen => "a stolen key elsewhere",
            Self::Takeover => "an account is taken over",
        }
    }
}

/// Who may look in, one line for each.
pub(super) async fn doors(installation: &Installation) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, roles, what_for) in WATCHERS {
        let request = Request::ConsoleLink { name: name.to_owned(), roles: roles.to_owned(), account: None };
        let Response::ConsoleLink { url, .. } =
            installation.running().core().handle(request, &mut |_, _, _| ()).await?
        else {
            bail!("asking for a link answered something else");
        };
        lines.push(format!("  {name} {what_for}:\n    {url}"));
    }
    Ok(lines)
}

/// What was decided, and what to try while it all stays.
pub(super) fn summary(
    installation: &Installation,
    decisions: &[DecisionLine],
    doors: &[String],
    tell: &mut dyn FnMut(&str),
) {
    tell("\nwhat was decided, and why:");
    for decision in decisions {
        tell(&decision_line(decision));
    }
    let config = installation.path("caponier.toml");
    let config = config.display();
    tell("\ntry next, in another terminal:");
    let held = decisions.iter().rfind(|decision| decision.verdict == Verdict::Hold.as_str());
    if let Some(DecisionLine { id, .. }) = held {
        tell(&format!("  caponier explain {id} --config {config}"));
    }
    for command in
        ["cases list --urgent", "log --kind decision,refusals", "bans list", "backup drill", "doctor"]
    {
        tell(&format!("  caponier {command} --config {config}"));
    }
    tell(&format!("  caponier audit verify {}", installation.path("data").display()));
    tell(
        "\nopen the console; one withdrawal is held there and waits for two people. Each link lets one browser in, once:",
    );
    for door in doors {
        tell(door);
    }
    tell("\nAttacks go on until Ctrl-C; what stops them follows.\n");
}

impl Watched {
    pub(super) fn until(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(stop))
    }

    /// Everyday use and attacks, until nobody watches any more.
    pub(super) async fn stay(
        &mut self,
        installation: &Installation,
        victim: &Credential,
        seed: u64,
        tell: &mut dyn FnMut(&str),
    ) {
        let ticking = installation.tick_chains();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The scenes before were the first round.
        let mut round = 2;
        loop {
            let act = async {
                beat.tick().await;
                if let Err(error) = scenarios::everyday(installation, victim, round).await {
                    tell(&format!("FAIL  everyday use: {error:#}"));
                }
                let attack = ATTACKS.get(round / BEATS_PER_ATTACK % ATTACKS.len()).copied();
                let Some(attack) = attack.filter(|_| round.is_multiple_of(BEATS_PER_ATTACK)) else { return };
                let is_spent = round > ROUNDS_MAX
                    || (matches!(attack, Attack::Takeover)
                        && round / (BEATS_PER_ATTACK * ATTACKS.len()) >= TAKEOVERS_MAX);
                if is_spent {
                    return;
                }
                tell(&match attack.run(installation, victim, seed, round).await {
                    Ok(detail) => format!("stopped  {}: {detail}", attack.stopped()),
                    Err(error) => format!("FAIL  {}: {error:#}", attack.stopped()),
                });
            };
            tokio::select! {
                () = &mut self.0 => break,
                () = act => round += 1,
            }
        }
        ticking.abort();
    }
}
