//! Settings that change while the installation serves: certificates and whatever [`schema::LIVE`] names.
//!
//! A reload reads the whole configuration file and every certificate first; only when all of it is good is anything put
//! in force, and putting in force cannot fail. So a reload changes everything it can, or nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gateway::{
    route::Route,
    tls::{Certificate, Certificates},
};
use parking_lot::Mutex;

use crate::{
    abuse, api_model,
    bundles::{Lives, Place as BundlePlace},
    cli::Place,
    commands::config_file,
    config::{Config, schema},
    control::Reloaded,
    core::{Reload, chain},
    exit::{Exit, Failure},
    ground::Ground,
    policy,
};

/// A certificate from two PEM files, with a digest that tells whether they changed.
#[derive(Debug)]
pub(crate) struct FromFiles {
    pub(crate) certificate: Certificate,
    digest: [u8; 32],
}

impl FromFiles {
    /// Reads both.
    ///
    /// # Errors
    /// [`Failure`] naming the file at fault.
    pub(crate) fn read(chain_file: &Path, key_file: &Path) -> Result<Self, Failure> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))
        };
        let (certs, key) = (read(chain_file)?, crypto::Secret::new(read(key_file)?));
        let certificate = Certificate::from_pem(&certs, key.expose()).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("{} and {}: {}", chain_file.display(), key_file.display(), chain(&error)),
            )
        })?;
        Ok(Self { certificate, digest: crypto::sha256(&[&certs, key.expose()]) })
    }
}

/// A listener whose certificate comes from files.
#[derive(Debug)]
pub(crate) struct Slot {
    certificates: Arc<Certificates>,
    digest: [u8; 32],
}

impl Slot {
    /// Of two files.
    ///
    /// # Errors
    /// As [`FromFiles::read`].
    pub(crate) fn open((chain_file, key_file): &(PathBuf, PathBuf)) -> Result<Self, Failure> {
        let FromFiles { certificate, digest } = FromFiles::read(chain_file, key_file)?;
        Ok(Self { certificates: Arc::new(Certificates::new(certificate)), digest })
    }

    /// What the listener looks into.
    pub(crate) const fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Puts what was read in force; says whether it is another certificate.
    fn replace(&mut self, new: FromFiles) -> bool {
        let changed = self.digest != new.digest;
        if changed {
            self.digest = new.digest;
            self.certificates.replace(new.certificate);
        }
        changed
    }
}

/// What can be changed, and the state it is in.
#[derive(Debug)]
struct InForce {
    config: Config,
    routes: Vec<Route>,
    gateway: Option<Slot>,
    api: Option<Slot>,
}

/// Changes settings of a serving installation.
#[derive(Debug)]
pub(crate) struct Live {
    place: Place,
    control: gateway::Control,
    bans: gateway::Bans,
    ground: Arc<Ground>,
    in_force: Mutex<InForce>,
}

impl Live {
    /// Over the listeners of an installation that was started with `config`, from the same file.
    pub(crate) fn new(
        place: Place,
        config: Config,
        routes: Vec<Route>,
        (control, bans): (gateway::Control, gateway::Bans),
        ground: Arc<Ground>,
        gateway: Option<Slot>,
        api: Option<Slot>,
    ) -> Self {
        Self { place, control, bans, ground, in_force: Mutex::new(InForce { config, routes, gateway, api }) }
    }
}

impl Reload for Live {
    fn config(&self) -> Config {
        self.in_force.lock().config.clone()
    }

    fn learned(&self) -> Option<String> {
        self.control.learned()
    }

    fn reload(&self) -> Result<Reloaded, Failure> {
        let mut in_force = self.in_force.lock();
        let in_force = &mut *in_force;
        let new = config_file(&self.place)?;
        // A listener that served without TLS, or with certificates of an authority, keeps doing so until the restart.
        let read = |slot: &Option<Slot>, files: &Option<(PathBuf, PathBuf)>| match (slot, files) {
            (Some(_), Some((chain_file, key_file))) => FromFiles::read(chain_file, key_file).map(Some),
            _ => Ok(None),
        };
        let gateway = read(&in_force.gateway, &new.gateway.tls)?;
        let api = read(&in_force.api, &new.api.tls)?;

        let model = api_model::load(&new.api_model)?;
        let operators = abuse::asn_table(new.bans.asn_file.as_deref())?;
        let policy = policy::load(&new)?;
        let lines = policy.routes.routes().to_vec();
        let lives = Lives::load(&new)?;
        // Bundles replay the journal before they judge; those that are the same keep what they know.
        let is_other = !lives.same_as(&self.ground.lives());
        let lives = is_other.then(|| self.ground.prepare_lives(lives)).transpose()?;
        // Last: what limits count meanwhile is as little as can be.
        let prepared = self
            .control
            .prepare(policy.routes, &policy.limits)
            .map_err(|error| Failure::new(Exit::Usage, chain(&error)))?;

        if let Some(lives) = lives {
            self.ground.adopt_lives(lives)?;
        }

        // From here on nothing fails.
        self.control.set_policy(prepared);
        self.control.set_model(model);
        let cap = |cap| usize::try_from(cap).unwrap_or(usize::MAX);
        self.control
            .set_connection_caps(cap(new.gateway.connections_max), cap(new.gateway.connections_per_ip));
        self.control.set_response_timeout(new.gateway.upstream_timeout);
        self.control.set_web_sockets(policy.web_sockets);
        self.control.set_challenge(new.abuse.challenge);
        self.bans.set_mode(new.abuse.mode);
        if let Some(live) = self.ground.lives().at(BundlePlace::Active) {
            live.set_may_enforce(new.fraud.enforce);
        }
        self.bans.set_asn_table(operators.unwrap_or_default());
        let changed = in_force.config.values.changed(&new.values);
        let (live, restart): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|key| schema::LIVE.contains(key));
        // The file of routes is new where its text is, under whatever name.
        let mut live = live;
        let is_told = live.iter().any(|key| matches!(*key, "gateway.routes_file" | "abuse.challenge_paths"));
        if lines != in_force.routes && !is_told {
            live.push("gateway.routes_file");
        }
        if is_other && !live.iter().any(|key| key.starts_with("fraud.bundle")) {
            live.push("fraud.bundle");
        }
        in_force.routes = lines;
        let mut certificates = false;
        for (slot, new) in [(&mut in_force.gateway, gateway), (&mut in_force.api, api)] {
            if let (Some(slot), Some(new)) = (slot.as_mut(), new) {
                certificates |= slot.replace(new);
            }
        }
        // Keys that wait for a restart are told again at each reload until it comes.
        let mut values = new.values.clone();
        values.keep(&restart, &in_force.config.values);
        in_force.config = Config { values, ..new };
        let owned = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
        Ok(Reloaded { in_force: owned(live), at_next_start: owned(restart), certificates })
    }
}
