//! A small assembler, so that the tests' contracts can be read.
//!
//! Words are separated by blanks: the name of an instruction; `0x...`, which is pushed; `@name`, which pushes the place
//! of a label; `:name`, which is that place.

/// Instructions by name; the rest of the EVM is not needed here.
const NAMES: &[(&str, u8)] = &[
    ("STOP", 0x00),
    ("ADD", 0x01),
    ("MUL", 0x02),
    ("SUB", 0x03),
    ("DIV", 0x04),
    ("LT", 0x10),
    ("GT", 0x11),
    ("EQ", 0x14),
    ("ISZERO", 0x15),
    ("AND", 0x16),
    ("SHR", 0x1c),
    ("KECCAK256", 0x20),
    ("ADDRESS", 0x30),
    ("BALANCE", 0x31),
    ("CALLER", 0x33),
    ("CALLVALUE", 0x34),
    ("CALLDATALOAD", 0x35),
    ("CALLDATASIZE", 0x36),
    ("CALLDATACOPY", 0x37),
    ("CODECOPY", 0x39),
    ("RETURNDATASIZE", 0x3d),
    ("RETURNDATACOPY", 0x3e),
    ("BLOCKHASH", 0x40),
    ("NUMBER", 0x43),
    ("POP", 0x50),
    ("MLOAD", 0x51),
    ("MSTORE", 0x52),
    ("SLOAD", 0x54),
    ("SSTORE", 0x55),
    ("JUMP", 0x56),
    ("JUMPI", 0x57),
    ("GAS", 0x5a),
    ("DUP1", 0x80),
    ("DUP2", 0x81),
    ("DUP3", 0x82),
    ("DUP4", 0x83),
    ("SWAP1", 0x90),
    ("SWAP2", 0x91),
    ("LOG3", 0xa3),
    ("CREATE", 0xf0),
    ("CALL", 0xf1),
    ("RETURN", 0xf3),
    ("DELEGATECALL", 0xf4),
    ("STATICCALL", 0xfa),
    ("REVERT", 0xfd),
    ("SELFDESTRUCT", 0xff),
];

/// Code from text.
pub(crate) fn assemble(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut labels = std::collections::BTreeMap::new();
    let mut places = Vec::new();
    for word in text.split_whitespace() {
        if let Some(name) = word.strip_prefix(':') {
            labels.insert(name, u16::try_from(out.len()).unwrap());
            out.push(0x5b);
        } else if let Some(name) = word.strip_prefix('@') {
            out.push(0x61);
            places.push((out.len(), name));
            out.extend([0, 0]);
        } else if let Some(digits) = word.strip_prefix("0x") {
            let bytes = hex::decode(digits).unwrap();
            out.push(0x5f + u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        } else {
            let found = NAMES.iter().find(|(name, _)| *name == word);
            out.push(found.unwrap_or_else(|| panic!("{word} is no instruction")).1);
        }
    }
    for (at, name) in places {
        out[at..at + 2].copy_from_slice(&labels[name].to_be_bytes());
    }
    out
}

/// Code that deploys code, after doing what `first` says.
pub(crate) fn deploying(first: &str, code: &[u8]) -> Vec<u8> {
    let prologue = |len: usize, at: usize| {
        assemble(&format!("{first} 0x{len:04x} 0x{at:04x} 0x00 CODECOPY 0x{len:04x} 0x00 RETURN"))
    };
    let at = prologue(code.len(), 0).len();
    let mut out = prologue(code.len(), at);
    out.extend(code);
    out
}
