use domain::{Address, AddressKind, ChainFamily};
use proptest::prelude::*;

use super::*;

fn btc(text: &str) -> Result<Address, AddressError> {
    decode(ChainFamily::Bitcoin, text)
}

fn evm(text: &str) -> Result<Address, AddressError> {
    decode(ChainFamily::Evm, text)
}

#[test]
fn bitcoin_of_every_kind_round_trips() {
    for (text, kind) in [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", AddressKind::BitcoinP2pkh),
        ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", AddressKind::BitcoinP2sh),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", AddressKind::BitcoinWitness { version: 0 }),
        (
            "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
            AddressKind::BitcoinWitness { version: 0 },
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            AddressKind::BitcoinWitness { version: 1 },
        ),
        ("bc1sw50qgdz25j", AddressKind::BitcoinWitness { version: 16 }),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", AddressKind::BitcoinWitness { version: 2 }),
    ] {
        let address = btc(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(address.kind(), kind, "{text}");
        assert_eq!(encode(&address), text);
        assert_eq!(detect(text), Some(ChainFamily::Bitcoin));
        assert_eq!(decode_any(text), Ok(address));
    }
    let upper = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4";
    assert_eq!(encode(&btc(upper).unwrap()), upper.to_lowercase());
}

#[test]
fn invalid_witness_addresses_of_bip_350_are_refused() {
    for text in [
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1pw5dgrnzv",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
        "bc1gmk9yu",
        "bc1",
    ] {
        assert!(btc(text).is_err(), "{text}");
    }
}

#[test]
fn eip_55_vectors() {
    for text in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        let address = evm(text).unwrap();
        assert_eq!(encode(&address), text);
        assert_eq!(evm(&text.to_lowercase()), Ok(address));
        assert_eq!(evm(&text.to_uppercase()), Ok(address));
        assert_eq!(evm(&format!("0x{}", text[2..].to_uppercase())), Ok(address));
    }
    assert_eq!(
        evm("0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed"),
        Err(AddressError::MixedCaseChecksum { position: 12 })
    );
}

#[test]
fn tron_round_trips() {
    for text in ["TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "TFdTr9C3BqQrzKBXqSxJfAZFTh8UwBAfSg"] {
        let address = decode(ChainFamily::Tron, text).unwrap();
        assert_eq!(address.kind(), AddressKind::Tron);
        assert_eq!(encode(&address), text);
        assert_eq!(detect(text), Some(ChainFamily::Tron));
    }
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let check = |family, text: &str, expected: AddressError| {
        let error = decode(family, text).expect_err(text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().ends_with('.'));
    };
    use ChainFamily::{Bitcoin, Evm, Tron};
    check(Bitcoin, "", AddressError::Empty);
    check(Bitcoin, " 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", AddressError::Whitespace { position: 1 });
    check(Bitcoin, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n", AddressError::Whitespace { position: 35 });
    check(
        Bitcoin,
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        AddressError::BadChecksum { encoding: "base58check" },
    );
    check(
        Bitcoin,
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7Div0Na",
        AddressError::BadCharacter { alphabet: "base58", character: '0', position: 32 },
    );
    check(
        Bitcoin,
        "1А1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        AddressError::LookAlike { character: '\u{410}', resembles: 'A', position: 2 },
    );
    check(
        Bitcoin,
        "1A1zP1eP5QGefi2DMP\u{200b}TfTL5SLmv7DivfNa",
        AddressError::Invisible { character: '\u{200b}', position: 19 },
    );
    check(Bitcoin, "1漢", AddressError::NonAscii { character: '漢', position: 2 });
    check(Bitcoin, &"1".repeat(129), AddressError::TooLong { got: 129 });
    check(
        Bitcoin,
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
        AddressError::WrongNetwork { found: "a Bitcoin testnet", wanted: "a Bitcoin mainnet one" },
    );
    check(
        Bitcoin,
        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
        AddressError::WrongNetwork { found: "a Bitcoin testnet", wanted: "a Bitcoin mainnet one" },
    );
    check(
        Bitcoin,
        "LNf2JDiuunBz7GMDKFYHN4rq5meXWxiwfb",
        AddressError::WrongNetwork { found: "a Litecoin", wanted: "a Bitcoin mainnet one" },
    );
    check(Bitcoin, "bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", AddressError::MixedCase { position: 5 });
    check(
        Bitcoin,
        "bc1qw508d6qejxtdg4y5r3zarvarb0c5xw7kv8f3t4",
        AddressError::BadCharacter { alphabet: "bech32", character: 'b', position: 29 },
    );
    check(
        Bitcoin,
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        AddressError::BadChecksum { encoding: "bech32" },
    );
    check(Bitcoin, "hello", AddressError::Unrecognised { wanted: "bitcoin" });
    check(
        Bitcoin,
        "0x52908400098527886E0F7030069857D2E4169EE7",
        AddressError::WrongNetwork { found: "an EVM", wanted: "a Bitcoin mainnet one" },
    );
    check(
        Evm,
        "0x52908400098527886E0F7030069857D2E4169EE",
        AddressError::BadLength { expected: "40 hexadecimal digits after 0x", got: 39 },
    );
    check(
        Evm,
        "0x52908400098527886E0F7030069857D2E4169EG7",
        AddressError::BadCharacter { alphabet: "hexadecimal", character: 'G', position: 41 },
    );
    check(Evm, "52908400098527886E0F7030069857D2E4169EE7", AddressError::Unrecognised { wanted: "evm" });
    check(
        Evm,
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
        AddressError::WrongNetwork { found: "a TRON", wanted: "an EVM one" },
    );
    check(
        Tron,
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6",
        AddressError::BadLength { expected: "34 characters", got: 33 },
    );
    check(Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u", AddressError::BadChecksum { encoding: "base58check" });
    check(
        Tron,
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        AddressError::WrongNetwork { found: "a Bitcoin", wanted: "a TRON one" },
    );
}

#[test]
fn real_addresses_round_trip() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain/addresses_codec.csv.zst");
    let Ok(output) = std::process::Command::new("zstd").args(["-dc", path]).output() else {
        eprintln!("skipped: zstd is not installed");
        return;
    };
    if !output.status.success() {
        eprintln!("skipped: {path} is absent");
        return;
    }
    let csv = String::from_utf8(output.stdout).unwrap();
    let (mut bitcoin, mut foreign) = (0, 0);
    for line in csv.lines().skip(1) {
        let (chain, text) = line.split_once(',').unwrap();
        match chain {
            "btc" => {
                let address = btc(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(encode(&address), text);
                bitcoin += 1;
            }
            // ZEC transparent addresses have a two-byte version, so none of them may pass as Bitcoin.
            "zec" => {
                assert!(btc(text).is_err(), "{text}");
                foreign += 1;
            }
            _ => {}
        }
    }
    assert_eq!((bitcoin, foreign), (25_000, 25_000));
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinP2pkh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinP2sh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::Evm, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::Tron, &p).unwrap()),
        any::<[u8; 32]>().prop_map(|p| Address::new(AddressKind::BitcoinWitness { version: 0 }, &p).unwrap()),
        (1u8..=16, proptest::collection::vec(any::<u8>(), 2..=40)).prop_map(|(version, p)| Address::new(
            AddressKind::BitcoinWitness { version },
            &p
        )
        .unwrap()),
    ]
}

proptest! {
    #[test]
    fn encoded_addresses_decode_to_themselves(address in any_address()) {
        let text = encode(&address);
        prop_assert_eq!(decode(address.family(), &text), Ok(address));
        prop_assert_eq!(decode_any(&text), Ok(address));
    }

    #[test]
    fn one_changed_character_never_decodes_to_another_address(
        address in any_address(), at in any::<prop::sample::Index>(), to in "[0-9A-Za-z]",
    ) {
        let text = encode(&address);
        let mut changed = text.clone();
        let at = at.index(text.len());
        changed.replace_range(at..=at, &to);
        // EIP-55 has a 15-bit checksum spread over the letters, and none when all letters have one case: a changed
        // digit may go unnoticed there by design of the format.
        if changed != text
            && address.kind() != AddressKind::Evm
            && let Ok(other) = decode(address.family(), &changed)
        {
            prop_assert_eq!(other, address);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,140}") {
        for family in [ChainFamily::Bitcoin, ChainFamily::Evm, ChainFamily::Tron] {
            if let Err(error) = decode(family, &text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
        let _ = decode_any(&text);
    }

    #[test]
    fn no_base58_text_panics(text in "[13T][1-9A-HJ-NP-Za-km-z]{0,127}") {
        let _ = (btc(&text), decode(ChainFamily::Tron, &text));
    }
}
