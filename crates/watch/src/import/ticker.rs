//! From tickers to address families. A ticker names an asset, not a chain: a stablecoin lives on several.

use chain::address::{self, AddressError};
use domain::{Address, ChainFamily};

/// Decodes `text` as an address of the asset or network `ticker`; `None` when that has no codec here.
///
/// # Errors
/// [`AddressError`] when the ticker has a codec and the text does not satisfy it.
pub(super) fn decode(ticker: &str, text: &str) -> Result<Option<Address>, AddressError> {
    let family = match ticker {
        "BTC" | "XBT" => Some(ChainFamily::Bitcoin),
        "BCH" => Some(ChainFamily::BitcoinCash),
        "ETH" | "ETC" | "ARB" | "BASE" | "BEP20" | "BSC" | "ERC20" | "MATIC" | "OP" | "POL" => {
            Some(ChainFamily::Evm)
        }
        "LTC" => Some(ChainFamily::Litecoin),
        "RIPPLE" | "XRP" => Some(ChainFamily::Xrp),
        "SOL" | "SPL" => Some(ChainFamily::Solana),
        "TRX" | "TRC20" => Some(ChainFamily::Tron),
        // Issued on several chains, Bitcoin (Omni) among them; each text has the form of one family.
        "BUSD" | "DAI" | "FDUSD" | "PYUSD" | "TUSD" | "USDC" | "USDT" => address::detect(text),
        // Coins and tokens of other chains and of EVM chains; base58 forms collide between coins, this form does not.
        _ => is_evm_form(text).then_some(ChainFamily::Evm),
    };
    family.map(|family| address::decode(family, text)).transpose()
}

fn is_evm_form(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
