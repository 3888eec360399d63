//! Third-party apps and the grants to them, as an operator manages them.

use std::sync::Arc;

use auth::{
    Permission, Permissions,
    oauth::{App, AppChange, GrantSummary, grant_number, scope_text},
};
use domain::ApiKeyId;

use super::{
    Core,
    handle::{account_id, record_failure},
};
use crate::{
    control::{ListedApp, ListedGrant, Response},
    exit::{Exit, Failure},
};

impl Core {
    pub(super) async fn apps_create(
        &self,
        client_id: Option<String>,
        name: &str,
        redirect_uris: &[String],
        read: bool,
        trade: bool,
    ) -> Result<Response, Failure> {
        let bad = |error: &dyn std::error::Error| Failure::new(Exit::Input, error.to_string());
        let client_id =
            client_id.unwrap_or_else(|| format!("app-{}", hex::encode(crypto::random::array::<8>())));
        let wanted = [(read, Permission::Read), (trade, Permission::Trade)];
        let wanted: Vec<_> =
            wanted.into_iter().filter_map(|(wanted, permission)| wanted.then_some(permission)).collect();
        let scopes = Permissions::new(&wanted).map_err(|error| bad(&error))?;
        let ledger = self.ground.ledger();
        if ledger.app(&client_id).is_some() {
            return Err(Failure::new(Exit::Input, format!("there is or was an app {client_id:?} already")));
        }
        if ledger.apps().len() >= auth::oauth::APPS_MAX {
            let message = format!("there are {} apps already", auth::oauth::APPS_MAX);
            return Err(Failure::new(Exit::Input, message));
        }
        let app = App::new(&client_id, name, redirect_uris, scopes, self.clock.now());
        let app = Arc::new(app.map_err(|error| bad(&error))?);
        self.record_app(AppChange::Registered(Arc::clone(&app))).await?;
        Ok(Response::AppCreated(listed(&app)))
    }

    pub(super) fn apps_list(&self) -> Response {
        Response::Apps(self.ground.ledger().apps().iter().map(|app| listed(app)).collect())
    }

    pub(super) async fn apps_revoke(&self, client_id: &str) -> Result<Response, Failure> {
        let app = self.ground.ledger().app(client_id);
        let app =
            app.ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no app {client_id:?}")))?;
        if app.is_enabled() {
            let at = self.clock.now();
            self.record_app(AppChange::Disabled { client_id: client_id.to_owned(), at }).await?;
        }
        Ok(Response::AppRevoked { client_id: client_id.to_owned() })
    }

    pub(super) fn grants_list(&self, account: Option<&str>) -> Result<Response, Failure> {
        let (ledger, now) = (self.ground.ledger(), self.clock.now());
        let grants = match account {
            Some(account) => ledger.grants_of(&account_id(account)?, now),
            None => ledger.grants(now),
        };
        Ok(Response::Grants(grants.iter().map(listed_grant).collect()))
    }

    pub(super) async fn grants_revoke(&self, grant: &str) -> Result<Response, Failure> {
        let unknown = || Failure::new(Exit::NotFound, format!("there is no grant {grant:?} in force"));
        let number = ApiKeyId::parse(grant).ok().and_then(|id| grant_number(&id)).ok_or_else(unknown)?;
        let at = self.clock.now();
        self.ground.ledger().grant_summary(&number, at).ok_or_else(unknown)?;
        self.record_app(AppChange::Revoked { grant: number, at }).await?;
        Ok(Response::GrantRevoked { grant: grant.to_owned() })
    }

    pub(super) async fn record_app(&self, change: AppChange) -> Result<(), Failure> {
        self.ground.record_app_change(&change).await.map(drop).map_err(|error| record_failure(&error))
    }
}

fn listed(app: &App) -> ListedApp {
    ListedApp {
        client_id: app.client_id().to_owned(),
        name: app.name().to_owned(),
        redirect_uris: app.redirect_uris().to_vec(),
        scopes: scope_text(app.scopes()),
        state: if app.is_enabled() { "active" } else { "revoked" }.to_owned(),
        registered_at: app.registered_at().to_string(),
    }
}

fn listed_grant(grant: &GrantSummary) -> ListedGrant {
    let restrictions = grant.restrictions.as_deref().map(auth::authority::Restrictions::parts);
    ListedGrant {
        grant: grant.key_id.to_string(),
        client_id: grant.app.client_id().to_owned(),
        account: grant.account.to_string(),
        scopes: scope_text(grant.scopes),
        environment: grant.environment.as_str().to_owned(),
        restrictions: restrictions
            .unwrap_or_default()
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into_owned()))
            .collect(),
        granted_at: grant.granted_at.to_string(),
        expires_at: grant.expires_at.to_string(),
        last_used_at: grant.last_uses.first().map(|last| last.at.to_string()),
    }
}
