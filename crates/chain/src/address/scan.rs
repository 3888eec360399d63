//! What every address text must be before a format looks at it: ASCII, bounded, without white space.

use super::{AddressError, TEXT_BYTES_MAX};

/// Refuses what no format allows, naming the first offending character.
pub(super) fn plain(text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(AddressError::TooLong { got: text.len() });
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    for (position, character) in (1..).zip(text.chars()) {
        if character.is_whitespace() {
            return Err(AddressError::Whitespace { position });
        }
        if is_invisible(character) {
            return Err(AddressError::Invisible { character, position });
        }
        if !character.is_ascii() {
            return Err(match resembles(character) {
                Some(resembles) => AddressError::LookAlike { character, resembles, position },
                None => AddressError::NonAscii { character, position },
            });
        }
    }
    Ok(())
}

/// Control characters, zero-width characters and those that change the direction of text.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{e0000}'..='\u{e01ef}'
        )
}

/// The ASCII letter or digit a foreign character is drawn like; the part of Unicode's confusables (UTS 39) that
/// matters for alphabets of ASCII letters and digits: Cyrillic, Greek and full-width forms.
pub(crate) fn resembles(character: char) -> Option<char> {
    if let 0xff01..=0xff5e = u32::from(character) {
        return char::from_u32(u32::from(character) - 0xff01 + 0x21);
    }
    let ascii = match character {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' | 'Ϲ' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        'а' | 'α' => 'a',
        'Ь' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'ν' | 'ѵ' => 'v',
        'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        'З' => '3',
        'б' => '6',
        _ => return None,
    };
    Some(ascii)
}
