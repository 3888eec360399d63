//! Routes and limits as configured: the route table's file and `[limits]` to what the gateway charges by.

pub(crate) mod dry_run;
pub(crate) mod routes;

use std::path::Path;

use admission::Quota;
use gateway::{PolicyError, route::RouteTable};

use crate::{
    abuse,
    config::{Config, Fault, Faults, Limits, reader::FILE_BYTES_MAX},
};

/// Routes and limits that fit each other.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) routes: RouteTable,
    pub(crate) limits: gateway::Limits,
}

/// The limits of a configuration.
///
/// # Errors
/// [`Faults`] naming the limit.
pub(crate) fn limits(config: &Limits) -> Result<gateway::Limits, Faults> {
    let mut limits = gateway::Limits { limits: Vec::new(), ..gateway::Limits::default() };
    for limit in &config.limits {
        let quota = Quota::new(limit.rate.count, limit.rate.per).map_err(|error| {
            Faults(vec![Fault::whole_file(&format!("limits.{}", limit.name), error.to_string())])
        })?;
        limits.set(&limit.name, limit.by, quota);
    }
    limits.announced = config.headers;
    Ok(limits)
}

/// Routes and limits of a configuration; reads the file of routes if one is named.
///
/// # Errors
/// [`Faults`]: every fault of the file with its line, and whatever does not fit.
pub(crate) fn load(config: &Config) -> Result<Policy, Faults> {
    let limits = limits(&config.limits)?;
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
    Ok(Policy { routes: routes.table, limits })
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
