//! Codecs of payloads: what an entry of each kind holds once opened. Schema: `docs/journal.cddl`.
//!
//! Every payload is one deterministic CBOR array that begins with a format version. Decoding is strict: the shortest
//! forms, no unknown names, nothing behind the end; so what decodes re-encodes to the same bytes. Decoding never
//! needs more memory than a small multiple of its input, which is at most [`crate::PAYLOAD_BYTES_MAX`] bytes.
//!
//! Payloads of [`Kind::ApiKey`](crate::Kind::ApiKey) and [`Kind::Oauth`](crate::Kind::Oauth) belong to those who write
//! them.

use crate::cbor::Unexpected;

mod ban;
mod chain_alert;
mod decision;
mod emergency;
mod event;
mod fraud;
mod house;
mod judgement;
mod screening;
mod suspicion;

pub use self::{
    ban::{Ban, BanEvent},
    chain_alert::ChainAlert,
    decision::{decode_decision, encode_decision},
    emergency::{EMERGENCY_REASON_BYTES_MAX, Emergency},
    event::{decode_event, encode_event},
    fraud::{FraudBundle, decode_fraud_alert, encode_fraud_alert},
    house::{
        BackupDrill, KekRotated, Lifecycle, LifecycleEvent, ListImported, ListRemoved, Refusals,
        SubjectErased,
    },
    judgement::{decode_judgement, encode_judgement},
    screening::{
        ExposuresJudged, Rescreened, Screened, ScreenedAddress, Screening, TransferAlert, TransferExposure,
    },
    suspicion::{Suspicion, SuspicionModel, SuspicionRaised, SuspicionWithdrawn},
};

/// Why bytes are not a payload of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payload is malformed: {what} expected at byte {position}")]
pub struct RecordError {
    /// What should stand there.
    pub what: &'static str,
    /// Byte within the payload.
    pub position: usize,
}

impl From<Unexpected> for RecordError {
    fn from(Unexpected { what, position }: Unexpected) -> Self {
        Self { what, position }
    }
}

#[cfg(test)]
mod tests;
