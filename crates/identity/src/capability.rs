//! What can be allowed, and which role has it: one table that the authorisation table of the API refers to.
//!
//! A capability belongs to persons through their roles, and to programs (tokens, service accounts) one by one. What
//! only programs do has no role.

/// Something one may be allowed. The order is that of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Appealing decisions and bans for customers, and seeing what came of it.
    Appeal,
    /// Agreeing to what others propose about persons, programs and their roles.
    ApproveAccess,
    /// Answering for customers whether apps may act for them, and ending that.
    ApproveOauth,
    /// Agreeing to what others propose to release.
    ApproveReleases,
    /// Putting rules and models in force that others propose, and returning to earlier ones.
    ApproveRules,
    /// Asking for decisions.
    Decide,
    /// Stopping withdrawals at once.
    FreezeOutflow,
    /// Inviting persons, making tokens for programs, ending both, and proposing roles.
    ManageAccess,
    /// Banning network addresses, and letting them in again.
    ManageBans,
    /// Taking API keys out of force.
    ManageKeys,
    /// Adding, changing and removing endpoints that are told of what happens.
    ManageWebhooks,
    /// Seeing the keys and refusals of one account, and taking its keys out of force: for who develops for it. No role, no
    /// program; a link names the account.
    OwnAccount,
    /// Having a session: what every person who signs in may do. No program.
    OwnSession,
    /// Putting the gateway on its guard for a while.
    RaiseAlarm,
    /// Reading API keys and bans.
    ReadAccess,
    /// Reading alerts and cases.
    ReadCases,
    /// Reading what is proposed and what became of it.
    ReadChanges,
    /// Reading decisions and their reasons.
    ReadDecisions,
    /// Reading the state of health.
    ReadHealth,
    /// Reading lists, backups and the log.
    ReadInstallation,
    /// Reading which API keys there are, and how they are used.
    ReadKeys,
    /// Reading counters.
    ReadMetrics,
    /// Reading rules and models, and what they did.
    ReadRules,
    /// Trying restores.
    RunDrills,
    /// Screening addresses.
    Screen,
    /// Proposing and agreeing to let leave again what was stopped, with a second person.
    UnfreezeOutflow,
    /// Working on cases: assigning, noting, proposing, resolving.
    WorkCases,
    /// Reporting events.
    WriteEvents,
    /// Drafting rules, trying them on the past, watching them in shadow.
    WriteRules,
}

/// What a person does. A person may have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Manages persons and programs. Sees nothing of customers.
    Admin,
    /// Investigates money from and to chains.
    AmlAnalyst,
    /// Approves what others propose.
    Approver,
    /// Checks from outside: reads records of who did what, nothing of customers.
    Auditor,
    /// Answers for the rules.
    ComplianceOfficer,
    /// Investigates accounts.
    FraudAnalyst,
    /// Looks after keys, limits and programs.
    SecurityEngineer,
    /// Keeps it running.
    Sre,
    /// Looks on.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Admin,
        Self::AmlAnalyst,
        Self::Approver,
        Self::Auditor,
        Self::ComplianceOfficer,
        Self::FraudAnalyst,
        Self::SecurityEngineer,
        Self::Sre,
        Self::Viewer,
    ];

    /// Stable lower-case name for storage and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::AmlAnalyst => "aml_analyst",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::ComplianceOfficer => "compliance_officer",
            Self::FraudAnalyst => "fraud_analyst",
            Self::SecurityEngineer => "security_engineer",
            Self::Sre => "sre",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it allows, in the order of the table.
    pub fn capabilities(self) -> impl Iterator<Item = Capability> {
        TABLE.iter().filter(move |row| row.roles.contains(&self)).map(|row| row.capability)
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// What is allowed.
    pub capability: Capability,
    /// Its stable lower-case name for configuration and messages.
    pub name: &'static str,
    /// In words, as the documentation shows it.
    pub meaning: &'static str,
    /// Who has it among persons.
    pub roles: &'static [Role],
}

const fn row(
    capability: Capability,
    name: &'static str,
    meaning: &'static str,
    roles: &'static [Role],
) -> Row {
    Row { capability, name, meaning, roles }
}

/// Everybody who looks at customers' cases.
const INVESTIGATORS: &[Role] = &[
    Role::AmlAnalyst,
    Role::Approver,
    Role::ComplianceOfficer,
    Role::FraudAnalyst,
    Role::SecurityEngineer,
    Role::Viewer,
];

/// The table: every capability once, in the order of the variants, with the roles that have it.
pub const TABLE: &[Row] = &[
    row(
        Capability::Appeal,
        "appeal",
        "appeals decisions and bans for customers, and reads the answers",
        &[Role::AmlAnalyst, Role::ComplianceOfficer, Role::FraudAnalyst],
    ),
    row(
        Capability::ApproveAccess,
        "approve_access",
        "agrees to what others propose about persons, programs and their roles",
        &[Role::Admin, Role::Approver, Role::SecurityEngineer],
    ),
    row(
        Capability::ApproveOauth,
        "approve_oauth",
        "answers for customers whether apps may act for them",
        &[],
    ),
    row(
        Capability::ApproveReleases,
        "approve_releases",
        "agrees to what others propose to release",
        &[Role::Approver, Role::ComplianceOfficer],
    ),
    row(
        Capability::ApproveRules,
        "approve_rules",
        "puts rules and models in force that others propose, and returns to earlier ones",
        &[Role::Approver, Role::ComplianceOfficer],
    ),
    row(Capability::Decide, "decide", "asks for decisions", &[]),
    row(
        Capability::FreezeOutflow,
        "freeze_outflow",
        "stops withdrawals at once",
        &[
            Role::AmlAnalyst,
            Role::Approver,
            Role::ComplianceOfficer,
            Role::FraudAnalyst,
            Role::SecurityEngineer,
            Role::Sre,
        ],
    ),
    row(
        Capability::ManageAccess,
        "manage_access",
        "invites persons, makes tokens for programs, ends both, proposes roles",
        &[Role::Admin],
    ),
    row(
        Capability::ManageBans,
        "manage_bans",
        "bans network addresses and lets them in again",
        &[Role::SecurityEngineer, Role::Sre],
    ),
    row(Capability::ManageKeys, "manage_keys", "takes API keys out of force", &[Role::SecurityEngineer]),
    row(
        Capability::ManageWebhooks,
        "manage_webhooks",
        "adds, changes, tests and removes endpoints that are told of what happens",
        &[Role::SecurityEngineer, Role::Sre],
    ),
    row(
        Capability::OwnAccount,
        "own_account",
        "sees keys and refusals of the one account a link names, and takes its keys out of force",
        &[],
    ),
    row(Capability::OwnSession, "own_session", "has a session of its own and ends it", &Role::ALL),
    row(
        Capability::RaiseAlarm,
        "raise_alarm",
        "puts the gateway on its guard for a while",
        &[Role::SecurityEngineer, Role::Sre],
    ),
    row(Capability::ReadAccess, "read_access", "reads API keys and bans", &[Role::SecurityEngineer]),
    row(Capability::ReadCases, "read_cases", "reads alerts and cases", INVESTIGATORS),
    row(
        Capability::ReadChanges,
        "read_changes",
        "reads what is proposed and what became of it",
        &[
            Role::Admin,
            Role::AmlAnalyst,
            Role::Approver,
            Role::Auditor,
            Role::ComplianceOfficer,
            Role::FraudAnalyst,
            Role::SecurityEngineer,
            Role::Sre,
        ],
    ),
    row(Capability::ReadDecisions, "read_decisions", "reads decisions and their reasons", INVESTIGATORS),
    row(Capability::ReadHealth, "read_health", "reads the state of health", &Role::ALL),
    row(
        Capability::ReadInstallation,
        "read_installation",
        "reads lists, backups and the log",
        &[Role::Admin, Role::Auditor, Role::SecurityEngineer, Role::Sre],
    ),
    row(
        Capability::ReadKeys,
        "read_keys",
        "reads which API keys there are, and how they are used",
        &[Role::ComplianceOfficer, Role::FraudAnalyst, Role::SecurityEngineer],
    ),
    row(
        Capability::ReadMetrics,
        "read_metrics",
        "reads counters",
        &[Role::Admin, Role::SecurityEngineer, Role::Sre],
    ),
    row(
        Capability::ReadRules,
        "read_rules",
        "reads rules and models, and what they did",
        &[
            Role::AmlAnalyst,
            Role::Approver,
            Role::Auditor,
            Role::ComplianceOfficer,
            Role::FraudAnalyst,
            Role::SecurityEngineer,
            Role::Viewer,
        ],
    ),
    row(Capability::RunDrills, "run_drills", "tries restores of the backup", &[Role::Sre]),
    row(
        Capability::Screen,
        "screen",
        "screens addresses",
        &[Role::AmlAnalyst, Role::ComplianceOfficer, Role::FraudAnalyst],
    ),
    row(
        Capability::UnfreezeOutflow,
        "unfreeze_outflow",
        "proposes, or as a second person agrees, that what was stopped leaves again",
        &[Role::Approver, Role::ComplianceOfficer, Role::SecurityEngineer],
    ),
    row(
        Capability::WorkCases,
        "work_cases",
        "works on cases: assigns, notes, proposes, resolves",
        &[Role::AmlAnalyst, Role::ComplianceOfficer, Role::FraudAnalyst],
    ),
    row(Capability::WriteEvents, "write_events", "reports events", &[]),
    row(
        Capability::WriteRules,
        "write_rules",
        "drafts rules, tries them on the past, watches them in shadow",
        &[Role::ComplianceOfficer, Role::FraudAnalyst],
    ),
];

impl Capability {
    /// Every capability.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::ApproveAccess; TABLE.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = TABLE[at].capability;
            at += 1;
        }
        all
    };

    /// Whether programs may have it. A session is a person's, and so is what takes two persons.
    #[must_use]
    pub const fn is_of_programs(self) -> bool {
        !matches!(self, Self::ApproveAccess | Self::ManageAccess | Self::OwnAccount | Self::OwnSession)
    }

    /// Whether it is the second person's word, or what lets stopped money leave: not for a session that a fallback opened,
    /// unless the installation says so.
    #[must_use]
    pub const fn is_approval(self) -> bool {
        matches!(
            self,
            Self::ApproveAccess
                | Self::ApproveOauth
                | Self::ApproveReleases
                | Self::ApproveRules
                | Self::UnfreezeOutflow
        )
    }

    /// Every capability that programs may have.
    pub fn of_programs() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|one| one.is_of_programs())
    }

    /// Its line of the table.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // The test below holds the table to the order of the variants.
        &TABLE[self as usize]
    }

    /// Stable lower-case name for configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The capability of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants_and_of_the_names() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.capability as usize, at, "{}", row.name);
            assert_eq!(Capability::named(row.name), Some(row.capability));
        }
        assert!(TABLE.iter().map(|row| row.name).is_sorted());
        assert!(Role::ALL.map(Role::as_str).is_sorted());
        assert_eq!(Role::named("sre"), Some(Role::Sre));
        assert_eq!((Role::named("root"), Capability::named("all")), (None, None));
    }

    #[test]
    fn what_programs_do_no_person_does_and_auditors_see_no_customer() {
        for capability in [Capability::ApproveOauth, Capability::Decide, Capability::WriteEvents] {
            assert!(capability.row().roles.is_empty());
        }
        for role in [Role::Admin, Role::Auditor, Role::Sre] {
            assert!(
                !role.capabilities().any(|capability| {
                    matches!(capability, Capability::ReadCases | Capability::ReadDecisions)
                }),
                "{role:?}"
            );
        }
        assert_eq!(
            Role::Viewer.capabilities().collect::<Vec<_>>(),
            [
                Capability::OwnSession,
                Capability::ReadCases,
                Capability::ReadDecisions,
                Capability::ReadHealth,
                Capability::ReadRules
            ]
        );
    }
}
