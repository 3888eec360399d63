use super::*;

fn parse(text: &str) -> Result<Config, Faults> {
    Config::parse("c.toml", text, Path::new("/etc/caponier"))
}

#[test]
fn the_default_file_is_the_default() {
    let explicit = parse(&schema::default_file()).unwrap();
    assert_eq!(explicit, parse("").unwrap());
    assert_eq!(explicit.data.dir, Path::new("/etc/caponier/caponier-data"));
    assert_eq!(explicit.data.kek_file, Path::new("/etc/caponier/caponier-data.kek"));
    assert_eq!(explicit.limits.rate("place"), Some(Rate { count: 60, per: Duration::from_secs(2) }));
    let quotas = crate::policy::limits(&explicit.limits).unwrap();
    let own: Vec<_> = quotas.limits.iter().filter(|limit| limit.name != "source").collect();
    let theirs = gateway::Limits::default();
    let theirs: Vec<_> = theirs.limits.iter().filter(|limit| limit.name != "source").collect();
    assert_eq!(own, theirs, "but for the source, the defaults are those of the gateway");
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let faults = parse(
        "version = 2\n[gateway]\nlisten = \"0.0.0.0:443\"\nlistn = 1\nupstream = \"https://x\"\n\
         connections_per_ip = 0\n[data]\nkek_file = \"caponier-data/kek\"\n[limits]\nsource = 5\n[fraud]\nshadow = [\"nope\"]\n",
    )
    .unwrap_err();
    let shown: Vec<String> = faults.0.iter().map(|fault| format!("{}:{}", fault.line, fault.key)).collect();
    assert_eq!(
        shown,
        [
            "1:version",
            "3:gateway.listen",
            "4:gateway.listn",
            "5:gateway.upstream",
            "6:gateway.connections_per_ip",
            "8:data.kek_file",
            "10:limits.source",
            "12:fraud.shadow"
        ]
    );
    assert!(
        faults
            .to_string()
            .contains("c.toml:4:9: gateway.listn: is not a known key; did you mean gateway.listen?")
    );
}

#[test]
fn broken_toml_names_the_line() {
    let faults = parse("version = 1\n[data\n").unwrap_err();
    assert_eq!(faults.0[0].line, 2);
}

#[test]
fn backup_must_not_overlap_the_data() {
    let faults = parse("[backup]\ntarget = \"caponier-data/backup\"\n").unwrap_err();
    assert_eq!(faults.0[0].key, "backup.target");
    assert!(parse("[backup]\ntarget = \"elsewhere\"\n").is_ok());
}

#[test]
fn tokens_are_a_table_of_files() {
    let config = parse("[api.tokens]\nexchange = \"exchange.token\"\n").unwrap();
    assert_eq!(config.api.tokens, [("exchange".to_owned(), PathBuf::from("/etc/caponier/exchange.token"))]);
    assert_eq!(parse("[api.tokens]\nexchange = 1\n").unwrap_err().0[0].line, 2);
}

#[test]
fn each_trusted_proxy_that_is_no_network_is_a_fault() {
    let config = parse("[gateway]\nproxy_trusted = [\"192.0.2.0/24\", \"2001:db8::1\"]\n").unwrap();
    let networks: Vec<String> = config.gateway.proxy_trusted.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.0.2.0/24", "2001:db8::1/128"]);
    assert!(parse("").unwrap().gateway.proxy_trusted.is_empty());
    let faults =
        parse("[gateway]\nproxy_trusted = [\"10.0.0.0/33\", \"::1\", \"lb.example\"]\n").unwrap_err();
    let named: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(named, ["gateway.proxy_trusted"; 2]);
    assert!(
        faults.0[0].message.contains("\"10.0.0.0/33\"") && faults.0[1].message.contains("\"lb.example\"")
    );
}

#[test]
fn the_reference_in_the_documentation_is_the_default_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(shown, schema::default_file(), "write the output of `caponier config default` into {path}");
}

#[test]
fn files_that_are_not_there_are_faults_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    let text = "[gateway]\ncertificate_file = \"a.pem\"\nprivate_key_file = \"c.toml\"\nupstream_token_file = \"t\"\n\
                [api.tokens]\nexchange = \"x\"\n";
    std::fs::write(&file, text).unwrap();
    let faults = Config::load(&file).unwrap_err();
    let shown: Vec<_> = faults.0.iter().map(|fault| (fault.line, fault.key.as_str())).collect();
    assert_eq!(
        shown,
        [(2, "gateway.certificate_file"), (4, "gateway.upstream_token_file"), (6, "api.tokens")]
    );
}

#[test]
fn limits_of_a_name_of_ones_own_say_what_they_count_by() {
    let config = parse("[limits.named]\nbalance = \"10 / 2s by account\"\n").unwrap();
    let balance = config.limits.limits.last().unwrap();
    assert_eq!((balance.name.as_str(), balance.by), ("balance", gateway::By::Account));
    assert_eq!(balance.rate, Rate { count: 10, per: Duration::from_secs(2) });
    for (entry, expected) in [
        ("place = \"1 / 1s by key\"", "has a key of its own"),
        ("Big = \"1 / 1s by key\"", "is not a name"),
        ("x = \"1 / 1s\"", "must be a limit such as"),
        ("x = \"1 / 1s by planet\"", "there are account, instrument, key, source"),
        ("x = \"0 / 1s by key\"", "must be 1 to"),
        ("x = 1", "must be a limit such as"),
    ] {
        let faults = parse(&format!("[limits.named]\n{entry}\n")).unwrap_err();
        let fault = &faults.0[0];
        assert!(fault.line == 2 && fault.message.contains(expected), "{fault}");
    }
    assert!(!parse("[limits]\nheaders = \"off\"\n").unwrap().limits.headers);
}
