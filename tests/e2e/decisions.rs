//! What a customer hears when a withdrawal is not let through, each with the exchange's own code.

use domain::{AccountId, Credential, Network};
use exchange::ledger::Person;
use http::Method;

use crate::support::{HOME, House, Settings, WITHDRAWAL, tron_address, withdrawal};

fn person(name: &str) -> Person {
    Person { account: AccountId::parse(name).unwrap(), device: None, ip: HOME }
}

/// An exchange enforces its address books: an address nobody added is refused until it is added, and decided anew
/// under the same client id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_book_that_is_enforced() {
    let more = "[decide]\naddress_book = \"enforce\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    house.open_account("berta").await;
    let key = house.key("berta");
    let mut client = house.client(&serving, &key);
    let ask = |to: &str| withdrawal(to, "5", "samename");
    let friend = tron_address("friend");

    let answer = client.call(Method::POST, WITHDRAWAL, &ask(&friend)).await.unwrap();
    assert_eq!(answer.code(), "58207", "{}", answer.json);
    let why = house.ask(&["explain", answer.decision_id().unwrap()]).exits(0).json();
    assert_eq!(why["verdict"], "deny");
    assert!(why.to_string().contains("decide.address_not_in_book"), "{why}");

    house.desk().add_address(&person("berta"), Network::Tron, &friend).unwrap();
    house.settle().await;
    let answer = client.call(Method::POST, WITHDRAWAL, &ask(&friend)).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    let answer = client.call(Method::POST, WITHDRAWAL, &ask(&tron_address("stranger"))).await.unwrap();
    assert_eq!(answer.code(), "58207", "another address: {}", answer.json);
    assert_eq!(serving.stop(), 0);
}

/// A key that may withdraw to one entry of the address book withdraws there, and to no other entry; also after a restart,
/// and only once the entry is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_key_withdraws_to_its_entry_alone() {
    let more = "[decide]\naddress_book = \"enforce\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    house.open_account("emma").await;
    let key = house.key("emma");
    let (own, other) = (tron_address("emma's own"), tron_address("a friend's"));
    let id = key["key"].as_str().unwrap();
    let shown = house.ask(&["keys", "restrict", id, "--withdraw-to", &format!("tron:{own}")]).exits(0).json();
    assert_eq!(shown["restrictions"]["destinations"].as_array().unwrap().len(), 1, "{shown}");
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&own, "5", "early")).await.unwrap();
    assert_eq!(answer.code(), "58207", "nobody made the entry yet: {}", answer.json);
    for address in [&own, &other] {
        house.desk().add_address(&person("emma"), Network::Tron, address).unwrap();
    }
    house.settle().await;
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&own, "5", "own")).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&other, "5", "other")).await.unwrap();
    assert_eq!((answer.code(), answer.decision_id()), ("58207", None), "{}", answer.json);
    assert_eq!(serving.stop(), 0);

    let serving = house.serve();
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&other, "5", "again")).await.unwrap();
    assert_eq!(answer.code(), "58207", "{}", answer.json);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&own, "5", "twice")).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    let made = house.desk().withdrawals(&AccountId::parse("emma").unwrap()).unwrap();
    assert_eq!(made.len(), 2);
    assert_eq!(serving.stop(), 0);
}

/// From where and with what software a withdrawal was asked for stands in its decision and at its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_says_what_software_asked() {
    let house = House::build(Settings::default()).await;
    std::fs::write(house.path("operators"), "127.0.0.0/8 64500\n").unwrap();
    let config = std::fs::read_to_string(house.config()).unwrap() + "\n[bans]\nasn_file = \"operators\"\n";
    std::fs::write(house.config(), config).unwrap();
    let serving = house.serve();
    house.open_account("dora").await;
    let key = house.key("dora");
    let mut client = house.client(&serving, &key);
    let ask = withdrawal(&tron_address("friend"), "5", "w1");
    let answer = client.call(Method::POST, WITHDRAWAL, &ask).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    let id = answer.decision_id().unwrap();
    let (status, told) =
        house.control_api(&serving, "GET", &format!("/v1/decisions/{id}"), String::new()).await.unwrap();
    assert_eq!(status, 200, "{told}");
    let ja4 = told["withdrawal"]["client_ja4"].as_str().unwrap().to_owned();
    assert!(ja4.starts_with("t13") && ja4.len() == 36, "{ja4}");
    let shown = house.ask(&["keys", "show", key["key"].as_str().unwrap()]).exits(0).json();
    let known = &shown["known_from"][0];
    assert_eq!((&known["network"], &known["ja4"]), (&"AS64500".into(), &ja4.as_str().into()), "{shown}");
    assert_eq!(serving.stop(), 0);
    let log = house.ask(&["log", "--kind", "decision", "--reveal"]).exits(0).text();
    assert!(log.contains(&ja4), "{log}");
    crate::support::assert_sound(house.data());
}

/// Addresses that are none, contacts just changed, networks nobody can screen, bodies two readers could read
/// differently: each is refused with its code, and nothing moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_code() {
    let more = "[limits]\nwithdraw = \"100 / 1s\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    house.open_account("carla").await;
    let key = house.key("carla");
    let mut client = house.client(&serving, &key);
    let good = tron_address("good");
    let broken = good.replacen('T', "U", 1);
    let twice = withdrawal(&good, "5", "w1").replacen("{", &format!("{{\"toAddr\":\"{broken}\","), 1);
    let unknown = withdrawal(&good, "5", "w2").replace("USDT-TRC20", "USDT-Nowhere");
    for (body, code) in [
        (withdrawal(&broken, "5", "w3"), "58222"),
        (twice, "50002"),
        (unknown, "58204"),
        (withdrawal(&good, "-5", "w4"), "51000"),
        (withdrawal(&good, "1e3", "w5"), "51000"),
        ("[]".to_owned(), "50002"),
    ] {
        let answer = client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
        assert_eq!(answer.code(), code, "{body}: {}", answer.json);
    }

    house.desk().change_credential(&person("carla"), Credential::Email).unwrap();
    house.settle().await;
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&good, "5", "w6")).await.unwrap();
    assert_eq!(answer.code(), "58219", "{}", answer.json);
    assert!(house.desk().withdrawals(&AccountId::parse("carla").unwrap()).unwrap().is_empty());
    assert_eq!(serving.stop(), 0);
}

/// A list changes by a few addresses without a new import, and leaves as a TagPack that comes back equal.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_changed_and_exported_while_it_serves() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let (listed, later) = (tron_address("listed"), tron_address("later"));
    let file = |name: &str, text: &str| {
        let path = house.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let first = file("sanctioned_addresses_TRX.txt", &format!("{listed}\n"));
    house.ask(&["lists", "import", "--format", "ofac", "--name", "sanctions", &first]).exits(0);
    house.ask(&["screen", &listed]).exits(1);
    house.ask(&["screen", &later]).exits(0);

    let add = file("more.csv", &format!("wallet,why\n{later},reported by a customer\n"));
    let format = "csv:address=wallet,network=:TRX,category=:scam,label=why";
    let changed = ["lists", "update", "sanctions", "--format", format, "--add", &add];
    assert_eq!(house.ask(&changed).exits(0).json()["added"], 1);
    let screened = house.ask(&["screen", &later]).exits(1).json();
    assert!(screened.to_string().contains("reported by a customer"), "{screened}");
    let gone = file("gone.csv", &format!("wallet,why\n{listed},appeal\n"));
    let changed = ["lists", "update", "sanctions", "--format", format, "--remove", &gone];
    assert_eq!(house.ask(&changed).exits(0).json()["removed_listed"], 1);
    house.ask(&["screen", &listed]).exits(0);

    let pack = house.ask(&["lists", "export", "sanctions"]).exits(0).json();
    let pack = file("export.yaml", pack["tagpack"].as_str().unwrap());
    house.ask(&["lists", "import", "--format", "tagpack", "--name", "copy", &pack]).exits(0);
    let screened = house.ask(&["screen", &later]).exits(1).json();
    assert_eq!(screened["labels"].as_array().unwrap().len(), 2, "{screened}");
    assert_eq!(serving.stop(), 0);
    let serving = house.serve();
    house.ask(&["screen", &later]).exits(1);
    house.ask(&["screen", &listed]).exits(0);
    assert_eq!(house.ask(&["lists", "export", "nothing"]).code, 66);
    assert!(
        house.ask(&["lists", "import", "--format", "xml", &pack]).exits(64).text().contains("scamsniffer")
    );
    assert_eq!(serving.stop(), 0);
}
