//! Carrying out an operator's request.

use std::{path::Path, sync::Arc};

use auth::{KeyChange, oauth::AppChange};
use domain::{AccountId, Actor, ActorKind, Network, Subject};
use identity::Role;
use journal::{
    Draft, Journal, Kind,
    disk::{Disk, RealDisk},
    record::{self, LifecycleEvent},
};

use super::{
    Core, LABELS_DIR, Progress,
    cases::Wanted,
    chain,
    lists::{list_format, list_of, refused},
};
use crate::{
    abuse, chains,
    control::{BackupState, DrillResult, ImportedList, Request, Response},
    exit::{Exit, Failure},
    ground::{Ground, RecordError},
};

impl Core {
    /// Does what is asked.
    ///
    /// # Errors
    /// [`Failure`] with what the operator should know.
    pub async fn handle(&self, request: Request, progress: Progress<'_>) -> Result<Response, Failure> {
        match request {
            Request::KeysCreate { .. }
            | Request::KeysRestrict { .. }
            | Request::KeysRevoke { .. }
            | Request::KeysFreeze { .. }
            | Request::KeysUnfreeze { .. }
            | Request::KeysRotateKek
            | Request::SubjectsErase { .. }
            | Request::ListsImport { .. }
            | Request::ListsUpdate { .. }
            | Request::ListsRemove { .. }
            | Request::SuspectsClear { .. }
            | Request::BackupDrill
            | Request::AppsCreate { .. }
            | Request::AppsRevoke { .. }
            | Request::PeopleFallbackEnd { .. }
            | Request::PeopleInvite { .. }
            | Request::PeopleRemove { .. }
            | Request::PeopleRoles { .. }
            | Request::ServicesCreate { .. }
            | Request::ServicesRevoke { .. }
            | Request::GrantsRevoke { .. }
            | Request::Reload => {
                let _one_at_a_time = self.changes.lock().await;
                self.change(request, progress).await
            }
            Request::KeysList { account, all } => self.keys_list(account.as_deref(), all),
            Request::KeysShow { key } => self.keys_show(&key),
            Request::AppsList => Ok(self.apps_list()),
            Request::PeopleList => Ok(self.people_list()),
            Request::ServicesList => Ok(self.services_list()),
            Request::GrantsList { account } => self.grants_list(account.as_deref()),
            Request::SuspectsList { from, limit } => Ok(self.suspects(from, limit)),
            Request::ListsStatus => Ok(Response::Lists(self.lists())),
            Request::ListsExport { name } => self.lists_export(&name),
            Request::ListsDiff { format, name, path } => {
                self.lists_diff(&format, name.as_deref(), Path::new(&path))
            }
            Request::CasesList { state, account, assignee, priority, source, urgent, after, limit } => self
                .cases_list(Wanted {
                    state,
                    account: account.as_deref(),
                    assignee,
                    priority: priority.as_deref(),
                    source: source.as_deref(),
                    urgent,
                    after: after.as_deref(),
                    limit,
                }),
            Request::CasesShow { case } => self.cases_show(&case),
            Request::AppealsList { account, state, after, limit } => {
                self.appeals_list(account.as_deref(), state, after.as_deref(), limit)
            }
            Request::Appeals(work) => self.appeals(work).await,
            Request::CasesAct { case, by, revision, work } => {
                self.cases_act(&case, &by, revision, work).await
            }
            Request::ChangesList { state, after, limit } => {
                self.changes_list(state.as_deref(), after.as_deref(), limit)
            }
            Request::ChangesShow { change } => self.changes_show(&change),
            Request::ChangesAct { change, by, say } => self.changes_act(&change, &by, say).await,
            Request::Webhooks { by, work } => self.webhooks(&by, work).await,
            Request::EmergencyShow => Ok(self.emergency_show()),
            Request::Emergency { by, work } => self.emergency(&by, work).await,
            Request::AlertsList { after, limit } => self.alerts_list(after, limit),
            Request::Screen { address, network } => self.screen(&address, network.as_deref()).await,
            Request::ScreenAll { lines } => self.screen_all(&lines).await,
            Request::Explain { id } => self.explain(&id).await,
            Request::AuditReceipt { seq } => tokio::task::block_in_place(|| self.receipt(seq)),
            Request::Fraud(request) => self.fraud(request, progress).await,
            Request::ModelLearned => self.learned(),
            Request::BansList => Ok(Response::Bans(abuse::list(self.bans()?))),
            Request::BansAdd { target, api_key, minutes, by } => {
                let by = by.unwrap_or_else(Actor::operator);
                abuse::add(self.bans()?, (&target, api_key.as_deref()), minutes, by).map(Response::Banned)
            }
            Request::BansLift { target, api_key, by } => {
                let by = by.unwrap_or_else(Actor::operator);
                let lifted = abuse::lift(self.bans()?, (&target, api_key.as_deref()), &by)?;
                Ok(Response::BanLifted { target, lifted })
            }
            Request::ConsoleLink { name, roles, account } => {
                self.console_link(&name, &roles, account.as_deref())
            }
            Request::BansExport => Ok(Response::BansExported(abuse::export(self.bans()?, self.clock.now()))),
            Request::BansImport { path } => tokio::task::block_in_place(|| {
                abuse::import(self.bans()?, Path::new(&path)).map(Response::BansImported)
            }),
            Request::Entries { from, kinds, entries_max, reveal } => {
                tokio::task::block_in_place(|| self.entries(from, &kinds, entries_max, reveal))
            }
            Request::ChainsStatus => {
                Ok(Response::Chains(tokio::task::block_in_place(|| chains::status(self))))
            }
            Request::BackupStatus => {
                Ok(Response::Backup(tokio::task::block_in_place(|| self.backup_state())))
            }
        }
    }

    /// The bans of the gateway, which a process that does not serve has none of.
    fn bans(&self) -> Result<&gateway::Bans, Failure> {
        self.bans.get().ok_or_else(|| Failure::new(Exit::NotFound, "no process serves here"))
    }

    async fn change(&self, request: Request, progress: Progress<'_>) -> Result<Response, Failure> {
        match request {
            Request::KeysCreate { .. } => self.keys_create(request).await,
            Request::KeysRestrict { key, restrictions, by } => {
                self.keys_restrict(&key, &restrictions, by).await
            }
            Request::KeysRevoke { key, by } => {
                self.key_change((&key, by), "revoked", |id, at| KeyChange::Revoked { id, at }).await
            }
            Request::KeysFreeze { key, by } => {
                self.key_change((&key, by), "frozen", |id, at| KeyChange::Frozen { id, at }).await
            }
            Request::KeysUnfreeze { key, by } => {
                self.key_change((&key, by), "active", |id, at| KeyChange::Unfrozen { id, at }).await
            }
            Request::AppsCreate { client_id, name, redirect_uris, read, trade } => {
                self.apps_create(client_id, &name, &redirect_uris, read, trade).await
            }
            Request::AppsRevoke { client_id } => self.apps_revoke(&client_id).await,
            Request::PeopleInvite { user, roles, by, reason } => {
                self.people_invite(&user, &roles, (&by, &reason)).await
            }
            Request::PeopleFallbackEnd { user } => self.people_fallback_end(&user).await,
            Request::PeopleRemove { user } => self.people_remove(&user).await,
            Request::PeopleRoles { user, roles, by, reason } => {
                self.people_roles(&user, &roles, (&by, &reason)).await
            }
            Request::ServicesCreate { name, capabilities, ips, days, by, reason } => {
                self.services_create(&name, &capabilities, &ips, (days, &by, &reason)).await
            }
            Request::ServicesRevoke { name } => self.services_revoke(&name).await,
            Request::GrantsRevoke { grant } => self.grants_revoke(&grant).await,
            Request::Reload => self.reload().await,
            Request::KeysRotateKek => tokio::task::block_in_place(|| self.rotate_kek(progress)),
            Request::SubjectsErase { account } => self.erase(&account).await,
            Request::ListsImport { format, name, path } => {
                self.lists_import(&format, name.as_deref(), Path::new(&path)).await
            }
            Request::ListsUpdate { name, format, add, remove } => {
                let (add, remove) = (add.as_deref().map(Path::new), remove.as_deref().map(Path::new));
                self.lists_update(&name, &format, add, remove).await
            }
            Request::SuspectsClear { address, by, reason } => {
                self.suspect_clear(&address, &by, &reason).await
            }
            Request::ListsRemove { name, reason } => self.lists_remove(&name, &reason).await,
            Request::BackupDrill => self.drill(progress).await.map(Response::Drilled),
            _ => Err(Failure::new(Exit::Internal, "not a change")),
        }
    }

    fn console_link(&self, name: &str, roles: &str, account: Option<&str>) -> Result<Response, Failure> {
        let entrance = self
            .entrance
            .get()
            .ok_or_else(|| Failure::new(Exit::NotFound, "no process serves a console here"))?;
        let actor = Actor::new(ActorKind::User, name)
            .map_err(|error| Failure::new(Exit::Usage, format!("name: {error}")))?;
        let named = |role: &str| {
            Role::named(role).ok_or_else(|| {
                let known = Role::ALL.map(Role::as_str).join(", ");
                Failure::new(Exit::Usage, format!("{role:?} is no role; there are {known}"))
            })
        };
        let account = account
            .map(AccountId::parse)
            .transpose()
            .map_err(|error| Failure::new(Exit::Usage, format!("account: {error}")))?;
        // Who develops for one account has no role beside it.
        let roles: Vec<Role> = match &account {
            Some(_) => Vec::new(),
            None => roles.split(',').map(named).collect::<Result<_, _>>()?,
        };
        let (url, until) = entrance.link(actor, &roles, account);
        Ok(Response::ConsoleLink { url, until: until.to_string() })
    }

    fn learned(&self) -> Result<Response, Failure> {
        let learned = self.reload.get().and_then(|live| live.learned());
        learned.map(Response::Learned).ok_or_else(|| {
            let message = "nothing is learned: no process serves with api_model.learn = \"on\"";
            Failure::new(Exit::NotFound, message)
        })
    }

    async fn reload(&self) -> Result<Response, Failure> {
        let Some(reload) = self.reload.get() else {
            return Err(Failure::new(Exit::NotFound, "nothing is served here that could read it again"));
        };
        let reloaded = tokio::task::block_in_place(|| reload.reload())?;
        self.reloaded_at.store(self.clock.now().0, std::sync::atomic::Ordering::Relaxed);
        self.activate_bundles("named in the configuration that was read again").await?;
        let mut detail = reloaded.in_force.join(" ");
        if reloaded.certificates {
            detail.push_str(" certificates");
        }
        if !detail.is_empty() {
            self.record_lifecycle(LifecycleEvent::Reconfigured, detail.trim_start()).await?;
        }
        Ok(Response::Reloaded(reloaded))
    }

    fn rotate_kek(&self, progress: Progress<'_>) -> Result<Response, Failure> {
        // The old version must not go before the backup can be read without it.
        let at = self.clock.now();
        let mut ship = || match &self.shipper {
            Some(shipper) => {
                shipper.lock().ship(at).map(drop).map_err(|error| std::io::Error::other(error.to_string()))
            }
            None => Ok(()),
        };
        let rotated = self
            .ground
            .journal()
            .rotate_kek_after(&mut ship, &mut |done, total| progress("keys rewrapped", done, total))
            .map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        self.ground.catch_up().map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        Ok(Response::KekRotated { from: rotated.from.0, to: rotated.to.0, rows: rotated.rows })
    }

    async fn erase(&self, account: &str) -> Result<Response, Failure> {
        let account = account_id(account)?;
        let at = self.clock.now();
        for key in self.ground.registry().summaries_of(&account) {
            self.ground
                .record_key_change(
                    account.clone(),
                    &KeyChange::Revoked { id: key.id, at },
                    Some(Actor::operator()),
                    at,
                )
                .await
                .map_err(|error| record_failure(&error))?;
        }
        for grant in self.ground.ledger().grants_of(&account, at) {
            self.record_app(AppChange::Revoked { grant: grant.grant, at }).await?;
        }
        let subject = Subject::Account(account.clone());
        let ground = Arc::clone(&self.ground);
        tokio::task::block_in_place(|| ground.erase(&subject))?;
        // The backup must not keep what was just destroyed.
        if let Some(shipper) = &self.shipper {
            tokio::task::block_in_place(|| shipper.lock().ship(at)).map_err(|error| {
                Failure::new(Exit::Io, format!("erased here, not yet in the backup: {error}"))
            })?;
        }
        Ok(Response::SubjectErased { account: account.to_string() })
    }

    async fn lists_import(&self, format: &str, name: Option<&str>, path: &Path) -> Result<Response, Failure> {
        let format = list_format(format)?;
        let list = list_of(name, path)?;
        let now = self.clock.now();
        let report = tokio::task::block_in_place(|| {
            let files = watch::read_sources(path, &format).map_err(|error| refused(path, &error))?;
            self.watch.import(&list, &format, &files, now).map_err(|error| refused(path, &error))
        })?;
        let sha256 = report.source_sha256;
        let entry = record::ListImported {
            name: report.list.to_string(),
            format: report.format.to_owned(),
            sha256,
            entries: report.entries,
            source: path.display().to_string(),
        };
        let draft =
            Draft { at: now, subject: Subject::System, kind: Kind::ListImported, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map_err(|error| record_failure(&error))?;
        self.gaps.close(report.list.as_str());
        let rescreened = self.rescreen_after_change().await;
        Ok(Response::ListImported(ImportedList {
            name: report.list.to_string(),
            labels: report.entries,
            addresses: report.addresses,
            kept_as_text: report.texts,
            skipped: report.transactions_skipped,
            sha256: hex::encode(sha256),
            imported_at: now.to_string(),
            rescreened,
        }))
    }

    pub(crate) fn lists(&self) -> Vec<ImportedList> {
        let states = self.watch.lists();
        self.ground.read(|fold| {
            let listed = states.into_iter().map(|state| {
                let entry = fold.lists().get(state.name.as_str());
                ImportedList {
                    name: state.name.to_string(),
                    labels: entry.map_or(state.addresses + state.texts, |(_, entry)| entry.entries),
                    addresses: state.addresses,
                    kept_as_text: state.texts,
                    skipped: 0,
                    sha256: entry.map(|(_, entry)| hex::encode(entry.sha256)).unwrap_or_default(),
                    imported_at: state.imported_at.to_string(),
                    rescreened: None,
                }
            });
            listed.collect()
        })
    }

    async fn screen(&self, address: &str, network: Option<&str>) -> Result<Response, Failure> {
        let network = network
            .map(|name| name.parse::<Network>())
            .transpose()
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        if address.trim().is_empty() {
            return Err(Failure::new(Exit::Usage, "the address is empty"));
        }
        if let Some(problem) = self.gaps.problem() {
            return Err(Failure::new(Exit::Io, problem));
        }
        let line = api::ScreenLine { address: address.to_owned(), network, reference: None };
        let (assessments, lists) =
            crate::screenings::assess(&self.assessor, std::slice::from_ref(&line), self.clock.now());
        let Some(assessment) = assessments.first() else {
            return Err(Failure::new(Exit::Internal, "an address was not assessed"));
        };
        if let Some(invalid) = &assessment.screening.invalid {
            return Err(Failure::new(Exit::Input, format!("address {address:?}: {invalid}")));
        }
        let mut value = api::assessment_json(&line, assessment);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("lists".to_owned(), api::lists_json(&assessment.screening.lists));
        }
        self.record_screening(vec![line], &assessments, lists).await?;
        Ok(Response::Screened(value))
    }

    /// Each line by itself: one that is no address is told as such.
    async fn screen_all(&self, lines: &[(String, Option<String>)]) -> Result<Response, Failure> {
        if let Some(problem) = self.gaps.problem() {
            return Err(Failure::new(Exit::Io, problem));
        }
        let lines: Vec<api::ScreenLine> = lines
            .iter()
            .map(|(address, network)| {
                let network = network.as_deref().map(str::parse::<Network>).transpose();
                let network = network.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
                Ok(api::ScreenLine { address: address.clone(), network, reference: None })
            })
            .collect::<Result<_, Failure>>()?;
        let (assessments, lists) = crate::screenings::assess(&self.assessor, &lines, self.clock.now());
        let found = lines.iter().zip(&assessments);
        let answers = found.map(|(line, found)| api::assessment_json(line, found)).collect();
        self.record_screening(lines, &assessments, lists).await?;
        Ok(Response::ScreenedAll(answers))
    }

    async fn explain(&self, id: &str) -> Result<Response, Failure> {
        let found =
            self.decider.explain(id).await.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        let decided = found.ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("there is no decision {id:?} here that can still be read"))
        })?;
        let position = self.decider.ids().position(decided.id.as_str()).ok();
        Ok(Response::Explained(api::explanation_json(&api::Explained {
            review: position.and_then(|position| self.desk.review(position)),
            position,
            id: decided.id.to_string(),
            decision: decided.decision,
        })))
    }

    fn receipt(&self, seq: u64) -> Result<Response, Failure> {
        self.receipt_text(seq).map(Response::Receipt)
    }

    /// The newest checkpoint, signed; `None` before the first publication.
    pub(crate) fn checkpoint_text(&self) -> Result<Option<String>, Failure> {
        let found = self.publisher.lock().log().checkpoint();
        let found = found.map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        Ok(found.map(|(_, text)| text))
    }

    /// The receipt of an entry, after a checkpoint that covers it.
    pub(crate) fn receipt_text(&self, seq: u64) -> Result<String, Failure> {
        let mut publisher = self.publisher.lock();
        publisher.publish_once(self.clock.now()).map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        let receipt =
            publisher.log().receipt(seq).map_err(|error| Failure::new(Exit::NotFound, chain(&error)))?;
        Ok(receipt.to_string())
    }

    pub(crate) fn backup_state(&self) -> BackupState {
        let shipped = self.shipper.as_ref().and_then(|shipper| shipper.lock().last().cloned());
        BackupState {
            target: self.config.backup.target.as_ref().map(|target| target.display().to_string()),
            entries: self.ground.journal().size(),
            entries_shipped: shipped.as_ref().map_or(0, |manifest| manifest.entries),
            shipped_at: shipped.map(|manifest| manifest.shipped_at),
            last_drill: self.ground.read(|fold| {
                fold.last_drill().map(|(at, drill)| DrillResult {
                    ok: drill.ok,
                    entries: drill.size,
                    root: tlog::Hash(drill.root).to_base64(),
                    took_ms: drill.took_ms,
                    detail: drill.detail.clone(),
                    at: at.to_string(),
                })
            }),
        }
    }

    /// Restores the backup into an empty place beside the data directory, rebuilds everything there, compares it
    /// with the live state and journals what came of it.
    pub(crate) async fn drill(&self, progress: Progress<'_>) -> Result<DrillResult, Failure> {
        let Some(shipper) = &self.shipper else {
            return Err(Failure::new(Exit::Usage, "no backup is configured: set backup.target"));
        };
        let began = self.clock.now();
        let live = self.ground.digest();
        let counts: Vec<(Kind, u64)> =
            self.ground.read(|fold| fold.counts().iter().map(|(kind, count)| (*kind, *count)).collect());
        let outcome = tokio::task::block_in_place(|| self.rehearse(shipper, live.clone(), progress));
        let took = self.clock.now().since(began);
        let (ok, detail) = match &outcome {
            Ok(drill) if drill.differences.is_empty() => {
                (true, format!("{} of {} facts are equal", drill.compared, drill.compared))
            }
            Ok(drill) => {
                let named: Vec<String> = drill
                    .differences
                    .iter()
                    .map(|other| format!("{}: live {}, restored {}", other.name, other.live, other.restored))
                    .collect();
                (false, named.join("; "))
            }
            Err(why) => (false, why.clone()),
        };
        let entry = record::BackupDrill {
            ok,
            size: live.entries,
            root: live.root,
            entries: counts,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            detail: shortened(&detail),
        };
        let at = self.clock.now();
        let draft = Draft { at, subject: Subject::System, kind: Kind::BackupDrill, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map_err(|error| record_failure(&error))?;
        Ok(DrillResult {
            ok,
            entries: live.entries,
            root: tlog::Hash(live.root).to_base64(),
            took_ms: entry.took_ms,
            detail,
            at: at.to_string(),
        })
    }

    fn rehearse(
        &self,
        shipper: &parking_lot::Mutex<backup::Shipper>,
        live: backup::StateDigest,
        progress: Progress<'_>,
    ) -> Result<backup::Drill, String> {
        let target = self.config.backup.target.as_deref().ok_or("no backup is configured")?;
        shipper.lock().ship(self.clock.now()).map_err(|error| error.to_string())?;
        let scratch = Scratch::beside(&self.config.data.dir).map_err(|error| error.to_string())?;
        let target = RealDisk::existing(target).map_err(|error| error.to_string())?;
        let restored: Arc<dyn Disk> = Arc::new(RealDisk::new(&scratch.0).map_err(|error| error.to_string())?);
        // Nothing may be shipped meanwhile: a restore reads the manifest first and the files after it.
        let _still = shipper.lock();
        backup::drill(
            &Rebuild { core: self, dir: &scratch.0 },
            &target,
            restored,
            live,
            &mut |done, total| {
                progress("bytes restored", done, total);
            },
        )
        .map_err(|error| chain(&error))
    }
}

/// Starts a restored directory the normal way and takes its state.
struct Rebuild<'c> {
    core: &'c Core,
    dir: &'c Path,
}

impl backup::Installation for Rebuild<'_> {
    fn rebuild(&self, restored: Arc<dyn Disk>, entries: u64) -> Result<backup::StateDigest, String> {
        let kek = journal::DiskKek::at(&self.core.config.data.kek_file).map_err(|error| error.to_string())?;
        let attested = super::attested(&restored).map_err(|failure| failure.message)?;
        let config = journal::Config { segment_bytes_max: self.core.config.data.segment_size, attested };
        let (journal, _) =
            Journal::open(config, Arc::clone(&restored), Arc::new(kek), Arc::clone(&self.core.clock))
                .map_err(|error| chain(&error))?;
        let lives = self.core.ground.lives().fresh().map_err(|failure| failure.message)?;
        let digest = Ground::digest_at(&journal, super::fraud_config(&self.core.config), lives, entries)
            .map_err(|failure| failure.message)?;
        let faults = watch::verify_dir(&self.dir.join(LABELS_DIR));
        if let Some(fault) = faults.first() {
            return Err(format!("restored lists: {fault}"));
        }
        journal.close().map_err(|error| error.to_string())?;
        Ok(digest)
    }
}

/// An empty directory beside the data directory, removed when done with.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn beside(data_dir: &Path) -> std::io::Result<Self> {
        let mut name = data_dir.file_name().unwrap_or_default().to_owned();
        name.push(format!(".drill-{}", hex::encode(crypto::random::array::<8>())));
        let path = data_dir.with_file_name(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "a drill's directory could not be removed");
        }
    }
}

pub(super) fn account_id(text: &str) -> Result<AccountId, Failure> {
    AccountId::parse(text).map_err(|error| Failure::new(Exit::Input, error.to_string()))
}

pub(super) fn record_failure(error: &RecordError) -> Failure {
    let exit = match error {
        RecordError::Append(journal::AppendError::Overloaded) => Exit::Busy,
        RecordError::Append(journal::AppendError::SubjectErased { .. }) => Exit::Input,
        _ => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}

/// Cut to what an entry holds comfortably.
fn shortened(text: &str) -> String {
    text.chars().take(1000).collect()
}
