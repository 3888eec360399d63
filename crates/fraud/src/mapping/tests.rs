use domain::UnixNanos;
use proptest::prelude::*;

use super::{Event, Mapping, Value};
use crate::stream::{DeadLetter, Events, Next, StreamError};

const CARDS: &str = r#"
version = 1
name = "cards"

[time]
column = "t"
unit = "s"
origin = "2018-04-01T00:00:00Z"

[id]
column = "tx_id"

[label]
column = "fraud"
positive = ["1"]
negative = ["0"]
delay = "7d"

[field.amount]
type = "money"
column = "cents"
form = "minor"
scale = 2
unit = "EUR"

[field.counterparty]
type = "entity"
column = "terminal"
optional = true

[field.subject]
type = "entity"
column = "customer"
"#;

fn read(mapping: &str, file: &str) -> (Vec<Event>, Vec<String>) {
    let mapping = Mapping::parse(mapping).unwrap_or_else(|errors| panic!("{errors}"));
    let mut events = Events::open(file.as_bytes(), &mapping).unwrap();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut event = Event::default();
    loop {
        match events.next(&mut event).unwrap() {
            Next::End => return (good, bad),
            Next::Event => good.push(event.clone()),
            Next::Dead(DeadLetter { line, reason }) => bad.push(format!("line {line}: {reason}")),
        }
    }
}

fn faults(mapping: &str) -> String {
    Mapping::parse(mapping).unwrap_err().to_string()
}

#[test]
fn a_row_becomes_an_event() {
    let (events, dead) =
        read(CARDS, "tx_id,t,customer,terminal,cents,fraud\n7,86400,596,3156,5716,1\n8,86401,596,,-3,\n");
    assert_eq!(dead, Vec::<String>::new());
    assert_eq!(events[0].time, UnixNanos::parse_rfc3339("2018-04-02T00:00:00Z").unwrap());
    assert_eq!((events[0].id(), events[0].label), ("7", Some(true)));
    assert_eq!(events[0].values[0], Value::Money(5716));
    assert_eq!((events[0].text(0), events[0].text(1), events[0].text(2)), (None, Some("3156"), Some("596")));
    assert_eq!((&events[1].values[1], events[1].label), (&Value::Missing, None));
}

#[test]
fn a_bad_row_names_line_column_and_value() {
    let file = "tx_id,t,customer,terminal,cents,fraud\n\
                0,x,1,2,3,0\n1,-99999999999,1,2,3,0\n2,5,,2,3,0\n3,5,1,2,3.5,0\n4,5,1,2,3,9\n5,5,1\n\
                6,5,1,2,99999999999999999999,0\n7,5,\"1\"x,2,3,0\n8,5,1,2,3,0\n";
    let (events, dead) = read(CARDS, file);
    assert_eq!(events.iter().map(Event::id).collect::<Vec<_>>(), ["8"]);
    assert_eq!(
        dead,
        [
            "line 2: column t: is no time of the stated form between 1970 and 2554, got \"x\"",
            "line 3: column t: is no time of the stated form between 1970 and 2554, got \"-99999999999\"",
            "line 4: column customer: must not be empty, got \"\"",
            "line 5: column cents: is no whole number of minor units, got \"3.5\"",
            "line 6: column fraud: is no word of the label, got \"9\"",
            "line 7: column (row): the row has no such column, got \"3 of 6 columns\"",
            "line 8: column cents: exceeds 64 bits of minor units, got \"99999999999999999999\"",
            "line 9: text follows the closing quote of field 3",
        ]
    );
}

#[test]
fn without_a_header_columns_are_positions() {
    let mapping = r#"
version = 1
csv.delimiter = ";"
csv.header = false
time = { column = 2, unit = "rfc3339" }
[field.subject]
type = "entity"
column = 1
[field.paid]
type = "money"
column = 3
scale = 2
[field.risky]
type = "bool"
column = 4
true = ["yes"]
[field.channel]
type = "category"
value = "web"
[field.ratio]
type = "number"
column = 5
"#;
    let (events, dead) =
        read(mapping, "a;2018-04-01T02:00:00+02:00;1.50;yes;-1e3\nb;2018-04-01T00:00:00Z;1;no;1\n");
    assert_eq!(dead, Vec::<String>::new());
    assert_eq!(events[0].time, events[1].time);
    assert_eq!((events[0].id(), events[1].id()), ("1", "2"));
    let values: Vec<&Value> = events[0].values.iter().skip(1).take(3).collect();
    assert_eq!(values, [&Value::Money(150), &Value::Number(-1000.0), &Value::Bool(true)]);
    assert_eq!(events[0].text(0), Some("web"));
}

#[test]
fn amounts_are_exact() {
    let mapping = |scale: u8| {
        format!(
            "version = 1\ntime = {{ column = \"t\", unit = \"d\" }}\n[field.a]\ntype = \"money\"\ncolumn = \"a\"\nscale = {scale}\n"
        )
    };
    let one = |scale, text: &str| {
        let (events, dead) = read(&mapping(scale), &format!("t,a\n1,{text}\n"));
        events.first().map(|event| event.values[0].clone()).ok_or_else(|| dead[0].clone())
    };
    assert_eq!(one(2, "147.8"), Ok(Value::Money(14_780)));
    assert_eq!(one(2, "-0.01"), Ok(Value::Money(-1)));
    assert_eq!(one(0, "5.000"), Ok(Value::Money(5)));
    assert_eq!(one(18, "9.223372036854775807"), Ok(Value::Money(i64::MAX)));
    assert_eq!(one(0, "-9223372036854775808"), Ok(Value::Money(i64::MIN)));
    assert!(one(0, "9223372036854775808").unwrap_err().contains("exceeds 64 bits"));
    assert!(one(2, "0.005").unwrap_err().contains("more than 2 decimal places"));
    for bad in [".", "-", "1.2.3", "1e3", "+1", " 1", "NaN", "0x1"] {
        assert!(one(2, bad).unwrap_err().contains("is no decimal number"), "{bad}");
    }
}

#[test]
fn every_fault_of_a_mapping_is_reported_with_its_place() {
    let text = "version = 2\nsubject = \"who\"\nnmae = \"x\"\n[time]\ncolumn = 0\nunit = \"fortnight\"\n\
                [label]\ncolumn = \"l\"\npositive = [\"1\"]\nnegative = [\"1\"]\ndelay = \"soon\"\n\
                [field.Amount]\ntype = \"moneys\"\n[field.b]\ntype = \"money\"\ncolumn = \"b\"\nvalue = \"1\"\nscale = 19\n";
    let got = faults(text);
    for want in [
        "line 1, column 11: version: must be 1, got 2",
        "line 2, column 11: subject: no entity field is called \"who\"",
        "line 3, column 1: nmae: is not a known key",
        "line 5, column 10: time.column: as a position must be 1 to 1024",
        "line 6, column 8: time.unit: must be \"rfc3339\"",
        "line 10, column 12: label.negative: \"1\" is positive too",
        "line 11, column 9: label.delay: must be a length of time such as \"7d\"",
        "line 12, column 8: field.Amount: the name must be of a-z",
        "line 13, column 8: field.Amount.type: must be bool, category, entity, money or number",
        "line 17, column 9: field.b: has column and value",
        "line 18, column 9: field.b.scale: must be 0 to 18, got 19",
    ] {
        assert!(got.contains(want), "{want}\nis not in\n{got}");
    }
    assert!(faults("").contains("version: is missing"));
    assert!(faults("version = 1\n").contains("time: is missing"));
    assert!(faults("= nonsense").starts_with("line 1"));
}

#[test]
fn a_mapping_that_does_not_fit_the_header_says_so() {
    let open = |file: &str| {
        let mapping = Mapping::parse(CARDS).unwrap();
        match Events::open(file.as_bytes(), &mapping) {
            Err(StreamError::Bind(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(open("a,b\n"), "the header has no column \"t\"; it has a, b");
    assert!(open("t,t,tx_id\n").contains("names column \"t\" twice"));
    let constant = format!("{CARDS}\n[field.fee]\ntype = \"money\"\nvalue = \"abc\"\n");
    let mapping = Mapping::parse(&constant).unwrap();
    let error = Events::open("tx_id,t,customer,terminal,cents,fraud\n".as_bytes(), &mapping).unwrap_err();
    assert!(error.to_string().contains("field fee: column fee: is no decimal number"), "{error}");
    assert!(matches!(Events::open("".as_bytes(), &mapping), Err(StreamError::Empty)));
}

proptest! {
    #[test]
    fn no_text_and_no_row_panics(text in "(version|time|field|label|[=\\[\\]{}.\"0-9a-z\n ]){0,40}", row in "[ -~\n\"]{0,80}") {
        drop(Mapping::parse(&text));
        let mapping = Mapping::parse(CARDS).unwrap();
        let file = format!("tx_id,t,customer,terminal,cents,fraud\n{row}\n");
        let mut events = Events::open(file.as_bytes(), &mapping).unwrap();
        let mut event = Event::default();
        while events.next(&mut event).unwrap() != Next::End {}
    }

    #[test]
    fn decimal_amounts_agree_with_integer_arithmetic(minor in -1_000_000_000_i64..1_000_000_000) {
        let text = format!("{}{}.{:02}", if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100);
        let mapping = "version = 1\ntime = { column = 1, unit = \"s\" }\ncsv.header = false\n[field.a]\ntype = \"money\"\ncolumn = 2\n";
        let (events, dead) = read(mapping, &format!("0,{text}\n"));
        prop_assert_eq!(dead, Vec::<String>::new());
        prop_assert_eq!(&events[0].values[0], &Value::Money(minor));
    }
}

#[test]
fn a_row_out_of_the_stated_period_is_a_dead_letter_and_makes_nothing_late() {
    let bounded = |from: &str, until: &str| {
        CARDS.replace("unit = \"s\"\n", &format!("unit = \"s\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n"))
    };
    let mapping = bounded("2018-04-01T00:00:05Z", "2018-04-01T00:01:00Z");
    let file = "tx_id,t,customer,terminal,cents,fraud\n\
                0,4,1,2,3,0\n1,5,1,2,3,0\n2,5709024000,1,2,3,0\n3,59,1,2,3,0\n4,60,1,2,3,0\n";
    let (events, dead) = read(&mapping, file);
    assert_eq!(events.iter().map(Event::id).collect::<Vec<_>>(), ["1", "3"]);
    let reasons = dead.iter().filter(|letter| letter.contains("is not within time.from and time.until"));
    assert_eq!((reasons.count(), dead.len()), (3, 3), "{dead:?}");

    let upside_down = bounded("2018-04-02T00:00:00Z", "2018-04-01T00:00:00Z");
    let faults = Mapping::parse(&upside_down).unwrap_err().0;
    assert_eq!((faults.len(), faults[0].key.as_str(), faults[0].line), (1, "time.until", 9));
    let no_time = Mapping::parse(&bounded("2018-04-02", "2018-04-03T00:00:00Z")).unwrap_err().0;
    assert_eq!((no_time.len(), no_time[0].key.as_str(), no_time[0].line), (1, "time.from", 8));
}
