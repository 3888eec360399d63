use proptest::prelude::*;

use super::*;
use crate::effect::Severity;

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// The example of EIP-712.
const MAIL: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}"#;

#[test]
fn the_example_of_eip_712() {
    let message = decode(MAIL).unwrap();
    assert_eq!(
        message.encoded_type,
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    );
    assert_eq!(
        hex_of(&message.domain_separator),
        "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    );
    assert_eq!(
        hex_of(&message.message_hash),
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    );
    assert_eq!(
        hex_of(&message.signing_hash),
        "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    );
    assert_eq!(message.domain.name.as_deref(), Some("Ether Mail"));
    let reading = read_message(&message, None, &Context::default());
    assert!(!reading.is_understood());
    assert_eq!(reading.effects[0].act.kind(), "unknown_message");
}

const ME: &str = "0x1111111111111111111111111111111111111111";
const TOKEN: &str = "0x2222222222222222222222222222222222222222";
const STRANGER: &str = "0x3333333333333333333333333333333333333333";
const PERMIT2_TEXT: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

fn declared(types: &str) -> String {
    // `Name(type field,...)` one after the other, as they are hashed.
    let mut out = String::new();
    for part in types.split_inclusive(')') {
        let (name, fields) = part.trim_end_matches(')').split_once('(').unwrap();
        let fields: Vec<String> = fields
            .split(',')
            .map(|field| {
                let (type_name, name) = field.split_once(' ').unwrap();
                format!(r#"{{"name":"{name}","type":"{type_name}"}}"#)
            })
            .collect();
        out.push_str(&format!(r#","{name}":[{}]"#, fields.join(",")));
    }
    out
}

fn message(types: &str, contract: &str, message: &str) -> String {
    let primary = types.split('(').next().unwrap();
    format!(
        r#"{{"types":{{"EIP712Domain":[{{"name":"chainId","type":"uint256"}},{{"name":"verifyingContract","type":"address"}}]{}}},"primaryType":"{primary}","domain":{{"chainId":"0x1","verifyingContract":"{contract}"}},"message":{message}}}"#,
        declared(types)
    )
}

fn read(text: &str) -> Reading {
    let context = Context { chain_id: Some(1), ..Context::default() };
    let signer = Account([0x11; 20]);
    read_message(&decode(text).unwrap(), Some(signer), &context)
}

#[test]
fn permits() {
    let permit = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
    let body = |value: &str| {
        format!(r#"{{"owner":"{ME}","spender":"{STRANGER}","value":"{value}","nonce":0,"deadline":"1"}}"#)
    };
    let unlimited = format!("0x{}", "f".repeat(64));
    let reading = read(&message(permit, TOKEN, &body(&unlimited)));
    assert_eq!((reading.severity(), reading.is_understood()), (Severity::Danger, true));
    assert_eq!(reading.effects[0].act.kind(), "allowance");
    assert_eq!(read(&message(permit, TOKEN, &body("0"))).severity(), Severity::Plain);
    // One field more: another type, which nobody knows.
    let more = permit.replace("uint256 deadline", "uint256 deadline,address more");
    let body = body("1").replace("\"1\"}", &format!("\"1\",\"more\":\"{ME}\"}}"));
    assert!(!read(&message(&more, TOKEN, &body)).is_understood());
    let all = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
    let body = format!(r#"{{"holder":"{ME}","spender":"{STRANGER}","nonce":0,"expiry":0,"allowed":true}}"#);
    assert_eq!(read(&message(all, TOKEN, &body)).severity(), Severity::Danger);
}

#[test]
fn permit2() {
    let single = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
    let amount = U256::from_hex(&"f".repeat(40)).unwrap();
    let body = format!(
        r#"{{"details":{{"token":"{TOKEN}","amount":"{amount}","expiration":281474976710655,"nonce":0}},"spender":"{STRANGER}","sigDeadline":1}}"#
    );
    let reading = read(&message(single, PERMIT2_TEXT, &body));
    assert_eq!((reading.severity(), reading.is_understood()), (Severity::Danger, true));
    // The same, bound to another contract: what that does with it nobody knows.
    let reading = read(&message(single, TOKEN, &body));
    assert!(!reading.is_understood());
    assert!(reading.effects[0].act.to_string().contains("bound to another contract"));
    let transfer = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Order witness)Order(uint256 price)TokenPermissions(address token,uint256 amount)";
    let body = format!(
        r#"{{"permitted":{{"token":"{TOKEN}","amount":5}},"spender":"{STRANGER}","nonce":0,"deadline":9,"witness":{{"price":1}}}}"#
    );
    let reading = read(&message(transfer, PERMIT2_TEXT, &body));
    let kinds: Vec<_> = reading.effects.iter().map(|effect| effect.act.kind()).collect();
    assert_eq!(kinds, ["allowance", "unknown_message"]);
}

#[test]
fn a_safe_transaction_is_read_into_its_calls() {
    let safe = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)";
    let body = |operation: u8| {
        format!(
            r#"{{"to":"{STRANGER}","value":0,"data":"0xa9059cbb{:0>64}{:0>64}","operation":{operation},"safeTxGas":0,"baseGas":0,"gasPrice":0,"gasToken":"0x0000000000000000000000000000000000000000","refundReceiver":"0x0000000000000000000000000000000000000000","nonce":71}}"#,
            &TOKEN[2..],
            ""
        )
    };
    let delegate = read(&message(safe, TOKEN, &body(1)));
    assert_eq!((delegate.severity(), delegate.is_understood()), (Severity::Danger, false));
    let call = read(&message(safe, TOKEN, &body(0)));
    assert_eq!((call.severity(), call.is_understood()), (Severity::Plain, true));
    assert!(!read(&message(safe, TOKEN, &body(2))).is_understood());
}

#[test]
fn an_order_for_nothing() {
    let order = "OrderComponents(address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,uint256 counter)ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)";
    let zero = format!("0x{}", "0".repeat(64));
    let body = |recipient: &str, amount: u8| {
        format!(
            r#"{{"offerer":"{ME}","zone":"{ME}","offer":[{{"itemType":2,"token":"{TOKEN}","identifierOrCriteria":7,"startAmount":1,"endAmount":1}}],"consideration":[{{"itemType":0,"token":"{TOKEN}","identifierOrCriteria":0,"startAmount":{amount},"endAmount":{amount},"recipient":"{recipient}"}}],"orderType":0,"startTime":0,"endTime":9,"zoneHash":"{zero}","salt":0,"conduitKey":"{zero}","counter":0}}"#
        )
    };
    assert_eq!(read(&message(order, TOKEN, &body(STRANGER, 1))).severity(), Severity::Danger);
    assert_eq!(read(&message(order, TOKEN, &body(ME, 0))).severity(), Severity::Danger);
    assert_eq!(read(&message(order, TOKEN, &body(ME, 9))).severity(), Severity::Caution);
}

#[test]
fn faults_are_named() {
    let fault = |from: &str, to: &str| {
        assert!(MAIL.contains(from), "{from}");
        decode(&MAIL.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(
        fault("\"contents\":\"Hello", "\"contents\":\"x\",\"contents\":\"Hello").contains("stands twice")
    );
    assert_eq!(fault("\"contents\":\"Hello, Bob!\"", "\"contents\":7"), "message.contents: not a text");
    assert_eq!(fault(",\"contents\":\"Hello, Bob!\"", ""), "message.contents: not there");
    assert_eq!(
        fault("\"contents\":\"Hello", "\"shown\":1,\"contents\":\"Hello"),
        "message.shown: not a field of its type"
    );
    assert_eq!(fault("0xbBbBBBB", "0xbBbBBBb"), "message.to.wallet: not an address");
    assert_eq!(
        fault("\"chainId\":1", "\"chainId\":1.5"),
        "not JSON: a number that is no integer of 64 bits; larger ones are written as text at line 1 column 440"
    );
    assert_eq!(fault("\"chainId\":1", "\"chainId\":-1"), "domain.chainId: not an integer of that size");
    assert_eq!(fault("\"type\":\"Person\"", "\"type\":\"Human\""), "types: \"Human\" is not declared");
    assert_eq!(fault("\"Person\":[", "\"uint256\":["), "types: \"uint256\" cannot name a type");
    assert!(fault("\"primaryType\":\"Mail\",", "").contains("primaryType is missing"));
    // A type that is made of itself has no smallest value, so no text has one.
    let endless =
        MAIL.replace("\"name\":\"contents\",\"type\":\"string\"", "\"name\":\"contents\",\"type\":\"Mail\"");
    assert!(decode(&endless).is_err());
}

#[test]
fn numbers() {
    let types = "Numbers(int8 a,uint8 b,bytes2 c,uint256[2] d)";
    let body = |a: &str, b: &str, c: &str, d: &str| {
        decode(&message(types, TOKEN, &format!(r#"{{"a":{a},"b":{b},"c":{c},"d":{d}}}"#)))
    };
    let good = body("-128", "255", "\"0x0102\"", "[1,\"2\"]").unwrap();
    let same = body("\"-128\"", "\"0xff\"", "\"0x0102\"", "[\"0x1\",2]").unwrap();
    assert_eq!(good.signing_hash, same.signing_hash);
    for (a, b, c, d) in [
        ("-129", "1", "\"0x0102\"", "[1,2]"),
        ("128", "1", "\"0x0102\"", "[1,2]"),
        ("1", "256", "\"0x0102\"", "[1,2]"),
        ("1", "1", "\"0x01\"", "[1,2]"),
        ("1", "1", "\"0x0102\"", "[1]"),
        ("1", "1", "\"0x01zz\"", "[1,2]"),
        ("1", "\"\"", "\"0x0102\"", "[1,2]"),
        ("1", "true", "\"0x0102\"", "[1,2]"),
    ] {
        assert!(matches!(body(a, b, c, d), Err(TypedError::BadValue { .. })), "{a} {b} {c} {d}");
    }
}

proptest! {
    #[test]
    fn edits_are_refused_or_read(at in 0usize..2_000, byte in 32u8..127) {
        let mut bytes = MAIL.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(message) = decode(&String::from_utf8(bytes).unwrap()) {
            prop_assert!(!read_message(&message, None, &Context::default()).is_understood());
        }
    }
}
