//! `caponier cases` and `caponier alerts`: what the command line says, as a request.

use crate::{
    cli::cases::{AlertsCommand, By, CasesCommand, CasesList},
    control::{CaseWork, Request},
};

pub(super) fn request(command: CasesCommand) -> Request {
    let act = |By { case, name, revision }, work| Request::CasesAct { case, by: name, revision, work };
    match command {
        CasesCommand::List(list) => {
            let CasesList { state, account, assignee, priority, source, urgent, after, limit } = list;
            Request::CasesList { state, account, assignee, priority, source, urgent, after, limit }
        }
        CasesCommand::Show { case } => Request::CasesShow { case },
        CasesCommand::Assign { by, to } => act(by, CaseWork::Assign { to }),
        CasesCommand::Note { by, text } => act(by, CaseWork::Note { text }),
        CasesCommand::Propose { by, decision, reason } => act(by, CaseWork::Propose { decision, reason }),
        CasesCommand::Approve { by, decision } => act(by, CaseWork::Approve { decision }),
        CasesCommand::Decline { by, decision, reason } => act(by, CaseWork::Decline { decision, reason }),
        CasesCommand::Resolve { by, disposition, reason } => {
            act(by, CaseWork::Resolve { disposition, reason })
        }
    }
}

pub(super) fn alerts_request(command: AlertsCommand) -> Request {
    let AlertsCommand::List { after, limit } = command;
    Request::AlertsList { after, limit }
}
