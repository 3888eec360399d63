//! Intent: what a transaction or a typed message says it does, read before anybody signs it.
//!
//! An engine: bytes or text in, effects in plain sentences out. No node is asked, nothing is executed, so what a call says
//! is taken at its word; the engine `simulate` executes it and finds out. **What is not understood is said to be
//! unknown, never harmless.**
//!
//! Reading order: [`transaction`] (bytes to a transaction, who signed it), `call` (calls within calls, function by
//! function), [`typed`] (messages of EIP-712), [`effect`] (what would be done, how grave, who is concerned).
//!
//! Sources: EIP-155, 173, 712, 1559, 1822, 1967, 2535, 2612, 2718, 2930, 3009, 4844, 7702; ERC-20, 721, 1155, 1363, 4337,
//! 7579, 7821; Permit2; Safe 1.3 to 1.5; Solidity's contract ABI.

mod abi;
mod call;
pub mod effect;
mod json;
mod rlp;
pub mod transaction;
pub mod typed;

pub use self::{
    call::{CALLS_MAX, DEPTH_MAX, PERMIT2, read_call, read_transaction},
    effect::{Act, Context, Effect, Reading, Role, Severity},
    rlp::RlpError,
};
