//! The configuration of an installation: one TOML file, every fault reported at once.
//!
//! [`schema`] is the single table of keys (type, default, meaning, what an attacker who controls it gains); the
//! reader, `caponier config default` and the reference in `docs/operating/configuration.md` come from it.
//! Secrets are never written in the file, only the paths of files that hold them.

pub mod chains;
mod fault;
pub(crate) mod reader;
pub mod schema;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use auth::{authority::FirstSeenMode, oauth::OauthConfig, v2::AUTHORITIES_MAX};

pub use self::fault::{Fault, Faults};
use self::reader::Reader;
use crate::acme;

/// Most networks that are never banned; the engine adds two of its own.
const NEVER_BAN_MAX: usize = admission::reputation::NEVER_BAN_MAX - 2;

/// Events per time, as in `"60 / 2s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, also the burst.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

/// The value of every key as TOML text, defaults included: to see what another state of the file changes.
#[derive(Debug, Clone, Default)]
pub struct Values {
    file: String,
    /// With the line of the file where the key is given, unless it has its default.
    values: std::collections::BTreeMap<&'static str, (String, Option<usize>)>,
}

/// The same is what says the same, wherever it stands.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Values {}

impl Values {
    fn new(file: &str, values: impl Iterator<Item = (&'static str, (String, Option<usize>))>) -> Self {
        Self { file: file.to_owned(), values: values.collect() }
    }

    /// The file they were read from, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of the file where a key is given; `None` for one that has its default.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<usize> {
        self.values.get(key).and_then(|(_, line)| *line)
    }

    /// Takes the values of `keys` from another state.
    pub(crate) fn keep(&mut self, keys: &[&'static str], from: &Self) {
        for key in keys {
            if let Some(value) = from.values.get(key) {
                self.values.insert(key, value.clone());
            }
        }
    }

    /// Every key and its text, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(key, (value, _))| (*key, value.as_str()))
    }

    /// Keys whose text differs, in the order of the alphabet.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let text = |values: &Self, key: &str| values.values.get(key).map(|(value, _)| value.clone());
        self.values.keys().filter(|key| text(self, key) != text(other, key)).copied().collect()
    }
}

/// Everything an installation is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Config {
    pub data: Data,
    pub gateway: Gateway,
    pub api_model: ApiModel,
    pub abuse: Abuse,
    pub bans: Bans,
    pub limits: Limits,
    pub websocket: WebSocket,
    pub keys: Keys,
    /// `[oauth]`, when an issuer is set.
    pub oauth: Option<OauthConfig>,
    pub identity: Identity,
    pub api: Api,
    pub decide: Decide,
    pub fraud: Fraud,
    pub cases: fraud::cases::Policy,
    pub watch: Warnings,
    /// `[watch.evm.NAME]`, then `[watch.bitcoin.NAME]`, each in the order of names.
    pub chains: Vec<chains::Chain>,
    pub log: Log,
    pub backup: Backup,
    pub webhooks: Webhooks,
    pub telemetry: Telemetry,
    pub values: Values,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Data {
    pub dir: PathBuf,
    pub kek_file: PathBuf,
    pub segment_size: u64,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Gateway {
    pub listen: SocketAddr,
    /// `certificate_file` and `private_key_file`; `None` serves plain HTTP on loopback.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub tls_min: gateway::tls::Oldest,
    /// `[acme]`, when a directory is set.
    pub acme: Option<acme::Config>,
    /// Names it is reached by; empty for those of the certificate or of loopback.
    pub authorities: Vec<String>,
    pub upstream: String,
    pub mode: gateway::Mode,
    pub upstream_token_file: Option<PathBuf>,
    pub upstream_timeout: Duration,
    pub proxy_trusted: Vec<ipnet::IpNet>,
    pub connections_per_ip: u32,
    pub connections_max: u32,
    pub routes_file: Option<PathBuf>,
}

/// `[api_model]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct ApiModel {
    pub document: Option<PathBuf>,
    pub mode: gateway::ModelMode,
    pub enforce: Vec<String>,
    pub off: Vec<String>,
    pub learn: bool,
}

/// `[abuse]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Abuse {
    pub mode: gateway::AbuseMode,
    pub challenge: gateway::ChallengeMode,
    pub challenge_bits: u8,
    pub challenge_paths: Vec<String>,
}

/// `[bans]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Bans {
    pub never: Vec<ipnet::IpNet>,
    pub asn_file: Option<PathBuf>,
    pub helper_socket: Option<PathBuf>,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The limits with keys of their own, in the order of the default file, and those of `named`.
    pub limits: Vec<Limit>,
    /// Whether answers say what is left.
    pub headers: bool,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What it counts by.
    pub by: gateway::By,
    /// How much.
    pub rate: Rate,
}

impl Limits {
    /// The rate of a limit.
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<Rate> {
        self.limits.iter().find(|limit| limit.name == name).map(|limit| limit.rate)
    }
}

/// `[websocket]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct WebSocket {
    pub connects: Rate,
    pub connections_per_account: u32,
    pub control_per_hour: u32,
    pub messages: Rate,
    pub pings: Rate,
    /// In bytes.
    pub message_size: u64,
    /// In bytes.
    pub subscription_size: u64,
    pub idle: Duration,
    pub establish: Duration,
    pub notice: Duration,
}

/// `[keys]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Keys {
    pub first_seen: FirstSeenMode,
    pub withdrawal_cool_down: gateway::CoolDown,
}

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Api {
    pub listen: SocketAddr,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub console: bool,
    pub appeal: Option<String>,
    /// Caller's name and the file that holds its bearer token.
    pub tokens: Vec<(String, PathBuf)>,
    /// Caller's name and what its token allows; a caller without an entry may do everything.
    pub permissions: Vec<(String, Vec<api::Permission>)>,
}

/// `[identity]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Identity {
    pub origin: Option<identity::Origin>,
    pub totp: bool,
    pub totp_approvals: bool,
}

/// `[decide]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Decide {
    pub deadline: Duration,
    pub address_book: decide::AddressBookMode,
    pub silence: decide::Silence,
}

/// `[fraud]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Fraud {
    pub shadow: Vec<String>,
    pub off: Vec<String>,
    pub assets: Vec<domain::Asset>,
    pub bundles: Option<PathBuf>,
    pub bundle: Option<String>,
    pub challenger: Option<String>,
    pub enforce: bool,
    /// In millionths of average precision.
    pub promotion_floor: i64,
}

fn fraud(read: &mut Reader<'_>) -> Fraud {
    let mut assets = Vec::new();
    for text in read.list("fraud.assets") {
        match domain::Asset::parse(&text) {
            Ok(asset) => assets.push(asset),
            Err(error) => read.fault("fraud.assets", error.to_string()),
        }
    }
    let bundles = read.path("fraud.bundles");
    let mut named = |key: &'static str| {
        let name = read.text_of(key);
        let is_folder = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && !name.starts_with('.');
        if !is_folder {
            read.fault(key, format!("{name:?} is no name of a folder: letters, digits, - _ ."));
        } else if !name.is_empty() && bundles.is_none() {
            read.fault(key, "fraud.bundles does not say where it is".to_owned());
        }
        (!name.is_empty()).then_some(name)
    };
    let (bundle, challenger) = (named("fraud.bundle"), named("fraud.challenger"));
    Fraud {
        shadow: read.list("fraud.shadow"),
        off: read.list("fraud.off"),
        assets,
        bundle,
        challenger,
        enforce: read.one_of("fraud.mode", &["shadow", "enforce"]) == "enforce",
        promotion_floor: read.millionths("fraud.promotion_floor"),
        bundles,
    }
}

/// `[watch]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Warnings {
    pub shadow: Vec<String>,
    pub exposure_hops: u32,
    pub exposure_share_bps: u32,
    pub suspected: domain::Verdict,
    /// `watch.record_screenings = "all"`
    pub record_all_screenings: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Log {
    pub origin: String,
    pub interval: Duration,
}

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Backup {
    pub target: Option<PathBuf>,
    pub interval: Duration,
    pub drill_every: Duration,
}

/// `[webhooks]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Webhooks {
    pub private_networks: Vec<ipnet::IpNet>,
    pub ca_file: PathBuf,
    pub time_limit: Duration,
    pub first_retry: Duration,
    pub tries: u32,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of the same name; its meaning stands in the schema")]
pub struct Telemetry {
    pub log_format: String,
    pub log_level: String,
    pub traffic_file: Option<PathBuf>,
    pub traffic_size: u64,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to the file's folder.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong, each with file, line and key.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Faults::one(Fault::whole_file(&name, format!("cannot be read: {error}"))))?;
        let base = file.parent().unwrap_or_else(|| Path::new(""));
        Self::read(Reader::new(&name, &text, base, true))
    }

    /// As [`Config::load`], for text that was read already; whether files it names exist is not looked at.
    ///
    /// # Errors
    /// [`Faults`].
    pub fn parse(file: &str, text: &str, base: &Path) -> Result<Self, Faults> {
        Self::read(Reader::new(file, text, base, false))
    }

    fn read(mut read: Reader<'_>) -> Result<Self, Faults> {
        if read.integer("version") != 1 {
            read.fault("version", "this program reads version 1".to_owned());
        }
        let dir = read.path("data.dir").unwrap_or_default();
        let kek_file = read.path("data.kek_file").unwrap_or_else(|| beside(&dir));
        if kek_file.starts_with(&dir) {
            read.fault(
                "data.kek_file",
                "must not lie inside data.dir: whoever copies the data would hold its key".to_owned(),
            );
        }
        let data = Data { dir, kek_file, segment_size: read.size("data.segment_size", 1 << 20..=1 << 32) };

        let gateway = Gateway {
            listen: read.address("gateway.listen"),
            tls: read.pair("gateway.certificate_file", "gateway.private_key_file"),
            tls_min: match read.one_of("gateway.tls_min", &["1.2", "1.3"]).as_str() {
                "1.3" => gateway::tls::Oldest::Tls13,
                _ => gateway::tls::Oldest::Tls12,
            },
            acme: read.acme(),
            authorities: read.list("gateway.authorities"),
            upstream: read.upstream("gateway.upstream"),
            mode: match read.one_of("gateway.mode", &["enforce", "observe"]).as_str() {
                "observe" => gateway::Mode::Observe,
                _ => gateway::Mode::Enforce,
            },
            upstream_token_file: read.existing("gateway.upstream_token_file"),
            upstream_timeout: read.duration("gateway.upstream_timeout", 1..=120_000),
            proxy_trusted: read.networks("gateway.proxy_trusted"),
            connections_per_ip: read.count("gateway.connections_per_ip", 1..=1_000_000),
            connections_max: read.count("gateway.connections_max", 1..=1_000_000),
            routes_file: read.existing("gateway.routes_file"),
        };
        if gateway.tls.is_some() && gateway.acme.is_some() {
            read.fault("acme.directory", "cannot be set together with gateway.certificate_file".to_owned());
        }
        if gateway.mode == gateway::Mode::Observe && gateway.upstream_token_file.is_some() {
            read.fault(
                "gateway.upstream_token_file",
                "cannot be set while gateway.mode is observe: the exchange would believe requests nobody proved"
                    .to_owned(),
            );
        }
        if gateway.tls.is_none() && gateway.acme.is_none() && !gateway.listen.ip().is_loopback() {
            read.fault(
                "gateway.listen",
                format!(
                    "{} is not a loopback address, so gateway.certificate_file or acme.directory must be set",
                    gateway.listen
                ),
            );
        }
        let api_model = ApiModel {
            document: read.existing("api_model.document"),
            mode: match read.one_of("api_model.mode", &["report", "enforce", "off"]).as_str() {
                "enforce" => gateway::ModelMode::Enforce,
                "off" => gateway::ModelMode::Off,
                _ => gateway::ModelMode::Report,
            },
            enforce: read.list("api_model.enforce"),
            off: read.list("api_model.off"),
            learn: read.one_of("api_model.learn", &["on", "off"]) == "on",
        };
        let abuse = Abuse {
            mode: match read.one_of("abuse.mode", &["enforce", "shadow", "off"]).as_str() {
                "off" => gateway::AbuseMode::Off,
                "shadow" => gateway::AbuseMode::Shadow,
                _ => gateway::AbuseMode::Enforce,
            },
            challenge: match read.one_of("abuse.challenge", &["off", "auto", "on"]).as_str() {
                "on" => gateway::ChallengeMode::On,
                "auto" => gateway::ChallengeMode::Auto,
                _ => gateway::ChallengeMode::Off,
            },
            challenge_bits: u8::try_from(read.count("abuse.challenge_bits", 8..=32)).unwrap_or(u8::MAX),
            challenge_paths: read.list("abuse.challenge_paths"),
        };
        let never = read.networks("bans.never");
        if never.len() > NEVER_BAN_MAX {
            read.fault("bans.never", format!("has {} entries, at most {NEVER_BAN_MAX} count", never.len()));
        }
        let bans = Bans {
            never,
            asn_file: read.existing("bans.asn_file"),
            helper_socket: read.path("bans.helper_socket"),
        };
        let mut limits: Vec<Limit> = schema::LIMITS
            .iter()
            .map(|(key, name, by)| Limit { name: (*name).to_owned(), by: *by, rate: read.rate(key) })
            .collect();
        limits.extend(read.limits("limits.named"));
        let limits = Limits { limits, headers: read.one_of("limits.headers", &["on", "off"]) == "on" };
        let websocket = WebSocket {
            connects: read.rate("websocket.connects"),
            connections_per_account: read.count("websocket.connections_per_account", 1..=100_000),
            control_per_hour: read.count("websocket.control_per_hour", 1..=100_000),
            messages: read.rate("websocket.messages"),
            pings: read.rate("websocket.pings"),
            message_size: read.size("websocket.message_size", 4 << 10..=1 << 20),
            subscription_size: read.size("websocket.subscription_size", 1 << 10..=1 << 20),
            idle: read.duration("websocket.idle", 1_000..=3_600_000),
            establish: read.duration("websocket.establish", 1_000..=3_600_000),
            notice: read.duration("websocket.notice", 0..=3_600_000),
        };
        if gateway.authorities.len() > AUTHORITIES_MAX {
            read.fault("gateway.authorities", format!("has more than {AUTHORITIES_MAX} names"));
        }
        let keys = Keys {
            first_seen: match read.one_of("keys.first_seen", &["enforce", "shadow", "off"]).as_str() {
                "enforce" => FirstSeenMode::Enforce,
                "off" => FirstSeenMode::Off,
                _ => FirstSeenMode::Shadow,
            },
            withdrawal_cool_down: match read
                .one_of("keys.withdrawal_cool_down", &["enforce", "shadow", "off"])
                .as_str()
            {
                "shadow" => gateway::CoolDown::Shadow,
                "off" => gateway::CoolDown::Off,
                _ => gateway::CoolDown::Enforce,
            },
        };
        let api = Api {
            listen: read.address("api.listen"),
            tls: read.pair("api.certificate_file", "api.private_key_file"),
            console: read.one_of("api.console", &["on", "off"]) == "on",
            appeal: Some(read.line("api.appeal")).filter(|words| !words.is_empty()),
            tokens: read.files("api.tokens"),
            permissions: read.permissions("api.permissions"),
        };
        if api.tls.is_none() && !api.listen.ip().is_loopback() {
            read.fault(
                "api.listen",
                format!("{} is not a loopback address, so api.certificate_file must be set", api.listen),
            );
        }
        if api.listen == gateway.listen && api.listen.port() != 0 {
            read.fault("api.listen", "is the address of gateway.listen".to_owned());
        }
        for (name, _) in &api.permissions {
            if !api.tokens.iter().any(|(caller, _)| caller == name) {
                read.fault("api.permissions", format!("{name:?} has no entry in api.tokens"));
            }
        }
        let mut config = Self {
            data,
            gateway,
            api_model,
            abuse,
            bans,
            limits,
            websocket,
            keys,
            oauth: read.oauth(),
            identity: Identity {
                origin: read.page_origin("identity.origin"),
                totp: read.one_of("identity.totp", &["off", "fallback"]) == "fallback",
                totp_approvals: read.one_of("identity.totp_approvals", &["off", "on"]) == "on",
            },
            api,
            decide: Decide {
                deadline: read.duration("decide.deadline", 1..=10_000),
                address_book: match read.one_of("decide.address_book", &["enforce", "shadow", "off"]).as_str()
                {
                    "enforce" => decide::AddressBookMode::Enforce,
                    "off" => decide::AddressBookMode::Off,
                    _ => decide::AddressBookMode::Shadow,
                },
                silence: decide::Silence {
                    admin_act: read.silence("decide.silent_admin_act"),
                    api_call: read.silence("decide.silent_api_call"),
                    login: read.silence("decide.silent_login"),
                    order: read.silence("decide.silent_order"),
                },
            },
            fraud: fraud(&mut read),
            cases: read.cases(),
            watch: Warnings {
                shadow: read.list("watch.shadow"),
                exposure_hops: read.count("watch.exposure_hops", 0..=8),
                exposure_share_bps: read.count("watch.exposure_share_bps", 1..=10_000),
                suspected: match read.one_of("watch.suspected", &["challenge", "hold", "report"]).as_str() {
                    "hold" => domain::Verdict::Hold,
                    "report" => domain::Verdict::Allow,
                    _ => domain::Verdict::Challenge,
                },
                record_all_screenings: read.one_of("watch.record_screenings", &["all", "found"]) == "all",
            },
            chains: chains::read(&mut read),
            log: Log {
                origin: read.origin("log.origin"),
                interval: read.duration("log.interval", 10..=3_600_000),
            },
            backup: Backup {
                target: read.path("backup.target"),
                interval: read.duration("backup.interval", 10..=3_600_000),
                drill_every: read.duration("backup.drill_every", 1_000..=30 * 86_400_000),
            },
            webhooks: Webhooks {
                private_networks: read.networks("webhooks.private_networks"),
                ca_file: read.path("webhooks.ca_file").unwrap_or_default(),
                time_limit: read.duration("webhooks.time_limit", 100..=60_000),
                first_retry: read.duration("webhooks.first_retry", 10..=3_600_000),
                tries: read.count("webhooks.tries", 1..=30),
            },
            telemetry: Telemetry {
                traffic_file: read.path("telemetry.traffic_file"),
                traffic_size: read.size("telemetry.traffic_size", 1 << 20..=1 << 40),
                log_format: read.one_of("telemetry.log_format", &["text", "json"]),
                log_level: read.one_of("telemetry.log_level", &["error", "warn", "info", "debug", "trace"]),
            },
            values: Values::default(),
        };
        for (key, rules) in [("fraud.shadow", &config.fraud.shadow), ("fraud.off", &config.fraud.off)] {
            for rule in rules {
                if !schema::is_rule(rule) {
                    read.fault(
                        key,
                        format!("{rule:?} is no rule; the rules are {}", schema::rules().join(", ")),
                    );
                }
            }
        }
        for warning in &config.watch.shadow {
            if watch::customers::Warning::named(warning).is_none() {
                let names = watch::customers::Warning::ALL.map(watch::customers::Warning::as_str);
                read.fault(
                    "watch.shadow",
                    format!("{warning:?} is no warning; they are {}", names.join(", ")),
                );
            }
        }
        if let Some(target) = &config.backup.target
            && (target.starts_with(&config.data.dir) || config.data.dir.starts_with(target))
        {
            read.fault(
                "backup.target",
                "must not overlap data.dir: one lost disk would take both".to_owned(),
            );
        }
        config.values = read.finish()?;
        Ok(config)
    }
}

/// The default place of the key-encryption key: beside the data directory, never inside it.
#[must_use]
pub fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".kek");
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests;
