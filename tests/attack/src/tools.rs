//! The same attacks by programs that others wrote: slowhttptest, h2load, nghttp, testssl.sh, sslyze. Each is skipped
//! visibly where it is not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::honest::Honest;
use crate::house::House;
use crate::report::Row;

/// Longest run of one tool; `timeout` ends it and the attack is a miss.
const TOOL_SECONDS_MAX: u64 = 90;

/// Output of a tool, both streams; `None` if it is not installed.
async fn output(program: &str, args: &[&str], folder: &Path) -> Result<Option<(bool, String)>> {
    let mut command = Command::new("timeout");
    command
        .arg(TOOL_SECONDS_MAX.to_string())
        .arg(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null());
    if !is_there(program) {
        return Ok(None);
    }
    // Blocking, so on a thread of its own: the honest client goes on meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("run the tool")?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(Some((output.status.success(), text)))
}

fn is_there(program: &str) -> bool {
    let mut found = Command::new("sh");
    found
        .args(["-c", "command -v \"$0\"", program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    found.status().is_ok_and(|status| status.success())
}

/// The four modes of slowhttptest.
///
/// # Errors
/// When a temporary folder cannot be made or the tool cannot be run.
pub async fn slowhttptest(house: &House) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let key = house.key("slowhttptest")?;
    let url = format!("http://{}", house.door.addr);
    let public = format!("{url}/api/v5/public/time");
    let books = format!("{url}/api/v5/market/books?instId=BTC-USDT");
    let common = ["-c", "100", "-r", "100", "-p", "3"];
    let modes: [(&str, &[&str], &str); 4] = [
        ("slow header", &["-H", "-i", "3", "-x", "24", "-l", "20"], &public),
        ("slow body", &["-B", "-i", "3", "-x", "24", "-s", "8192", "-l", "20"], &public),
        // 100 bytes a second: the tool sees that a connection was closed only once it has read what its system holds.
        ("slow read", &["-X", "-w", "1", "-y", "8", "-n", "1", "-z", "100", "-k", "3", "-l", "30"], &books),
        ("range", &["-R", "-a", "10", "-b", "3000", "-t", "HEAD", "-l", "15"], &public),
    ];
    let mut rows = Vec::new();
    for (mode, args, target) in modes {
        let attack = format!("slowhttptest {mode}");
        let criterion = "service stays available, no connection open at the end, honest client well";
        let honest = Honest::start(house.door.clone(), key.clone());
        let args: Vec<&str> = args.iter().chain(&common).copied().chain(["-u", target]).collect();
        let found = output("slowhttptest", &args, folder.path()).await;
        let fared = honest.fared().await;
        let Some((_, text)) = found? else {
            rows.push(Row::skipped(&attack, criterion, "slowhttptest is not installed"));
            continue;
        };
        // The output colours its figures; the exit status at its end says whether connections outlived the test.
        let plain: String = strip_colours(&text);
        let n_down =
            plain.lines().filter(|line| line.contains("service available") && line.contains("NO")).count();
        let exit = plain
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix("Exit status:"))
            .unwrap_or_default()
            .trim();
        rows.push(Row::new(
            &attack,
            criterion,
            format!("service unavailable in {n_down} looks, {exit:?}; {}", fared.text()),
            n_down == 0 && exit == "No open connections left" && fared.is_well(),
        ));
    }
    Ok(rows)
}

/// Text without terminal escapes.
fn strip_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' {
            // `ESC [ ... letter`
            for next in rest.by_ref() {
                if next.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

/// HTTP/2 by its reference client: many requests on many streams.
///
/// # Errors
/// When the tool cannot be run.
pub async fn h2load(house: &House) -> Result<Vec<Row>> {
    const REQUESTS: &str = "2000";
    let folder = tempfile::tempdir()?;
    let url = format!("https://{}/api/v5/public/time", house.door.addr);
    let criterion = "every request of 2,000 on 16 connections and 32 streams is answered, with 2xx or 429";
    let mut rows = Vec::new();
    match output("h2load", &["-n", REQUESTS, "-c", "16", "-m", "32", &url], folder.path()).await? {
        None => rows.push(Row::skipped("h2load", criterion, "h2load is not installed")),
        Some((_, text)) => {
            let starting =
                |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
            let (requests, statuses) = (starting("requests:"), starting("status codes:"));
            // Beyond the limit of a source the answer is 429, which the tool counts as failed.
            let is_whole = requests.contains("2000 done")
                && requests.contains("0 errored, 0 timeout")
                && statuses.contains(" 0 3xx")
                && statuses.contains(" 0 5xx");
            rows.push(Row::new("h2load", criterion, format!("{requests}; {statuses}"), is_whole));
        }
    }
    let criterion = "negotiates h2 and gets an answer";
    match output("nghttp", &["-nv", &url], folder.path()).await? {
        None => rows.push(Row::skipped("nghttp", criterion, "nghttp is not installed")),
        Some((_, text)) => {
            let plain = strip_colours(&text);
            let is_h2 = plain.contains("The negotiated protocol: h2");
            let status =
                plain.lines().find_map(|line| line.split_once(":status: ").map(|(_, status)| status.trim()));
            let measured = format!("h2: {is_h2}, status {}", status.unwrap_or("none"));
            rows.push(Row::new("nghttp", criterion, measured, is_h2 && status == Some("200")));
        }
    }
    Ok(rows)
}

/// TLS as testssl.sh and sslyze see it. `sslyze` is the program of an environment of its own, if there is one.
///
/// # Errors
/// When a tool cannot be run or its report cannot be read.
pub async fn tls(house: &House, sslyze: Option<&Path>) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let target = house.door.addr.to_string();
    let mut rows = Vec::new();
    let criterion = "TLS 1.2 and 1.3 only, nothing HIGH or CRITICAL";
    let args = [
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "batch",
        "-p",
        "-S",
        "-U",
        "--jsonfile",
        "report.json",
        &target,
    ];
    match output("testssl", &args, folder.path()).await? {
        None => rows.push(Row::skipped("testssl.sh", criterion, "testssl is not installed")),
        Some(_) => rows.push(testssl(&folder.path().join("report.json"), criterion)?),
    }
    rows.push(complies(house, house.authority(), sslyze, "intermediate", folder.path()).await?);
    let group = house.door.key_exchange().await?;
    rows.push(Row::new(
        "post-quantum key exchange",
        "X25519MLKEM768 is agreed with a client that offers it",
        group.clone(),
        group == "X25519MLKEM768",
    ));
    Ok(rows)
}

/// TLS 1.3 alone, as sslyze sees it.
///
/// # Errors
/// When the tool gives no verdict.
pub async fn modern(house: &House, authority: Option<&str>, sslyze: Option<&Path>) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    complies(house, authority, sslyze, "modern", folder.path()).await
}

async fn complies(
    house: &House,
    authority: Option<&str>,
    sslyze: Option<&Path>,
    profile: &str,
    folder: &Path,
) -> Result<Row> {
    let criterion = format!("complies with Mozilla's {profile} configuration");
    let Some(program) = sslyze else {
        return Ok(Row::skipped("sslyze", &criterion, "sslyze is not installed"));
    };
    let (program, target) = (program.to_string_lossy(), house.door.addr.to_string());
    let authority = authority.unwrap_or_default();
    let args = ["--mozilla_config", profile, "--certinfo_ca_file", authority, &target];
    let (_, text) = output(&program, &args, folder).await?.context("sslyze is gone")?;
    let verdict = text.split("COMPLIANCE AGAINST").nth(1).context("sslyze gave no verdict")?;
    let faults: Vec<&str> = verdict.lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
    let is_checked = verdict.contains("ompliant");
    let measured = if faults.is_empty() { "compliant".to_owned() } else { faults.join("; ") };
    Ok(Row::new("sslyze", &criterion, measured, is_checked && faults.is_empty()))
}

fn testssl(report: &Path, criterion: &str) -> Result<Row> {
    let text = std::fs::read_to_string(report).context("testssl wrote no report")?;
    let findings: Vec<Value> = serde_json::from_str(&text).context("testssl's report")?;
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let mut faults = Vec::new();
    for finding in &findings {
        let (id, severity, said) = (text(finding, "id"), text(finding, "severity"), text(finding, "finding"));
        // The certificate is the demo's own: nobody trusts its authority, and it names no revocation.
        let is_demo = matches!(id.as_str(), "cert_chain_of_trust" | "cert_revocation" | "cert_trust");
        if matches!(severity.as_str(), "HIGH" | "CRITICAL") && !is_demo {
            faults.push(format!("{id}: {said}"));
        }
        if matches!(id.as_str(), "SSLv2" | "SSLv3" | "TLS1" | "TLS1_1") && !said.contains("not offered") {
            faults.push(format!("{id}: {said}"));
        }
    }
    let is_scanned = findings.iter().any(|finding| text(finding, "id") == "TLS1_3");
    let measured = format!(
        "{} findings; {}",
        findings.len(),
        if faults.is_empty() { "none to mind".to_owned() } else { faults.join("; ") }
    );
    Ok(Row::new("testssl.sh", criterion, measured, faults.is_empty() && is_scanned))
}

/// The sslyze in an environment below `folder`, made by the set-up.
#[must_use]
pub fn sslyze_in(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("bin/sslyze");
    program.exists().then_some(program)
}
