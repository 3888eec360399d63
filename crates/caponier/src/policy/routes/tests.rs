use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Routes, Faults> {
    Routes::parse("r.toml", text)
}

#[test]
fn the_printed_table_is_the_table() {
    let table = RouteTable::okx_v5();
    let text = print(&table);
    assert_eq!(parse(&text).unwrap().table.routes(), table.routes());
    // Words that the built-in table does not use are there all the same.
    let line = "version = 1\n[[route]]\nmethod = \"get\"\npath = \"/a\"\nclass = \"key_management\"\n\
                criticality = \"anonymous\"\nbody_max = \"2 MiB\"\nhandling = \"unavailable\"\n";
    let table = parse(line).unwrap().table;
    assert_eq!(parse(&print(&table)).unwrap().table.routes(), table.routes());
}

#[test]
fn the_table_in_the_documentation_is_the_built_in_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating/routes.md");
    let page = std::fs::read_to_string(path).unwrap();
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(
        shown,
        print(&RouteTable::okx_v5()),
        "write the output of `caponier routes default` into {path}"
    );
}

#[test]
fn every_fault_has_its_line() {
    let faults = parse(
        "version = 2\n[[route]]\nmethod = \"put\"\npath = 7\nclass = \"trade\"\nlimit = []\nlimits = [\"a\", 1]\n\
         [[route]]\npath = \"/a\"\nmethod = \"get\"\nbody_max = \"9 MiB\"\ncost = \"two\"\ncriticality = \"high\"\n\
         [other]\n",
    )
    .unwrap_err();
    let shown: Vec<_> = faults.0.iter().map(|fault| format!("{}:{}", fault.line, fault.key)).collect();
    assert_eq!(
        shown,
        [
            "1:version",
            "3:method",
            "4:path",
            "6:limit",
            "7:limits",
            "8:class",
            "11:body_max",
            "12:cost",
            "13:criticality",
            "14:other"
        ]
    );
    assert_eq!(parse("[[route]]\n").unwrap_err().0.len(), 3);
    assert_eq!(parse("").unwrap_err().0[0].key, "version");
    assert_eq!(parse("version = 1\n[[route]\n").unwrap_err().0[0].line, 2);
    assert_eq!(parse("version = 1\nroute = [1]\n").unwrap_err().0[0].line, 2);
}

#[test]
fn contradictions_name_the_line_they_are_on() {
    let one = "[[route]]\nmethod = \"get\"\npath = \"/a\"\nclass = \"read\"\n";
    let fault = |text: String| parse(&format!("version = 1\n{text}")).unwrap_err().0.remove(0);
    let twice = fault(format!("{one}{one}"));
    assert_eq!((twice.line, twice.key.as_str()), (6, "route"));
    assert!(twice.message.contains("two routes"), "{twice}");
    let decided = fault(format!(
        "{one}[[route]]\nmethod = \"post\"\npath = \"/b\"\nclass = \"trade\"\nhandling = \"decide\"\n"
    ));
    assert_eq!(decided.line, 6);
    assert!(decided.message.contains("withdraw permission"), "{decided}");
    assert_eq!(fault(one.replace("/a", "/a/../b")).line, 2);
}

proptest! {
    #[test]
    fn no_file_panics(text in r#"(version = 1\n)?(\[\[route\]\]\n)?((path|class|method|limits|cost|x) ?= ?("[a-z/]{0,9}"|\[("a",?)?\]|1)\n){0,6}.{0,9}"#) {
        if let Ok(routes) = parse(&text) {
            let again = parse(&print(&routes.table)).unwrap();
            prop_assert_eq!(again.table.routes(), routes.table.routes());
        }
    }
}
