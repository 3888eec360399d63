use std::collections::BTreeSet;

use super::*;

fn plan(seed: u64) -> Plan {
    Plan { seed, accounts: 300, days: 40, start: UnixNanos::from_secs(1_790_000_000) }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = Story::tell(&plan(7));
    assert_eq!(story, Story::tell(&plan(7)));
    assert_ne!(story.items, Story::tell(&plan(8)).items);
    assert!(story.items.len() > 10_000, "{} items", story.items.len());
    assert!(story.items.is_sorted_by_key(Item::at));
    let ids: BTreeSet<&str> = story
        .items
        .iter()
        .filter_map(|item| match &item.what {
            What::Event(event) => Some(event.id.as_str()),
            What::Withdrawal(_) => None,
        })
        .collect();
    let events = story.items.iter().filter(|item| matches!(item.what, What::Event(_))).count();
    assert_eq!(ids.len(), events);
}

#[test]
fn every_kind_of_fraud_moves_money_and_none_in_the_quiet_days() {
    for seed in 1..4 {
        let story = Story::tell(&plan(seed));
        let quiet_until =
            plan(seed).start.plus(std::time::Duration::from_secs(u64::from(QUIET_DAYS) * 86_400));
        for typology in Typology::ALL {
            let of_kind: Vec<usize> =
                (0..story.cases.len()).filter(|case| story.cases[*case].typology == typology).collect();
            assert!(of_kind.len() >= 4, "{seed}: {} of {}", of_kind.len(), typology.as_str());
            for case in of_kind {
                let money: Vec<&Item> = story
                    .items
                    .iter()
                    .filter(|item| item.case == Some(case))
                    .filter(|item| match &item.what {
                        What::Withdrawal(_) => true,
                        What::Event(event) => event.kind.as_str() == "order_placed",
                    })
                    .collect();
                assert!(money.iter().all(|item| item.at() >= quiet_until), "{seed}: case {case}");
            }
        }
        let labelled = story.labels.iter().filter(|label| label.is_fraud).count();
        let fraudulent = story.items.iter().filter(|item| item.case.is_some()).count();
        assert!(labelled > 0 && labelled < fraudulent);
        assert!(story.labels.iter().all(|label| label.arrival > story.items[label.item].at()));
    }
}

#[test]
fn honest_customers_look_odd_in_every_way() {
    let story = Story::tell(&plan(11));
    let count = |has: fn(&Traits) -> bool| story.honest.iter().filter(|(_, traits)| has(traits)).count();
    let counts = [
        count(|traits| traits.uses_vpn),
        count(|traits| traits.shares_device),
        count(|traits| traits.travels),
        count(|traits| traits.runs_bots),
    ];
    assert!(counts.iter().all(|count| *count >= 3), "{counts:?}");
}

#[test]
fn a_story_is_written_in_the_agreed_forms() {
    let story = Story::tell(&Plan { accounts: 60, ..plan(3) });
    let (mut events, mut recording, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    write_events(&story, &mut events).unwrap();
    write_recording(&story, &mut recording).unwrap();
    write_truth(&story, &mut truth).unwrap();
    let events = String::from_utf8(events).unwrap();
    let mut last = String::new();
    for line in events.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = value["occurred_at"].as_str().unwrap().to_owned();
        assert!(at >= last, "{line}");
        last = at;
    }
    let labels = events.lines().filter(|line| line.contains(r#""type":"label""#)).count();
    assert_eq!(labels, story.labels.len());
    let recording = String::from_utf8(recording).unwrap();
    let mut rows = recording.lines();
    let width = rows.next().unwrap().split(',').count();
    assert_eq!(width, 3 + RECORDING_FIELDS.len());
    for row in rows {
        assert_eq!(row.split(',').count(), width, "{row}");
    }
    assert_eq!(String::from_utf8(truth).unwrap().lines().count(), story.cases.len() + 1);
    assert!(mapping(7).contains("[field.kind]"));
}
