//! Configuration and assembly.

use std::{fmt, net::SocketAddr, sync::Arc};

use domain::Clock;
use tokio::net::TcpListener;

use crate::{
    Api, Appeals, Cases, ChangeRequests, Consents, Decisions, Emergencies, Health, Installations, Intake,
    Metrics, People, Rulebook, Screenings, Token, auth::Tokens, route::App,
};

/// How the API listens and who may call.
#[derive(Debug)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS; without it only a loopback address is accepted. The protocols it offers by ALPN are replaced by
    /// `http/1.1`, the one that is served.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Bearer tokens beside those of programs at the desk.
    pub tokens: Vec<Token>,
    /// Pages for people, served beside the API. They authenticate whom they serve themselves.
    pub pages: Option<axum::Router>,
}

/// What is behind the routes.
pub struct Ports {
    /// Where events go.
    pub intake: Arc<dyn Intake>,
    /// The decision path.
    pub decisions: Arc<dyn Decisions>,
    /// Screening of addresses.
    pub screenings: Arc<dyn Screenings>,
    /// Where appeals are brought and answered.
    pub appeals: Arc<dyn Appeals>,
    /// Where people work on cases.
    pub cases: Arc<dyn Cases>,
    /// Rules and models.
    pub rules: Arc<dyn Rulebook>,
    /// Where changes that take two persons wait.
    pub changes: Arc<dyn ChangeRequests>,
    /// Who stops things at once.
    pub emergencies: Arc<dyn Emergencies>,
    /// Its parts, as operators see them.
    pub installation: Arc<dyn Installations>,
    /// Endpoints that are told of what happens.
    pub webhooks: Arc<dyn crate::Webhooks>,
    /// Whether the parts work.
    pub health: Arc<dyn Health>,
    /// Counters.
    pub metrics: Arc<dyn Metrics>,
    /// Third-party apps; `None` where none are served.
    pub consents: Option<Arc<dyn Consents>>,
    /// Persons, and programs with tokens of their own.
    pub people: People,
    /// When requests are received.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// Why the API cannot start. Apart from [`BuildError::Bind`] the configuration is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Bind {
        /// Which address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Bearer tokens would cross a network in the clear.
    #[error("{listen} is not a loopback address: configure TLS or listen on 127.0.0.1")]
    PlaintextBeyondLoopback {
        /// Which address.
        listen: SocketAddr,
    },
    /// Too many tokens.
    #[error("{got} tokens are configured, at most 64 are possible")]
    TokenCount {
        /// How many.
        got: usize,
    },
    /// A token's name is empty, too long or not visible ASCII.
    #[error("token name {name:?} is not 1 to 64 visible ASCII characters")]
    TokenName {
        /// The name, cut.
        name: String,
    },
    /// Two tokens share a name or a secret.
    #[error("token {name:?} has the name or the secret of another")]
    TokenTwice {
        /// Which one.
        name: String,
    },
    /// A token could be guessed.
    #[error("token {name:?} has fewer than 32 characters, or some that are not visible ASCII")]
    TokenWeak {
        /// Which one.
        name: String,
    },
}

impl Config {
    /// Checks the configuration and starts to listen; requests are answered once [`Api::run`] is polled.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(self, ports: Ports) -> Result<Api, BuildError> {
        let Self { listen, tls, tokens, pages } = self;
        if tls.is_none() && !listen.ip().is_loopback() {
            return Err(BuildError::PlaintextBeyondLoopback { listen });
        }
        let tls = tls.map(|tls| {
            let mut tls = rustls::ServerConfig::clone(&tls);
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(tls)
        });
        let tokens = Tokens::new(tokens)?;
        let bind_error = |source| BuildError::Bind { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind_error)?;
        let local_addr = listener.local_addr().map_err(bind_error)?;
        Ok(Api::new(listener, local_addr, tls, App::new(tokens, ports), pages))
    }
}
