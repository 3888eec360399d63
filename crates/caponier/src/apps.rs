//! Third-party apps: the authorization server of an installation, and its plugs.
//!
//! The gateway answers apps, the control API answers for customers; both over one server, whose changes are entries.

use std::sync::Arc;

use api::GrantError;
use auth::{
    ReplayWindow,
    oauth::{AppChange, Consent, ConsentView, GrantNumber, GrantSummary, OauthConfig, OauthServer},
};
use domain::{AccountId, Clock, Subject};
use gateway::NotRecorded;

use crate::{core::Core, ground::Ground};

/// Proofs of possession remembered at the token endpoint: 61 seconds at 2,000 per second.
const TOKEN_PROOFS_MAX: usize = 122_000;

/// The authorization server of an installation.
pub(crate) fn server(config: &OauthConfig, core: &Core) -> Arc<OauthServer> {
    let replay = ReplayWindow::new(TOKEN_PROOFS_MAX, u64::from_be_bytes(crypto::random::array()));
    let ledger = Arc::clone(core.ground.ledger());
    Arc::new(OauthServer::new(config.clone(), ledger, &core.installation.token_key(), replay))
}

/// `gateway` has what apps change recorded.
#[derive(Debug)]
pub(crate) struct GatewayAppChanges(pub(crate) Arc<Ground>);

impl gateway::AppChanges for GatewayAppChanges {
    fn record(&self, change: AppChange) -> gateway::BoxFuture<'_, Result<(), NotRecorded>> {
        Box::pin(async move { record(&self.0, &change).await })
    }
}

/// Records a change. What is told of a grant that has ended meanwhile is left out: its account may have been erased.
pub(crate) async fn record(ground: &Ground, change: &AppChange) -> Result<(), NotRecorded> {
    let is_over = match change {
        AppChange::Refreshed { grant, .. }
        | AppChange::Seen { grant, .. }
        | AppChange::Spent { grant, .. } => ground.ledger().account_of(grant).is_none(),
        _ => false,
    };
    if is_over {
        return Err(NotRecorded { reason: "the grant has ended".to_owned() });
    }
    let recorded = ground.record_app_change(change).await;
    recorded.map(drop).map_err(|error| NotRecorded { reason: error.to_string() })
}

/// `api` answers for customers.
#[derive(Debug)]
pub(crate) struct ApiConsents {
    pub(crate) server: Arc<OauthServer>,
    pub(crate) ground: Arc<Ground>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl api::Consents for ApiConsents {
    fn view(&self, handle: &str) -> Result<ConsentView, GrantError> {
        Ok(self.server.asked(handle, self.clock.now())?)
    }

    fn approve(&self, handle: &str, consent: Consent) -> Result<String, GrantError> {
        if self.ground.journal().is_erased(&Subject::Account(consent.account.clone())) {
            return Err(GrantError::AccountErased);
        }
        let random = (crypto::random::array(), crypto::random::array());
        Ok(self.server.approve(handle, consent, random, self.clock.now())?)
    }

    fn deny(&self, handle: &str) -> Result<String, GrantError> {
        Ok(self.server.deny(handle, self.clock.now())?)
    }

    fn grants(&self, account: &AccountId) -> Vec<GrantSummary> {
        self.ground.ledger().grants_of(account, self.clock.now())
    }

    fn revoke(&self, account: AccountId, grant: GrantNumber) -> api::BoxFuture<'_, Result<(), GrantError>> {
        Box::pin(async move {
            if self.ground.ledger().account_of(&grant) != Some(account) {
                return Err(GrantError::GrantUnknown);
            }
            let change = AppChange::Revoked { grant, at: self.clock.now() };
            let recorded = self.ground.record_app_change(&change).await;
            recorded.map(drop).map_err(|error| GrantError::Unavailable { why: error.to_string() })
        })
    }
}
