//! What is answered about an address.

use chain::{exposure::Direction, label::Category};
use domain::UnixNanos;
use tempfile::TempDir;
use watch::{
    customers::Sightings as _,
    flows::{BlockFlows, Movement, Party, SeenOnChains},
    replay::{Parties, Stream, TOKEN_COLUMNS, TRANSACTION_COLUMNS},
    table::Table,
};

use crate::support::{address, block, flows, import, payment, text, watch};

#[test]
fn money_is_followed_to_labelled_holders_with_evidence() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "bad", &[(3, "theft"), (7, "exchange")]);
    let flows = flows(dir.path(), &lists);
    // A thief pays 30 over one holder, an exchange pays 70 directly.
    flows.take(&block(1, 1, vec![payment(3, 4, 30)]));
    flows.take(&block(2, 2, vec![payment(4, 5, 30), payment(7, 5, 70)]));
    for flushed in [false, true] {
        let seen = flows.seen(&address(5), 5, 1e-6).unwrap();
        let [exposure] = seen.exposures.as_slice() else { panic!("{seen:?}") };
        assert_eq!((exposure.direction, exposure.amount, exposure.asset), (Direction::Source, 100.0, None));
        let theft = exposure.shares.iter().find(|share| share.category == Category::Theft).unwrap();
        assert!(
            (theft.indirect - 0.3).abs() < 1e-12 && theft.direct == 0.0 && (theft.amount - 30.0).abs() < 1e-9
        );
        assert_eq!((theft.hops, theft.holder, theft.by_cluster), (2, Some(address(3)), None));
        let steps: Vec<_> = theft.path.iter().map(|step| (step.height, step.value, step.address)).collect();
        assert_eq!(steps, [(2, Some(30), Some(address(4))), (1, Some(30), Some(address(3)))], "{flushed}");
        assert_eq!(theft.path[0].transaction, Some(payment(4, 5, 30).transaction));
        let exchange = exposure.shares.iter().find(|share| share.category == Category::Exchange).unwrap();
        assert!((exchange.direct - 0.7).abs() < 1e-12);
        assert_eq!(seen.activity[0].counterparties, 2);
        flows.flush().unwrap();
    }
    // A label that is withdrawn counts no more, one that arrives does.
    import(&lists, "bad", &[(7, "mixer")]);
    let mut changed = flows.relabel();
    changed.sort_unstable();
    assert_eq!(
        changed,
        [
            (address(3), Some(Category::Theft), None),
            (address(7), Some(Category::Exchange), Some(Category::Mixer)),
        ]
    );
    let seen = flows.seen(&address(5), 5, 1e-6).unwrap();
    let categories: Vec<_> = seen.exposures[0].shares.iter().map(|share| share.category).collect();
    assert_eq!(categories, [Category::Mixer]);
    assert!((seen.exposures[0].unknown - 0.3).abs() < 1e-12);
    assert_eq!(flows.relabel(), []);
}

#[test]
fn a_label_counts_for_all_who_spend_together() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "bad", &[(3, "ransomware")]);
    let flows = flows(dir.path(), &lists);
    let joined = vec![vec![address(2), address(3)]];
    flows.take(&BlockFlows { joined, ..block(1, 1, vec![payment(2, 9, 5), payment(3, 9, 5)]) });
    flows.take(&block(2, 2, vec![payment(2, 6, 10)]));
    let seen = flows.seen(&address(6), 5, 1e-6).unwrap();
    let [share] = seen.exposures[0].shares.as_slice() else { panic!("{seen:?}") };
    assert_eq!(
        (share.category, share.holder, share.by_cluster),
        (Category::Ransomware, Some(address(2)), Some(address(3)))
    );
    let cluster = flows.seen(&address(2), 0, 1.0).unwrap().cluster.unwrap();
    assert_eq!(cluster.labelled, Some((address(3), Category::Ransomware)));
    // The transaction that joined them leaves the chain.
    flows.take_back(1);
    flows.take(&block(1, 3, vec![payment(2, 6, 10)]));
    let seen = flows.seen(&address(6), 5, 1e-6).unwrap();
    assert!(seen.exposures[0].shares.is_empty());
}

#[test]
fn what_is_burnt_does_not_pay_what_is_minted() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "bad", &[(3, "theft")]);
    let flows = flows(dir.path(), &lists);
    let token = |from, to| Movement { asset: Some(address(200)), call: None, from, to, ..payment(0, 1, 50) };
    let (burnt, minted) =
        (token(Party::Address(address(3)), Party::Nobody), token(Party::Nobody, Party::Address(address(5))));
    flows.take(&block(1, 1, vec![burnt]));
    flows.take(&block(2, 2, vec![minted]));
    let seen = flows.seen(&address(5), 5, 1e-6).unwrap();
    assert_eq!(seen.exposures[0].asset, Some(address(200)));
    assert!(seen.exposures[0].shares.is_empty() && (seen.exposures[0].unknown - 1.0).abs() < 1e-12);
}

#[test]
fn a_recording_is_history_and_what_follows_goes_on_from_it() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = flows(dir.path(), &lists);
    let header = "block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len,created\n";
    let (a, b, c, token) = (text(1), text(2), text(3), text(200));
    let rows = format!(
        "{header}5,1000,0,{a},{b},7,21000,0,0x,0,\n5,1000,1,{b},{c},9,21000,1,0x,0,\n8,1024,0,{b},{c},3,21000,0,0x,0,\n"
    );
    let tokens =
        format!("block,ts,txidx,token,from,to,value\n5,1000,0,{token},{a},{c},11\n8,1024,0,{b},{a},{c},11\n");
    let stream = |rows: &str, tokens: &str| {
        watch::flows::load::load(
            &flows,
            &mut Stream::new(
                Parties::default(),
                Table::open("txs", rows.as_bytes(), TRANSACTION_COLUMNS).unwrap(),
                Some(Table::open("tokens", tokens.as_bytes(), TOKEN_COLUMNS).unwrap()),
            ),
        )
    };
    let loaded = stream(&rows, &tokens).unwrap();
    assert_eq!(
        (loaded.blocks, loaded.transactions, loaded.token_transfers, loaded.other_tokens),
        (2, 3, 1, 1)
    );
    assert_eq!((loaded.first, loaded.last), (Some(5), Some(8)));
    let seen = flows.seen(&address(3), 5, 1e-6).unwrap();
    // The failed transaction moved nothing.
    assert_eq!(
        seen.activity.iter().map(|one| one.received.amount).collect::<Vec<_>>().iter().sum::<f64>(),
        14.0
    );
    assert_eq!(seen.first_seen, UnixNanos::from_secs(1_000));
    assert!(stream(&rows, &tokens).unwrap_err().to_string().contains("blocks up to 8 are known"));
    flows.take(&block(100, 1, vec![payment(3, 4, 5)]));
    let coverage = flows.status().coverage;
    assert_eq!(
        coverage.iter().map(|one| (one.first, one.last, one.complete)).collect::<Vec<_>>(),
        [(5, 8, false), (100, 100, true)]
    );
}

#[test]
fn sightings_say_only_what_is_certain() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = std::sync::Arc::new(flows(dir.path(), &lists));
    flows.take(&block(1_000, 1, vec![payment(1, 2, 50)]));
    let month = 30 * 24 * 3_600;
    let late = BlockFlows { time_s: 1_600_012_000 + month, ..block(1_001, 2, vec![payment(3, 4, 1)]) };
    let baits = vec![(address(3), watch::flows::Bait::Dust)];
    flows.take(&BlockFlows { baits, ..late });
    let seen = SeenOnChains(vec![flows]);
    assert!(seen.first_seen(&address(1)).is_some() && seen.first_seen(&address(9)).is_none());
    // Who was there when watching began may be older than it.
    let context = seen.context(&address(3), &address(1));
    assert_eq!(context.known_first_seen, None);
    assert_eq!(context.look_alike_first_seen, Some(UnixNanos::from_secs(1_600_012_000 + month)));
    assert_eq!(context.bait.dust, 1);
}

#[test]
fn around_are_those_whose_exposure_a_label_can_change() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = flows(dir.path(), &lists);
    flows.take(&block(1, 1, vec![payment(1, 2, 5), payment(2, 3, 5), payment(3, 4, 5), payment(9, 3, 5)]));
    let around = |number, hops| {
        let found = flows.around(&[address(number)], hops).unwrap();
        found.into_iter().map(|address| address.payload()[0]).collect::<Vec<_>>()
    };
    assert_eq!(around(2, 1), [1, 2, 3]);
    // Money goes on from 3, but not back to 9.
    assert_eq!(around(2, 2), [1, 2, 3, 4]);
    assert_eq!(around(4, 2), [2, 3, 4, 9]);
    assert_eq!(around(77, 5), [] as [u8; 0]);
    // Those who spend together share labels: then it may be anybody.
    let joined = vec![vec![address(1), address(5)]];
    flows.take(&BlockFlows { joined, ..block(2, 1, vec![payment(5, 9, 1)]) });
    assert_eq!(flows.around(&[address(2)], 1), None);
}

#[test]
fn counterparties_that_moved_most_are_told_and_those_a_list_names_come_first() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "bad", &[(3, "theft")]);
    let flows = flows(dir.path(), &lists);
    let paid =
        vec![payment(3, 5, 1), payment(4, 5, 70), payment(6, 5, 30), payment(4, 5, 30), payment(5, 8, 9)];
    flows.take(&block(1, 1, paid));
    let told = flows.dealings(&address(5), 2);
    let lines: Vec<_> = told
        .dealings
        .iter()
        .map(|one| (one.direction, one.other, one.category, one.amount, one.transfers, one.height))
        .collect();
    assert_eq!(
        lines,
        [
            (Direction::Source, Some(address(3)), Some(Category::Theft), 1.0, 1, 1),
            (Direction::Source, Some(address(4)), None, 100.0, 2, 1),
            (Direction::Destination, Some(address(8)), None, 9.0, 1, 1),
        ]
    );
    assert_eq!((told.more, told.is_partial), (1, false));
    assert_eq!(flows.dealings(&address(99), 2), watch::flows::Dealings::default());
}
