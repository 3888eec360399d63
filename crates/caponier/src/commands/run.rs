//! `caponier run`: serve until told to stop.

use std::sync::Arc;

use crate::{
    app::App,
    clock::SystemClock,
    config::Config,
    exit::{Exit, Failure},
    output::{self, Bar},
    stop::stop_signal,
};

pub(super) async fn run(config: Config, json: bool) -> Result<Exit, Failure> {
    let mut bar = Bar::new(json);
    let app =
        App::build(config, Arc::new(SystemClock), &mut |what, done, total| bar.report(what, done, total))
            .await?;
    drop(bar);
    let core = Arc::clone(app.core());
    if core.kek_created {
        tracing::warn!(
            file = %core.config.data.kek_file.display(),
            "made a key-encryption key; keep a copy where the backups are not"
        );
    }
    let scheme = if core.config.gateway.tls.is_some() || core.config.gateway.acme.is_some() {
        "https"
    } else {
        "http"
    };
    let gateway = format!("{scheme}://{}", app.gateway_addr());
    let api_scheme = if core.config.api.tls.is_some() { "https" } else { "http" };
    let api = app.api_addr().map(|addr| format!("{api_scheme}://{addr}"));
    let stop = stop_signal()?;
    let running = app.spawn().await?;
    if json {
        output::line(serde_json::json!({
            "ready": true, "gateway": gateway, "api": api,
            "data_dir": core.config.data.dir, "log_vkey": core.vkey(),
        }));
    } else {
        output::line(format!("gateway {gateway}"));
        if let Some(api) = api {
            output::line(format!("api     {api}"));
        }
        output::line(format!("data    {}", core.config.data.dir.display()));
        output::line(format!("log     {}", core.vkey()));
    }
    stop.await;
    tracing::info!("draining");
    running.drain().await?;
    Ok(Exit::Ok)
}
