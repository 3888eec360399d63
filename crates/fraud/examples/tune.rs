#![allow(missing_docs, clippy::all, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]
use std::sync::Arc;
use fraud::{evaluate::{Figures, Table, protocol::{Day, Protocol}, run}, mapping::Mapping, preset, recording::Recording};
const MAP: &str = "version = 1\nname = \"h\"\n[time]\ncolumn = \"t\"\nunit = \"s\"\norigin = \"2018-04-01T00:00:00Z\"\n[id]\ncolumn = \"tx_id\"\n[label]\ncolumn = \"fraud\"\npositive = [\"1\"]\ndelay = \"7d\"\n[field.amount]\ntype = \"money\"\ncolumn = \"cents\"\nform = \"minor\"\n[field.counterparty]\ntype = \"entity\"\ncolumn = \"terminal\"\n[field.subject]\ntype = \"entity\"\ncolumn = \"customer\"\n";
fn main() {
    // tune PACK SET DAYS [PARAMS-TOML]
    let a: Vec<String> = std::env::args().collect();
    let mapping = Mapping::parse(MAP).unwrap();
    let t0 = std::time::Instant::now();
    let recording = Recording::read(std::fs::File::open("/tmp/proto/all.csv").unwrap(), &mapping, &mut |_| Ok(())).unwrap();
    let t1 = std::time::Instant::now();
    let (text, mut params) = match preset::preset(&a[1]) {
        Some(p) => (p.pack.to_owned(), p.params),
        None => (std::fs::read_to_string(&a[1]).unwrap(), preset::usual()),
    };
    if let Some(p) = a.get(4) { params = preset::params(p).unwrap(); }
    let pack = Arc::new(features::Pack::parse_for(&text, &["subject", "counterparty", "amount"]).unwrap());
    let base = Day::of(domain::UnixNanos::parse_rfc3339("2018-04-01T00:00:00Z").unwrap()).0;
    let days: u32 = a[3].parse().unwrap();
    let last = match a[2].as_str() { "V" => 101, "P" => 129, "B" => 136, _ => panic!() };
    let protocol = Protocol { train_start: Day(base + last + 7 - days), train_days: days, delay_days: 7, test_days: 7, folds: 4, capacity: 100 };
    let folds = protocol.folds().unwrap();
    let table = Table::compute(&recording, &pack, &folds).unwrap();
    let t2 = std::time::Instant::now();
    let mut figures: Vec<Figures> = vec![];
    let mut gains = vec![0.0; table.names().len()];
    for fold in &folds {
        let r = run(&recording, &table, fold, &params, 100).unwrap();
        println!("{} {} {} -> {} {}  AUC {:.4} AP {:.4} CP {:.4}", fold.train.start.0 - base, r.train_rows, r.train_frauds, r.test_rows, r.test_frauds, r.figures.auc_roc, r.figures.average_precision, r.figures.card_precision);
        for (g, v) in gains.iter_mut().zip(r.model.gain_importance()) { *g += v; }
        figures.push(r.figures);
    }
    let t3 = std::time::Instant::now();
    let (m, s) = Figures::summary(&figures).unwrap();
    println!("{} {} {}d: AUC {:.4} AP {:.4} CP {:.4} recall {:?} sd {:.3} {:.3} {:.3}  read {:?} feat {:?} train {:?}", a[1], a[2], days, m.auc_roc, m.average_precision, m.card_precision, m.recall.map(|r| (r * 1e4).round() / 1e4), s.auc_roc, s.average_precision, s.card_precision, t1 - t0, t2 - t1, t3 - t2);
    let all: f64 = gains.iter().sum();
    let mut g: Vec<_> = table.names().iter().zip(gains).map(|(n, g)| (n.to_owned(), (g / all * 1e3).round() / 10.0)).collect();
    g.sort_by(|x, y| y.1.total_cmp(&x.1));
    println!("   {:?}", g);
}
