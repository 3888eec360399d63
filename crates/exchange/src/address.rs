//! Whether a text can be an address of a network, and addresses for the simulation.
//!
//! The exchange checks what it must to not lose funds to a typing error: base58check checksums, shape and
//! alphabet elsewhere (EIP-55 case and bech32 checksums are left to the screening in front of it).

use domain::{ChainFamily, Network};

use crate::{ledger::Refusal, random::SplitMix64};

/// Longest accepted address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 128;

/// Base58check version byte of a TRON account.
const TRON_VERSION: u8 = 0x41;
/// Base58check version bytes of Bitcoin: key hash, script hash.
const BITCOIN_VERSIONS: [u8; 2] = [0x00, 0x05];
/// Base58check version bytes of Litecoin: key hash, script hash, and that of old.
const LITECOIN_VERSIONS: [u8; 3] = [0x30, 0x32, 0x05];
/// Bytes of an account of Solana.
const SOLANA_BYTES: usize = 32;

/// Whether `address` can be an address of `network`.
///
/// # Errors
/// [`Refusal::AddressInvalid`].
pub fn check(network: Network, address: &str) -> Result<(), Refusal> {
    let fits = address.len() <= ADDRESS_BYTES_MAX
        && match network.family() {
            ChainFamily::Bitcoin => is_segwit_shaped(address, "bc1") || base58(address, &BITCOIN_VERSIONS),
            ChainFamily::Evm => is_evm_shaped(address),
            ChainFamily::Tron => base58(address, &[TRON_VERSION]),
            ChainFamily::BitcoinCash => base58(address, &BITCOIN_VERSIONS) || is_cash_shaped(address),
            ChainFamily::Litecoin => is_segwit_shaped(address, "ltc1") || base58(address, &LITECOIN_VERSIONS),
            ChainFamily::Solana => {
                bs58::decode(address).into_vec().is_ok_and(|bytes| bytes.len() == SOLANA_BYTES)
            }
            ChainFamily::Xrp => ripple(address),
        };
    if fits { Ok(()) } else { Err(Refusal::AddressInvalid) }
}

/// A valid address of `network` drawn from `random`; nobody has its key.
#[must_use]
pub fn draw(network: Network, random: &mut SplitMix64) -> String {
    let mut payload = [0_u8; 20];
    for chunk in payload.chunks_mut(8) {
        for (byte, drawn) in chunk.iter_mut().zip(random.next_u64().to_le_bytes()) {
            *byte = drawn;
        }
    }
    match network.family() {
        ChainFamily::Bitcoin | ChainFamily::BitcoinCash => {
            bs58::encode(payload).with_check_version(0x00).into_string()
        }
        ChainFamily::Litecoin => bs58::encode(payload).with_check_version(0x30).into_string(),
        ChainFamily::Solana => bs58::encode([payload.as_slice(), &[1; 12]].concat()).into_string(),
        ChainFamily::Xrp => {
            bs58::encode(payload).with_alphabet(bs58::Alphabet::RIPPLE).with_check_version(0x00).into_string()
        }
        ChainFamily::Evm => payload.iter().fold("0x".to_owned(), |mut text, byte| {
            for nibble in [byte >> 4, byte & 0x0f] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
            text
        }),
        ChainFamily::Tron => bs58::encode(payload).with_check_version(TRON_VERSION).into_string(),
    }
}

fn base58(address: &str, versions: &[u8]) -> bool {
    let decoded = bs58::decode(address).with_check(None).into_vec();
    decoded
        .is_ok_and(|bytes| bytes.len() == 21 && bytes.first().is_some_and(|first| versions.contains(first)))
}

fn is_segwit_shaped(address: &str, prefix: &str) -> bool {
    (14..=90).contains(&address.len()) && is_bech32_shaped(address, prefix)
}

/// `CashAddr`, with its prefix or without.
fn is_cash_shaped(address: &str) -> bool {
    let bare = address.strip_prefix("bitcoincash:").unwrap_or(address);
    bare.len() == 42 && (bare.starts_with('q') || bare.starts_with('p')) && is_bech32_shaped(bare, "")
}

/// One case, the prefix, and behind it characters of the bech32 alphabet.
fn is_bech32_shaped(address: &str, prefix: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    let one_case = address == lower || address == address.to_ascii_uppercase();
    one_case
        && lower.strip_prefix(prefix).is_some_and(|rest| {
            rest.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() && !matches!(byte, b'1' | b'b' | b'i' | b'o'))
        })
}

/// An account of the XRP Ledger, base58check in its own alphabet.
fn ripple(address: &str) -> bool {
    let decoded = bs58::decode(address).with_alphabet(bs58::Alphabet::RIPPLE).with_check(Some(0)).into_vec();
    decoded.is_ok_and(|bytes| bytes.len() == 21)
}

fn is_evm_shaped(address: &str) -> bool {
    address
        .strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_addresses_pass_and_damaged_ones_do_not() {
        let known = [
            (Network::Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
            (Network::Bitcoin, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            (Network::Bitcoin, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
            (Network::Ethereum, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
            (Network::BitcoinCash, "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
            (Network::Litecoin, "LaMT348PWRnrqeeWArpwQPbuanpXDZGEUz"),
            (Network::Solana, "So11111111111111111111111111111111111111112"),
            (Network::Xrp, "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
        ];
        for (network, address) in known {
            assert_eq!(check(network, address), Ok(()), "{address}");
            assert!(check(network, &address[1..]).is_err(), "{address}");
            assert!(check(network, &format!("{address}!")).is_err(), "{address}");
        }
        assert!(check(Network::Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u").is_err());
        assert!(check(Network::Tron, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa").is_err());
        assert!(check(Network::Ethereum, &"0".repeat(10_000)).is_err());
    }

    #[test]
    fn drawn_addresses_are_valid_and_differ() {
        let mut random = SplitMix64::new(7);
        for network in Network::ALL {
            let (left, right) = (draw(network, &mut random), draw(network, &mut random));
            assert_eq!(check(network, &left), Ok(()), "{left}");
            assert_ne!(left, right);
        }
    }
}
