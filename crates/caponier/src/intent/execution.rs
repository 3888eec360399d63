//! Executes a transaction on a node's state or a recorded one.

use std::path::Path;

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use domain::{Clock as _, UnixNanos};
use intent::{Context, transaction::Envelope};
use serde_json::{Value, json};
use simulate::{Environment, Fork, SimulateError, Simulation, Snapshot};

use super::{node::Node, recorded, report};
use crate::{
    cli::intent::Simulate,
    clock::SystemClock,
    exit::{Exit, Failure},
};

/// Most things fetched for one transaction.
const NEEDS_MAX: usize = 8_192;

/// What came of it, and in which block.
pub(crate) struct Executed {
    pub(crate) environment: Environment,
    pub(crate) simulation: Simulation,
    /// How many questions a node was asked.
    pub(crate) fetched: usize,
}

/// Executes.
pub(crate) async fn execute(
    options: &Simulate,
    envelope: &Envelope,
    signer: Account,
    context: &mut Context,
) -> Result<Executed, Failure> {
    let fork = options.fork.as_deref().map(fork).transpose()?;
    let tx = Transaction { from: signer, ..envelope.transaction.clone() };
    let now = SystemClock.now();
    let deadline = UnixNanos(now.0.saturating_add(options.timeout.saturating_mul(1_000_000_000)));
    let late = || Failure::new(Exit::Busy, format!("not done within {} s", options.timeout));
    match (&options.rpc, &options.state) {
        (Some(url), _) => {
            let work = on_node(url, options.ca_file.as_deref(), fork, &tx, context, deadline);
            let patience = std::time::Duration::from_secs(options.timeout);
            tokio::time::timeout(patience, work).await.map_err(|_| late())?
        }
        (None, Some(path)) => {
            let (environment, state) = recorded::read(path, fork)?;
            meant(context, environment.chain_id)?;
            let run = run(&state, &environment, &tx, context, deadline);
            let simulation = run.map_err(|error| match error {
                SimulateError::Missing(need) => {
                    Failure::new(Exit::NotFound, format!("{}: {need} is not in it", path.display()))
                }
                other => failed(&other),
            })?;
            Ok(Executed { environment, simulation, fetched: 0 })
        }
        (None, None) => Err(Failure::new(Exit::Usage, "on which state? --rpc URL or --state FILE")),
    }
}

/// The chain that is meant is the one whose state is asked, unless the caller said another.
fn meant(context: &mut Context, chain_id: u64) -> Result<(), Failure> {
    match context.chain_id {
        Some(meant) if meant != chain_id => {
            let message = format!("--chain-id {meant}: the state is that of chain {chain_id}");
            Err(Failure::new(Exit::Input, message))
        }
        _ => {
            context.chain_id = Some(chain_id);
            Ok(())
        }
    }
}

fn fork(name: &str) -> Result<Fork, Failure> {
    Fork::ALL.into_iter().find(|fork| fork.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = Fork::ALL.iter().map(|fork| fork.as_str()).collect();
        Failure::new(Exit::Usage, format!("--fork {name:?}: one of {} is expected", known.join(", ")))
    })
}

fn run(
    state: &Snapshot,
    environment: &Environment,
    tx: &Transaction,
    context: &Context,
    deadline: UnixNanos,
) -> Result<Simulation, SimulateError> {
    let mut go_on = || SystemClock.now() < deadline;
    tokio::task::block_in_place(|| simulate::simulate(state, environment, tx, context, &mut go_on))
}

fn failed(error: &SimulateError) -> Failure {
    let exit = match error {
        SimulateError::TooMuchGas(_) => Exit::Input,
        _ => Exit::Busy,
    };
    Failure::new(exit, error.to_string())
}

async fn on_node(
    url: &str,
    ca_file: Option<&Path>,
    fork: Option<Fork>,
    tx: &Transaction,
    context: &mut Context,
    deadline: UnixNanos,
) -> Result<Executed, Failure> {
    let mut node = Node::open(url, ca_file, fork, SystemClock.now()).await?;
    meant(context, node.environment.chain_id)?;
    node.expect(tx).await;
    for _ in 0..NEEDS_MAX {
        match run(&node.state, &node.environment, tx, context, deadline) {
            Ok(simulation) => {
                let (environment, fetched) = (node.environment, node.fetched);
                return Ok(Executed { environment, simulation, fetched });
            }
            Err(SimulateError::Missing(need)) => node.fetch(need).await?,
            Err(other) => return Err(failed(&other)),
        }
    }
    Err(Failure::new(Exit::Input, format!("the transaction touches more than {NEEDS_MAX} things")))
}

/// For programs.
pub(crate) fn value(executed: &Executed) -> Value {
    let Executed { environment, simulation, fetched } = executed;
    let number = |value: Option<U256>| value.map(|value| value.to_string());
    let native: Vec<Value> = simulation
        .native
        .iter()
        .map(|change| {
            json!({
                "account": report::shown(&change.account),
                "before": change.before.to_string(), "after": change.after.to_string(),
            })
        })
        .collect();
    let tokens: Vec<Value> = simulation
        .tokens
        .iter()
        .map(|change| {
            json!({
                "token": report::shown(&change.token), "account": report::shown(&change.account),
                "before": number(change.before), "after": number(change.after), "as_logged": change.is_as_logged(),
            })
        })
        .collect();
    let allowances: Vec<Value> = simulation
        .allowances
        .iter()
        .map(|change| {
            json!({
                "token": report::shown(&change.token), "owner": report::shown(&change.owner),
                "spender": report::shown(&change.spender),
                "before": number(change.before), "after": number(change.after),
            })
        })
        .collect();
    let slots: Vec<Value> = simulation
        .slots
        .iter()
        .map(|change| {
            json!({
                "account": report::shown(&change.account), "name": change.name, "slot": report::hash(&change.slot),
                "before": report::hash(&change.before), "after": report::hash(&change.after),
            })
        })
        .collect();
    json!({
        "block": environment.number,
        "timestamp": environment.timestamp_s,
        "fork": environment.fork.as_str(),
        "end": simulation.end.to_string(),
        "done": simulation.end == simulate::End::Done,
        "gas_used": simulation.gas_used,
        "fee": number(simulation.fee),
        "nonces_ahead": simulation.nonces_ahead,
        "effects": report::effects(&simulation.done),
        "severity": simulation.done.severity().as_str(),
        "native": native,
        "tokens": tokens,
        "allowances": allowances,
        "slots": slots,
        "other_slots": simulation.other_slots,
        "steps": simulation.steps,
        "fetched": fetched,
    })
}

/// For people.
pub(crate) fn lines(executed: &Executed) -> Vec<String> {
    let Executed { environment, simulation, .. } = executed;
    let mut lines = vec![format!(
        "executed as the next in block {} ({}): {}",
        environment.number,
        environment.fork.as_str(),
        simulation.end
    )];
    if let Some(fee) = simulation.fee.filter(|_| simulation.gas_used > 0) {
        lines.push(format!("  {} gas, {fee} wei", simulation.gas_used));
    }
    if simulation.nonces_ahead > 0 {
        lines.push(format!("  {} transactions of the sender must come before it", simulation.nonces_ahead));
    }
    lines.extend(report::effect_lines(&simulation.done));
    for change in &simulation.native {
        lines.push(format!(
            "  balance of {}: {} -> {} wei",
            report::shown(&change.account),
            change.before,
            change.after
        ));
    }
    let told = |value: Option<U256>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    for change in &simulation.tokens {
        lines.push(format!(
            "  token {} of {}: {} -> {}",
            report::shown(&change.token),
            report::shown(&change.account),
            told(change.before),
            told(change.after)
        ));
    }
    for change in &simulation.allowances {
        lines.push(format!(
            "  allowance of {} on token {} of {}: {} -> {}",
            report::shown(&change.spender),
            report::shown(&change.token),
            report::shown(&change.owner),
            told(change.before),
            told(change.after)
        ));
    }
    for change in &simulation.slots {
        lines.push(format!(
            "  {} of {}: {} -> {}",
            change.name,
            report::shown(&change.account),
            report::hash(&change.before),
            report::hash(&change.after)
        ));
    }
    lines
}
