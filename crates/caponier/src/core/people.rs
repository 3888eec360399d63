//! Persons and programs of the control API, as an operator manages them.

use std::time::Duration;

use api::ChangeFile;
use auth::IpAllowList;
use domain::Actor;
use identity::{Capability, Change, Role, requests::LIFE_DEFAULT};

use super::{
    Core,
    change_requests::{failure, operator},
};
use crate::{
    access,
    control::{CreatedService, InvitedUser, ListedService, ListedUser, Response},
    exit::{Exit, Failure},
};

fn bad(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Input, error.to_string())
}

fn roles(names: &[String]) -> Result<Vec<Role>, Failure> {
    let role = |name: &String| {
        Role::named(name).ok_or_else(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            Failure::new(Exit::Usage, format!("{name:?} is no role; there are {known}"))
        })
    };
    names.iter().map(role).collect()
}

fn capabilities(names: &[String]) -> Result<Vec<Capability>, Failure> {
    let known = Capability::of_programs;
    let capability = |name: &String| {
        known().find(|one| one.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = known().map(Capability::as_str).collect();
            let message = format!("{name:?} is no capability of programs; there are {}", known.join(", "));
            Failure::new(Exit::Usage, message)
        })
    };
    names.iter().map(capability).collect()
}

fn in_order(mut roles: Vec<Role>) -> Vec<Role> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn words(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.as_str().to_owned()).collect()
}

impl Core {
    async fn record_identity(&self, change: Change) -> Result<(), Failure> {
        self.ground
            .record_identity(&change, self.clock.now())
            .await
            .map(drop)
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))
    }

    /// Whether what gives more takes somebody else: somebody there is who can approve, and is neither the one who asks nor the
    /// one it is about.
    fn takes_two(&self, by: &Actor, about: &str) -> bool {
        self.ground.people().somebody_else_may(Capability::ApproveAccess, &[by.id(), about])
    }

    async fn ask(
        &self,
        by: Actor,
        kind: &str,
        payload: Vec<u8>,
        reason: &str,
    ) -> Result<ChangeFile, Failure> {
        let asked = self.requests.open(by, kind, payload, (reason, LIFE_DEFAULT));
        asked.await.map_err(|error| failure(&error))
    }

    /// A new person without roles at once; roles, and one more passkey of a known person, take somebody else, once there is
    /// somebody else.
    pub(super) async fn people_invite(
        &self,
        user: &str,
        names: &[String],
        (by, reason): (&str, &str),
    ) -> Result<Response, Failure> {
        let Some(origin) = &self.config.identity.origin else {
            let message = "identity.origin is not configured: persons have nowhere to sign in";
            return Err(Failure::new(Exit::Usage, message));
        };
        let roles = in_order(roles(names)?);
        let by = operator(by)?.actor;
        access::free_name(&self.ground, user).map_err(|error| bad(&error))?;
        let people = self.ground.people();
        let secret = hex::encode(crypto::random::array::<32>());
        let link = format!("{}/enrol#{secret}", origin.as_str());
        let gives = !roles.is_empty() || people.roles(user).is_some();
        if gives && self.takes_two(&by, user) {
            let wanted = access::NewInvite {
                user: user.to_owned(),
                roles: words(&roles),
                invite_sha256: hex::encode(crypto::sha256(&[secret.as_bytes()])),
            };
            let file = self.ask(by, access::INVITE, access::encoded(&wanted), reason).await?;
            let change = Some(format!("chg-{}", file.request.id));
            let invited = InvitedUser { user: user.to_owned(), link, expires_at: None, change };
            return Ok(Response::Invited(invited));
        }
        let invite = people
            .invite(user, roles, secret.as_bytes(), (by, self.clock.now()))
            .map_err(|error| bad(&error))?;
        self.record_identity(invite.change).await?;
        let expires_at = Some(invite.expires_at.to_string());
        Ok(Response::Invited(InvitedUser { user: user.to_owned(), link, expires_at, change: None }))
    }

    pub(super) fn people_list(&self) -> Response {
        let listed = self.ground.people().users().into_iter().map(|user| ListedUser {
            user: user.name,
            roles: words(&user.roles),
            passkeys: user.passkeys,
            invited_until: user.invited_until.map(|at| at.to_string()),
            signed_in_at: user.signed_in_at.map(|at| at.to_string()),
            fallback: user.fallback.as_str().to_owned(),
        });
        Response::People(listed.collect())
    }

    pub(super) async fn people_remove(&self, user: &str) -> Result<Response, Failure> {
        let change = self
            .ground
            .people()
            .remove_user(user, Actor::operator())
            .map_err(|error| Failure::new(Exit::NotFound, error.to_string()))?;
        self.record_identity(change).await?;
        Ok(Response::PersonRemoved { user: user.to_owned() })
    }

    /// What takes a way in away takes one person.
    pub(super) async fn people_fallback_end(&self, user: &str) -> Result<Response, Failure> {
        let change = self
            .ground
            .people()
            .end_fallback(user, Actor::operator())
            .map_err(|error| Failure::new(Exit::NotFound, error.to_string()))?;
        self.record_identity(change).await?;
        Ok(Response::FallbackEnded { user: user.to_owned() })
    }

    /// Less than before at once; more takes somebody else, once there is somebody else.
    pub(super) async fn people_roles(
        &self,
        user: &str,
        names: &[String],
        (by, reason): (&str, &str),
    ) -> Result<Response, Failure> {
        let roles = in_order(roles(names)?);
        let by = operator(by)?.actor;
        let people = self.ground.people();
        let before = people.roles(user).unwrap_or_default();
        let gives = roles.iter().any(|role| !before.contains(role));
        if gives && people.somebody_else_may(Capability::ApproveAccess, &[by.id(), user]) {
            let wanted = access::NewRoles { user: user.to_owned(), roles: words(&roles) };
            let asked =
                self.requests.open(by, access::ROLES, access::encoded(&wanted), (reason, LIFE_DEFAULT));
            let file = asked.await.map_err(|error| failure(&error))?;
            return Ok(Response::Change(api::change_json(&file)));
        }
        let change = self
            .ground
            .people()
            .set_roles(user, roles.clone(), by)
            .map_err(|error| Failure::new(Exit::NotFound, error.to_string()))?;
        self.record_identity(change).await?;
        Ok(Response::RolesSet { user: user.to_owned(), roles: words(&roles) })
    }

    pub(super) async fn services_create(
        &self,
        name: &str,
        names: &[String],
        ips: &[String],
        (days, by, reason): (u32, &str, &str),
    ) -> Result<Response, Failure> {
        if self.config.api.tokens.iter().any(|(token, _)| token == name) {
            let message =
                format!("{name:?} is the name of a token in api.tokens: records could not tell them apart");
            return Err(Failure::new(Exit::Input, message));
        }
        let ips = IpAllowList::parse(ips).map_err(|error| bad(&error))?;
        let token = format!("cap_{}", hex::encode(crypto::random::array::<32>()));
        let by = operator(by)?.actor;
        if self.takes_two(&by, "") {
            let mut capabilities = capabilities(names)?;
            capabilities.sort_unstable();
            capabilities.dedup();
            let wanted = access::NewToken {
                service: name.to_owned(),
                capabilities: capabilities.iter().map(|one| one.as_str().to_owned()).collect(),
                ips: ips.entries().collect(),
                days,
                token_sha256: hex::encode(crypto::sha256(&[token.as_bytes()])),
            };
            let file = self.ask(by, access::SERVICE, access::encoded(&wanted), reason).await?;
            let change = Some(format!("chg-{}", file.request.id));
            let created = CreatedService { service: name.to_owned(), token, expires_at: None, change };
            return Ok(Response::ServiceCreated(created));
        }
        let life = Duration::from_secs(u64::from(days) * 86_400);
        let who = (by, self.clock.now());
        let change = self
            .ground
            .people()
            .create_service(name, capabilities(names)?, ips, (token.as_bytes(), life), who)
            .map_err(|error| bad(&error))?;
        let expires_at = match &change {
            Change::ServiceCreated { service, .. } => Some(service.expires_at.to_string()),
            _ => None,
        };
        self.record_identity(change).await?;
        Ok(Response::ServiceCreated(CreatedService {
            service: name.to_owned(),
            token,
            expires_at,
            change: None,
        }))
    }

    pub(super) fn services_list(&self) -> Response {
        let listed = self.ground.people().services().into_iter().map(|service| ListedService {
            service: service.name,
            capabilities: service.capabilities.iter().map(|one| one.as_str().to_owned()).collect(),
            ips: service.ips,
            created_at: service.created_at.to_string(),
            expires_at: service.expires_at.to_string(),
        });
        Response::Services(listed.collect())
    }

    pub(super) async fn services_revoke(&self, name: &str) -> Result<Response, Failure> {
        let change = self
            .ground
            .people()
            .revoke_service(name, Actor::operator())
            .map_err(|error| Failure::new(Exit::NotFound, error.to_string()))?;
        self.record_identity(change).await?;
        Ok(Response::ServiceRevoked { name: name.to_owned() })
    }
}
