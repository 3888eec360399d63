//! `caponier freeze`, `unfreeze` and `alarm`: what the command line says, as a request.

use crate::{
    cli::emergency::{AlarmCommand, Freeze, UnfreezeCommand},
    control::{EmergencyWork, Request},
};

pub(super) fn freeze(Freeze { scope, signed }: Freeze) -> Request {
    Request::Emergency { by: signed.name, work: EmergencyWork::Freeze { scope, reason: signed.reason } }
}

pub(super) fn unfreeze(command: UnfreezeCommand) -> Request {
    let (by, work) = match command {
        UnfreezeCommand::Propose { scope, signed } => {
            (signed.name, EmergencyWork::UnfreezePropose { scope, reason: signed.reason })
        }
        UnfreezeCommand::Approve { scope, proposal, name } => {
            (name, EmergencyWork::UnfreezeApprove { scope, proposal })
        }
        UnfreezeCommand::Decline { scope, proposal, signed } => {
            (signed.name, EmergencyWork::UnfreezeDecline { scope, proposal, reason: signed.reason })
        }
    };
    Request::Emergency { by, work }
}

pub(super) fn alarm(command: AlarmCommand) -> Request {
    let (by, work) = match command {
        AlarmCommand::Raise { signed, minutes } => {
            (signed.name, EmergencyWork::AlarmRaise { minutes, reason: signed.reason })
        }
        AlarmCommand::End { signed } => (signed.name, EmergencyWork::AlarmEnd { reason: signed.reason }),
    };
    Request::Emergency { by, work }
}
