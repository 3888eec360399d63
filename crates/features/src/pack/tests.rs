use super::*;

const HEAD: &str = "[pack]\nname = 'p'\nversion = 1\n[[field]]\nname = 'customer'\ntype = 'entity'\n\
                    [[field]]\nname = 'amount'\ntype = 'money'\nunit = 'EUR'\n\
                    [[field]]\nname = 'kind'\ntype = 'category'\n";

fn parse(features: &str) -> Result<Pack, PackError> {
    Pack::parse(&format!("{HEAD}{features}"))
}

/// The message of a pack with one feature of these keys.
fn refused(keys: &str) -> String {
    parse(&format!("[[feature]]\nname = 'f'\n{keys}")).unwrap_err().to_string()
}

#[test]
fn a_fault_names_its_line_its_entry_and_what_looks_like_it() {
    let cases = [
        (
            "kind = 'cuont'\n",
            "line 16, feature \"f\": kind: there is no kind \"cuont\"; did you mean \"count\"?",
        ),
        (
            "kind = 'count'\nkey = 'custmer'\nwindow = '1d'\n",
            "line 17, feature \"f\": key: there is no field \"custmer\"; did you mean \"customer\"?",
        ),
        (
            "kind = 'count'\nkey = 'amount'\nwindow = '1d'\n",
            "line 17, feature \"f\": key: field \"amount\" is of type money, not entity, category or bool",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1 day'\n",
            "line 18, feature \"f\": window: \"1 day\" is not a duration: a whole number and one of ms, s, m, h, d, up to \
          3660 days",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '0s'\n",
            "line 18, feature \"f\": window: 0s is not above zero",
        ),
        ("kind = 'count'\nkey = 'customer'\n", "line 14, feature \"f\": window is missing"),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\nwindows = ['1d']\n",
            "line 19, feature \"f\": window and windows exclude each other",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\ndelya = '1d'\n",
            "line 19, feature \"f\": unknown key \"delya\"; did you mean \"delay\"?",
        ),
        (
            "kind = 'mean'\nkey = 'customer'\nvalue = 'kind'\nwindow = '1d'\n",
            "line 18, feature \"f\": value: field \"kind\" is of type category, not money, number or bool",
        ),
        (
            "kind = 'mean'\nkey = 'customer'\nvalue = 'f'\nwindow = '1d'\n",
            "line 18, feature \"f\": value: there is no field or earlier feature \"f\"",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\nfilter = { field = 'amount', equals = 1.005 }\n",
            "line 19, feature \"f\", filter: equals is not an amount in whole minor units",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\nfilter = { field = 'kind', below = 'x' }\n",
            "line 19, feature \"f\", filter: only money and numbers have an order",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\nfilter = { field = 'kind' }\n",
            "line 14, feature \"f\", filter: a condition needs one of equals, one_of, at_least, below",
        ),
        (
            "kind = 'count'\nkey = 'customer'\nwindow = '1d'\nfilter = { field = 'customer', equals = 'x' }\n",
            "line 19, feature \"f\", filter: equals is not possible for an entity: its values are not known to a pack",
        ),
        ("kind = 'hour_at_most'\nhour = 24\n", "line 17, feature \"f\": hour: 24 is not 0 to 23"),
        (
            "kind = 'risk'\nkey = 'customer'\nwindow = '1d'\nprior = [1]\n",
            "line 19, feature \"f\": prior is not two numbers, not negative: frauds and others before anything is known",
        ),
        (
            "kind = 'risk_by_recency'\nkey = 'customer'\nwindows = ['1d', '2d']\nweights = [1]\n",
            "line 19, feature \"f\": windows and weights must be equally many, at most 16",
        ),
        (
            "kind = 'share'\nkey = 'customer'\nof = 'customer'\nwindow = '1d'\n",
            "line 18, feature \"f\": key must be a pair of fields and of one of the two",
        ),
        (
            "kind = 'age'\nkey = 'customer'\nin = 'day'\n",
            "line 18, feature \"f\": in: there is no unit of time \"day\"; did you mean \"days\"?",
        ),
        (
            "kind = 'sequence'\nkey = 'customer'\nwithin = '1m'\nsteps = [{ field = 'kind', equals = 'a' }]\n",
            "line 19, feature \"f\": a sequence has 2 to 16 steps",
        ),
    ];
    for (keys, want) in cases {
        assert_eq!(refused(keys), want, "{keys}");
    }
    let head = |text: &str| Pack::parse(text).unwrap_err().to_string();
    assert_eq!(head("[pakc]\n"), "line 1, pack: unknown key \"pakc\"; did you mean \"pack\"?");
    assert_eq!(head("[pack]\nname = 'p'\n"), "line 1, pack: version is missing");
    assert!(head("[pack]\nname = \n").starts_with("line 2, pack: "));
    let taken = format!("{HEAD}[[field]]\nname = 'amount'\ntype = 'money'\n");
    assert_eq!(head(&taken), "line 15, field \"amount\": the name \"amount\" is used before");
    let odd = HEAD.replace("version = 1", "version = 1\nresolution = '7s'\nallowed_lateness = '7s'");
    let odd = format!("{odd}[[feature]]\nname = 'f'\nkind = 'count'\nkey = 'customer'\nwindow = '1d'\n");
    assert_eq!(head(&odd), "line 20, feature \"f\": window: 1d is no multiple of the pack's resolution");
}

#[test]
fn columns_come_in_the_order_of_the_text() {
    let pack = parse(
        "[[feature]]\nname = 'a'\nkind = 'mean'\nkey = 'customer'\nvalue = 'amount'\nwindows = ['1h', '1d']\n\
         doc = 'what'\nowner = 'who'\n[[feature]]\nname = 'b'\nkind = 'count'\nkey = 'customer'\nwindow = '1d'\n\
         hidden = true\n[[feature]]\nname = 'c'\nkind = 'ratio'\nnumerator = 'a_1h'\ndenominator = 'b'\nmissing = 7\n",
    )
    .unwrap();
    let names: Vec<&str> = pack.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a_1h", "a_1d", "c"]);
    assert_eq!((pack.columns()[0].unit.as_str(), pack.columns()[0].owner.as_str()), ("EUR", "who"));
    assert_eq!(
        (pack.column_index("c"), pack.column_index("b"), pack.columns()[2].missing),
        (Some(2), None, 7.0)
    );
    // One ring for all three windows, with an edge now, one an hour and one a day ago.
    assert_eq!(pack.plan().streams.len(), 1);
    assert_eq!(pack.plan().streams[0].edges.len(), 3);
}

#[test]
fn the_hash_is_of_what_is_computed() {
    let text = |window: &str, doc: &str, layout: &str| {
        let keys = format!("kind = 'count'\n{layout}key = 'customer'\nwindow = '{window}'\ndoc = '{doc}'\n");
        parse(&format!("[[feature]]\nname = 'f'\n{keys}")).unwrap().hash()
    };
    assert_eq!(text("1d", "a", ""), text("1d", "b", "\n# a remark\n"));
    assert_ne!(text("1d", "a", ""), text("2d", "a", ""));
}

#[test]
fn features_of_absent_fields_are_left_out_with_all_that_need_them() {
    let features = "[[feature]]\nname = 'n'\nkind = 'count'\nkey = 'customer'\nwindow = '1d'\n\
                    [[feature]]\nname = 'k'\nkind = 'count'\nkey = 'kind'\nwindows = ['1d', '2d']\n\
                    [[feature]]\nname = 'o'\nkind = 'count'\nkey = 'customer'\nwindow = '1d'\n\
                    filter = { field = 'kind', equals = 'x' }\n\
                    [[feature]]\nname = 'r'\nkind = 'ratio'\nnumerator = 'k_2d'\ndenominator = 'n'\n";
    let text = format!("{HEAD}{features}");
    let pack = Pack::parse_for(&text, &["customer", "amount"]).unwrap();
    assert_eq!(pack.omitted(), ["k", "o", "r"]);
    assert_eq!((pack.columns().len(), pack.fields().len()), (1, 2));
    assert_ne!(pack.hash(), Pack::parse(&text).unwrap().hash());
    assert_eq!(Pack::parse(&text).unwrap().columns().len(), 5);
}

#[test]
fn too_much_is_refused() {
    let many: String =
        (0..FEATURES_MAX).map(|n| format!("[[feature]]\nname = 'f{n}'\nkind = 'hour'\n")).collect();
    assert_eq!(parse(&many).unwrap().columns().len(), FEATURES_MAX);
    let more = format!("{many}[[feature]]\nname = 'g'\nkind = 'hour'\n");
    assert!(parse(&more).unwrap_err().to_string().ends_with("feature \"g\": more than 1024 features"));
    assert!(Pack::parse(&"#".repeat(PACK_BYTES_MAX + 1)).is_err());
    assert!(Pack::parse(&format!("{HEAD}x = {}1{}", "[".repeat(5_000), "]".repeat(5_000))).is_err());
}

#[test]
fn every_kind_is_listed_in_order() {
    assert!(kinds::KINDS.is_sorted());
    let unknown = refused("kind = 'nothing'\n");
    assert!(unknown.contains("there is no kind"), "{unknown}");
    for kind in kinds::KINDS {
        // Each is known: whatever is missing is another key.
        if let Err(error) = parse(&format!("[[feature]]\nname = 'f'\nkind = '{kind}'\n")) {
            assert!(matches!(error.fault, PackFault::KeyMissing { .. }), "{error}");
        }
    }
}

#[test]
fn the_guide_describes_every_kind_and_its_example_is_a_pack() {
    let guide = include_str!("../../../../docs/operating/feature-packs.md");
    for kind in kinds::KINDS {
        assert!(guide.contains(&format!("`{kind}`")), "{kind} is not in the guide");
    }
    let examples: Vec<&str> =
        guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // The first is a whole pack, the others are graphs over its fields.
    let (whole, graphs) = examples.split_first().unwrap();
    let pack = Pack::parse(whole).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((pack.columns().len(), graphs.len()), (7, 2));
    for graph in graphs {
        let fields = "[[field]]\nname = 'device'\ntype = 'entity'\n[[field]]\nname = 'ip'\ntype = 'entity'\n";
        let with_graph = Pack::parse(&format!("{whole}{fields}{graph}"));
        with_graph.unwrap_or_else(|error| panic!("{error}"));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\[\\[?(pack|field|feature|graph)\\]?\\]|[a-z]+ = |['\"0-9a-z{}=,.\n\\[\\]-]){0,40}") {
        let _parsed = Pack::parse(&text);
        let _parsed = parse(&text);
    }
}
