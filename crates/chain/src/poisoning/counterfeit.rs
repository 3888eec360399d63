//! Tokens that borrow a name: the contract decides what a token is, its name and symbol say nothing.
//!
//! A symbol is reduced to a *skeleton* of ASCII letters and digits: what prints as nothing is taken out, what is drawn like an
//! ASCII character becomes it, case is folded. Two symbols that people cannot tell apart have one skeleton (the idea of
//! Unicode UTS 39, section 4, cut down to alphabets that imitate ASCII). A token whose skeleton is that of a genuine one,
//! from another contract, is a counterfeit.
//!
//! What it is not: complete. Symbols that *contain* a genuine one beside other words are left alone.
//!
//! Bounds: [`SYMBOL_CHARS_MAX`] characters of a symbol are looked at; a longer one is nobody's.

use domain::{Address, AddressKind, Network};

use crate::address::{is_invisible, resembles};

/// Longest symbol looked at, invisible characters included. Attackers pad symbols with invisible characters.
pub const SYMBOL_CHARS_MAX: usize = 256;

/// The ASCII letters and digits a symbol reads as, lower case; `None` if something in it reads as neither, if nothing is
/// left, or if it is too long.
#[must_use]
pub fn skeleton(symbol: &str) -> Option<String> {
    let mut out = String::new();
    for (position, character) in symbol.chars().enumerate() {
        if position >= SYMBOL_CHARS_MAX {
            return None;
        }
        if is_invisible(character) || is_mark(character) || character.is_whitespace() {
            continue;
        }
        let read = drawn_like(character)?;
        // Full stops and the like neither make nor break an imitation.
        if read.is_ascii_alphanumeric() {
            // Zero and the letter, one and the letters: drawn alike in most faces.
            out.push(match read.to_ascii_lowercase() {
                '0' => 'o',
                '1' | 'l' => 'i',
                other => other,
            });
        }
    }
    if out.is_empty() { None } else { Some(out) }
}

/// Combining marks (the blocks of them; Unicode 15): they change how a letter is drawn, not which it is taken for.
const fn is_mark(character: char) -> bool {
    matches!(
        character,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// The ASCII character one is drawn like; itself if it is ASCII.
fn drawn_like(character: char) -> Option<char> {
    if character.is_ascii() {
        return Some(character);
    }
    resembles(character).or_else(|| compatible(character)).or_else(|| accented(character))
}

/// Styled letters and digits whose compatibility form (Unicode NFKC) is an ASCII one.
fn compatible(character: char) -> Option<char> {
    let code = u32::from(character);
    let letter = |first: char, at: u32| char::from_u32(u32::from(first) + at);
    match code {
        // Mathematical alphanumeric symbols: 13 styles of 52 letters, then 5 of 10 digits. Letters that had a code before
        // (below) left holes, which no text has.
        0x1d400..=0x1d6a3 => {
            let at = (code - 0x1d400) % 52;
            if at < 26 { letter('A', at) } else { letter('a', at - 26) }
        }
        0x1d7ce..=0x1d7ff => letter('0', (code - 0x1d7ce) % 10),
        // Enclosed letters.
        0x24b6..=0x24cf => letter('A', code - 0x24b6),
        0x24d0..=0x24e9 => letter('a', code - 0x24d0),
        0x1f130..=0x1f149 => letter('A', code - 0x1f130),
        0x1f150..=0x1f169 => letter('A', code - 0x1f150),
        0x1f170..=0x1f189 => letter('A', code - 0x1f170),
        // Superscript and subscript digits.
        0x2074..=0x2079 => letter('4', code - 0x2074),
        0x2080..=0x2089 => letter('0', code - 0x2080),
        _ => match character {
            '\u{2070}' => Some('0'),
            '\u{00b9}' => Some('1'),
            '\u{00b2}' => Some('2'),
            '\u{00b3}' => Some('3'),
            'ℂ' | 'ℭ' | 'Ⅽ' => Some('C'),
            'ℊ' => Some('g'),
            'ℋ' | 'ℌ' | 'ℍ' => Some('H'),
            'ℎ' => Some('h'),
            'ℐ' | 'ℑ' | 'Ⅰ' => Some('I'),
            'ℒ' | 'Ⅼ' => Some('L'),
            'ℓ' | 'ⅼ' => Some('l'),
            'ℕ' => Some('N'),
            'ℙ' => Some('P'),
            'ℚ' => Some('Q'),
            'ℛ' | 'ℜ' | 'ℝ' => Some('R'),
            'ℤ' | 'ℨ' => Some('Z'),
            'ℬ' => Some('B'),
            'ℯ' => Some('e'),
            'ℰ' => Some('E'),
            'ℱ' => Some('F'),
            'ℳ' | 'Ⅿ' => Some('M'),
            'ℴ' => Some('o'),
            'Ⅴ' => Some('V'),
            'Ⅹ' => Some('X'),
            'Ⅾ' => Some('D'),
            'ⅰ' => Some('i'),
            'ⅴ' => Some('v'),
            'ⅹ' => Some('x'),
            'ⅽ' => Some('c'),
            'ⅾ' => Some('d'),
            'ⅿ' => Some('m'),
            _ => None,
        },
    }
}

/// Further letters drawn like ASCII ones: Latin with marks and hooks, Armenian, Cherokee, Lisu, and the dollar-like signs.
const fn accented(character: char) -> Option<char> {
    Some(match character {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' | 'Ǎ' | 'Ạ' | 'Ả' | 'Ꭺ' | 'ꓮ' => 'A',
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' | 'ɑ' => 'a',
        'Ḃ' | 'Ḅ' | 'Ḇ' | 'Ɓ' | 'Ᏼ' | 'ꓐ' | 'ẞ' | 'ß' | '฿' => 'B',
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' | 'Ꮯ' | 'ꓚ' => 'C',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' | 'ƈ' => 'c',
        'Ď' | 'Đ' | 'Ḋ' | 'Ḍ' | 'Ḏ' | 'Ɖ' | 'Ɗ' | 'Ꭰ' | 'ꓓ' => 'D',
        'ď' | 'đ' | 'ḋ' | 'ḍ' | 'ḏ' | 'ɖ' | 'ɗ' => 'd',
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' | 'Ẹ' | 'Ẻ' | 'Ꭼ' | 'ꓰ' => 'E',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ẻ' => 'e',
        'Ģ' | 'Ĝ' | 'Ğ' | 'Ġ' | 'Ꮐ' | 'ꓖ' => 'G',
        'Ĥ' | 'Ħ' | 'Ḣ' | 'Ḥ' | 'Ꮋ' | 'ꓧ' => 'H',
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' | 'Ị' | 'Ӏ' | 'ӏ' | 'ꓲ' => 'I',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ị' => 'i',
        'Ķ' | 'Ḱ' | 'Ḳ' | 'Ƙ' | 'Ꮶ' | 'ꓗ' => 'K',
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ł' | 'Ḷ' | 'Ꮮ' | 'ꓡ' => 'L',
        'Ṁ' | 'Ṃ' | 'Ꮇ' | 'ꓟ' => 'M',
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' | 'Ṅ' | 'Ṇ' | 'Ṉ' | 'Ɲ' | 'ꓠ' => 'N',
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ṅ' | 'ṇ' | 'ṉ' => 'n',
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' | 'Ọ' | 'Ỏ' | 'Օ' | 'ꓳ' => 'O',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ọ' | 'ỏ' | 'օ' => 'o',
        'Ṗ' | 'Ꮲ' | 'ꓑ' => 'P',
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' | 'Ṡ' | 'Ṣ' | 'Տ' | 'Ꮪ' | 'ꓢ' => 'S',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ṡ' | 'ṣ' => 's',
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' | 'Ṫ' | 'Ṭ' | 'Ṯ' | '₮' | 'Ꭲ' | 'ꓔ' | 'τ' | 'т' => 'T',
        'ţ' | 'ť' | 'ŧ' | 'ț' | 'ṫ' | 'ṭ' | 'ṯ' => 't',
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' | 'Ụ' | 'Ủ' | 'Ս' | 'ꓴ' => 'U',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ụ' | 'ủ' | 'ս' | 'υ' => 'u',
        'Ŵ' | 'Ẁ' | 'Ẃ' | 'Ẅ' | 'Ꮃ' | 'ꓪ' => 'W',
        'Ý' | 'Ŷ' | 'Ÿ' | 'Ỳ' | 'Ỵ' | 'ꓬ' => 'Y',
        'Ź' | 'Ż' | 'Ž' | 'Ẓ' | 'Ꮓ' | 'ꓜ' => 'Z',
        'ḱ' | 'ķ' | 'ĸ' | 'к' | 'κ' => 'k',
        'н' => 'h',
        'м' => 'm',
        'в' => 'b',
        'п' | 'η' => 'n',
        'г' => 'r',
        _ => return None,
    })
}

/// One asset whose symbol is worth borrowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genuine {
    /// The skeleton of its symbol.
    pub skeleton: String,
    /// Where it is issued; the same symbol may have several contracts. `None`: the chain's own coin, which has no contract.
    pub contract: Option<Address>,
}

/// The assets that are imitated, with the contracts that are genuine.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Sorted by skeleton.
    genuine: Vec<Genuine>,
}

/// What a token is, by its contract and the symbol it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// A contract the registry knows as genuine.
    Genuine,
    /// Another contract under a genuine symbol, or one that reads like it.
    Counterfeit,
    /// Neither.
    Unknown,
}

impl Registry {
    /// Of the assets given; those whose symbol has no skeleton are left out.
    pub fn new<'a>(assets: impl IntoIterator<Item = (&'a str, Option<Address>)>) -> Self {
        let mut genuine: Vec<Genuine> = assets
            .into_iter()
            .filter_map(|(symbol, contract)| Some(Genuine { skeleton: skeleton(symbol)?, contract }))
            .collect();
        genuine.sort_by(|a, b| (&a.skeleton, a.contract).cmp(&(&b.skeleton, b.contract)));
        genuine.dedup();
        Self { genuine }
    }

    /// The coins and the most imitated tokens of a network, as their issuers publish them.
    #[must_use]
    pub fn of_network(network: Network) -> Self {
        let (coins, tokens): (&[&str], &[(&str, [u8; 20])]) = match network {
            Network::Ethereum => (&["ETH", "BTC", "BNB", "TRX"], ETHEREUM),
            Network::Bnb => (&["BNB", "BTC"], BNB),
            _ => (&[], &[]),
        };
        Self::new(coins.iter().map(|coin| (*coin, None)).chain(
            tokens.iter().map(|(symbol, contract)| (*symbol, Address::new(AddressKind::Evm, contract))),
        ))
    }

    /// What a token is that shows `symbol` and is issued by `contract`.
    #[must_use]
    pub fn standing(&self, contract: &Address, symbol: &str) -> Standing {
        if self.genuine.iter().any(|genuine| genuine.contract.as_ref() == Some(contract)) {
            return Standing::Genuine;
        }
        let borrowed = skeleton(symbol).is_some_and(|skeleton| {
            self.genuine.binary_search_by(|genuine| genuine.skeleton.as_str().cmp(&skeleton)).is_ok()
        });
        if borrowed { Standing::Counterfeit } else { Standing::Unknown }
    }
}

/// Bytes of a hexadecimal constant, checked when compiled.
const fn hex(text: &[u8; 40]) -> [u8; 20] {
    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a lower-case hexadecimal digit"),
        }
    }
    let mut bytes = [0; 20];
    let mut at = 0;
    while at < 20 {
        bytes[at] = nibble(text[2 * at]) << 4 | nibble(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// Contracts on Ethereum.
const ETHEREUM: &[(&str, [u8; 20])] = &[
    ("DAI", hex(b"6b175474e89094c44da98b954eedeac495271d0f")),
    ("USDC", hex(b"a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")),
    ("USDT", hex(b"dac17f958d2ee523a2206206994597c13d831ec7")),
    ("WBTC", hex(b"2260fac5e5542a773aa44fbcfedf7c193bc2c599")),
    ("WETH", hex(b"c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")),
];

/// Contracts on BNB Smart Chain.
const BNB: &[(&str, [u8; 20])] = &[
    ("BUSD", hex(b"e9e7cea3dedca5984780bafc599bd69add087d56")),
    ("ETH", hex(b"2170ed0880ac9a755fd29b2688956bd959f933f8")),
    ("USDC", hex(b"8ac76a51cc950d9822d68b83fe1ad97b32cd580d")),
    ("USDT", hex(b"55d398326f99059ff775485246999027b3197955")),
    ("WBNB", hex(b"bb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c")),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_reads_alike_has_one_skeleton() {
        for symbol in [
            "USDT",
            "usdt",
            "USD\u{180e}T",
            "\u{200b}USDT\u{feff}",
            "ＵＳＤＴ",
            "USD₮",
            "UЅDТ",
            "𝐔𝐒𝐃𝐓",
            "ⓊⓈⒹⓉ",
            "U\u{0301}SDT",
            "USD.T",
            "US DT",
        ] {
            assert_eq!(skeleton(symbol).as_deref(), Some("usdt"), "{symbol:?}");
        }
        assert_eq!(skeleton("B\u{180e}Ν\u{180e}B"), skeleton("BNB"));
        for symbol in ["", "\u{200b}", "测试", "...", "😀"] {
            assert_eq!(skeleton(symbol), None, "{symbol:?}");
        }
        assert_eq!(skeleton(&"\u{200b}".repeat(SYMBOL_CHARS_MAX + 1)), None);
        assert_ne!(skeleton("USDT"), skeleton("USDC"));
    }

    #[test]
    fn the_contract_decides() {
        let registry = Registry::of_network(Network::Ethereum);
        let tether = Address::new(AddressKind::Evm, &ETHEREUM[2].1).unwrap();
        let other = Address::new(AddressKind::Evm, &[7; 20]).unwrap();
        // Genuine whatever it calls itself.
        assert_eq!(registry.standing(&tether, "anything"), Standing::Genuine);
        assert_eq!(registry.standing(&other, "USDТ"), Standing::Counterfeit);
        assert_eq!(registry.standing(&other, "ETH"), Standing::Counterfeit);
        assert_eq!(registry.standing(&other, "OMG"), Standing::Unknown);
        assert_eq!(Registry::default().standing(&tether, "USDT"), Standing::Unknown);
    }

    proptest! {
        /// A skeleton is its own skeleton, and nothing panics.
        #[test]
        fn folding_is_idempotent(symbol in any::<String>()) {
            if let Some(once) = skeleton(&symbol) {
                prop_assert_eq!(skeleton(&once), Some(once));
            }
        }
    }
}
