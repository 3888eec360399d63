//! Chains followed by this installation: nodes, watched addresses and the journal put together.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use chain::address;
use domain::{Address, ChainFamily, Clock, Subject};
use journal::{Draft, Kind, record::ChainAlert};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use scoring::model::file::FILE_BYTES_MAX;
use tokio::{net::TcpStream, sync::watch as signal};
use tokio_rustls::TlsConnector;
use watch::follow::{
    AlertNews, AlertSink, BlockSink, FileStore, Follower, Parts, Rules, Settings, SinkError, Source, Status,
    StatusCell, TokioTimer, Watched,
    bitcoin::BitcoinNode,
    evm::EvmNode,
    heads,
    rpc::{Dial, Dialling, Endpoint, PlainDial, Rpc, Stream},
    rules::Screen,
    run, zmq,
};
use watch::{
    Watch,
    assess::Followed,
    discovery::{Detector, tokens_digest},
    flows::{self, Flows},
};

use crate::{
    config::{
        Config,
        chains::{Chain, Node},
    },
    control::ChainStatus,
    core::{Core, FLOWS_DIR, FOLLOW_DIR, chain as causes},
    exit::{Exit, Failure},
    ground::Ground,
    suspicions::Recorder,
};

/// Most alerts made durable at once.
const ALERTS_AT_ONCE: usize = 256;
/// Longest line of a file of addresses.
const LINE_BYTES_MAX: usize = 512;

/// Followers that are ready to run.
pub(crate) struct Chains {
    followers: Vec<Ready>,
    recorders: Vec<Recorder>,
}

/// Runs until it is told to stop.
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Ready {
    name: String,
    run: Box<dyn FnOnce(signal::Receiver<bool>) -> Running + Send>,
}

/// How a node says that there is a new block.
enum Announcements {
    None,
    WebSocket(Endpoint),
    Zmq(Endpoint),
}

impl std::fmt::Debug for Chains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.followers.iter().map(|ready| &ready.name)).finish()
    }
}

impl Chains {
    /// Loads the state of every configured chain and the addresses to watch; no node is asked yet.
    ///
    /// # Errors
    /// [`Failure`]: a file that is damaged, missing or holds what is no address.
    pub(crate) fn open(core: &Core) -> Result<Self, Failure> {
        let (mut ready, mut cells) = (Vec::new(), Vec::new());
        for chain in &core.config.chains {
            let status = StatusCell::new(&chain.name);
            cells.push(status.clone());
            let dial = dial(chain.ca_file.as_deref())?;
            let rpc = |http: &Endpoint| Rpc::new(http.clone(), Arc::clone(&dial), chain.limits);
            ready.push(match &chain.node {
                Node::Evm { http, web_socket, chain_id, proof, mixers } => {
                    let source = EvmNode::new(rpc(http), *chain_id, *proof).with_pools(mixers.clone());
                    let announcements =
                        web_socket.clone().map_or(Announcements::None, Announcements::WebSocket);
                    open(core, chain, source, status, announcements, dial)?
                }
                Node::Bitcoin { http, zmq, network } => {
                    let source = BitcoinNode::new(rpc(http), network);
                    let announcements = zmq.clone().map_or(Announcements::None, Announcements::Zmq);
                    open(core, chain, source, status, announcements, dial)?
                }
            });
        }
        if core.chains.set(cells).is_err() {
            return Err(Failure::new(Exit::Internal, "chains are opened once"));
        }
        Ok(Self { followers: ready, recorders: Recorder::all(core) })
    }

    /// Follows until `stop` becomes true: one task for each chain, and one that records whom its model suspects.
    pub(crate) fn spawn(self, stop: &signal::Receiver<bool>) -> Vec<tokio::task::JoinHandle<()>> {
        let recorders = self.recorders.into_iter().map(|recorder| tokio::spawn(recorder.run(stop.clone())));
        let followers = self.followers.into_iter().map(|ready| tokio::spawn((ready.run)(stop.clone())));
        followers.chain(recorders).collect()
    }
}

fn open<S: Source>(
    core: &Core,
    chain: &Chain,
    source: S,
    status: StatusCell,
    announcements: Announcements,
    dial: Arc<dyn Dial>,
) -> Result<Ready, Failure>
where
    Flows: BlockSink<S::Facts>,
{
    let dir = core.config.data.dir.join(FOLLOW_DIR);
    let flows = core.assessor.followed().iter().map(|followed| &followed.flows);
    let flows = flows.filter(|flows| **flows.chain() == *chain.name);
    let parts = Parts {
        source,
        store: Arc::new(FileStore::new(&dir, &chain.name)),
        alerts: Arc::new(JournalAlerts { ground: Arc::clone(&core.ground), clock: Arc::clone(&core.clock) }),
        blocks: flows.map(|flows| Arc::clone(flows) as Arc<dyn BlockSink<S::Facts>>).collect(),
        rules: rules(chain, Arc::clone(&core.watch) as Arc<dyn Screen>, chain.family())?,
        clock: Arc::clone(&core.clock),
        status,
    };
    let settings = Settings {
        chain: chain.name.clone(),
        confirmations: chain.confirmations,
        headers_max: chain.headers_max,
        start: chain.start,
        stalled_after: chain.stalled_after,
    };
    let follower = Follower::open(parts, settings).map_err(|error| Failure::new(Exit::Io, causes(&error)))?;
    let (name, poll) = (chain.name.clone(), chain.poll);
    let run = move |stop| Box::pin(follow(follower, announcements, dial, poll, stop)) as Running;
    Ok(Ready { name, run: Box::new(run) })
}

async fn follow<S: Source>(
    follower: Follower<S>,
    announcements: Announcements,
    dial: Arc<dyn Dial>,
    poll: Duration,
    stop: signal::Receiver<bool>,
) {
    let (announce, heads) = signal::channel(None);
    let status = follower.status().clone();
    let chain = follower.settings().chain.clone();
    let announcing = async {
        let stop = stop.clone();
        match &announcements {
            Announcements::None => {}
            Announcements::WebSocket(endpoint) => {
                heads::announce(endpoint, &dial, &TokioTimer, &status, &announce, stop).await;
            }
            Announcements::Zmq(endpoint) => {
                zmq::announce(endpoint, &dial, &TokioTimer, &status, &announce, stop).await;
            }
        }
    };
    tracing::info!(chain, "following");
    let (follower, ()) = tokio::join!(run(follower, heads, &TokioTimer, poll, stop.clone()), announcing);
    let tip = follower.state().headers().tip().map_or(0, |tip| tip.id.height);
    tracing::info!(chain, height = tip, "following ended");
}

/// What is kept of the transfers of every configured chain.
///
/// # Errors
/// [`Failure`]: a log that is damaged, or cannot be read.
pub(crate) fn flows(config: &Config, watch: &Arc<Watch>) -> Result<Vec<Followed>, Failure> {
    let dir = config.data.dir.join(FLOWS_DIR);
    let kept = config.chains.iter().filter(|chain| chain.flows_max > 0);
    kept.map(|chain| {
        let settings = flows::Config {
            dir: dir.clone(),
            chain: chain.name.clone(),
            family: chain.family(),
            tokens: chain.tokens.clone(),
            transfers_max: chain.flows_max,
        };
        let detector =
            chain.discovery_model.as_deref().map(|path| detector(path, &chain.tokens)).transpose()?;
        let flows = Flows::open_judging(settings, Arc::clone(watch), detector)
            .map_err(|error| Failure::new(Exit::Io, causes(&error)))?;
        Ok(Followed { flows: Arc::new(flows), network: chain.network(), stale_after: chain.stalled_after })
    })
    .collect()
}

/// The model that judges fresh addresses of a chain, on whose tokens it must have been trained if it looks at tokens.
fn detector(path: &Path, tokens: &[Address]) -> Result<Arc<Detector>, Failure> {
    let bad = |what: String| Failure::new(Exit::Input, format!("{}: {what}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| Failure::io(path.display(), error))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(bad(format!("is longer than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::io(path.display(), error))?;
    let detector = Detector::decode(&bytes).map_err(|error| bad(causes(&error)))?;
    if detector.looks_at_tokens() && detector.tokens() != Some(tokens_digest(tokens).as_str()) {
        let what = "the model looks at transfers of tokens, but was not trained on those that are genuine on this chain; train \
                    one without a table of token transfers";
        return Err(bad(what.to_owned()));
    }
    Ok(Arc::new(detector))
}

/// Alerts become entries of the journal.
struct JournalAlerts {
    ground: Arc<Ground>,
    clock: Arc<dyn Clock>,
}

impl AlertSink for JournalAlerts {
    fn deliver<'s>(
        &'s self,
        news: &'s [AlertNews],
    ) -> Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 's>> {
        Box::pin(async move {
            let at = self.clock.now();
            for some in news.chunks(ALERTS_AT_ONCE) {
                let drafts = some
                    .iter()
                    .map(|news| Draft {
                        at,
                        subject: Subject::System,
                        kind: Kind::ChainAlert,
                        payload: entry(news).encode(),
                    })
                    .collect();
                self.ground.record(drafts).await.map_err(|error| SinkError(causes(&error)))?;
            }
            for news in news.iter().filter(|news| news.alert.verdict > domain::Verdict::Allow) {
                let alert = &news.alert;
                tracing::warn!(
                    alert = %alert.id, state = news.state.as_str(), chain = %alert.chain, height = alert.block.height,
                    kind = alert.kind.as_str(), verdict = alert.verdict.as_str(), "seen on chain"
                );
            }
            Ok(())
        })
    }
}

fn entry(news: &AlertNews) -> ChainAlert {
    let alert = &news.alert;
    let text = |address: Option<Address>| address.map(|address| address::encode(&address));
    ChainAlert {
        id: alert.id.to_string(),
        state: news.state.as_str().to_owned(),
        chain: alert.chain.to_string(),
        height: alert.block.height,
        block: alert.block.hash.0,
        transaction: alert.transaction,
        kind: alert.kind.as_str().to_owned(),
        direction: alert.direction.as_str().to_owned(),
        subject: text(alert.subject),
        counterparty: text(alert.counterparty),
        asset: text(alert.asset),
        asset_known: alert.asset_known,
        value: alert.value.to_string(),
        category: alert.category.map(|category| category.as_str().to_owned()),
        verdict: alert.verdict,
    }
}

fn rules(chain: &Chain, screen: Arc<dyn Screen>, family: ChainFamily) -> Result<Rules, Failure> {
    let watched = Arc::new(Watched::default());
    if let Some(path) = &chain.addresses_file {
        let addresses = addresses(path, family)?;
        watched
            .replace(addresses)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
    }
    Ok(Rules {
        screen,
        watched,
        tokens: chain.tokens.clone(),
        tell_listed: chain.tell_listed,
        tell_watched: chain.tell_watched,
    })
}

/// Addresses, one a line; empty lines and what follows a `#` do not count.
fn addresses(path: &Path, family: ChainFamily) -> Result<Vec<Address>, Failure> {
    let bad = |line: usize, what: String| {
        Failure::new(Exit::Input, format!("{}, line {line}: {what}", path.display()))
    };
    let failed = |error: io::Error| Failure::io(path.display(), error);
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let mut addresses = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let bound = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = io::Read::take(&mut lines, bound).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        if read == LINE_BYTES_MAX {
            return Err(bad(number, format!("is longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|_| bad(number, "is not UTF-8".to_owned()))?;
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        addresses.push(address::decode(family, text).map_err(|error| bad(number, error.to_string()))?);
        if addresses.len() > watch::follow::rules::WATCHED_MAX {
            return Err(bad(number, "more addresses than can be watched".to_owned()));
        }
    }
    Ok(addresses)
}

/// How nodes are reached: with TLS where certificates to trust are given.
pub(crate) fn dial(ca_file: Option<&Path>) -> Result<Arc<dyn Dial>, Failure> {
    let Some(ca_file) = ca_file else { return Ok(Arc::new(PlainDial)) };
    let bad = |what: String| Failure::new(Exit::Usage, format!("{}: {what}", ca_file.display()));
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(ca_file).map_err(|error| bad(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        // System stores hold some that rustls does not take; the others are enough.
        drop(roots.add(certificate));
    }
    if roots.is_empty() {
        return Err(bad("holds no usable certificate".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(TlsDial(Arc::new(config))))
}

/// TCP, with TLS where the endpoint wants it.
#[derive(Debug)]
struct TlsDial(Arc<ClientConfig>);

impl Dial for TlsDial {
    fn dial<'d>(&'d self, endpoint: &'d Endpoint) -> Dialling<'d> {
        Box::pin(async move {
            if !endpoint.tls {
                return PlainDial.dial(endpoint).await;
            }
            let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
            let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// What the followers say; of an installation that does not follow now, what they stored.
pub(crate) fn status(core: &Core) -> Vec<ChainStatus> {
    let now = core.clock.now();
    if let Some(cells) = core.chains.get() {
        return cells.iter().map(|cell| show(&cell.read(), now)).collect();
    }
    let dir = core.config.data.dir.join(FOLLOW_DIR);
    core.config.chains.iter().map(|chain| stored(chain, &dir)).collect()
}

fn stored(chain: &Chain, dir: &Path) -> ChainStatus {
    use watch::follow::{StateStore as _, state::FollowState};
    let mut status = Status { chain: chain.name.clone(), ..Status::default() };
    let state = FileStore::new(dir, &chain.name).load().map_err(|error| causes(&error)).and_then(|bytes| {
        bytes
            .map(|bytes| FollowState::from_bytes(&bytes, &chain.name, chain.confirmations, chain.headers_max))
            .transpose()
            .map_err(|error| error.to_string())
    });
    let mut shown = match state {
        Ok(Some(state)) => {
            status.tip = state.headers().tip().map(|tip| tip.id);
            status.finalized = state.finalized();
            status.totals = state.totals();
            status.news_waiting = u64::try_from(state.news().len()).unwrap_or(u64::MAX);
            show(&status, domain::UnixNanos(0))
        }
        Ok(None) => show(&status, domain::UnixNanos(0)),
        Err(error) => ChainStatus { last_error: Some(error), ..show(&status, domain::UnixNanos(0)) },
    };
    "stopped".clone_into(&mut shown.phase);
    shown
}

fn show(status: &Status, now: domain::UnixNanos) -> ChainStatus {
    ChainStatus {
        chain: status.chain.clone(),
        phase: status.phase.as_str().to_owned(),
        height: status.tip.map(|tip| tip.height),
        hash: status.tip.map(|tip| tip.hash.to_string()),
        finalized: status.finalized.map(|id| id.height),
        head_height: status.head_height,
        lag_blocks: status.lag_blocks(),
        head_age_ms: status.head_at.map(|at| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)),
        head_to_done_us: status.head_to_done_ns.map(|nanos| nanos / 1_000),
        blocks: status.totals.blocks,
        reorgs: status.totals.reorgs,
        reorg_depth_max: status.totals.reorg_depth_max,
        alerts: status.totals.alerts,
        alerts_final: status.totals.finals,
        alerts_retracted: status.totals.retractions,
        alerts_retracted_after_final: status.totals.retractions_of_finals,
        alerts_waiting: status.news_waiting,
        restarts: status.totals.restarts,
        subscriptions: status.subscriptions,
        errors: status.errors.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        last_error: status.last_error.as_ref().map(|(at, error)| format!("{at} {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_addresses_names_the_line_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses");
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed # hot wallet\n\n# nobody\n0x00000000000000000000000000000000000000aa\n";
        std::fs::write(&path, good).unwrap();
        assert_eq!(addresses(&path, ChainFamily::Evm).unwrap().len(), 2);
        std::fs::write(&path, format!("{good}T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb\n")).unwrap();
        let error = addresses(&path, ChainFamily::Evm).unwrap_err();
        assert!(error.message.contains("line 5") && error.message.contains("TRON"), "{}", error.message);
        std::fs::write(&path, "x".repeat(2_000)).unwrap();
        assert!(addresses(&path, ChainFamily::Evm).unwrap_err().message.contains("line 1"));
        std::fs::write(&path, b"\xff\n").unwrap();
        assert!(addresses(&path, ChainFamily::Evm).unwrap_err().message.contains("UTF-8"));
    }
}
