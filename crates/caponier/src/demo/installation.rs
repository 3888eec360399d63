//! A complete installation in one folder: certificates, tokens, configuration file, data, backup, and the simulated
//! exchange behind it. Started through the same configuration file and the same code as any other.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use domain::{AccountId, Amount, Asset, Clock, DeviceId, Network};
use exchange::{
    Desk, EventsTarget, Exchange, Token,
    ledger::{NewOrder, OrderKind, Person, QuantityOf, Side},
    random::SplitMix64,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    ca,
    client::{Client, Credentials},
};
use crate::{
    app::{App, Running},
    config::Config,
    control::{Request, Response, RestrictionWords},
    secret_file,
};

/// How often another free port is tried before giving up.
const PORT_TRIES: usize = 8;

/// Where bundles lie.
const BUNDLES: &str = "bundles";
/// The bundle that comes with the program. It begins in shadow, as every bundle.
const BUNDLE: &str = "exchange";

/// Longest wait for the exchange's events to be acknowledged.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// An API key with everything a client needs.
#[derive(Debug, Clone, Serialize)]
pub struct Credential {
    /// The account it acts for.
    pub account: String,
    /// `read`, `trade`, `withdraw`.
    pub permissions: Vec<&'static str>,
    /// `OK-ACCESS-KEY`.
    pub key: String,
    /// Secret of the HMAC.
    pub secret: String,
    /// `OK-ACCESS-PASSPHRASE`.
    pub passphrase: String,
    /// Networks it is bound to.
    pub ips: Vec<String>,
}

impl Credential {
    /// For the demo's own client.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            key: self.key.clone(),
            secret: self.secret.clone(),
            passphrase: self.passphrase.clone(),
        }
    }
}

/// A running installation with its exchange.
#[derive(Debug)]
pub struct Installation {
    dir: PathBuf,
    running: Running,
    exchange: Exchange,
    tls: Arc<rustls::ClientConfig>,
    clock: Arc<dyn Clock>,
    seed: u64,
}

impl Installation {
    /// Starts an installation in `dir`, new or as an earlier one left it. The exchange's books always start empty.
    ///
    /// # Errors
    /// When anything cannot be written, bound or opened.
    pub async fn start(dir: &Path, seed: u64, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        ca::provide(&dir.join("tls"))?;
        let secrets = dir.join("secrets");
        fs::create_dir_all(&secrets).with_context(|| format!("create {}", secrets.display()))?;
        let token = token(&secrets.join("exchange.token"))?;
        provide_bundle(&dir.join(BUNDLES).join(BUNDLE))?;
        let upstream_token = self::token(&secrets.join("upstream.token"))?;

        let mut tries = 0;
        let (running, exchange) = loop {
            tries += 1;
            // Gateway and exchange each need the other's address before they start. The exchange is told a port
            // that was free a moment ago; should somebody take it in between, both are made again.
            let api = free_port().await?;
            let exchange = Exchange::start(exchange::Config {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                upstream_token: Token::new(upstream_token.clone()),
                seed,
                events: Some(EventsTarget { addr: api, token: Token::new(token.clone()) }),
                clock: Arc::clone(&clock),
            })
            .await?;
            fs::write(dir.join("caponier.toml"), configuration(api, exchange.local_addr()))?;
            let config = Config::load(&dir.join("caponier.toml"))?;
            match App::build(config, Arc::clone(&clock), &mut |_, _, _| ()).await {
                Ok(app) => break (app.spawn().await?, exchange),
                Err(failure) if tries < PORT_TRIES && failure.message.contains("cannot listen") => {
                    exchange.stop().await;
                }
                Err(failure) => return Err(failure.into()),
            }
        };
        let tls = client_tls(&dir.join("tls/ca.pem"))?;
        let installation = Self { dir: dir.to_owned(), running, exchange, tls, clock, seed };
        installation.make_market()?;
        Ok(installation)
    }

    /// Where the trading API is.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        format!("https://{}", self.running.gateway_addr())
    }

    /// Where the exchange reports.
    #[must_use]
    pub fn api_url(&self) -> Option<String> {
        self.running.api_addr().map(|addr| format!("http://{addr}"))
    }

    /// A file or folder of the installation.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The serving part.
    #[must_use]
    pub const fn running(&self) -> &Running {
        &self.running
    }

    /// The exchange, for what people do there.
    #[must_use]
    pub fn desk(&self) -> Desk {
        self.exchange.desk()
    }

    /// A client at a loopback address.
    #[must_use]
    pub fn client(&self, from: IpAddr, credential: Option<&Credential>) -> Client {
        Client::new(
            self.running.gateway_addr(),
            from,
            Arc::clone(&self.tls),
            credential.map(Credential::credentials),
            Arc::clone(&self.clock),
        )
    }

    /// Waits until everything that happened at the exchange is known to the installation.
    ///
    /// # Errors
    /// When that takes longer than 30 seconds.
    pub async fn settle(&self) -> anyhow::Result<()> {
        tokio::time::timeout(FLUSH_PATIENCE, self.exchange.flush())
            .await
            .map_err(|_elapsed| anyhow!("the exchange's events were not acknowledged in time"))
    }

    /// Opens an account with a known person: funds, a login, an address book.
    ///
    /// # Errors
    /// When the exchange refuses.
    pub async fn open_account(&self, name: &str, funds: &[(&str, Network, &str)]) -> anyhow::Result<Person> {
        let desk = self.desk();
        let account = AccountId::parse(name)?;
        let person = Person {
            account: account.clone(),
            device: Some(DeviceId::parse(&format!("{name}-laptop"))?),
            ip: IpAddr::V4(Ipv4Addr::new(198, 18, 0, 7)),
        };
        desk.open_account(&account)?;
        desk.add_device(&person)?;
        desk.login(&person, true, true)?;
        for (asset, network, amount) in funds {
            desk.deposit(&account, &Asset::parse(asset)?, Amount::parse(amount)?, *network, None)?;
        }
        self.settle().await?;
        Ok(person)
    }

    /// Creates an API key the way an operator does.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create_key(
        &self,
        account: &str,
        permissions: &[&'static str],
        ips: &[&str],
    ) -> anyhow::Result<Credential> {
        let has = |name| permissions.contains(&name);
        let request = Request::KeysCreate {
            account: account.to_owned(),
            label: "demo".to_owned(),
            read: has("read"),
            trade: has("trade"),
            withdraw: has("withdraw"),
            ips: ips.iter().map(|ip| (*ip).to_owned()).collect(),
            demo_trading: false,
            passphrase: None,
            by: None,
            public_key: None,
            restrictions: RestrictionWords::default(),
        };
        let Response::KeyCreated(key) = self.running.core().handle(request, &mut |_, _, _| ()).await? else {
            bail!("creating a key answered something else");
        };
        Ok(Credential {
            account: key.account,
            permissions: permissions.to_vec(),
            key: key.key,
            secret: key.secret,
            passphrase: key.passphrase,
            ips: ips.iter().map(|ip| (*ip).to_owned()).collect(),
        })
    }

    /// A funded account with a key that may do everything, from this machine.
    ///
    /// # Errors
    /// As [`Installation::open_account`] and [`Installation::create_key`].
    pub async fn trader(&self) -> anyhow::Result<Credential> {
        let funds = [
            ("BTC", Network::Bitcoin, "10"),
            ("ETH", Network::Ethereum, "100"),
            ("TRX", Network::Tron, "1000000"),
            ("USDT", Network::Tron, "1000000"),
        ];
        self.open_account("trader", &funds).await?;
        self.create_key("trader", &["read", "trade", "withdraw"], &["127.0.0.0/8"]).await
    }

    /// A read-only key of an account.
    ///
    /// # Errors
    /// As [`Installation::create_key`].
    pub async fn reader(&self, account: &str) -> anyhow::Result<Credential> {
        self.create_key(account, &["read"], &[]).await
    }

    /// Lets the simulated chains confirm withdrawals, one step a second.
    #[must_use]
    pub fn tick_chains(&self) -> JoinHandle<()> {
        let desk = self.desk();
        tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                if let Err(refusal) = desk.advance() {
                    tracing::warn!(%refusal, "chains stand still");
                }
            }
        })
    }

    /// Stops the exchange, then drains the installation.
    ///
    /// # Errors
    /// When draining fails.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.settle().await);
        self.exchange.stop().await;
        Ok(self.running.drain().await?)
    }

    /// Quotes every instrument on both sides, so that orders have somebody to trade with.
    fn make_market(&self) -> anyhow::Result<()> {
        let desk = self.desk();
        let maker = AccountId::parse("market-maker")?;
        desk.open_account(&maker)?;
        let mut random = SplitMix64::named(self.seed, "market");
        for (asset, network, amount) in [
            ("BTC", Network::Bitcoin, "1000"),
            ("ETH", Network::Ethereum, "10000"),
            ("TRX", Network::Tron, "100000000"),
            ("USDC", Network::Ethereum, "100000000"),
            ("USDT", Network::Tron, "100000000"),
        ] {
            let from = exchange::address::draw(network, &mut random);
            desk.deposit(&maker, &Asset::parse(asset)?, Amount::parse(amount)?, network, Some(&from))?;
        }
        for instrument in desk.catalog().instruments {
            for (side, share) in [(Side::Buy, "0.99"), (Side::Sell, "1.01")] {
                let price = instrument
                    .reference_price
                    .checked_mul(Amount::parse(share)?)
                    .context("reference price is out of range")?;
                desk.place_order(NewOrder {
                    account: maker.clone(),
                    instrument: instrument.id.clone(),
                    side,
                    kind: OrderKind::Limit,
                    price: Some(price.truncate(instrument.price_places)),
                    quantity: Amount::parse("50")?,
                    quantity_of: QuantityOf::Base,
                    client_id: None,
                    tag: None,
                })?;
            }
        }
        Ok(())
    }
}

/// A token of 256 random bits in a file of its own; read back when it exists.
fn token(path: &Path) -> anyhow::Result<String> {
    if !path.exists() {
        let text = hex::encode(crypto::random::array::<32>());
        secret_file::create(path, text.as_bytes()).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(secret_file::read_line(path, 32)?.expose().clone())
}

/// Writes the bundle that comes with the program, unless there is one already.
fn provide_bundle(dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        return Ok(());
    }
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    for (name, text) in fraud::preset::bundle(BUNDLE).into_iter().flatten() {
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

async fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}

fn configuration(api: SocketAddr, upstream: SocketAddr) -> String {
    let mut text = String::from("# Written by caponier demo.\nversion = 1\n");
    let _ = write!(
        text,
        r#"
[data]
dir = "data"

[gateway]
listen = "127.0.0.1:0"
certificate_file = "tls/server.pem"
private_key_file = "tls/server.key"
upstream = "http://{upstream}"
upstream_token_file = "secrets/upstream.token"

[keys]
# Everything here is new.
withdrawal_cool_down = "off"

[limits]
# Low enough that one attacker on a slow machine exceeds it.
source = "200 / 2s"

[api]
listen = "{api}"
[api.tokens]
exchange = "secrets/exchange.token"

[fraud]
bundles = "{BUNDLES}"
bundle = "{BUNDLE}"

[log]
origin = "demo.caponier.local/journal"

[backup]
target = "backup"
"#
    );
    text
}

fn client_tls(ca: &Path) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
