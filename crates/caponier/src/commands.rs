//! The commands: each takes its arguments, does its work, prints, and says how the process ends.

mod cases;
mod connect;
mod docs;
pub(crate) mod doctor;
mod emergency;
mod follow;
mod fraud;
mod intent;
mod log;
mod logging;
mod restore;
mod run;
mod screen;
mod watch;
mod webhooks;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Parser as _;
use gateway::route::RouteTable;

use crate::{
    cli::{
        AppsCommand, AuditCommand, BackupCommand, BansCommand, Cli, Command, ConfigCommand, ConsoleCommand,
        GrantsCommand, KeysCommand, ListsCommand, ModelCommand, Permission, Place, PolicyCommand,
        RestrictionFlags, RoutesCommand, Scope, Screen, SubjectsCommand, watch::WatchCommand,
    },
    clock::SystemClock,
    config::{Config, beside, schema},
    control::{FraudRequest, Request, Response, RestrictionWords},
    core::{Core, control_socket},
    demo,
    exit::{Exit, Failure},
    output::{self, Bar},
    policy, secret_file, socket, verify,
};

/// Default data directory.
const DATA_DIR: &str = "caponier-data";

/// Runs the process's command line.
#[must_use]
pub fn main() -> Exit {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => {
            // Help and version are answers; everything else is a usage error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            if error.print().is_ok() { exit } else { Exit::Io }
        }
    }
}

fn run(cli: Cli) -> Exit {
    let json = cli.json;
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(failure) => {
            output::failure(&failure, json);
            failure.exit
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let Cli { json, place, command } = cli;
    match command {
        Command::Config(ConfigCommand::Default) => {
            output::line(schema::default_file().trim_end());
            Ok(Exit::Ok)
        }
        Command::Config(ConfigCommand::Check { file }) => match file.or(place.config) {
            Some(file) => check_config(&file, json),
            None => Err(Failure::new(Exit::Usage, "which file? caponier config check FILE")),
        },
        Command::Audit(AuditCommand::Verify { dir, vkey }) => verify_dir(&dir, vkey.as_deref(), &place, json),
        Command::Docs(command) => docs::docs(&command, json),
        Command::Connect(options) => block_on(connect::connect(options, json)),
        Command::Doctor => {
            logging::start_quiet(true);
            block_on(doctor::doctor(&place, json))
        }
        Command::Run => {
            let config = config_file(&place)?;
            logging::start(&config.telemetry, false);
            block_on(run::run(config, place, json))
        }
        Command::Demo(options) => {
            logging::start_quiet(options.headless || json);
            block_on(demo::run(options, place.data_dir, json))
        }
        Command::Backup(BackupCommand::Restore { from }) => {
            logging::start_quiet(true);
            block_on(restore::restore(&place, &from, json))
        }
        Command::Policy(PolicyCommand::DryRun { traffic }) => dry_run(&traffic, &place, json),
        Command::Routes(RoutesCommand::Default) => {
            output::line(policy::routes::print(&RouteTable::okx_v5()).trim_end());
            Ok(Exit::Ok)
        }
        Command::Model(ModelCommand::Check { document }) => check_model(&document, json),
        Command::Log(options) => {
            logging::start_quiet(true);
            block_on(log::log(&place, options))
        }
        Command::Watch(WatchCommand::Run) => {
            let config = config_file(&place)?;
            logging::start(&config.telemetry, false);
            block_on(follow::run(config, json))
        }
        Command::Watch(WatchCommand::Status) => {
            logging::start_quiet(true);
            block_on(ask(&place, Request::ChainsStatus, false, json))
        }
        Command::Watch(WatchCommand::Suspects { from, limit }) => {
            logging::start_quiet(true);
            block_on(ask(&place, Request::SuspectsList { from, limit }, false, json))
        }
        Command::Watch(WatchCommand::Clear { address, name, reason }) => {
            logging::start_quiet(true);
            block_on(ask(&place, Request::SuspectsClear { address, by: name, reason }, false, json))
        }
        Command::Webhooks(crate::cli::webhooks::WebhooksCommand::Types) => {
            webhooks::types(json);
            Ok(Exit::Ok)
        }
        Command::Fraud(crate::cli::fraud::FraudCommand::Models(command)) => {
            logging::start_quiet(true);
            fraud::models::models(&place, command, json)
        }
        Command::Fraud(command) => {
            logging::start_quiet(true);
            match fraud::request(command) {
                Ok(request) => block_on(ask(&place, Request::Fraud(request), false, json)),
                Err(command) => fraud::fraud(command, &place, json),
            }
        }
        Command::Intent(command) => {
            logging::start_quiet(true);
            block_on(intent::intent(command, &place, json))
        }
        Command::Watch(WatchCommand::Load(options)) => {
            let config = resolve(&place)?;
            logging::start_quiet(true);
            block_on(screen::load_history(config, &options, json))
        }
        Command::Screen(Screen { bulk: Some(path), network, .. }) => {
            logging::start_quiet(true);
            block_on(screen::bulk(&place, &path, network.as_deref(), json))
        }
        Command::Watch(command) => {
            logging::start_quiet(true);
            watch::watch(command, json)
        }
        command => {
            logging::start_quiet(true);
            let (request, creates) = request(command)?;
            block_on(ask(&place, request, creates, json))
        }
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start of the runtime", error))?
        .block_on(work)
}

/// The request behind a command, and whether it may make a new data directory.
fn request(command: Command) -> Result<(Request, bool), Failure> {
    Ok(match command {
        Command::Keys(KeysCommand::Create(create)) => {
            let passphrase = match &create.passphrase_file {
                Some(path) => Some(secret_file::read_line(path, 1)?.expose().clone()),
                None => None,
            };
            let has = |permission| create.permissions.contains(&permission);
            let request = Request::KeysCreate {
                account: create.account.clone(),
                label: create.label.clone(),
                read: has(Permission::Read),
                trade: has(Permission::Trade),
                withdraw: has(Permission::Withdraw),
                ips: create.ips.clone(),
                demo_trading: create.demo_trading,
                passphrase,
                by: None,
                public_key: create.public_key.as_deref().map(public_key).transpose()?,
                restrictions: create.restrictions.into(),
            };
            (request, true)
        }
        Command::Keys(KeysCommand::List { account, all }) => (Request::KeysList { account, all }, false),
        Command::Keys(KeysCommand::Show { key }) => (Request::KeysShow { key }, false),
        Command::Keys(KeysCommand::Restrict { key, restrictions, none }) => {
            let restrictions = RestrictionWords::from(*restrictions);
            if !none && restrictions == RestrictionWords::default() {
                let message = "to what? Name restrictions, or --none to take all away";
                return Err(Failure::new(Exit::Usage, message));
            }
            (Request::KeysRestrict { key, restrictions, by: None }, false)
        }
        Command::Keys(KeysCommand::Revoke { key }) => (Request::KeysRevoke { key, by: None }, false),
        Command::Keys(KeysCommand::Freeze { key }) => (Request::KeysFreeze { key, by: None }, false),
        Command::Keys(KeysCommand::Unfreeze { key }) => (Request::KeysUnfreeze { key, by: None }, false),
        Command::Keys(KeysCommand::RotateKek) => (Request::KeysRotateKek, false),
        Command::Apps(AppsCommand::Create { client_id, name, redirect_uris, scopes }) => {
            let has = |scope| scopes.contains(&scope);
            let (read, trade) = (has(Scope::Read), has(Scope::Trade));
            (Request::AppsCreate { client_id, name, redirect_uris, read, trade }, true)
        }
        Command::Users(command) => (command.request(), false),
        Command::Services(command) => (command.request(), false),
        Command::Apps(AppsCommand::List) => (Request::AppsList, false),
        Command::Apps(AppsCommand::Revoke { client_id }) => (Request::AppsRevoke { client_id }, false),
        Command::Grants(GrantsCommand::List { account }) => (Request::GrantsList { account }, false),
        Command::Grants(GrantsCommand::Revoke { grant }) => (Request::GrantsRevoke { grant }, false),
        Command::Subjects(SubjectsCommand::Erase { account, yes }) => {
            if !yes {
                let message =
                    "erasing cannot be undone; add --yes if account data is to become unreadable for ever";
                return Err(Failure::new(Exit::Usage, message));
            }
            (Request::SubjectsErase { account }, false)
        }
        Command::Lists(ListsCommand::Import(import)) => {
            let path = absolute(&import.path)?;
            (Request::ListsImport { format: import.format, name: import.name, path }, true)
        }
        Command::Reload => (Request::Reload, false),
        Command::Model(ModelCommand::Learned) => (Request::ModelLearned, false),
        Command::Console(ConsoleCommand::Link { name, role, account }) => {
            (Request::ConsoleLink { name, roles: role, account }, false)
        }
        Command::Bans(BansCommand::List) => (Request::BansList, false),
        Command::Bans(BansCommand::Add { target, key, minutes }) => {
            (Request::BansAdd { target, api_key: key, minutes, by: None }, false)
        }
        Command::Bans(BansCommand::Lift { target, key }) => {
            (Request::BansLift { target, api_key: key, by: None }, false)
        }
        Command::Bans(BansCommand::Export) => (Request::BansExport, false),
        Command::Bans(BansCommand::Import { file }) => {
            // The process that serves may have another working directory.
            let path = std::path::absolute(&file)
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", file.display())))?;
            let path = path
                .to_str()
                .ok_or_else(|| Failure::new(Exit::Usage, format!("{}: not UTF-8", path.display())))?;
            (Request::BansImport { path: path.to_owned() }, false)
        }
        Command::Lists(ListsCommand::Update(update)) => {
            let add = update.add.as_deref().map(absolute).transpose()?;
            let remove = update.remove.as_deref().map(absolute).transpose()?;
            (Request::ListsUpdate { name: update.name, format: update.format, add, remove }, false)
        }
        Command::Lists(ListsCommand::Remove { name, reason, yes }) => {
            if !yes {
                let message = format!(
                    "withdrawals to addresses that only {name} speaks against are allowed then; add --yes if that is meant"
                );
                return Err(Failure::new(Exit::Usage, message));
            }
            (Request::ListsRemove { name, reason }, false)
        }
        Command::Lists(ListsCommand::Export { name }) => (Request::ListsExport { name }, false),
        Command::Lists(ListsCommand::Status) => (Request::ListsStatus, false),
        Command::Cases(command) => (cases::request(command), false),
        Command::Appeals(command) => (command.request(), false),
        Command::Changes(command) => (command.request(), false),
        Command::Alerts(command) => (cases::alerts_request(command), false),
        Command::Freeze(freeze) => (emergency::freeze(freeze), true),
        Command::Unfreeze(command) => (emergency::unfreeze(command), true),
        Command::Alarm(command) => (emergency::alarm(command), true),
        Command::Emergency => (Request::EmergencyShow, false),
        Command::Webhooks(command) => (webhooks::request(command)?, false),
        Command::Lists(ListsCommand::Diff(import)) => {
            let path = absolute(&import.path)?;
            (Request::ListsDiff { format: import.format, name: import.name, path }, false)
        }
        Command::Screen(Screen { address: Some(address), network, bulk: None }) => {
            (Request::Screen { address, network }, false)
        }
        Command::Explain { decision_id } => (Request::Explain { id: decision_id }, false),
        Command::Audit(AuditCommand::Receipt { seq }) => (Request::AuditReceipt { seq }, false),
        Command::Backup(BackupCommand::Status) => (Request::BackupStatus, false),
        Command::Backup(BackupCommand::Drill) => (Request::BackupDrill, false),
        _ => return Err(Failure::new(Exit::Internal, "the command has no request")),
    })
}

/// Longest file of a public key, in bytes.
const PUBLIC_KEY_BYTES_MAX: u64 = 4_096;

/// The text of a public key: of the file of that name, else what was given.
fn public_key(given: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::NotFound, format!("{given}: {error}"));
    match std::fs::File::open(given) {
        Ok(file) => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut std::io::Read::take(file, PUBLIC_KEY_BYTES_MAX), &mut text)
                .map_err(failed)?;
            Ok(text)
        }
        // A key in Base64 may have slashes, but never a dot.
        Err(error) if given.contains('.') => Err(failed(error)),
        Err(_) => Ok(given.to_owned()),
    }
}

impl From<RestrictionFlags> for RestrictionWords {
    fn from(flags: RestrictionFlags) -> Self {
        let bounded = flags.max_order_notional.is_some() || flags.max_day_notional.is_some();
        Self {
            endpoints: flags.endpoints,
            instruments: flags.instruments,
            notional_asset: flags.notional_asset.or_else(|| bounded.then(|| "USDT".to_owned())),
            order_max: flags.max_order_notional,
            day_max: flags.max_day_notional,
            transfers: flags.transfers,
            destinations: flags.withdraw_to,
            hours: flags.hours,
        }
    }
}

/// Whether only a process that serves can answer.
const fn needs_gateway(request: &Request) -> bool {
    matches!(
        request,
        Request::BansAdd { .. }
            | Request::BansExport
            | Request::BansImport { .. }
            | Request::BansLift { .. }
            | Request::BansList
            | Request::ConsoleLink { .. }
            | Request::Fraud(FraudRequest::DeadLetters { .. })
            | Request::ModelLearned
            | Request::Reload
    )
}

/// Asks whoever holds the data directory, and prints the answer.
async fn ask(place: &Place, request: Request, creates: bool, json: bool) -> Result<Exit, Failure> {
    let response = answer(place, request, creates, json).await?;
    let exit = judge(&response);
    if json {
        output::line(output::response_json(&response));
    } else {
        output::line(output::response_text(&response));
    }
    Ok(exit)
}

/// Asks whoever holds the data directory; nobody does: opens it here.
async fn answer(place: &Place, request: Request, creates: bool, json: bool) -> Result<Response, Failure> {
    let config = resolve(place)?;
    let mut bar = Bar::new(json);
    let mut report = |what: &str, done, total| bar.report(what, done, total);
    let answer = match socket::ask(&control_socket(&config.data.dir), &request, &mut report).await {
        Some(answer) => answer,
        None if needs_gateway(&request) => {
            let message = format!("no process serves {}", config.data.dir.display());
            return Err(Failure::new(Exit::NotFound, message));
        }
        None => {
            if !creates {
                must_exist(&config)?;
            }
            let core = Core::open(config, Arc::new(SystemClock), &mut report).await?;
            if core.kek_created {
                tracing::warn!(
                    file = %core.config.data.kek_file.display(),
                    "made a key-encryption key; keep a copy where the backups are not"
                );
            }
            let answer = core.handle(request, &mut report).await;
            tokio::task::block_in_place(|| core.close())?;
            answer
        }
    };
    drop(bar);
    answer
}

/// Answers questions about an installation one after the other: asks whoever holds it, or opens it here once for all.
async fn answers(place: &Place, requests: Vec<Request>) -> Result<Vec<Response>, Failure> {
    let config = resolve(place)?;
    let mut report = |_: &str, _, _| {};
    let mut answered = Vec::with_capacity(requests.len());
    let mut waiting = requests.into_iter();
    while let Some(request) = waiting.next() {
        match socket::ask(&control_socket(&config.data.dir), &request, &mut report).await {
            Some(answer) => answered.push(answer?),
            None => {
                must_exist(&config)?;
                let core = Core::open(config, Arc::new(SystemClock), &mut report).await?;
                let mut outcome = Ok(());
                for request in std::iter::once(request).chain(waiting) {
                    match core.handle(request, &mut report).await {
                        Ok(answer) => answered.push(answer),
                        Err(failure) => {
                            outcome = Err(failure);
                            break;
                        }
                    }
                }
                tokio::task::block_in_place(|| core.close())?;
                return outcome.map(|()| answered);
            }
        }
    }
    Ok(answered)
}

fn check_model(document: &Path, json: bool) -> Result<Exit, Failure> {
    let model = crate::api_model::import(document)?;
    let operations: Vec<String> =
        model.routes().iter().map(|route| format!("{} {}", route.method(), route.template())).collect();
    if json {
        output::line(serde_json::json!({
            "ok": true, "operations": operations, "unchecked": model.unchecked(),
        }));
    } else {
        for operation in &operations {
            output::line(operation);
        }
        for unchecked in model.unchecked() {
            output::line(format!("not checked: {unchecked}"));
        }
    }
    Ok(Exit::Ok)
}

/// The process that holds the data directory may have another working directory.
fn absolute(path: &Path) -> Result<String, Failure> {
    let bad = |what: String| Failure::new(Exit::Usage, format!("{}: {what}", path.display()));
    let path = std::path::absolute(path).map_err(|error| bad(error.to_string()))?;
    path.into_os_string().into_string().map_err(|_| bad("not UTF-8".to_owned()))
}

/// Reading makes no new data directory.
fn must_exist(config: &Config) -> Result<(), Failure> {
    if config.data.dir.join(journal::JOURNAL_DIR).is_dir() {
        return Ok(());
    }
    Err(Failure::new(Exit::NotFound, format!("there is no data directory {}", config.data.dir.display())))
}

/// Whether the answer is a yes.
fn judge(response: &Response) -> Exit {
    let no = match response {
        Response::Screened(value) => {
            value.get("verdict").and_then(|verdict| verdict.as_str()) != Some("allow")
        }
        Response::ListDiff(diff) => diff.added + diff.removed + diff.changed > 0,
        Response::Drilled(drill) => !drill.ok,
        Response::Webhooks(value) => value["test"]["delivered"] == false,
        _ => false,
    };
    if no { Exit::No } else { Exit::Ok }
}

/// The configuration file a command needs.
pub(crate) fn config_file(place: &Place) -> Result<Config, Failure> {
    let Some(path) = &place.config else {
        return Err(Failure::new(Exit::Usage, "--config FILE is needed; see caponier config default"));
    };
    let mut config = Config::load(path).map_err(|faults| Failure::new(Exit::Usage, faults.to_string()))?;
    if let Some(dir) = &place.data_dir {
        // The key stays where the file says unless that was the default place beside the old directory.
        if config.data.kek_file == beside(&config.data.dir) {
            config.data.kek_file = beside(dir);
        }
        config.data.dir.clone_from(dir);
    }
    if let Some(kek_file) = &place.kek_file {
        config.data.kek_file.clone_from(kek_file);
    }
    Ok(config)
}

/// The configuration of a command that can do without a file.
fn resolve(place: &Place) -> Result<Config, Failure> {
    if place.config.is_some() {
        return config_file(place);
    }
    let mut config = Config::parse("defaults", "", Path::new(""))
        .map_err(|faults| Failure::new(Exit::Internal, faults.to_string()))?;
    config.data.dir = data_dir(place);
    config.data.kek_file = kek_file(place, &config.data.dir);
    if let Some(origin) = verify::origin(&config.data.dir) {
        config.log.origin = origin;
    }
    Ok(config)
}

fn data_dir(place: &Place) -> PathBuf {
    place.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR))
}

fn kek_file(place: &Place, data_dir: &Path) -> PathBuf {
    place.kek_file.clone().unwrap_or_else(|| beside(data_dir))
}

fn dry_run(traffic: &Path, place: &Place, json: bool) -> Result<Exit, Failure> {
    let policy = policy::load(&config_file(place)?)?;
    let bad = |exit, what: String| Failure::new(exit, format!("{}: {what}", traffic.display()));
    let recording = std::fs::File::open(traffic).map_err(|error| bad(Exit::Usage, error.to_string()))?;
    let report = policy::dry_run::dry_run(recording, policy).map_err(|error| bad(Exit::Input, error))?;
    if json {
        output::line(report.json())
    } else {
        output::line(report.text())
    }
    Ok(if report.refuses_more() { Exit::No } else { Exit::Ok })
}

fn check_config(path: &Path, json: bool) -> Result<Exit, Failure> {
    match Config::load(path).and_then(|config| policy::load(&config)) {
        Ok(_) => {
            if json {
                output::line(serde_json::json!({"ok": true}));
            } else {
                output::line(format!("{}: no fault", path.display()));
            }
            Ok(Exit::Ok)
        }
        Err(faults) if json => {
            let faults: Vec<_> = faults
                .0
                .iter()
                .map(|fault| {
                    serde_json::json!({
                        "file": fault.file, "line": fault.line, "column": fault.column,
                        "key": fault.key, "message": fault.message,
                    })
                })
                .collect();
            output::line(serde_json::json!({"ok": false, "faults": faults}));
            Ok(Exit::Usage)
        }
        Err(faults) => Err(Failure::new(Exit::Usage, faults.to_string())),
    }
}

fn verify_dir(dir: &Path, vkey: Option<&str>, place: &Place, json: bool) -> Result<Exit, Failure> {
    let mut bar = Bar::new(json);
    let verified = verify::verify(dir, vkey, &kek_file(place, dir), &mut |what, done, total| {
        bar.report(what, done, total);
    })?;
    drop(bar);
    if json {
        let value = serde_json::to_value(&verified)
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        output::line(value);
    } else {
        for fault in &verified.faults {
            let offset = fault.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
            let entry = fault.entry.map(|entry| format!(", entry {entry}")).unwrap_or_default();
            output::line(format!("{}{offset}{entry}: {}", fault.file, fault.what));
        }
        if let Some(tail) = &verified.unacknowledged_tail {
            output::line(format!("note: never acknowledged, cut off at the next start: {tail}"));
        }
        for leftover in &verified.leftovers {
            output::line(format!("note: not published yet, written again at the next start: {leftover}"));
        }
        if !verified.payloads_opened {
            output::line("note: without the key-encryption key, payloads were checked by their hashes only");
        }
        output::line(format!(
            "{}: {} entries, {} of them under the signed checkpoint, root {}, {} fault{}",
            if verified.ok { "sound" } else { "NOT SOUND" },
            verified.entries,
            verified.checkpoint_entries.unwrap_or(0),
            verified.root.as_deref().unwrap_or("unknown"),
            verified.faults.len(),
            if verified.faults.len() == 1 { "" } else { "s" },
        ));
    }
    Ok(if verified.ok { Exit::Ok } else { Exit::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line as a shell sees them, as far as the documentation goes: double quotes keep spaces.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (at, part) in line.split('"').enumerate() {
            if !at.is_multiple_of(2) {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    /// Every `caponier` line in a shell block of the documentation is a command line this program accepts.
    #[test]
    fn commands_in_the_documentation_parse() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages = vec![root.join("README.md")];
        for dir in ["docs/operating", "docs/internals", "docs/reasons"] {
            let entries = std::fs::read_dir(root.join(dir)).unwrap();
            pages.extend(
                entries
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| path.extension().is_some_and(|ext| ext == "md")),
            );
        }
        let mut commands = 0;
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap();
            let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
            for line in blocks.flat_map(str::lines).filter(|line| line.starts_with("caponier ")) {
                let words = words(line)
                    .into_iter()
                    .take_while(|word| !matches!(word.as_str(), "#" | ">" | "|" | "||"));
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{}: {line}\n{error}", page.display());
                }
                commands += 1;
            }
        }
        assert!(commands >= 10, "only {commands} commands found");
    }
}
