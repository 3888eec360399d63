//! The words every other crate speaks: ids, time, money, networks, events, actions, actors, findings, decisions.
//!
//! No I/O, no clock, no randomness, no serialization: a wire or storage format belongs to the crate at whose
//! edge it appears. Everything here is plain data with its invariants checked at construction.

mod act;
mod action;
mod actor;
mod address;
mod alert;
mod amount;
mod decision;
mod event;
mod ids;
mod network;
mod time;

pub use self::{
    act::{Act, ActKind, AddressScreen, AdminAct, ApiCall, Judgement},
    action::{Channel, Destination, WithdrawalRequest},
    actor::{Actor, ActorError, ActorKind},
    address::{Address, AddressKind},
    alert::{AlertEntity, FraudAlert, Ppm},
    amount::{Amount, AmountError},
    decision::{Decision, Evidence, Finding, FindingSource, ReasonCode, Verdict},
    event::{Anonymizer, Country, Credential, Event, EventContext, EventKind, LabelTarget, Side},
    ids::{AccountId, ApiKeyId, Asset, DeviceId, EventId, IdError, Subject},
    network::{ChainFamily, Network, UnknownNetwork},
    time::{Clock, ManualClock, TimeError, UnixNanos},
};
