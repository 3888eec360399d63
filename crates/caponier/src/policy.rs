//! Routes and limits as configured: the route table's file, `[limits]` and `[websocket]` to what the gateway charges by.

pub(crate) mod dry_run;
pub(crate) mod routes;

use std::path::Path;

use admission::Quota;
use gateway::{PolicyError, route::RouteTable};

use crate::{
    abuse,
    config::{Config, Fault, Faults, Limits, Rate, WebSocket, reader::FILE_BYTES_MAX},
};

/// Routes and limits that fit each other.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) routes: RouteTable,
    pub(crate) limits: gateway::Limits,
    pub(crate) web_sockets: gateway::websocket::Config,
}

/// The limits of a configuration.
///
/// # Errors
/// [`Faults`] naming the limit.
pub(crate) fn limits(config: &Limits) -> Result<gateway::Limits, Faults> {
    let mut limits = gateway::Limits { limits: Vec::new(), ..gateway::Limits::default() };
    for limit in &config.limits {
        let quota = quota(&format!("limits.{}", limit.name), limit.rate)?;
        limits.set(&limit.name, limit.by, quota);
    }
    limits.announced = config.headers;
    Ok(limits)
}

fn quota(key: &str, rate: Rate) -> Result<Quota, Faults> {
    Quota::new(rate.count, rate.per).map_err(|error| Faults(vec![Fault::whole_file(key, error.to_string())]))
}

/// The bounds of web sockets of a configuration.
///
/// # Errors
/// [`Faults`] naming the key.
fn web_sockets(config: &WebSocket) -> Result<gateway::websocket::Config, Faults> {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(gateway::websocket::Config {
        connects: quota("websocket.connects", config.connects)?,
        per_account_max: count(config.connections_per_account),
        control_per_hour: count(config.control_per_hour),
        messages: quota("websocket.messages", config.messages)?,
        pings: quota("websocket.pings", config.pings)?,
        message_bytes_max: size(config.message_size),
        subscription_bytes_max: size(config.subscription_size),
        idle: config.idle,
        establish: config.establish,
        notice: config.notice,
        ..gateway::websocket::Config::default()
    })
}

/// Routes and limits of a configuration; reads the file of routes if one is named.
///
/// # Errors
/// [`Faults`]: every fault of the file with its line, and whatever does not fit.
pub(crate) fn load(config: &Config) -> Result<Policy, Faults> {
    let limits = limits(&config.limits)?;
    let web_sockets = web_sockets(&config.websocket)?;
    let (mut routes, file) = match &config.gateway.routes_file {
        None => (routes::Routes::built_in(), "the built-in table".to_owned()),
        Some(path) => (read(path)?, path.display().to_string()),
    };
    let pages: Vec<_> = abuse::pages(config).collect();
    if !pages.is_empty() {
        let lines = routes.table.routes().iter().cloned().chain(pages).collect();
        routes.table = RouteTable::new(lines).map_err(|error| {
            Faults(vec![Fault::whole_file(&file, format!("abuse.challenge_paths: {error}"))])
        })?;
    }
    gateway::check_policy(&routes.table, &limits).map_err(|error| {
        let line = error.path().zip(error.limit()).map_or(0, |(path, limit)| routes.line_of(path, limit));
        let key = if matches!(error, PolicyError::Limits(_)) { "limits" } else { "route" };
        let fault = Fault {
            file,
            line,
            column: usize::from(line > 0),
            key: key.to_owned(),
            message: error.to_string(),
        };
        Faults(vec![fault])
    })?;
    Ok(Policy { routes: routes.table, limits, web_sockets })
}

fn read(path: &Path) -> Result<routes::Routes, Faults> {
    use std::io::Read as _;

    let name = path.display().to_string();
    let whole = |message: String| Faults(vec![Fault::whole_file(&name, message)]);
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text))
        .map_err(|error| whole(format!("cannot be read: {error}")))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(whole(format!("is longer than the {FILE_BYTES_MAX} bytes that are read")));
    }
    routes::Routes::parse(&name, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_sockets_have_the_bounds_of_the_gateway_unless_told_otherwise() {
        let config = |text: &str| Config::parse("x", text, Path::new("/")).unwrap();
        let default = gateway::websocket::Config::default();
        assert_eq!(web_sockets(&config("version = 1\n").websocket).unwrap(), default);
        let told =
            "version = 1\n[websocket]\nconnects = \"9 / 3s\"\nmessage_size = \"8 KiB\"\nidle = \"5s\"\n";
        let told = web_sockets(&config(told).websocket).unwrap();
        let connects = Quota::new(9, std::time::Duration::from_secs(3)).unwrap();
        let idle = std::time::Duration::from_secs(5);
        assert_eq!(
            told,
            gateway::websocket::Config { connects, message_bytes_max: 8 << 10, idle, ..default }
        );
        let wrong = "version = 1\n[websocket]\nmessage_size = \"2 KiB\"\n";
        assert!(Config::parse("x", wrong, Path::new("/")).unwrap_err().to_string().contains("message_size"));
    }
}
