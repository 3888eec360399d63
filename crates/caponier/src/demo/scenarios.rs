//! The story of the demo: honest users, then attackers one by one, then the proofs.
//!
//! Every check looks from the outside: at the answer a client got, at the exchange's books, at the files left
//! behind. None asks the code under test whether it did well.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use domain::{Clock as _, DeviceId, Network};
use exchange::{
    ledger::{Person, Side},
    population::{Act, Population},
    random::SplitMix64,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Check, Credential, DecisionLine, Installation, Report,
    client::{Answer, Client},
    stay::{self, Watched},
};
use crate::{
    clock::SystemClock,
    control::{Request, Response},
    verify,
};

/// Honest customers.
const CITIZENS: usize = 4;

/// What they do together.
const STEPS: usize = 48;

/// Requests of the flood, over this many connections. Bounded: a demo must not be a load test.
const FLOOD_REQUESTS: usize = 600;
const FLOOD_CONNECTIONS: usize = 4;

/// Addresses on the list of the demo, and the name they are drawn by.
const LISTED: usize = 50;
const SANCTIONED: &str = "sanctioned";

const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 66, 6, 6));
const VICTIM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 20));

/// Collects checks as they are made.
struct Stage<'t> {
    checks: Vec<Check>,
    tell: &'t mut dyn FnMut(&str),
    clock: SystemClock,
    began: domain::UnixNanos,
    first_block: Option<Duration>,
}

/// How a check reads.
pub(super) fn check_line(check: &Check) -> String {
    format!("{}  {:<28} {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)
}

impl Stage<'_> {
    /// Records what came of a scene; a scene that broke is a failed check.
    fn check(&mut self, name: &'static str, outcome: anyhow::Result<String>) {
        let (ok, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, format!("{error:#}")),
        };
        let check = Check { name, ok, detail };
        (self.tell)(&check_line(&check));
        self.checks.push(check);
    }

    fn blocked(&mut self) {
        let at = self.clock.now().since(self.began);
        self.first_block.get_or_insert(at);
    }
}

/// Plays everything in `dir`. Where somebody watches, the installation stays, under attack, for as long as they do.
pub(super) async fn play(
    dir: &Path,
    seed: u64,
    tell: &mut dyn FnMut(&str),
    watched: Option<&mut Watched>,
) -> anyhow::Result<Report> {
    let clock = SystemClock;
    let mut stage = Stage { checks: Vec::new(), tell, clock, began: clock.now(), first_block: None };
    (stage.tell)("starting exchange, gateway, decision path, journal, log and backup on loopback ...");
    let installation = Installation::start(dir, seed, Arc::new(clock)).await?;
    (stage.tell)(&format!("gateway    {}\n", installation.gateway_url()));

    stage.check("honest_users_trade", honest(&installation, seed).await);

    installation
        .open_account("victim", &[("USDT", Network::Tron, "50000"), ("BTC", Network::Bitcoin, "2")])
        .await?;
    let victim = installation.create_key("victim", &["read", "trade", "withdraw"], &["127.0.0.0/24"]).await?;

    let altered = altered_request(&installation, &victim, 1).await;
    if altered.is_ok() {
        stage.blocked();
    }
    stage.check("altered_request_refused", altered);
    stage.check("replayed_order_refused", replayed_order(&installation, &victim, 1).await);
    stage.check("parallel_replays_pass_once", parallel_replays(&installation, &victim).await);
    stage.check("stolen_key_elsewhere_refused", stolen_key(&installation, &victim, 1).await);
    stage.check("read_only_key_cannot_withdraw", read_only(&installation, seed).await);
    stage.check("flood_is_limited", flood(&installation, &victim).await);
    stage.check("listed_address_is_denied", listed_address(&installation, &victim, seed).await);
    stage.check("account_takeover_is_held", takeover(&installation, seed, "taken-over").await);
    stage.check("revoked_key_stops_at_once", revoked_key(&installation).await);
    stage.check("erased_person_is_unreadable", erased_person(&installation, seed).await);
    stage.check("backup_drill_passes", drill(&installation).await);
    stage.check("books_balance", books(&installation));

    let decisions = decisions(&installation)?;
    let elapsed = clock.now().since(stage.began);
    if let Some(watched) = watched {
        let doors = stay::doors(&installation).await?;
        stay::summary(&installation, &decisions, &doors, &mut *stage.tell);
        watched.stay(&installation, &victim, seed, &mut *stage.tell).await;
    }
    let canaries = [victim.secret.clone(), "erased-canary-account".to_owned(), "victim".to_owned()];
    let core = Arc::clone(installation.running().core());
    installation.stop().await?;
    let entries = core.ground.journal().size();
    drop(core);
    stage.check("log_verifies", log_verifies(dir));
    stage.check("no_plaintext_on_disk", no_plaintext(dir, &canaries));

    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Ok(Report {
        ok: stage.checks.iter().all(|check| check.ok),
        first_block_ms: stage.first_block.map_or(u64::MAX, millis),
        checks: stage.checks,
        decisions,
        seed,
        elapsed_ms: millis(elapsed),
        entries,
        dir: None,
    })
}

fn order(client_id: &str) -> String {
    json!({
        "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit",
        "px": "10000", "sz": "0.01", "clOrdId": client_id,
    })
    .to_string()
}

fn withdrawal(asset: &str, chain: &str, address: &str, amount: &str, client_id: &str) -> String {
    json!({
        "ccy": asset, "amt": amount, "dest": "4", "toAddr": address, "chain": chain, "fee": "1",
        "clientId": client_id,
    })
    .to_string()
}

async fn place(client: &mut Client, client_id: &str) -> anyhow::Result<Answer> {
    client.call(Method::POST, "/api/v5/trade/order", &order(client_id)).await
}

fn expect(answer: &Answer, code: &str) -> anyhow::Result<()> {
    ensure!(answer.code() == code, "expected code {code}, got {} {}", answer.status, answer.json);
    Ok(())
}

/// Everybody does what people do; nothing may be refused.
async fn honest(installation: &Installation, seed: u64) -> anyhow::Result<String> {
    let population = Population::draw(seed, CITIZENS, STEPS, Duration::from_secs(3600));
    let desk = installation.desk();
    let mut clients = Vec::new();
    for (number, citizen) in population.citizens.iter().enumerate() {
        let person = Person {
            account: citizen.account.clone(),
            device: citizen.devices.first().cloned(),
            ip: citizen.ip,
        };
        desk.open_account(&citizen.account)?;
        for device in &citizen.devices {
            desk.add_device(&Person { device: Some(device.clone()), ..person.clone() })?;
        }
        desk.login(&person, true, true)?;
        for payee in &citizen.payees {
            desk.add_address(&person, payee.network, &payee.address)?;
        }
        for (asset, network, amount) in &citizen.opening {
            desk.deposit(&citizen.account, asset, *amount, *network, None)?;
        }
        let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1)?));
        let key = installation
            .create_key(citizen.account.as_str(), &["read", "trade", "withdraw"], &[&ip.to_string()])
            .await?;
        clients.push((person, installation.client(ip, Some(&key))));
    }
    installation.settle().await?;

    let (mut requests, mut withdrawals) = (0, 0);
    for step in &population.steps {
        let Some((person, client)) = clients.get_mut(step.citizen) else { bail!("no such citizen") };
        let answer = match &step.act {
            Act::Login { device } => {
                desk.login(&Person { device: Some(device.clone()), ..person.clone() }, true, true)?;
                continue;
            }
            Act::Deposit { asset, network, amount, from } => {
                desk.deposit(&person.account, asset, *amount, *network, Some(from))?;
                continue;
            }
            Act::ReadBalance => client.call(Method::GET, "/api/v5/account/balance", "").await?,
            Act::ReadOpenOrders => {
                client.call(Method::GET, "/api/v5/trade/orders-pending?instType=SPOT", "").await?
            }
            Act::PlaceOrder { instrument, side, price, quantity, client_id } => {
                let body = json!({
                    "instId": instrument, "tdMode": "cash",
                    "side": if *side == Side::Buy { "buy" } else { "sell" }, "ordType": "limit",
                    "px": price.to_string(), "sz": quantity.to_string(), "clOrdId": client_id,
                });
                client.call(Method::POST, "/api/v5/trade/order", &body.to_string()).await?
            }
            Act::CancelOrder { instrument, client_id } => {
                let body = json!({"instId": instrument, "clOrdId": client_id}).to_string();
                let answer = client.call(Method::POST, "/api/v5/trade/cancel-order", &body).await?;
                // It may have traded meanwhile; then there is nothing left to cancel.
                requests += 1;
                ensure!(answer.status == StatusCode::OK, "cancel answered {} {}", answer.status, answer.json);
                continue;
            }
            Act::Withdraw { payee, amount, client_id } => {
                installation.settle().await?;
                withdrawals += 1;
                let body = withdrawal(
                    payee.asset.as_str(),
                    okx_chain(payee.asset.as_str(), payee.network),
                    &payee.address,
                    &amount.to_string(),
                    client_id,
                );
                client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?
            }
        };
        requests += 1;
        expect(&answer, "0").with_context(|| format!("{:?}", step.act))?;
    }
    // One withdrawal at least, whatever the seed drew.
    if withdrawals == 0 {
        let Some(((_, client), citizen)) = clients.iter_mut().zip(&population.citizens).next() else {
            bail!("nobody lives here")
        };
        let payee = citizen.payees.first().context("a citizen has a payee")?;
        installation.settle().await?;
        let chain = okx_chain(payee.asset.as_str(), payee.network);
        let body = withdrawal(payee.asset.as_str(), chain, &payee.address, "12", "honestfirst");
        let answer = client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?;
        expect(&answer, "0").context("an everyday withdrawal")?;
        (requests, withdrawals) = (requests + 1, 1);
    }
    Ok(format!(
        "{CITIZENS} users, {requests} signed requests over TLS, {withdrawals} withdrawals, none refused"
    ))
}

fn okx_chain(asset: &str, network: Network) -> &'static str {
    match (asset, network) {
        ("BTC", _) => "BTC-Bitcoin",
        ("ETH", _) => "ETH-ERC20",
        ("TRX", _) => "TRX-TRC20",
        ("USDC", _) => "USDC-ERC20",
        ("USDT", Network::Ethereum) => "USDT-ERC20",
        _ => "USDT-TRC20",
    }
}

/// A body changed on the way, as in a request signed by the victim whose destination is swapped.
pub(super) async fn altered_request(
    installation: &Installation,
    victim: &Credential,
    round: usize,
) -> anyhow::Result<String> {
    let mut client = installation.client(VICTIM, Some(victim));
    let signed = client.sign(Method::POST, "/api/v5/trade/order", &order(&format!("altered{round}a")));
    let answer = client.send(&signed.clone().with_body(&order(&format!("altered{round}b")))).await?;
    expect(&answer, "50113")?;
    expect(&client.send(&signed).await?, "0").context("the unaltered request")?;
    Ok("changed body: 50113; the request as signed passes".to_owned())
}

pub(super) async fn replayed_order(
    installation: &Installation,
    victim: &Credential,
    round: usize,
) -> anyhow::Result<String> {
    let mut client = installation.client(VICTIM, Some(victim));
    let signed = client.sign(Method::POST, "/api/v5/trade/order", &order(&format!("replay{round}")));
    expect(&client.send(&signed).await?, "0").context("the order itself")?;
    let again = client.send(&signed).await?;
    expect(&again, "50042")?;
    Ok("the same signed order again: 50042 Repeated request".to_owned())
}

async fn parallel_replays(installation: &Installation, victim: &Credential) -> anyhow::Result<String> {
    let client = installation.client(VICTIM, Some(victim));
    let signed = client.sign(Method::POST, "/api/v5/trade/order", &order("parallel1"));
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut thief = installation.client(VICTIM, Some(victim));
        let signed = signed.clone();
        sends.spawn(async move { thief.send(&signed).await });
    }
    let mut codes = Vec::new();
    while let Some(sent) = sends.join_next().await {
        codes.push(sent??.code().to_owned());
    }
    let passed = codes.iter().filter(|code| *code == "0").count();
    let repeated = codes.iter().filter(|code| *code == "50042").count();
    ensure!(passed == 1 && repeated == 19, "20 parallel sends: {codes:?}");
    Ok("20 parallel copies of one order: 1 accepted, 19 refused".to_owned())
}

pub(super) async fn stolen_key(
    installation: &Installation,
    victim: &Credential,
    round: usize,
) -> anyhow::Result<String> {
    let mut thief = installation.client(ATTACKER, Some(victim));
    let answer = place(&mut thief, &format!("stolen{round}")).await?;
    expect(&answer, "50110")?;
    Ok(format!("all credentials, other network: 50110 for {ATTACKER}"))
}

async fn read_only(installation: &Installation, seed: u64) -> anyhow::Result<String> {
    let reader = installation.create_key("victim", &["read"], &["127.0.0.0/24"]).await?;
    let mut client = installation.client(VICTIM, Some(&reader));
    expect(&client.call(Method::GET, "/api/v5/account/balance", "").await?, "0")?;
    expect(&place(&mut client, "readonly1").await?, "50120").context("order")?;
    let address = exchange::address::draw(Network::Tron, &mut SplitMix64::named(seed, "read only"));
    let body = withdrawal("USDT", "USDT-TRC20", &address, "10", "readonly2");
    expect(&client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?, "50120")?;
    Ok("reads pass, orders and withdrawals: 50120".to_owned())
}

/// One source sends as fast as it can; everybody else must not notice.
pub(super) async fn flood(installation: &Installation, victim: &Credential) -> anyhow::Result<String> {
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..FLOOD_CONNECTIONS {
        let mut attacker = installation.client(ATTACKER, None);
        flood.spawn(async move {
            let (mut passed, mut limited) = (0_u32, 0_u32);
            for _ in 0..FLOOD_REQUESTS / FLOOD_CONNECTIONS {
                let answer = attacker.call(Method::GET, "/api/v5/public/time", "").await?;
                match answer.status {
                    StatusCode::TOO_MANY_REQUESTS => {
                        ensure!(answer.code() == "50011", "limited with code {}", answer.code());
                        ensure!(answer.headers.contains_key("retry-after"), "limited without Retry-After");
                        limited += 1;
                    }
                    _ => passed += 1,
                }
            }
            Ok::<_, anyhow::Error>((passed, limited))
        });
    }
    let mut honest = installation.client(VICTIM, Some(victim));
    for _ in 0..10 {
        expect(&honest.call(Method::GET, "/api/v5/account/balance", "").await?, "0")
            .context("an honest user during the flood")?;
    }
    let (mut passed, mut limited) = (0, 0);
    while let Some(counts) = flood.join_next().await {
        let (more_passed, more_limited) = counts??;
        passed += more_passed;
        limited += more_limited;
    }
    ensure!(limited > 0, "{passed} requests of one source passed, none was limited");
    Ok(format!("{passed} requests of one source passed, {limited} got 429; others were served meanwhile"))
}

/// A list is imported the way an operator does, and a withdrawal goes to an address on it.
async fn listed_address(
    installation: &Installation,
    victim: &Credential,
    seed: u64,
) -> anyhow::Result<String> {
    let mut random = SplitMix64::named(seed, SANCTIONED);
    let listed: Vec<String> =
        (0..LISTED).map(|_| exchange::address::draw(Network::Tron, &mut random)).collect();
    let dir = installation.path("lists");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("sanctioned_addresses_USDT.txt"), listed.join("\n") + "\n")?;
    let core = installation.running().core();
    core.handle(
        Request::ListsImport {
            format: "ofac".to_owned(),
            name: Some("demo-sanctions".to_owned()),
            path: dir.display().to_string(),
        },
        &mut |_, _, _| (),
    )
    .await?;

    let before = books_of(installation, "victim", "USDT")?;
    let target = listed.get(17).context("fifty were drawn")?;
    let answer = to_listed(installation, victim, target, 1).await?;
    ensure!(books_of(installation, "victim", "USDT")? == before, "funds moved all the same");
    let reasons = explain(installation, &answer).await?;
    ensure!(reasons.contains("watch.sanctioned_address"), "explained by {reasons}");

    // An address nobody listed passes, so it is the list that decides.
    let clean = exchange::address::draw(Network::Tron, &mut random);
    let mut client = installation.client(VICTIM, Some(victim));
    let body = withdrawal("USDT", "USDT-TRC20", &clean, "100", "unlisted1");
    expect(&client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?, "0")
        .context("unlisted address")?;
    Ok(format!("58217, decision {}; an unlisted address passes", answer.decision_id().unwrap_or_default()))
}

/// A withdrawal to a listed address, which is denied.
async fn to_listed(
    installation: &Installation,
    victim: &Credential,
    target: &str,
    round: usize,
) -> anyhow::Result<Answer> {
    let mut client = installation.client(VICTIM, Some(victim));
    let body = withdrawal("USDT", "USDT-TRC20", target, "100", &format!("listed{round}"));
    let answer = client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?;
    expect(&answer, "58217")?;
    Ok(answer)
}

/// A withdrawal to one of the addresses that were listed, another in each round.
pub(super) async fn listed_again(
    installation: &Installation,
    victim: &Credential,
    seed: u64,
    round: usize,
) -> anyhow::Result<String> {
    let mut random = SplitMix64::named(seed, SANCTIONED);
    let mut listed = (0..LISTED).map(|_| exchange::address::draw(Network::Tron, &mut random));
    let target = listed.nth(round % LISTED).context("as many were drawn")?;
    let answer = to_listed(installation, victim, &target, round).await?;
    Ok(format!("58217, decision {}", answer.decision_id().unwrap_or_default()))
}

/// What everybody else does meanwhile: looks at a balance, places an order, takes it back.
pub(super) async fn everyday(
    installation: &Installation,
    victim: &Credential,
    round: usize,
) -> anyhow::Result<()> {
    let mut client = installation.client(VICTIM, Some(victim));
    expect(&client.call(Method::GET, "/api/v5/account/balance", "").await?, "0")?;
    let id = format!("everyday{round}");
    expect(&place(&mut client, &id).await?, "0")?;
    let body = json!({"instId": "BTC-USDT", "clOrdId": id}).to_string();
    // It may have traded meanwhile.
    let answer = client.call(Method::POST, "/api/v5/trade/cancel-order", &body).await?;
    ensure!(answer.status == StatusCode::OK, "cancel answered {} {}", answer.status, answer.json);
    Ok(())
}

/// The pattern of a takeover: password gone, new device, new address, most of the balance.
pub(super) async fn takeover(
    installation: &Installation,
    seed: u64,
    account: &str,
) -> anyhow::Result<String> {
    let desk = installation.desk();
    let owner = installation.open_account(account, &[("USDT", Network::Tron, "20000")]).await?;
    let key = installation.create_key(account, &["read", "trade", "withdraw"], &["127.0.0.0/8"]).await?;
    let thief = Person { device: Some(DeviceId::parse("thief-phone")?), ip: ATTACKER, ..owner };
    desk.add_device(&thief)?;
    desk.login(&thief, true, false)?;
    let address = exchange::address::draw(Network::Tron, &mut SplitMix64::named(seed, account));
    desk.add_address(&thief, Network::Tron, &address)?;
    installation.settle().await?;

    let before = books_of(installation, account, "USDT")?;
    let mut client = installation.client(ATTACKER, Some(&key));
    let body = withdrawal("USDT", "USDT-TRC20", &address, "19000", "takeover1");
    let answer = client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?;
    expect(&answer, "58204")?;
    ensure!(books_of(installation, account, "USDT")? == before, "funds moved all the same");
    let reasons = explain(installation, &answer).await?;
    ensure!(reasons.contains("fraud.account_takeover_pattern"), "explained by {reasons}");
    Ok(format!("58204 held, decision {}: {reasons}", answer.decision_id().unwrap_or_default()))
}

async fn revoked_key(installation: &Installation) -> anyhow::Result<String> {
    let key = installation.create_key("victim", &["read"], &["127.0.0.0/24"]).await?;
    let mut client = installation.client(VICTIM, Some(&key));
    expect(&client.call(Method::GET, "/api/v5/account/balance", "").await?, "0")?;
    let revoke = Request::KeysRevoke { key: key.key.clone(), by: None };
    installation.running().core().handle(revoke, &mut |_, _, _| ()).await?;
    expect(&client.call(Method::GET, "/api/v5/account/balance", "").await?, "50119")?;
    Ok("next request on the open connection: 50119".to_owned())
}

async fn erased_person(installation: &Installation, seed: u64) -> anyhow::Result<String> {
    let name = "erased-canary-account";
    installation.open_account(name, &[("USDT", Network::Tron, "900")]).await?;
    let key = installation.create_key(name, &["read", "withdraw"], &["127.0.0.0/24"]).await?;
    let address = exchange::address::draw(Network::Tron, &mut SplitMix64::named(seed, "erased"));
    let mut client = installation.client(VICTIM, Some(&key));
    let body = withdrawal("USDT", "USDT-TRC20", &address, "5", "erased1");
    let answer = client.call(Method::POST, "/api/v5/asset/withdrawal", &body).await?;
    expect(&answer, "0")?;
    let id = answer.decision_id().context("an allowed withdrawal names its decision")?.to_owned();
    let core = installation.running().core();
    core.handle(Request::Explain { id: id.clone() }, &mut |_, _, _| ())
        .await
        .context("before the erasure")?;
    // Its withdrawal is still under way; what is reported about it later must not keep the exchange waiting.
    installation.settle().await?;
    core.handle(Request::SubjectsErase { account: name.to_owned() }, &mut |_, _, _| ()).await?;
    let after = core.handle(Request::Explain { id }, &mut |_, _, _| ()).await;
    ensure!(after.is_err(), "the decision can still be read");
    expect(&client.call(Method::GET, "/api/v5/account/balance", "").await?, "50119").context("its key")?;
    // The exchange goes on reporting; what it says about the erased person is acknowledged and dropped.
    installation.desk().advance()?;
    let asset = domain::Asset::parse("USDT")?;
    installation.desk().deposit(
        &domain::AccountId::parse(name)?,
        &asset,
        domain::Amount::parse("1")?,
        Network::Tron,
        None,
    )?;
    installation.settle().await?;
    Ok("its decisions cannot be read any more, its key is refused".to_owned())
}

async fn drill(installation: &Installation) -> anyhow::Result<String> {
    installation.settle().await?;
    let core = installation.running().core();
    let Response::Drilled(drill) = core.handle(Request::BackupDrill, &mut |_, _, _| ()).await? else {
        bail!("the drill answered something else");
    };
    ensure!(drill.ok, "{}", drill.detail);
    Ok(format!("{} entries restored and rebuilt in {} ms, {}", drill.entries, drill.took_ms, drill.detail))
}

/// Every decision in the journal whose subject was not erased.
fn decisions(installation: &Installation) -> anyhow::Result<Vec<DecisionLine>> {
    let core = installation.running().core();
    let mut lines = Vec::new();
    for position in 0..core.ground.journal().size() {
        let Some(decision) = core.ground.decision(position)? else { continue };
        let (code, message) = match decision.leading() {
            Some(finding) => (finding.code.to_string(), finding.message.clone()),
            None => (String::new(), "nothing speaks against it".to_owned()),
        };
        lines.push(DecisionLine {
            id: core.decider.ids().id(position).to_string(),
            account: decision.request.account.to_string(),
            asked: format!("{} {}", decision.request.amount, decision.request.asset),
            verdict: decision.verdict.as_str(),
            code,
            message,
        });
    }
    Ok(lines)
}

/// Double entry: whatever happened, nothing was created or lost.
fn books(installation: &Installation) -> anyhow::Result<String> {
    let imbalances = installation.desk().inspect(|ledger| ledger.balances().imbalances());
    ensure!(imbalances.is_empty(), "{imbalances:?}");
    Ok("the exchange's postings add up to nothing for every asset".to_owned())
}

fn log_verifies(dir: &Path) -> anyhow::Result<String> {
    let verified = verify::verify(&dir.join("data"), None, &dir.join("data.kek"), &mut |_, _, _| ())?;
    ensure!(verified.ok, "{:?}", verified.faults);
    ensure!(verified.checkpoint_entries == Some(verified.entries), "entries beyond the checkpoint");
    Ok(format!("{} entries under a signed checkpoint, every payload opened, no fault", verified.entries))
}

/// Looks for planted texts in every file of data directory and backup.
fn no_plaintext(dir: &Path, canaries: &[String]) -> anyhow::Result<String> {
    let mut files = 0;
    for part in ["data", "backup"] {
        let mut open = vec![dir.join(part)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                for entry in std::fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
                continue;
            }
            files += 1;
            let content = std::fs::read(&path)?;
            for canary in canaries {
                let found = content.windows(canary.len()).any(|window| window == canary.as_bytes());
                ensure!(!found, "{canary:?} stands in {}", path.display());
            }
        }
    }
    Ok(format!("{} planted texts found in none of {files} files", canaries.len()))
}

fn books_of(installation: &Installation, account: &str, asset: &str) -> anyhow::Result<String> {
    let balance =
        installation.desk().balance(&domain::AccountId::parse(account)?, &domain::Asset::parse(asset)?);
    Ok(format!("{balance:?}"))
}

/// The codes that explain a refusal, by the id the client was shown.
async fn explain(installation: &Installation, answer: &Answer) -> anyhow::Result<String> {
    let id = answer.decision_id().context("the answer names no decision")?.to_owned();
    let explained = installation.running().core().handle(Request::Explain { id }, &mut |_, _, _| ()).await?;
    let Response::Explained(value) = explained else { bail!("explain answered something else") };
    let reasons = value.get("reasons").and_then(Value::as_array).context("reasons")?;
    let codes: Vec<&str> = reasons
        .iter()
        .filter(|reason| reason.get("verdict").and_then(Value::as_str) != Some("allow"))
        .filter_map(|reason| reason.get("code").and_then(Value::as_str))
        .collect();
    Ok(codes.join(", "))
}
