//! The parts of the installation on the live page: whether each acts on what it finds, and whether it works.
//!
//! Wrong here is what `caponier doctor` calls wrong and measures the same way, so that two people who look at the same moment from
//! two places read the same. Answers at once: whatever is busy is said to be busy.

use console::{Mode, Part};

use crate::{bundles::Place, chains, commands::doctor, core::Core};

/// Every part, and what does not work, one sentence each.
pub(super) fn of(core: &Core) -> (Vec<Part>, Vec<String>) {
    let mut told = Told::default();
    journal(core, &mut told);
    gateway(core, &mut told);
    fraud(core, &mut told);
    chains(core, &mut told);
    lists(core, &mut told);
    backup(core, &mut told);
    (told.parts, told.faults)
}

#[derive(Default)]
struct Told {
    parts: Vec<Part>,
    faults: Vec<String>,
}

impl Told {
    fn part(&mut self, name: &str, mode: Mode, detail: impl Into<String>) {
        self.parts.push(Part { name: name.to_owned(), mode, detail: detail.into() });
    }

    fn fault(&mut self, name: &str, detail: impl Into<String>, sentence: String) {
        self.part(name, Mode::Failing, detail);
        self.faults.push(sentence);
    }
}

fn journal(core: &Core, told: &mut Told) {
    let journal = core.ground.journal();
    match journal.health() {
        journal::Health::Running => {
            told.part("journal", Mode::Working, format!("{} sealed entries", journal.size()));
        }
        journal::Health::Closed => {
            told.fault("journal", "takes nothing any more", "The journal is closed.".to_owned());
        }
        journal::Health::Failed { .. } => {
            let sentence = "The journal has failed: nothing is decided until a restart.".to_owned();
            told.fault("journal", "takes nothing until a restart", sentence);
        }
    }
}

fn gateway(core: &Core, told: &mut Told) {
    let config = &core.config;
    let only_looks = config.gateway.mode == gateway::Mode::Observe;
    let (mode, detail) = if only_looks {
        (Mode::Shadow, "only looks: nothing it carries is stopped")
    } else {
        (Mode::Enforcing, "proves, limits and forwards requests")
    };
    told.part("gateway", mode, detail);
    let is_running = matches!(core.ground.journal().health(), journal::Health::Running);
    let (mode, detail) = match (is_running, only_looks) {
        (false, _) => (Mode::Failing, "none is made without a record: every withdrawal is refused"),
        (true, true) => (Mode::Shadow, "made and recorded; the gateway stops nothing for them"),
        (true, false) => (Mode::Enforcing, "a check that does not answer denies"),
    };
    told.part("withdrawal decisions", mode, detail);
    let mode = match config.decide.address_book {
        decide::AddressBookMode::Enforce => Mode::Enforcing,
        decide::AddressBookMode::Off => Mode::Off,
        decide::AddressBookMode::Shadow => Mode::Shadow,
    };
    told.part("address book", mode, "withdrawals to entries of the account's own book");
    let mode = match config.abuse.mode {
        gateway::AbuseMode::Enforce => Mode::Enforcing,
        gateway::AbuseMode::Off => Mode::Off,
        gateway::AbuseMode::Shadow => Mode::Shadow,
    };
    told.part("bans", mode, "sources that misbehave");
    let mode = match (&config.api_model.document, config.api_model.mode) {
        (None, _) | (_, gateway::ModelMode::Off) => Mode::Off,
        (_, gateway::ModelMode::Enforce) => Mode::Enforcing,
        (_, gateway::ModelMode::Report) => Mode::Shadow,
    };
    told.part("API model", mode, "requests that the description of the API does not allow");
}

fn fraud(core: &Core, told: &mut Told) {
    let rules = core.ground.fraud_config();
    let all = fraud::Rule::ALL.len();
    let off = rules.off.len();
    let shadow = rules.shadow.difference(&rules.off).count();
    let mode = if off == all {
        Mode::Off
    } else if off + shadow == all {
        Mode::Shadow
    } else {
        Mode::Enforcing
    };
    let detail = match (shadow, off) {
        (0, 0) => format!("all {all} enforced"),
        (shadow, off) => {
            format!("{} enforced, {shadow} in shadow, {off} off", all.saturating_sub(shadow + off))
        }
    };
    told.part("built-in fraud rules", mode, detail);
    let lives = core.ground.lives();
    let Some(active) = lives.at(Place::Active) else {
        return told.part("fraud bundle", Mode::Off, "none: the built-in rules judge alone");
    };
    for (place, name) in [(Place::Active, "fraud bundle"), (Place::Challenger, "fraud bundle beside it")] {
        let Some(live) = lives.at(place) else { continue };
        let bundle = live.bundle();
        let mut detail = format!("{} {}", bundle.name(), bundle.version());
        if let Some(rules) = bundle.rules() {
            let count = rules.rules().len();
            detail.push_str(&format!(
                "; {count} {} of {} {}",
                if count == 1 { "rule" } else { "rules" },
                rules.name(),
                rules.version()
            ));
        }
        match bundle.model() {
            Some((_, sha256)) => {
                let digest: String = hex::encode(sha256).chars().take(12).collect();
                detail.push_str(&format!("; model {digest}"));
            }
            None => detail.push_str("; no model"),
        }
        let has_effect = place == Place::Active && active.is_enforced();
        told.part(name, if has_effect { Mode::Enforcing } else { Mode::Shadow }, detail);
    }
}

fn chains(core: &Core, told: &mut Told) {
    let chains = chains::status(core);
    if chains.is_empty() {
        told.part("chain watch", Mode::Off, "no chain is followed");
    }
    for chain in chains {
        let name = format!("chain {}", chain.chain);
        let phase = chain.phase.replace('_', " ");
        let at = chain.height.map_or_else(String::new, |height| format!(" at block {height}"));
        let lag = match chain.lag_blocks {
            None => String::new(),
            Some(0) => ", level with its node".to_owned(),
            Some(1) => ", 1 block behind".to_owned(),
            Some(lag) => format!(", {lag} blocks behind"),
        };
        let detail = format!("{phase}{at}{lag}");
        if doctor::chain_works(&chain.phase) {
            told.part(&name, Mode::Working, detail);
        } else {
            told.fault(&name, detail, format!("Chain {} is {phase}.", chain.chain));
        }
    }
}

fn lists(core: &Core, told: &mut Told) {
    if let Some(problem) = core.gaps.problem() {
        return told.fault("address lists", problem.clone(), format!("Withdrawals are refused: {problem}."));
    }
    match core.watch.lists().len() {
        0 => told.part("address lists", Mode::Off, "none: no destination is known to be bad"),
        lists => told.part("address lists", Mode::Enforcing, format!("{lists} in force")),
    }
}

fn backup(core: &Core, told: &mut Told) {
    let Some(shipper) = &core.shipper else {
        return told.part("backup", Mode::Off, "a lost disk loses everything");
    };
    // Who ships holds it for as long as that takes.
    let Some(shipped) = shipper.try_lock().map(|shipper| shipper.last().cloned()) else {
        return told.part("backup", Mode::Working, "shipping now");
    };
    let entries = shipped.as_ref().map_or(0, |manifest| manifest.entries);
    let behind = core.ground.journal().size().saturating_sub(entries);
    let lag = match (behind, &shipped) {
        (_, None) => "nothing shipped yet".to_owned(),
        (0, Some(_)) => "level with the journal".to_owned(),
        (1, Some(_)) => "1 entry behind".to_owned(),
        (behind, Some(_)) => format!("{behind} entries behind"),
    };
    let drill = core.ground.read(|fold| fold.last_drill().map(|(_, drill)| drill.ok));
    if doctor::is_behind(behind) {
        told.fault("backup", lag.clone(), format!("The backup does not keep up: {lag}."));
    } else if drill == Some(false) {
        let sentence = "The last rehearsed restore failed: see Backups.".to_owned();
        told.fault("backup", format!("{lag}; the last rehearsed restore failed"), sentence);
    } else {
        let drill =
            if drill.is_some() { "the last rehearsed restore succeeded" } else { "no restore rehearsed yet" };
        told.part("backup", Mode::Working, format!("{lag}; {drill}"));
    }
}
