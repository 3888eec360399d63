//! `caponier watch run`: follow chains without serving the API, until told to stop.

use std::sync::Arc;

use journal::record::LifecycleEvent;
use tokio::sync::watch;

use crate::{
    chains::Chains,
    clock::SystemClock,
    config::Config,
    core::{Core, control_socket},
    exit::{Exit, Failure},
    output::{self, Bar},
    socket::ControlSocket,
    stop::stop_signal,
};

pub(super) async fn run(config: Config, json: bool) -> Result<Exit, Failure> {
    if config.chains.is_empty() {
        let message = "no chain is configured: add a table [watch.evm.NAME], see docs/operating/chains.md";
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut bar = Bar::new(json);
    let mut report = |what: &str, done, total| bar.report(what, done, total);
    let core = Arc::new(Core::open(config, Arc::new(SystemClock), &mut report).await?);
    drop(bar);
    let control = ControlSocket::bind(control_socket(&core.config.data.dir))
        .map_err(|error| Failure::io("control socket", error))?;
    let chains = Chains::open(&core)?;
    let stop = stop_signal()?;
    core.record_lifecycle(LifecycleEvent::Started, "following chains").await?;
    let (stopped, stopping) = watch::channel(false);
    let control = tokio::spawn(control.serve(Arc::clone(&core)));
    let followers = chains.spawn(&stopping);
    let names: Vec<&str> = core.config.chains.iter().map(|chain| chain.name.as_str()).collect();
    if json {
        let ready = serde_json::json!({"ready": true, "chains": names, "data_dir": core.config.data.dir});
        output::line(ready);
    } else {
        output::line(format!("following {}", names.join(", ")));
    }
    stop.await;
    stopped.send_replace(true);
    for follower in followers {
        if let Err(error) = follower.await {
            tracing::error!(%error, "a follower ended badly");
        }
    }
    control.abort();
    drop(control.await);
    let ended = core.record_lifecycle(LifecycleEvent::Stopped, "followed chains").await;
    let closed = tokio::task::spawn_blocking(move || core.close())
        .await
        .unwrap_or_else(|error| Err(Failure::new(Exit::Internal, error.to_string())));
    ended.and(closed).map(|()| Exit::Ok)
}
