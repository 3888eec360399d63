//! Flows: who paid whom on a followed chain, kept so that an address can be screened by where its money came from.
//!
//! One [`Flows`] for each chain. It takes in blocks, from a follower ([`crate::follow::BlockSink`]) or from tables of recorded
//! transactions ([`load`]), and keeps of them: transfers of the coin and of the tokens the operator named as genuine, as a
//! graph for each asset ([`chain::exposure`]); clusters of addresses that spent together, where a transaction has several
//! inputs ([`chain::cluster`]); when an address was first seen; worthless transfers that put an address into somebody's history;
//! what each transaction looked like and who was known to be malicious when, for [`crate::discovery`]: with a model, fresh addresses
//! are judged as blocks come, from the same log.
//!
//! What it is not: exact money (amounts of the graphs are `f64` of the smallest unit; the exact ones stand in the log), nor a
//! judge: [`crate::assess`] says what an exposure asks for.
//!
//! # The log
//!
//! Ground is one append-only file for each chain; what is in memory follows from it, by the same step that serves. A frame is
//! what was taken in between two times that the follower stores its state, and is durable **before** that state is. So after a
//! stop anywhere the log knows every block the follower believes it has told; blocks it tells once more are recognised by
//! height and hash. A block that left the chain is taken back by an entry that says so.
//!
//! An unfinished frame at the end was never acknowledged and is cut off. Anything else that is not as it was written is an
//! error that names the byte, never skipped.
//!
//! # Bounds
//!
//! [`Config::transfers_max`] transfers and twice as many addresses: beyond it the oldest quarter of the blocks is forgotten and the
//! log written anew. About 70 bytes of memory and 100 of disk for each transfer. [`UNDO_BLOCKS`] blocks are taken back at
//! once; deeper ones by reading the log again. Outputs of unusual scripts have no address and lead nowhere.

mod association;
mod block;
mod dealings;
mod depositors;
mod frame;
mod holders;
pub mod load;
mod log;
mod state;
mod store;
mod suspects;

#[cfg(fuzzing)]
pub(crate) use self::frame::rewritten;
pub use self::{
    association::{Association, BUSY, NEIGHBOURS_MAX, NODES_MAX, SINK_PAYERS_MAX, TIES_MAX, Tie},
    block::{Bait, BlockFlows, Call, Movement, Party},
    dealings::{Dealing, Dealings, LOOKED_AT_MAX},
    depositors::{DEPOSITORS_MAX, DEPOSITS_MAX, FORWARDED_WITHIN, SharedDeposit},
    log::{LogError, verify_logs},
    state::{Coverage, UNDO_BLOCKS},
    store::{
        AROUND_MAX, Activity, AssetExposure, ClusterOf, Config, EvidenceStep, ExposedShare, Flows,
        FlowsStatus, Seen, SeenOnChains,
    },
    suspects::{Changed, Standing},
};
