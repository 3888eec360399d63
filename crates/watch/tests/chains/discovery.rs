//! From recorded transactions to a model, a suspicion, and a challenge.

use std::fmt::Write as _;

use domain::{Network, UnixNanos, Verdict};
use tempfile::TempDir;
use watch::{
    Config, Format, ListName, SourceFile, Watch,
    discovery::Detector,
    evaluate::discovery::{ACCOUNT_COLUMNS, Collected, Origin, WINDOW_COLUMNS, collect, judge},
    replay::{self, ListedParties, Monitor, Options, Parties, Report, Stream, TRANSACTION_COLUMNS},
    table::Table,
};

use crate::support::{stream, table};

/// A small world: accounts that collect round amounts from many within minutes and are emptied, and accounts that are paid by one
/// payer now and then and keep what they get. Written out with addresses as text.
struct World {
    transactions: String,
    windows: String,
    accounts: String,
}

const QUARTERS: u64 = 3;
const ACCOUNTS_PER_QUARTER: u64 = 24;
const QUARTER: u64 = 90 * 24 * 3_600;

fn address(number: u64) -> String {
    // Spread over all digits, so that no two look alike.
    let spread = |salt: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt).rotate_left(17);
    format!("0x{:016x}{:016x}{:08x}", spread(1), spread(0x55aa_1234), number)
}

impl World {
    fn new() -> Self {
        let mut rows: Vec<(u64, String)> = Vec::new();
        let mut windows = "account,start,quarter,illicit,split\n".to_owned();
        let mut accounts = "address,illicit\n".to_owned();
        for quarter in 0..QUARTERS {
            for account in 0..ACCOUNTS_PER_QUARTER {
                let number = quarter * 1_000 + account;
                let (own, illicit) = (address(number), account % 2 == 0);
                let begin = 1_500_000_000 + quarter * QUARTER + account * 50_000;
                for step in 0..4 {
                    let (gap, payer) = if illicit { (300, step) } else { (400_000 + account * 1_000, 0) };
                    let value =
                        if illicit { 1_000_000_000_000_000_000 } else { 1_234_567_890_123_456_789 + account };
                    let payer = address(1_000_000 + number * 10 + payer);
                    rows.push((begin + step * gap, format!("{payer},{own},{value},21000,0,0x,0")));
                }
                if illicit {
                    let sink = address(9_000_000 + number);
                    rows.push((begin + 2_000, format!("{own},{sink},3999000000000000000,21000,0,0x,0")));
                }
                let split = if quarter + 1 == QUARTERS { "validate" } else { "train" };
                writeln!(windows, "{own},0,{quarter},{},{split}", u8::from(illicit)).unwrap();
                writeln!(accounts, "{own},{}", u8::from(illicit)).unwrap();
            }
        }
        rows.sort();
        let mut transactions =
            "block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len\n".to_owned();
        for (block, (at, row)) in rows.iter().enumerate() {
            writeln!(transactions, "{block},{at},0,{row}").unwrap();
        }
        Self { transactions, windows, accounts }
    }

    fn stream(&self) -> Stream<&[u8]> {
        let table = Table::open("transactions", self.transactions.as_bytes(), TRANSACTION_COLUMNS).unwrap();
        Stream::new(Parties::default(), table, None)
    }

    fn collected(&self) -> Collected {
        let windows = Table::open("windows", self.windows.as_bytes(), WINDOW_COLUMNS).unwrap();
        let accounts = Table::open("accounts", self.accounts.as_bytes(), ACCOUNT_COLUMNS).unwrap();
        // The addresses of the windows come up before those of the stream.
        collect(self.stream(), windows, Some(accounts), 5).unwrap()
    }
}

fn origin() -> Origin {
    Origin { created_by: "test".to_owned(), created_at: UnixNanos::from_secs(1_800_000_000) }
}

#[test]
fn a_suspicion_becomes_a_challenge() {
    let world = World::new();
    let collected = world.collected();
    assert!(collected.samples.iter().all(|sample| !sample.rows.is_empty()));
    let judged = judge(&collected, None, &origin(), false).unwrap();
    let figure = |section: &str, name: &str| judged.to_json()[section][name].as_f64().unwrap();
    assert!(figure("ranking", "auc") > 0.99, "{:#}", judged.to_json());
    assert!(figure("ranking_serving", "auc") > 0.99);
    let (bytes, card) = judged.model().unwrap();
    assert!(card["limits"].as_str().unwrap().contains("epoch"), "{card:#}");

    // The same model again gives the same figures.
    let again = Detector::decode(&bytes).unwrap();
    let given = judge(&collected, Some(again.into_file()), &origin(), false).unwrap();
    for name in ["at_threshold", "value_saved", "ranking_serving"] {
        assert_eq!(given.to_json()[name], judged.to_json()[name], "{name}");
    }

    let mut stream = world.stream();
    let mut monitor = Monitor::new(Options {
        labels: ListedParties::none(),
        network: Network::Ethereum,
        cross_customer: None,
        detector: Some(Detector::decode(&bytes).unwrap()),
    });
    let mut report = Report::default();
    replay::run(&mut stream, &mut monitor, &mut report).unwrap();
    let list = monitor.suspected_csv(&stream.parties);
    let suspect = address((QUARTERS - 1) * 1_000);
    assert!(list.contains(&suspect), "{list}");

    let dir = TempDir::new().unwrap();
    let watch = Watch::open(Config { dir: dir.path().join("labels") }).unwrap();
    let format: Format =
        "csv:address=address,network=network,category=category,label=label,source=source,confidence=confidence"
            .parse()
            .unwrap();
    let files = [SourceFile { name: "suspected.csv".to_owned(), bytes: list.into_bytes() }];
    watch.import(&ListName::parse("suspected").unwrap(), &format, &files, UnixNanos(1)).unwrap();
    let screening = watch.screen(&suspect, Some(Network::Ethereum));
    assert_eq!(screening.verdict, Verdict::Challenge);
    assert!(screening.labels[0].text.starts_with("probability"), "{:?}", screening.labels[0].text);
}

#[test]
fn a_model_of_other_features_is_refused() {
    let error = Detector::decode(b"no model").unwrap_err();
    assert_eq!(error.to_string(), "not a model that can be used");
}

#[test]
#[ignore = "nightly: 1.4 million rows, three models"]
fn the_recorded_windows() {
    let (Some(stream), Some(windows), Some(accounts)) = (
        stream(),
        table("replay/windows.csv.zst", WINDOW_COLUMNS),
        table("replay/accounts.csv.zst", ACCOUNT_COLUMNS),
    ) else {
        return;
    };
    let collected = collect(stream, windows, Some(accounts), 5).unwrap();
    let judged = judge(&collected, None, &origin(), false).unwrap();
    let figures = judged.to_json();
    let figure = |name: &str| figures["ranking"][name].as_f64().unwrap();
    assert!(figure("best_f1") >= 0.925, "{figures:#}");
    assert!(figure("auc") >= 0.988, "{figures:#}");
    assert!(figure("recall_at_fpr_0.01") >= 0.76, "{figures:#}");
}
