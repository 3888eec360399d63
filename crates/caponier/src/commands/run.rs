//! `caponier run`: serve until told to stop.

use std::sync::Arc;

use crate::{
    app::App,
    cli::Place,
    clock::SystemClock,
    config::Config,
    console::Entrance,
    control::{Request, Response},
    core::Core,
    exit::{Exit, Failure},
    output::{self, Bar},
    stop::{hangup, stop_signal},
};

pub(super) async fn run(config: Config, place: Place, json: bool) -> Result<Exit, Failure> {
    let mut bar = Bar::new(json);
    let mut app =
        App::build(config, Arc::new(SystemClock), &mut |what, done, total| bar.report(what, done, total))
            .await?;
    drop(bar);
    app.reload_from(place);
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
    let console = core.entrance.get().map(Entrance::url);
    let stop = stop_signal()?;
    let running = app.spawn().await?;
    let setup = set_up_link(&core).await?;
    if json {
        output::line(serde_json::json!({
            "ready": true, "setup": setup, "gateway": gateway, "api": api, "console": console,
            "data_dir": core.config.data.dir, "log_vkey": core.vkey(),
        }));
    } else {
        output::line(format!("gateway {gateway}"));
        if let Some(api) = api {
            output::line(format!("api     {api}"));
        }
        if let Some(console) = console {
            output::line(format!("console {console} (for a way in: caponier console link)"));
        }
        output::line(format!("data    {}", core.config.data.dir.display()));
        output::line(format!("log     {}", core.vkey()));
        if let Some(link) = setup {
            output::line(format!("set-up  {link}"));
            output::line("        Store the first passkey there. The link works once, for a day.");
        }
    }
    let mut reload = hangup()?;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(()) = reload.recv() => reread(&core).await,
        }
    }
    tracing::info!("draining");
    running.drain().await?;
    Ok(Exit::Ok)
}

/// The first person, who may invite others from the command line; nobody else sees the link. A new one at every start
/// until somebody has stored a passkey.
const FIRST: (&str, &str) = ("admin", "admin");

async fn set_up_link(core: &Core) -> Result<Option<String>, Failure> {
    if core.config.identity.origin.is_none() || core.ground.people().anybody_enrolled() {
        return Ok(None);
    }
    let (by, reason) = ("local".to_owned(), "the set-up of the installation".to_owned());
    let invite =
        Request::PeopleInvite { user: FIRST.0.to_owned(), roles: vec![FIRST.1.to_owned()], by, reason };
    match core.handle(invite, &mut |_, _, _| ()).await? {
        Response::Invited(invited) => Ok(Some(invited.link)),
        _ => Ok(None),
    }
}

/// SIGHUP: what `caponier reload` does.
async fn reread(core: &Core) {
    match core.handle(Request::Reload, &mut |_, _, _| ()).await {
        Ok(Response::Reloaded(reloaded)) => tracing::info!(
            in_force = reloaded.in_force.join(","),
            at_next_start = reloaded.at_next_start.join(","),
            certificates = reloaded.certificates,
            "configuration read again"
        ),
        Ok(_) => {}
        Err(failure) => tracing::error!(%failure, "configuration not read again; everything is as before"),
    }
}
