//! Unlucky and hostile moments at the console: two people at once, a session that ends in the middle, a disk that is full, forms
//! from elsewhere and forms without end. Each time the person reads what happened, and nothing is half done.

use std::{fs, process::Command};

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::{
    support::{House, PATIENCE, Serving, Settings, tron_address},
    visitor::Visitor,
};

/// Every form of the console but the ways in and out, with fields that mean something there.
const FORMS: [(&str, &str); 17] = [
    ("/console/backups", ""),
    ("/console/bans", "deed=ban&target=192.0.2.9&minutes=5&reason=r"),
    ("/console/cases/1", "revision=1&deed=note&text=n"),
    ("/console/cases/bulk", "deed=assign&case=1.1"),
    ("/console/changes/1", "say=approve"),
    ("/console/decisions/dec-0", "label=fraud"),
    ("/console/emergency", "deed=freeze&kind=all&reason=r"),
    ("/console/keys/none", "deed=freeze&reason=r"),
    ("/console/models/none", "deed=try"),
    ("/console/own", "key=none&deed=freeze"),
    ("/console/rules/edit", "deed=check&text=t"),
    ("/console/rules/versions/00", "deed=shadow"),
    ("/console/sessions/end", "id=none"),
    ("/console/sessions/fallback", ""),
    ("/console/sessions/fallback/confirm", "code=000000"),
    ("/console/sessions/fallback/end", ""),
    ("/console/webhooks", "url=https://example.com/&events=case.opened"),
];

/// Opens a case by a withdrawal to nowhere.
async fn with_a_case(house: &House, serving: &Serving) -> String {
    let body = json!({ "type": "withdrawal", "withdrawal": {
        "account": "customer-1", "asset": "USDT", "amount": "12.5", "network": "tron",
        "address": tron_address("unlucky"), "ip": "192.0.2.7",
    } });
    let (status, answer) =
        house.control_api(serving, "POST", "/v1/decisions", body.to_string()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let listed = house.ask(&["cases", "list"]).exits(0).json();
    listed["cases"][0]["id"].as_str().unwrap_or_else(|| panic!("{listed}")).replace("case-", "")
}

/// What a hidden field of a page says.
fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn entries(house: &House) -> usize {
    house.ask(&["log"]).exits(0).stdout.lines().count()
}

/// Of two who close one case at the same moment one does, and the other reads who was first, over the case as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_people_who_decide_one_case_at_once_one_does() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let case = with_a_case(&house, &serving).await;
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let ben = Visitor::with_role(&house, &serving, "compliance_officer", "ben").await;
    let path = format!("/console/cases/{case}");
    let (_, page) = ann.get(&path).await;
    let revision = field(&page, "revision");
    let close =
        |what: &str, why: &str| format!("revision={revision}&deed=resolve&disposition={what}&text={why}");
    let (for_ann, for_ben) = (close("legitimate", "becauseann"), close("fraud", "becauseben"));
    let (one, other) = tokio::join!(ann.post(&path, &for_ann), ben.post(&path, &for_ben));
    let (first, second) =
        if one.0 == 303 { (("ann", "becauseann"), other) } else { (("ben", "becauseben"), one) };
    assert_eq!(second.0, 409, "{}", second.1);
    assert!(second.1.contains("Not done: "), "{}", second.1);
    assert!(second.1.contains(&format!("by user:{}.", first.0)), "{}", second.1);
    let (status, page) = ann.get(&path).await;
    assert_eq!(status, 200);
    let (won, lost) =
        if first.1 == "becauseann" { ("becauseann", "becauseben") } else { ("becauseben", "becauseann") };
    assert!(page.contains(won) && !page.contains(lost), "{page}");
    assert_eq!(serving.stop(), 0);
}

/// A session that ends, or is ended by somebody else, while a form is open: nothing is done and that is said; a live page says its
/// last word and closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_says_so_and_does_nothing() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let case = with_a_case(&house, &serving).await;
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let admin = Visitor::with_role(&house, &serving, "admin", "root").await;
    let path = format!("/console/cases/{case}");
    let (_, page) = ann.get(&path).await;
    let revision = field(&page, "revision");
    let mut live = ann.ask("GET", "/console/live", "", "").await;
    let mut begun = [0; 1_024];
    assert!(live.read(&mut begun).await.unwrap() > 0);

    // Somebody else's roles do not open the page at all.
    let before = entries(&house);
    let viewer = Visitor::with_role(&house, &serving, "viewer", "eve").await;
    let after_entering = entries(&house);
    assert_eq!(after_entering, before + 1, "a sign-in is recorded");
    let (status, told) = viewer.post("/console/bans", "deed=ban&target=192.0.2.9&minutes=5&reason=r").await;
    assert_eq!(status, 403);
    assert!(told.contains("Not for your role") && told.contains("Nothing was done."), "{told}");

    // The administrator ends Ann's session.
    let (_, sessions) = admin.get("/console/sessions").await;
    let (_, row) = sessions.split_once(">ann<").unwrap_or_else(|| panic!("{sessions}"));
    let (status, told) = admin.post("/console/sessions/end", &format!("id={}", field(row, "id"))).await;
    assert_eq!(status, 303, "{told}");
    let ended = entries(&house);
    let note = format!("revision={revision}&deed=note&text=late");
    let (status, told) = ann.post(&path, &note).await;
    assert_eq!(status, 401);
    assert!(told.contains("Your session has ended: nothing was done."), "{told}");
    let (status, told) = ann.get(&path).await;
    assert_eq!(status, 401);
    assert!(told.contains("Your session has ended.") && !told.contains("customer-1"), "{told}");
    assert_eq!(entries(&house), ended, "nothing was done");
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, live.read_to_end(&mut rest)).await.expect("a live page closes").unwrap();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("nothing here keeps up any more"), "{rest}");
    assert_eq!(serving.stop(), 0);
}

/// No form is taken from another site, and none of any size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_comes_from_elsewhere_or_is_without_end() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_a_case(&house, &serving).await;
    let ann =
        Visitor::with_role(&house, &serving, "admin,compliance_officer,security_engineer,approver", "ann")
            .await;
    let before = entries(&house);
    let host = format!("Origin: http://evil.example\r\nX-Forwarded-Host: {}\r\n", ann.api);
    let elsewhere = [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Origin: null\r\n",
        "",
        host.as_str(),
    ];
    for (path, fields) in FORMS.into_iter().chain([("/console/leave", "")]) {
        for headers in elsewhere {
            let (status, told) = ann.send("POST", path, headers, fields).await;
            assert_eq!(status, 403, "{path} with {headers:?}: {told}");
            assert!(told.contains("nothing was done"), "{path}: {told}");
        }
    }
    let long = format!("deed=note&text={}", "x".repeat(3 << 20));
    for (path, _) in FORMS {
        let (status, told) = ann.post(path, &long).await;
        assert_eq!(status, 413, "{path}: {told}");
        assert!(told.contains("Too large") || told.contains("are brought as a folder"), "{path}: {told}");
    }
    assert_eq!(entries(&house), before, "nothing was done");
    assert_eq!(ann.get("/console").await.0, 200, "and the session is as it was");
    assert_eq!(serving.stop(), 0);
}

/// The journal cannot grow any more: forms say that nothing was done, pages can be read, and after a restart with room everything
/// is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_to_who_sends_a_form() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let case = with_a_case(&house, &serving).await;
    assert_eq!(serving.stop(), 0);
    // 64 blocks of 512 bytes. The signal is ignored, so that writes fail as they do on a full disk.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_caponier")])
        .args(["run", "--json", "--config", &house.config()]);
    let serving = Serving::start_command(limited, &house.path("constrained"));
    let ann = Visitor::with_role(&house, &serving, "compliance_officer,security_engineer", "ann").await;
    let path = format!("/console/cases/{case}");
    let mut written = 0;
    let refused = loop {
        let (_, page) = ann.get(&path).await;
        let note =
            format!("revision={}&deed=note&text=n{written}x{}", field(&page, "revision"), "y".repeat(900));
        let (status, told) = ann.post(&path, &note).await;
        if status != 303 {
            assert_eq!(status, 409, "{told}");
            break told;
        }
        written += 1;
        assert!(written < 200, "the disk never fills");
    };
    assert!(refused.contains("Not done: it cannot be recorded at the moment"), "{refused}");
    assert!(!refused.contains(&format!("n{written}x")), "the note is not in the case");
    for (form, fields) in [
        ("/console/emergency", "deed=freeze&kind=all&reason=full"),
        ("/console/bans", "deed=ban&target=192.0.2.9&minutes=5&reason=full"),
    ] {
        let (status, told) = ann.post(form, fields).await;
        assert_eq!(status, 409, "{form}: {told}");
        assert!(told.contains("Not done: "), "{form}: {told}");
    }
    for page in ["/console", "/console/health", "/console/cases", "/console/emergency", "/console/audit"] {
        let (status, told) = ann.get(page).await;
        assert_eq!(status, 200, "{page}: {told}");
    }
    // The live page, the health of the API and the doctor agree.
    let (_, live) = ann.get("/console").await;
    assert!(live.contains("The journal has failed"), "{live}");
    assert_eq!(part(&live, "journal"), "failing");
    assert_eq!(part(&live, "withdrawal decisions"), "failing");
    let (status, health) = house.control_api(&serving, "GET", "/v1/health", String::new()).await.unwrap();
    assert_eq!(status, 503, "{health}");
    let told = house.ask(&["console", "link", "--role", "viewer", "--name", "eve"]).exits(0).json();
    let (_, secret) = told["url"].as_str().unwrap().split_once("link=").unwrap();
    let nobody = Visitor { api: serving.api(), cookie: String::new() };
    let (status, told) = nobody.post("/console/enter", &format!("link={secret}")).await;
    assert_eq!(status, 503, "{told}");
    assert!(told.contains("none is made without a record") && !told.contains("set-cookie"), "{told}");
    assert_eq!(serving.stop(), 74, "a stop that could not record itself says so");

    let serving = house.serve();
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let (_, page) = ann.get(&path).await;
    assert!(
        written == 0 || page.contains(&format!("n{}x", written - 1)),
        "what was said to be done is there"
    );
    assert!(!page.contains(&format!("n{written}x")), "and nothing else");
    let note = format!("revision={}&deed=note&text=again", field(&page, "revision"));
    assert_eq!(ann.post(&path, &note).await.0, 303);
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}

/// How a part stands on the live page.
fn part(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("<span class=\"name\">{name}</span>"))
        .unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
}

/// Each part stands on the live page by itself, with what it does and which version of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_page_tells_what_each_part_does() {
    let house = crate::rulebook::house().await;
    let serving = house.serve();
    let eve = Visitor::with_role(&house, &serving, "viewer", "eve").await;
    let (status, page) = eve.get("/console").await;
    assert_eq!(status, 200);
    assert!(page.contains("Everything works."), "{page}");
    for (name, how) in [
        ("journal", "working"),
        ("gateway", "enforcing"),
        ("withdrawal decisions", "enforcing"),
        ("built-in fraud rules", "enforcing"),
        ("fraud bundle", "shadow"),
        ("chain watch", "off"),
        ("address lists", "off"),
        ("backup", "working"),
    ] {
        assert_eq!(part(&page, name), how, "{name}");
    }
    let (status, health) = house.control_api(&serving, "GET", "/v1/health", String::new()).await.unwrap();
    assert_eq!(status, 200, "{health}");
    let doctor = house.ask(&["doctor"]).exits(0).json();
    assert_eq!(doctor["ok"], true, "{doctor}");
    let told = house.ask(&["fraud", "bundle", "status"]).exits(0).json();
    let version = told["bundles"][0]["bundle"]["version"].as_str().unwrap_or_else(|| panic!("{told}"));
    let (_, rest) = page.split_once("<span class=\"name\">fraud bundle</span>").unwrap();
    let detail = rest.split("</li>").next().unwrap();
    assert!(detail.contains(version) && detail.contains("no model"), "{detail}");

    // A promoted bundle has an effect, and the page says so.
    let sha256 = told["bundles"][0]["bundle"]["sha256"].as_str().unwrap();
    house.ask(&["fraud", "bundle", "promote", sha256, "--reason", "watched"]).exits(0);
    assert_eq!(part(&eve.get("/console").await.1, "fraud bundle"), "enforcing");
    assert_eq!(serving.stop(), 0);
}

/// Looking at rules keeps nothing; keeping a draft keeps also what it is a draft of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_by_looking_at_rules() {
    let house = crate::rulebook::house().await;
    let serving = house.serve();
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let bundle = house.ask(&["fraud", "bundle", "status"]).exits(0).json();
    let at_work = bundle["bundles"][0]["bundle"]["sha256"].as_str().unwrap().to_owned();
    let (before, files) = (entries(&house), crate::support::files(house.data()));
    for path in [
        "/console/rules".to_owned(),
        "/console/rules/edit".to_owned(),
        "/console/rules/source".to_owned(),
        format!("/console/rules/edit?of={at_work}"),
        format!("/console/rules/source?of={at_work}"),
        format!("/console/rules/versions/{at_work}"),
    ] {
        let (status, told) = ann.get(&path).await;
        assert_eq!(status, 200, "{path}: {told}");
    }
    assert_eq!((entries(&house), crate::support::files(house.data())), (before, files));
    let text = crate::rulebook::raised();
    let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (status, told) = ann.post("/console/rules/edit", &format!("deed=check&text={text}")).await;
    assert!(status == 200 && told.contains("It compiles"), "{told}");
    assert!(!house.data().join("bundles").join(&at_work).exists(), "trying keeps nothing");
    let (status, told) = ann.post("/console/rules/edit", &format!("deed=keep&note=n&text={text}")).await;
    assert_eq!(status, 303, "{told}");
    assert!(fs::metadata(house.data().join("bundles").join(&at_work)).is_ok(), "the way back is kept");
    assert_eq!(serving.stop(), 0);
}

/// Without a bundle the page of rules shows those that judge all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bundle_the_built_in_rules_are_shown() {
    let more = "[fraud]\nshadow = [\"first_use\"]\noff = [\"failed_logins\"]\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let (status, page) = ann.get("/console/rules").await;
    assert_eq!(status, 200);
    let mode = |rule: &str| {
        let (_, row) =
            page.split_once(&format!("<code>{rule}</code>")).unwrap_or_else(|| panic!("{rule}: {page}"));
        let (_, cell) = row.split_once("data-label=\"mode\">").unwrap();
        cell.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
    };
    assert_eq!(mode("balance_drain"), "enforced");
    assert_eq!(mode("shared_device"), "shadow");
    assert_eq!(mode("first_use"), "shadow");
    assert_eq!(mode("failed_logins"), "off");
    assert_eq!(serving.stop(), 0);
}

/// Most pages of one walk.
const WALK_MAX: usize = 400;

/// Opens every page that a page offers, from the first on; their number.
async fn walk(visitor: &Visitor, who: &str) -> usize {
    let mut open = vec!["/console".to_owned()];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < WALK_MAX, "{who}: pages without end: {seen:?}");
        let (status, page) = visitor.get(&path).await;
        if status == 303 {
            let to = page.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
            open.push(to.to_owned());
            continue;
        }
        assert_eq!(status, 200, "{who} at {path}: {page}");
        assert_eq!(page.matches("<h1").count(), 1, "{who} at {path}");
        assert!(!page.contains("<tbody></tbody>"), "{who} at {path} has a table without rows");
        for rest in page.split("href=\"").skip(1) {
            let href = rest.split(['"', '#']).next().unwrap().replace("&amp;", "&");
            let is_page = href.starts_with("/console") && !href.starts_with("/console/assets");
            if is_page && !href.starts_with("/console/export") {
                open.push(href);
            }
        }
    }
    seen.len()
}

/// At the first start, without a bundle, a list or anything that happened, every page a role is offered is there and says what is
/// missing in a sentence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_first_start_every_page_of_every_role_says_what_is_missing() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    for role in [
        "admin",
        "aml_analyst",
        "approver",
        "auditor",
        "compliance_officer",
        "fraud_analyst",
        "security_engineer",
        "sre",
        "viewer",
    ] {
        let visitor = Visitor::with_role(&house, &serving, role, "ann").await;
        let pages = walk(&visitor, role).await;
        assert!(pages > 6, "{role} is offered {pages} pages");
    }
    let developer = Visitor::enter(&house, &serving, ("--account", "kestrel"), "dev").await;
    assert_eq!(walk(&developer, "a developer").await, 2);
    assert_eq!(serving.stop(), 0);
}

/// Each setting says where it is from, what opens something is on no page, and what was read again is in force with its new line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_say_where_they_are_from_and_show_no_secret() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let ann = Visitor::with_role(&house, &serving, "admin,security_engineer", "ann").await;
    let (status, page) = ann.get("/console/health").await;
    assert_eq!(status, 200);
    let from = |page: &str, key: &str| {
        let (_, row) =
            page.split_once(&format!("<code>{key}</code>")).unwrap_or_else(|| panic!("{key}: {page}"));
        let (_, cell) = row.split_once("data-label=\"from\">").unwrap();
        cell.split("</td>").next().unwrap().replace("<span class=\"muted\">", "").replace("</span>", "")
    };
    let text = fs::read_to_string(house.config()).unwrap();
    let line = |word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    assert_eq!(from(&page, "data.segment_size"), format!("line {}", line("segment_size")));
    assert_eq!(from(&page, "backup.target"), format!("line {}", line("target = ")));
    assert_eq!(from(&page, "limits.withdraw"), "default");
    assert!(page.contains("at the start") && page.contains("caponier.toml"), "{page}");
    let upstream = hex::encode([9_u8; 32]);
    for path in ["/console", "/console/health", "/console/audit", "/console/webhooks"] {
        let (_, page) = ann.get(path).await;
        assert!(!page.contains(house.token()) && !page.contains(&upstream), "{path} shows a secret");
    }

    fs::write(house.config(), format!("{text}\n[limits]\nwithdraw = \"7 / 1s\"\n")).unwrap();
    house.ask(&["reload"]).exits(0);
    let (_, page) = ann.get("/console/health").await;
    assert_eq!(from(&page, "limits.withdraw"), format!("line {}", text.lines().count() + 3));
    assert!(page.contains("7 / 1s") && page.contains("read again"), "{page}");
    assert_eq!(serving.stop(), 0);
}

/// Who develops for an account appeals what was refused to it, once, and nothing that was refused to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_developer_appeals_what_was_refused_to_their_own_account() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_a_case(&house, &serving).await;
    let own = Visitor::enter(&house, &serving, ("--account", "customer-1"), "dev").await;
    let other = Visitor::enter(&house, &serving, ("--account", "customer-2"), "dev").await;
    let (status, page) = own.get("/console/own").await;
    assert_eq!(status, 200);
    let decision = field(&page, "decision");
    let form = format!("deed=appeal&decision={decision}&text=it+was+mine");
    let (status, told) = other.post("/console/own", &form).await;
    assert_eq!(status, 409, "{told}");
    assert!(told.contains("Not done: ") && !told.contains("12.5"), "{told}");
    let (status, told) = own.post("/console/own", &form).await;
    assert_eq!(status, 303, "{told}");
    let (status, told) = own.post("/console/own", &form).await;
    assert_eq!(status, 409, "one at a time: {told}");
    let (_, page) = own.get("/console/own").await;
    assert!(page.contains("appeal-") && !page.contains("name=\"decision\""), "{page}");
    assert!(!other.get("/console/own").await.1.contains("appeal-"));
    // Whoever works on the case finds it there.
    let listed = house.ask(&["cases", "list", "--account", "customer-1"]).exits(0).json();
    let case = listed["cases"][0]["id"].as_str().unwrap().replace("case-", "");
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let (_, page) = ann.get(&format!("/console/cases/{case}")).await;
    assert!(page.contains("it was mine"), "{page}");
    assert_eq!(serving.stop(), 0);
}
