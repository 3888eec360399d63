use std::io::Read;

use proptest::prelude::*;

use super::{COLUMNS_MAX, Outcome, ROW_BYTES_MAX, Row, RowFault, Rows};

type Line = (u64, Result<Vec<Vec<u8>>, RowFault>);

fn all(input: impl Read) -> Vec<Line> {
    let mut rows = Rows::new(input, b',');
    let mut row = Row::default();
    let mut lines = Vec::new();
    loop {
        match rows.next(&mut row).unwrap() {
            Outcome::End => return lines,
            Outcome::Fault(fault) => lines.push((row.line(), Err(fault))),
            Outcome::Row => lines.push((row.line(), Ok(row.fields().map(<[u8]>::to_vec).collect()))),
        }
    }
}

fn text(lines: &[Line]) -> Vec<(u64, Result<Vec<String>, RowFault>)> {
    let words = |fields: &Vec<Vec<u8>>| fields.iter().map(|f| String::from_utf8_lossy(f).into()).collect();
    lines.iter().map(|(line, row)| (*line, row.as_ref().map(words).map_err(|fault| *fault))).collect()
}

fn check(input: &str, want: &[(u64, Result<&[&str], RowFault>)]) {
    let want: Vec<(u64, Result<Vec<String>, RowFault>)> = want
        .iter()
        .map(|(line, row)| (*line, row.map(|fields| fields.iter().map(|f| (*f).to_owned()).collect())))
        .collect();
    assert_eq!(text(&all(input.as_bytes())), want, "{input:?}");
}

#[test]
fn rows_of_every_shape() {
    check("a,b\n1,2\n", &[(1, Ok(&["a", "b"])), (2, Ok(&["1", "2"]))]);
    check("\u{feff}a\r\n\r\n1\r\n2", &[(1, Ok(&["a"])), (3, Ok(&["1"])), (4, Ok(&["2"]))]);
    check("a,\n,b\n,", &[(1, Ok(&["a", ""])), (2, Ok(&["", "b"])), (3, Ok(&["", ""]))]);
    check("\"a,\"\"b\"\"\n\",c\nd,e", &[(1, Ok(&["a,\"b\"\n", "c"])), (3, Ok(&["d", "e"]))]);
    check("\"\",x\r\n", &[(1, Ok(&["", "x"]))]);
    check("", &[]);
    check("\n\r\n\r", &[]);
    check("x\r", &[(1, Ok(&["x"]))]);
}

#[test]
fn a_bad_row_costs_one_row() {
    check(
        "a\n\"b\"c,d\ne\n",
        &[(1, Ok(&["a"])), (2, Err(RowFault::AfterQuote { field: 1 })), (3, Ok(&["e"]))],
    );
    check("a\nb,c\"d\ne\n", &[(1, Ok(&["a"])), (2, Err(RowFault::BareQuote { field: 2 })), (3, Ok(&["e"]))]);
    // A quote that is never closed would swallow the rest of the file.
    check(
        "a\nb,\"c\nd\ne\n",
        &[(1, Ok(&["a"])), (2, Err(RowFault::Unclosed { field: 2 })), (3, Ok(&["d"])), (4, Ok(&["e"]))],
    );
    let long = format!("a\n{}\nb\n", "x".repeat(ROW_BYTES_MAX + 1));
    check(&long, &[(1, Ok(&["a"])), (2, Err(RowFault::TooLong)), (3, Ok(&["b"]))]);
    let unclosed = format!("a\n\"{}\nb\n", "x\n".repeat(ROW_BYTES_MAX));
    let lines = all(unclosed.as_bytes());
    assert_eq!(lines[1], (2, Err(RowFault::Unclosed { field: 1 })));
    assert_eq!(lines.len(), 2 + ROW_BYTES_MAX, "{:?}", lines.len());
    let wide = format!("{}\nb\n", ",".repeat(COLUMNS_MAX));
    check(&wide, &[(1, Err(RowFault::TooManyFields)), (2, Ok(&["b"]))]);
}

/// Hands out a few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(into.len()).min(self.0.len());
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a,\"\r\n \u{e9}]{0,6}", 1..5), 1..8)) {
        let mut out = String::new();
        for row in &rows {
            let fields: Vec<String> = row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
            out.push_str(&fields.join(","));
            out.push_str("\r\n");
        }
        let want: Vec<Vec<Vec<u8>>> = rows.iter().map(|r| r.iter().map(|f| f.clone().into_bytes()).collect()).collect();
        let got: Vec<Vec<Vec<u8>>> = all(out.as_bytes()).into_iter().map(|(_, row)| row.unwrap()).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn how_the_input_arrives_changes_nothing(input in "[ab,\"\r\n]{0,60}", step in 1_usize..4) {
        prop_assert_eq!(all(Drip(input.as_bytes(), step)), all(input.as_bytes()));
    }

    #[test]
    fn any_bytes_are_read_to_the_end(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let lines = all(input.as_slice());
        prop_assert!(lines.len() <= input.iter().filter(|b| **b == b'\n').count() + 1);
        prop_assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
