//! `api` asks for what the command line can ask for, through the same [`Core::handle`].

use std::sync::Arc;

use api::{InstallationAsk, InstallationError, Installations, KeyLimits};
use domain::Actor;
use serde_json::{Value, json, to_value};

use crate::{
    control::{Request, Response, RestrictionWords},
    core::Core,
    exit::{Exit, Failure},
};

/// The parts of this installation.
#[derive(Debug)]
pub(crate) struct ApiInstallation(pub(crate) Arc<Core>);

fn refused(failure: Failure) -> InstallationError {
    match failure.exit {
        Exit::Usage | Exit::Input => InstallationError::Invalid(failure.message),
        Exit::NotFound => InstallationError::NotFound(failure.message),
        _ => InstallationError::Unavailable(failure.message),
    }
}

fn request(ask: InstallationAsk, by: Actor) -> Result<Request, InstallationError> {
    let key = |key: domain::ApiKeyId| key.to_string();
    let by = Some(by);
    Ok(match ask {
        InstallationAsk::Backup => Request::BackupStatus,
        InstallationAsk::BanAdd { target, api_key, minutes } => {
            Request::BansAdd { target, api_key, minutes, by }
        }
        InstallationAsk::BanLift { target, api_key } => Request::BansLift { target, api_key, by },
        InstallationAsk::Bans => Request::BansList,
        InstallationAsk::Drill => Request::BackupDrill,
        InstallationAsk::Entries { from, kinds, looked_at } => {
            Request::Entries { from, kinds, entries_max: looked_at as u64, reveal: false }
        }
        InstallationAsk::Key(id) => Request::KeysShow { key: key(id) },
        InstallationAsk::KeyFreeze(id) => Request::KeysFreeze { key: key(id), by },
        InstallationAsk::KeyRestrict(id, limits) => {
            let KeyLimits {
                day_max,
                destinations,
                endpoints,
                hours,
                instruments,
                notional_asset,
                order_max,
                transfers,
            } = *limits;
            let restrictions = RestrictionWords {
                endpoints,
                instruments,
                notional_asset,
                order_max,
                day_max,
                transfers,
                destinations,
                hours,
            };
            Request::KeysRestrict { key: key(id), restrictions, by }
        }
        InstallationAsk::KeyRevoke(id) => Request::KeysRevoke { key: key(id), by },
        InstallationAsk::KeyUnfreeze(id) => Request::KeysUnfreeze { key: key(id), by },
        InstallationAsk::Keys(account) => {
            Request::KeysList { account: Some(account.to_string()), all: false }
        }
        InstallationAsk::Lists => Request::ListsStatus,
        InstallationAsk::Receipt(seq) => Request::AuditReceipt { seq },
        other => return Err(InstallationError::Unavailable(format!("{other:?} is not known"))),
    })
}

fn answer(response: &Response) -> Result<Value, serde_json::Error> {
    Ok(match response {
        Response::Backup(state) => to_value(state)?,
        Response::Banned(ban) => to_value(ban)?,
        Response::BanLifted { target, lifted } => json!({ "target": target, "lifted": lifted }),
        Response::Bans(bans) => to_value(bans)?,
        Response::Drilled(drill) => to_value(drill)?,
        Response::Entries { next, entries } => json!({ "next": next, "entries": entries }),
        Response::KeyShown(key) => to_value(key)?,
        Response::KeyChanged { key, state } => json!({ "key": key, "state": state }),
        Response::Keys(keys) => json!({ "keys": to_value(keys)? }),
        Response::Lists(lists) => json!({ "lists": to_value(lists)? }),
        Response::Receipt(receipt) => json!({ "receipt": receipt }),
        _ => return Err(serde::ser::Error::custom("an answer to something else")),
    })
}

impl Installations for ApiInstallation {
    fn ask(&self, ask: InstallationAsk, by: &Actor) -> api::BoxFuture<'_, Result<Value, InstallationError>> {
        let by = by.clone();
        Box::pin(async move {
            if ask == InstallationAsk::Checkpoint {
                let checkpoint = tokio::task::block_in_place(|| self.0.checkpoint_text());
                return checkpoint.map(|text| json!({ "checkpoint": text })).map_err(refused);
            }
            let done = self.0.handle(request(ask, by)?, &mut |_, _, _| ()).await.map_err(refused)?;
            answer(&done).map_err(|error| InstallationError::Unavailable(error.to_string()))
        })
    }
}
