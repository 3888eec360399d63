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
fn litecoin_of_every_kind_round_trips() {
    for (text, kind) in [
        ("LNf2JDiuunBz7GMDKFYHN4rq5meXWxiwfb", AddressKind::LitecoinP2pkh),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", AddressKind::LitecoinWitness { version: 0 }),
    ] {
        let address = decode(ChainFamily::Litecoin, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(address.kind(), kind);
        assert_eq!(encode(&address), text);
        assert_eq!(decode_any(text), Ok(address));
    }
    // The former form of a script hash has the text of Bitcoin's, and one canonical text since.
    let former = decode(ChainFamily::Litecoin, "3P14159f73E4gFr7JterCCQh9QjiTjiZrG").unwrap();
    assert_eq!(former.kind(), AddressKind::LitecoinP2sh);
    let now = encode(&former);
    assert!(now.starts_with('M'), "{now}");
    assert_eq!(decode(ChainFamily::Litecoin, &now), Ok(former));
}

#[test]
fn cash_addresses_are_their_legacy_forms() {
    // Vectors of the specification.
    for (legacy, cash) in [
        ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
        ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
        ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
        ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
        ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
        ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
    ] {
        let address =
            decode(ChainFamily::BitcoinCash, cash).unwrap_or_else(|error| panic!("{cash}: {error}"));
        assert_eq!(encode(&address), cash);
        assert_eq!(decode(ChainFamily::BitcoinCash, legacy), Ok(address));
        assert_eq!(decode(ChainFamily::BitcoinCash, &cash.to_uppercase()), Ok(address));
        let bare = &cash["bitcoincash:".len()..];
        assert_eq!(decode_any(bare), Ok(address));
        // The same text on Bitcoin is another address of the same holder.
        let bitcoin = btc(legacy).unwrap();
        assert_ne!(bitcoin, address);
        assert!(namesakes(&bitcoin).any(|other| other == address));
        assert!(namesakes(&address).any(|other| other == bitcoin));
    }
    assert_eq!(
        decode(ChainFamily::BitcoinCash, "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6q"),
        Err(AddressError::BadChecksum { encoding: "CashAddr" })
    );
}

#[test]
fn xrp_accounts_and_their_tags() {
    let classic = "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59";
    let address = decode(ChainFamily::Xrp, classic).unwrap();
    assert_eq!((address.kind(), encode(&address).as_str()), (AddressKind::Xrp, classic));
    assert_eq!(decode_any(classic), Ok(address));
    // Vectors of XLS-5.
    for (text, tag) in [
        ("X7AcgcsBL6XDcUb289X4mJ8djcdyKaB5hJDWMArnXr61cqZ", None),
        ("X7AcgcsBL6XDcUb289X4mJ8djcdyKaGZMhc9YTE92ehJ2Fu", Some(1)),
        ("X7AcgcsBL6XDcUb289X4mJ8djcdyKaLFuhLRuNXPrDeJd9A", Some(11747)),
    ] {
        assert_eq!(decode_tagged(ChainFamily::Xrp, text), Ok((address, tag)), "{text}");
        assert_eq!(decode_any(text), Ok(address));
    }
}

#[test]
fn solana_is_32_bytes() {
    for text in [
        "88xTWZMeKfiTgbfEmPLdsUCQcZinwUfk25EBQZ21XMAZ",
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        "Vote111111111111111111111111111111111111111",
    ] {
        let address = decode(ChainFamily::Solana, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(encode(&address), text);
        assert_eq!(decode_any(text), Ok(address));
    }
    let system = "1".repeat(32);
    assert_eq!(encode(&decode(ChainFamily::Solana, &system).unwrap()), system);
}

#[test]
fn mistakes_in_the_newer_families_are_named() {
    let check = |family, text: &str, expected: AddressError| {
        assert_eq!(decode(family, text).expect_err(text), expected, "{text}");
    };
    use ChainFamily::{BitcoinCash, Litecoin, Solana, Xrp};
    check(
        Litecoin,
        "ltcmweb1qqt9hqch2d0vfdsvt4tf27gullem2tcd57xxrvta9xwvfmwdkn4927q6d8sq6ftw7lkqdkr5g36eqn7w06edgq8tz7gy0nv5d4lhajctkzuath23a",
        AddressError::NotScreenable { reason: "addresses of Litecoin's extension block hide who receives" },
    );
    check(
        Litecoin,
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        AddressError::WrongNetwork { found: "a Bitcoin", wanted: "a Litecoin mainnet one" },
    );
    check(
        Litecoin,
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        AddressError::WrongNetwork { found: "a Bitcoin", wanted: "a Litecoin mainnet one" },
    );
    check(
        Litecoin,
        "LNf2JDiuunBz7GMDKFYHN4rq5meXWxiwfc",
        AddressError::BadChecksum { encoding: "base58check" },
    );
    check(
        Litecoin,
        "LNf2JDiuunBz7GMDKFYHN4rq5meXWxi\u{0455}fb",
        AddressError::LookAlike { character: '\u{455}', resembles: 's', position: 32 },
    );
    check(
        BitcoinCash,
        "bitcoincash:qpm2qsznhks23Z7629mms6s4cwef74vcwvy22gdx6a",
        AddressError::MixedCase { position: 26 },
    );
    check(
        BitcoinCash,
        "bitcoincash:qpm2qsznhks23b7629mms6s4cwef74vcwvy22gdx6a",
        AddressError::BadCharacter { alphabet: "CashAddr", character: 'b', position: 26 },
    );
    check(
        BitcoinCash,
        "bchtest:qpm2qsznhks23z7629mms6s4cwef74vcwvqcw003ap",
        AddressError::WrongNetwork { found: "a Bitcoin Cash testnet", wanted: "a Bitcoin Cash mainnet one" },
    );
    check(
        Xrp,
        "T719a5UwUCnEs54UsxG9CJYYDhwmFCqkr7wxCcNcfZ6p5GZ",
        AddressError::WrongNetwork { found: "an XRP testnet", wanted: "an XRP mainnet one" },
    );
    check(Xrp, "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk58", AddressError::BadChecksum { encoding: "base58check" });
    check(
        Xrp,
        "X7AcgcsBL6XDcUb289X4mJ8djcdyKaB5hJDWMArnXr61cqY",
        AddressError::BadChecksum { encoding: "X-address" },
    );
    check(Xrp, "hello", AddressError::Unrecognised { wanted: "xrp" });
    check(
        Solana,
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
        AddressError::WrongNetwork { found: "a TRON", wanted: "a Solana one" },
    );
    check(
        Solana,
        "88xTWZMeKfiTgbfEmPLdsUCQcZinwUfk25EBQZ21XM0Z",
        AddressError::BadCharacter { alphabet: "base58", character: '0', position: 43 },
    );
    check(
        Solana,
        "88xTWZMeKfiTgbfEmPLdsUCQcZinwUfk25EBQZ2",
        AddressError::BadLength { expected: "32 bytes", got: 29 },
    );
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
    let (mut bitcoin, mut litecoin, mut cash, mut foreign) = (0, 0, 0, 0);
    for line in csv.lines().skip(1) {
        let (chain, text) = line.split_once(',').unwrap();
        match chain {
            "btc" => {
                let address = btc(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(encode(&address), text);
                bitcoin += 1;
            }
            "ltc" => {
                let address =
                    decode(ChainFamily::Litecoin, text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(encode(&address), text);
                assert_eq!(detect(text), Some(ChainFamily::Litecoin));
                litecoin += 1;
            }
            // All in the older form.
            "bch" => {
                let address =
                    decode(ChainFamily::BitcoinCash, text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(decode_any(&encode(&address)), Ok(address));
                let bitcoin = btc(text).unwrap();
                assert!(namesakes(&address).any(|other| encode(&other) == text && other == bitcoin));
                cash += 1;
            }
            // ZEC transparent addresses have a two-byte version, so none of them may pass as Bitcoin.
            "zec" => {
                assert!(decode_any(text).is_err(), "{text}");
                foreign += 1;
            }
            _ => {}
        }
    }
    assert_eq!((bitcoin, litecoin, cash, foreign), (25_000, 25_000, 25_000, 25_000));
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinP2pkh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinP2sh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::Evm, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::Tron, &p).unwrap()),
        any::<[u8; 32]>().prop_map(|p| Address::new(AddressKind::BitcoinWitness { version: 0 }, &p).unwrap()),
        (1u8..=16, proptest::collection::vec(any::<u8>(), 2..=40), any::<bool>()).prop_map(
            |(version, p, litecoin)| {
                let kind = if litecoin {
                    AddressKind::LitecoinWitness { version }
                } else {
                    AddressKind::BitcoinWitness { version }
                };
                Address::new(kind, &p).unwrap()
            }
        ),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::LitecoinP2pkh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::LitecoinP2sh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinCashP2pkh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::BitcoinCashP2sh, &p).unwrap()),
        any::<[u8; 32]>().prop_map(|p| Address::new(AddressKind::BitcoinCashP2sh, &p).unwrap()),
        any::<[u8; 20]>().prop_map(|p| Address::new(AddressKind::Xrp, &p).unwrap()),
        any::<[u8; 32]>().prop_map(|p| Address::new(AddressKind::Solana, &p).unwrap()),
    ]
}

const FAMILIES: [ChainFamily; 7] = [
    ChainFamily::Bitcoin,
    ChainFamily::BitcoinCash,
    ChainFamily::Evm,
    ChainFamily::Litecoin,
    ChainFamily::Solana,
    ChainFamily::Tron,
    ChainFamily::Xrp,
];

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
        // digit may go unnoticed there by design of the format. Solana has no checksum at all.
        if changed != text
            && !matches!(address.kind(), AddressKind::Evm | AddressKind::Solana)
            && let Ok(other) = decode(address.family(), &changed)
        {
            prop_assert_eq!(other, address);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,140}") {
        for family in FAMILIES {
            if let Err(error) = decode(family, &text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
        let _ = decode_any(&text);
    }

    #[test]
    fn no_base58_text_panics(text in "[13T][1-9A-HJ-NP-Za-km-z]{0,127}") {
        for family in FAMILIES {
            let _ = decode(family, &text);
        }
    }

    #[test]
    fn no_text_of_the_newer_forms_panics(
        base58 in "[rXLM][1-9A-HJ-NP-Za-km-z]{20,60}",
        cash in "(bitcoincash:)?[qpQP][02-9ac-hj-np-zA-Z]{30,70}",
    ) {
        for text in [base58, cash] {
            for family in FAMILIES {
                let _ = decode(family, &text);
            }
            let _ = decode_any(&text);
        }
    }
}
