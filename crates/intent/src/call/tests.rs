use proptest::prelude::*;
use sha3::{Digest as _, Keccak256};

use super::*;
use crate::{
    effect::{Grant, Quantity, Role, Severity},
    transaction,
};

const ME: Account = Account([0x11; 20]);
const TOKEN: Account = Account([0x22; 20]);
const STRANGER: Account = Account([0x33; 20]);
const SAFE: Account = Account([0x44; 20]);

/// An argument, written by the ABI's rules a second time.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Word([u8; 32]),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Tuple(Vec<Self>),
}

impl Arg {
    fn is_dynamic(&self) -> bool {
        match self {
            Self::Word(_) => false,
            Self::Bytes(_) | Self::List(_) => true,
            Self::Tuple(args) => args.iter().any(Self::is_dynamic),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Word(word) => word.to_vec(),
            Self::Bytes(bytes) => {
                let mut out = number(bytes.len() as u64).encode();
                out.extend_from_slice(bytes);
                out.resize(out.len().div_ceil(32) * 32, 0);
                out
            }
            Self::List(args) => {
                let mut out = number(args.len() as u64).encode();
                out.extend(encode(args));
                out
            }
            Self::Tuple(args) => encode(args),
        }
    }
}

fn encode(args: &[Arg]) -> Vec<u8> {
    let head_len: usize = args.iter().map(|arg| if arg.is_dynamic() { 32 } else { arg.encode().len() }).sum();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for arg in args {
        if arg.is_dynamic() {
            head.extend(number((head_len + tail.len()) as u64).encode());
            tail.extend(arg.encode());
        } else {
            head.extend(arg.encode());
        }
    }
    head.extend(tail);
    head
}

fn number(value: u64) -> Arg {
    Arg::Word(U256::from(value).to_be_bytes())
}

fn account(account: Account) -> Arg {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    Arg::Word(word)
}

fn data(signature: &str, args: &[Arg]) -> Vec<u8> {
    let mut out = Keccak256::digest(signature)[..4].to_vec();
    out.extend(encode(args));
    out
}

fn read(to: Account, data: &[u8]) -> Reading {
    read_call(Some(ME), to, U256::ZERO, data, &Context::default())
}

fn acts(reading: &Reading) -> Vec<Act> {
    reading.effects.iter().map(|effect| effect.act.clone()).collect()
}

#[test]
fn every_selector_is_that_of_its_signature_and_stands_once() {
    let mut seen = std::collections::BTreeSet::new();
    for function in tables(PERMIT2) {
        let digest = Keccak256::digest(function.signature);
        assert_eq!(function.selector, digest[..4], "{}", function.signature);
        assert!(seen.insert(function.selector), "{} stands twice", function.signature);
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

/// Arguments that fit a list of types.
fn fitting(types: &str) -> Vec<Arg> {
    abi::split(types)
        .map(|text| {
            if let Some(of) = text.strip_suffix("[]") {
                Arg::List(fitting(of))
            } else if text.starts_with('(') {
                Arg::Tuple(fitting(&text[1..text.len() - 1]))
            } else if matches!(text, "bytes" | "string") {
                Arg::Bytes(Vec::new())
            } else if text == "address" {
                account(STRANGER)
            } else {
                number(1)
            }
        })
        .collect()
}

/// Signature and reader agree about number and types of the arguments.
#[test]
fn every_reader_fits_its_signature() {
    for function in tables(PERMIT2) {
        let types = abi::argument_types(function.signature);
        let call = data(function.signature, &fitting(types));
        let reading = read(PERMIT2, &call);
        let malformed = reading.effects.iter().find(|effect| matches!(effect.act, Act::Malformed { .. }));
        // The mode of a zero word's first byte is one call in packed form, which nothing is too short for.
        if function.signature == "execute(bytes32,bytes)" {
            continue;
        }
        assert_eq!(malformed, None, "{}", function.signature);
        // An empty text bundles nothing.
        let is_empty = function.signature == "multiSend(bytes)";
        assert_eq!(reading.effects.is_empty(), is_empty, "{}", function.signature);
        // One byte less in the head is noticed.
        if !types.is_empty() {
            let cut = read(PERMIT2, &call[..4 + 31]);
            assert!(
                matches!(cut.effects[..], [Effect { act: Act::Malformed { .. }, .. }]),
                "{}",
                function.signature
            );
        }
    }
}

#[test]
fn allowances() {
    let approve = |amount: U256| {
        data("approve(address,uint256)", &[account(STRANGER), Arg::Word(amount.to_be_bytes())])
    };
    let unlimited = read(TOKEN, &approve(U256::MAX));
    assert_eq!(unlimited.severity(), Severity::Danger);
    assert!(unlimited.is_understood());
    assert_eq!(
        unlimited.effects[0].act.to_string(),
        "0x3333333333333333333333333333333333333333 may move an unlimited amount of token \
         0x2222222222222222222222222222222222222222 of 0x1111111111111111111111111111111111111111"
    );
    assert_eq!(unlimited.parties(), [(ME, Role::Source), (TOKEN, Role::Contract), (STRANGER, Role::Spender)]);
    assert_eq!(read(TOKEN, &approve(U256::from(5u64))).severity(), Severity::Caution);
    assert_eq!(read(TOKEN, &approve(U256::ZERO)).severity(), Severity::Plain);
    let trusting = Context { trusted: [STRANGER].into(), ..Context::default() };
    let trusted = |amount| read_call(Some(ME), TOKEN, U256::ZERO, &approve(amount), &trusting).severity();
    assert_eq!(trusted(U256::MAX), Severity::Caution);
    assert_eq!(trusted(U256::ONE), Severity::Plain);
    let all = read(TOKEN, &data("setApprovalForAll(address,bool)", &[account(STRANGER), number(1)]));
    assert_eq!(all.severity(), Severity::Danger);
    let flag = read(TOKEN, &data("setApprovalForAll(address,bool)", &[account(STRANGER), number(2)]));
    assert!(!flag.is_understood(), "a flag is 0 or 1");
}

#[test]
fn transfers() {
    let transfer = read(TOKEN, &data("transfer(address,uint256)", &[account(STRANGER), number(9)]));
    let nine = Quantity::Amount(U256::from(9u64));
    assert_eq!(
        acts(&transfer),
        [Act::TokenTransfer { token: TOKEN, from: Some(ME), to: STRANGER, quantity: nine }]
    );
    assert_eq!(transfer.severity(), Severity::Plain);
    for lost in [TOKEN, Account::ZERO] {
        let reading = read(TOKEN, &data("transfer(address,uint256)", &[account(lost), number(9)]));
        assert_eq!(reading.severity(), Severity::Danger);
    }
    let mut longer = data("transfer(address,uint256)", &[account(STRANGER), number(9)]);
    longer.extend([1; 5]);
    let reading = read(TOKEN, &longer);
    assert_eq!(reading.effects[1].act, Act::TrailingData { to: TOKEN, count: 5 });
    assert!(!reading.is_understood());
    // Twelve bytes before an account that are not zero.
    let mut dirty = data("transfer(address,uint256)", &[account(STRANGER), number(9)]);
    dirty[4] = 1;
    assert!(matches!(read(TOKEN, &dirty).effects[0].act, Act::Malformed { .. }));
}

#[test]
fn what_is_unknown_is_not_harmless() {
    let unknown = read(TOKEN, &[0xde, 0xad, 0xbe, 0xef, 1]);
    assert_eq!((unknown.severity(), unknown.is_understood()), (Severity::Caution, false));
    assert_eq!(
        unknown.effects[0].act.to_string(),
        "0x2222222222222222222222222222222222222222 is called by a function that is not known (0xdeadbeef, 5 bytes)"
    );
    assert!(!read(TOKEN, &[]).is_understood());
    assert!(!read(TOKEN, &[1]).is_understood());
    let paid = read_call(Some(ME), STRANGER, U256::ONE, &[], &Context::default());
    assert_eq!(acts(&paid), [Act::NativeTransfer { from: Some(ME), to: STRANGER, amount: U256::ONE }]);
    assert!(paid.is_understood());
}

fn exec_transaction(to: Account, inner: Vec<u8>, operation: u64, price: u64) -> Vec<u8> {
    data(
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        &[
            account(to),
            number(0),
            Arg::Bytes(inner),
            number(operation),
            number(0),
            number(0),
            number(price),
            account(Account::ZERO),
            account(STRANGER),
            Arg::Bytes(vec![1; 65]),
        ],
    )
}

fn packed(operation: u8, to: Account, data: &[u8]) -> Vec<u8> {
    let mut out = vec![operation];
    out.extend(to.0);
    out.extend([0; 32]);
    out.extend(U256::from(data.len() as u64).to_be_bytes());
    out.extend(data);
    out
}

/// The form of the theft of February 2025: the signers saw a transfer, the Safe ran the stranger's code.
#[test]
fn a_safe_that_runs_a_strangers_code() {
    let inner = data("transfer(address,uint256)", &[account(STRANGER), number(0)]);
    let reading = read(SAFE, &exec_transaction(STRANGER, inner.clone(), 1, 0));
    assert_eq!(reading.severity(), Severity::Danger);
    assert_eq!(reading.effects[0].act, Act::DelegateCall { by: Some(SAFE), code: STRANGER });
    assert!(!reading.is_understood(), "it is no transfer");
    assert!(!reading.effects.iter().any(|effect| matches!(effect.act, Act::TokenTransfer { .. })));
    let call = read(SAFE, &exec_transaction(TOKEN, inner, 0, 0));
    assert_eq!(call.severity(), Severity::Plain);
    assert_eq!(call.effects[0].path, [0]);
    let strange = read(SAFE, &exec_transaction(TOKEN, vec![], 2, 0));
    assert!(matches!(strange.effects[0].act, Act::Malformed { .. }));
}

#[test]
fn a_bundle_of_a_safe() {
    let multi_send =
        Account(*b"\x40\xa2\xac\xcb\xd9\x2b\xca\x93\x8b\x02\x01\x0e\x17\xa5\xb8\x92\x9b\x49\x13\x0d");
    let approve = data("approve(address,uint256)", &[account(STRANGER), number(5)]);
    let threshold = data("changeThreshold(uint256)", &[number(1)]);
    let mut bundle = packed(0, TOKEN, &approve);
    bundle.extend(packed(0, SAFE, &threshold));
    bundle.extend(packed(1, STRANGER, &[]));
    let inner = data("multiSend(bytes)", &[Arg::Bytes(bundle)]);
    let reading = read(SAFE, &exec_transaction(multi_send, inner, 1, 3));
    let kinds: Vec<_> =
        reading.effects.iter().map(|effect| (effect.act.kind(), effect.path.clone())).collect();
    assert_eq!(
        kinds,
        [
            ("gas_refund", vec![]),
            ("delegate_call", vec![0]),
            ("allowance", vec![0, 0]),
            ("safe_threshold", vec![0, 1]),
            ("delegate_call", vec![0, 2]),
            ("unknown_call", vec![0, 2]),
        ]
    );
    assert_eq!(reading.effects[1].severity, Severity::Plain, "Safe's own code");
    assert!(matches!(&reading.effects[2].act, Act::Allowance { owner: Some(SAFE), .. }));
    assert_eq!(reading.effects[4].severity, Severity::Danger);
}

#[test]
fn bundles_are_bounded() {
    let mut nested = data("transfer(address,uint256)", &[account(STRANGER), number(1)]);
    for _ in 0..DEPTH_MAX + 4 {
        nested = data("multicall(bytes[])", &[Arg::List(vec![Arg::Bytes(nested)])]);
    }
    let reading = read(TOKEN, &nested);
    assert_eq!(acts(&reading), [Act::Unread { what: "calls are nested too deep" }]);
    assert_eq!(reading.severity(), Severity::Danger);

    let many = vec![Arg::Bytes(vec![]); 3_000];
    let reading = read(TOKEN, &data("multicall(bytes[])", &[Arg::List(many)]));
    assert_eq!(reading.effects.last().unwrap().act, Act::Unread { what: "there are too many calls" });
    assert_eq!(reading.effects.len(), usize::try_from(CALLS_MAX).unwrap());

    // A list that claims more than there is, and one whose items all lie at one place.
    let mut claims = data("multicall(bytes[])", &[Arg::List(vec![])]);
    let len = claims.len();
    claims[len - 8..].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(matches!(read(TOKEN, &claims).effects[..], [Effect { act: Act::Malformed { .. }, .. }]));
}

#[test]
fn control() {
    for (signature, args) in [
        ("upgradeTo(address)", vec![account(STRANGER)]),
        ("transferOwnership(address)", vec![account(STRANGER)]),
        ("grantRole(bytes32,address)", vec![number(0), account(STRANGER)]),
        ("enableModule(address)", vec![account(STRANGER)]),
        ("setGuard(address)", vec![account(Account::ZERO)]),
        ("changeThreshold(uint256)", vec![number(1)]),
        ("swapOwner(address,address,address)", vec![account(ME), account(ME), account(STRANGER)]),
        ("changeAdmin(address)", vec![account(STRANGER)]),
    ] {
        let reading = read(SAFE, &data(signature, &args));
        assert_eq!(reading.severity(), Severity::Danger, "{signature}");
        assert!(reading.is_understood(), "{signature}");
        assert!(!reading.effects[0].act.to_string().is_empty());
    }
    let upgrade = data("upgradeToAndCall(address,bytes)", &[account(STRANGER), Arg::Bytes(vec![1, 2, 3, 4])]);
    let kinds: Vec<_> = read(SAFE, &upgrade).effects.iter().map(|effect| effect.act.kind()).collect();
    assert_eq!(kinds, ["upgrade", "delegate_call", "unknown_call"]);
}

#[test]
fn permit2() {
    let details = Arg::Tuple(vec![account(TOKEN), number(7), number(1_800_000_000), number(0)]);
    let single = Arg::Tuple(vec![details, account(STRANGER), number(1)]);
    let signature = "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)";
    let reading = read(PERMIT2, &data(signature, &[account(ME), single, Arg::Bytes(vec![])]));
    assert_eq!(
        acts(&reading),
        [Act::Allowance {
            token: TOKEN,
            owner: Some(ME),
            spender: STRANGER,
            grant: Grant::Set,
            amount: U256::from(7u64),
            until_s: Some(U256::from(1_800_000_000u64)),
        }]
    );
}

#[test]
fn transactions_of_type_4_say_who_runs_whose_code() {
    let mut bytes = Vec::new();
    let mut items = Vec::new();
    for number in [31_337u64, 0, 1, 1, 100_000] {
        crate::rlp::put_integer(&mut items, U256::from(number));
    }
    crate::rlp::put_bytes(&mut items, &ME.0);
    crate::rlp::put_integer(&mut items, U256::ZERO);
    crate::rlp::put_bytes(&mut items, &[]);
    crate::rlp::put_list(&mut items, &[]);
    let mut entry = Vec::new();
    crate::rlp::put_integer(&mut entry, U256::from(31_337u64));
    crate::rlp::put_bytes(&mut entry, &hex::decode("5fbdb2315678afecb367f032d93f642f64180aa3").unwrap());
    crate::rlp::put_integer(&mut entry, U256::ZERO);
    crate::rlp::put_integer(&mut entry, U256::ZERO);
    for part in [
        "0a17b68dcbf7db8bafb45cbcbeb61316aa330f045e43425e1db41e6c794c2e64",
        "1a7f46131075975b44ae67f3bc968a9bce64f257b24571d945bb9026812c114e",
    ] {
        crate::rlp::put_integer(&mut entry, U256::from_hex(part).unwrap());
    }
    let mut list = Vec::new();
    crate::rlp::put_list(&mut list, &entry);
    crate::rlp::put_list(&mut items, &list);
    bytes.push(4);
    crate::rlp::put_list(&mut bytes, &items);
    let envelope = transaction::decode(&bytes).unwrap();
    let context = Context { chain_id: Some(1), ..Context::default() };
    let reading = read_transaction(&envelope, Some(ME), &context);
    let kinds: Vec<_> = reading.effects.iter().map(|effect| effect.act.kind()).collect();
    assert_eq!(kinds, ["other_chain", "delegation", "empty_call"]);
    let Act::Delegation { authority, has_effect, .. } = &reading.effects[1].act else { panic!() };
    assert_eq!(authority.unwrap().to_string(), "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    assert!(has_effect);
    assert_eq!(reading.effects[1].severity, Severity::Danger);
}

proptest! {
    #[test]
    fn never_panics_and_stays_bounded(
        idx in 0usize..100,
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(32u8), any::<u8>()], 0..600),
    ) {
        let functions: Vec<_> = tables(PERMIT2).collect();
        let mut call = functions[idx % functions.len()].selector.to_vec();
        call.extend(bytes);
        let reading = read(PERMIT2, &call);
                prop_assert!(reading.effects.len() <= 2 * usize::try_from(CALLS_MAX + VALUES_MAX).unwrap());
        for effect in &reading.effects {
            prop_assert!(!effect.act.to_string().is_empty());
        }
    }
}
