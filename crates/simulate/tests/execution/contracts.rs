//! Contracts of the tests, in assembly.

use chain::evm::Account;

use crate::asm::assemble;

/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// `Approval(address,address,uint256)`.
const APPROVAL: &str = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";

/// The place of what the account on the stack holds: mapping 0.
pub(crate) const BALANCE: &str = "0x00 MSTORE 0x00 0x20 MSTORE 0x40 0x00 KECCAK256";

/// The place of what the spender below the owner on the stack may move: mapping 1 of mappings.
const ALLOWANCE: &str =
    "0x00 MSTORE 0x01 0x20 MSTORE 0x40 0x00 KECCAK256 0x20 MSTORE 0x00 MSTORE 0x40 0x00 KECCAK256";

/// A token. `fee` is an amount that disappears from each transfer without a word.
pub(crate) fn token(fee: u8) -> Vec<u8> {
    let answer = "0x00 MSTORE 0x20 0x00 RETURN";
    // Moves the amount at `amount` from the account pushed by `from` to that pushed by `to`.
    let movement = |from: &str, to: &str, amount: &str| {
        format!(
            "{from} {BALANCE} DUP1 SLOAD {amount} DUP1 DUP3 LT @fail JUMPI SWAP1 SUB SWAP1 SSTORE
             {to} {BALANCE} DUP1 SLOAD {amount} ADD 0x{fee:02x} SWAP1 SUB SWAP1 SSTORE
             {amount} 0x00 MSTORE {to} {from} {TRANSFER} 0x20 0x00 LOG3 0x01 {answer}"
        )
    };
    let transfer = movement("CALLER", "0x04 CALLDATALOAD", "0x24 CALLDATALOAD");
    let transfer_from = movement("0x04 CALLDATALOAD", "0x24 CALLDATALOAD", "0x44 CALLDATALOAD");
    assemble(&format!(
        "0x00 CALLDATALOAD 0xe0 SHR
         DUP1 0xa9059cbb EQ @transfer JUMPI
         DUP1 0x095ea7b3 EQ @approve JUMPI
         DUP1 0x70a08231 EQ @balanceOf JUMPI
         DUP1 0xdd62ed3e EQ @allowance JUMPI
         DUP1 0x23b872dd EQ @transferFrom JUMPI
         :fail 0x00 0x00 REVERT
         :transfer {transfer}
         :approve
           0x24 CALLDATALOAD 0x04 CALLDATALOAD CALLER {ALLOWANCE} SSTORE
           0x24 CALLDATALOAD 0x00 MSTORE 0x04 CALLDATALOAD CALLER {APPROVAL} 0x20 0x00 LOG3 0x01 {answer}
         :balanceOf 0x04 CALLDATALOAD {BALANCE} SLOAD {answer}
         :allowance 0x24 CALLDATALOAD 0x04 CALLDATALOAD {ALLOWANCE} SLOAD {answer}
         :transferFrom
           CALLER 0x04 CALLDATALOAD {ALLOWANCE} DUP1 SLOAD 0x44 CALLDATALOAD DUP1 DUP3 LT @fail JUMPI
           SWAP1 SUB SWAP1 SSTORE
           {transfer_from}"
    ))
}

/// What its constructor does: everything belongs to the deployer.
pub(crate) fn minting(amount: u64) -> String {
    format!("0x{amount:016x} CALLER {BALANCE} SSTORE")
}

/// Whatever it is told, it takes what the caller allowed it, and sends half of the value that came along to the thief.
pub(crate) fn drainer(token: &Account, thief: &Account) -> Vec<u8> {
    let (token, thief) = (hex::encode(token.0), hex::encode(thief.0));
    assemble(&format!(
        "0x23b872dd00000000000000000000000000000000000000000000000000000000 0x00 MSTORE
         CALLER 0x04 MSTORE 0x{thief} 0x24 MSTORE 0x64 0x44 MSTORE
         0x20 0x00 0x64 0x00 0x00 0x{token} GAS CALL ISZERO @fail JUMPI
         0x00 0x00 0x00 0x00 0x02 CALLVALUE DIV 0x{thief} GAS CALL ISZERO @fail JUMPI
         STOP :fail 0x00 0x00 REVERT"
    ))
}

/// Passes everything to the code in slot 0, as a proxy of Safe does; the selector of `masterCopy()` stands in its code.
pub(crate) fn slot_proxy() -> Vec<u8> {
    assemble(
        "0xa619486e 0x00 CALLDATALOAD 0xe0 SHR EQ @who JUMPI
         CALLDATASIZE 0x00 0x00 CALLDATACOPY
         0x00 0x00 CALLDATASIZE 0x00 0x00 SLOAD GAS DELEGATECALL ISZERO @fail JUMPI
         RETURNDATASIZE 0x00 0x00 RETURNDATACOPY RETURNDATASIZE 0x00 RETURN
         :who 0x00 SLOAD 0x00 MSTORE 0x20 0x00 RETURN
         :fail RETURNDATASIZE 0x00 0x00 RETURNDATACOPY RETURNDATASIZE 0x00 REVERT",
    )
}

/// Runs the code of the account in the first word after the selector, with the rest of what it is told: what
/// `execTransaction` with operation 1 comes down to.
pub(crate) fn runner() -> Vec<u8> {
    assemble(
        "0x24 CALLDATASIZE SUB 0x24 0x00 CALLDATACOPY
         0x00 0x00 0x24 CALLDATASIZE SUB 0x00 0x04 CALLDATALOAD GAS DELEGATECALL ISZERO @fail JUMPI STOP
         :fail 0x00 0x00 REVERT",
    )
}

/// Writes the second word after the selector into the slot in the first.
pub(crate) fn writer() -> Vec<u8> {
    assemble("0x24 CALLDATALOAD 0x04 CALLDATALOAD SSTORE STOP")
}

/// Writes the second word into the entry of mapping 2 under the first: the owners of a Safe.
pub(crate) fn owner_writer() -> Vec<u8> {
    assemble(
        "0x24 CALLDATALOAD 0x04 CALLDATALOAD 0x00 MSTORE 0x02 0x20 MSTORE 0x40 0x00 KECCAK256 SSTORE STOP",
    )
}

/// Goes round in circles until the gas is used up.
pub(crate) fn endless() -> Vec<u8> {
    assemble(":again 0x01 POP @again JUMP")
}

/// Makes a contract with one instruction and gives it the value that came along; then destroys itself in favour of the
/// caller.
pub(crate) fn maker() -> Vec<u8> {
    // The new contract's code is one STOP: 0x60016000f3 returns a byte of zero.
    assemble("0x60016000f3 0x00 MSTORE 0x05 0x1b CALLVALUE CREATE POP CALLER SELFDESTRUCT")
}

/// Reverts with the reason "no".
pub(crate) fn refusing() -> Vec<u8> {
    assemble(
        "0x08c379a000000000000000000000000000000000000000000000000000000000 0x00 MSTORE
         0x20 0x04 MSTORE 0x02 0x24 MSTORE
         0x6e6f000000000000000000000000000000000000000000000000000000000000 0x44 MSTORE
         0x64 0x00 REVERT",
    )
}

/// Answers with the hash of the block before and stores it in slot 0.
pub(crate) fn hasher() -> Vec<u8> {
    assemble("0x01 NUMBER SUB BLOCKHASH 0x00 SSTORE STOP")
}
