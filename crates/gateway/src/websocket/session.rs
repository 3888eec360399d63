//! One connection's side of the conversation: who the client is, what it may still ask, what it is subscribed to.
//! Sees no socket; the time is an argument.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use admission::Gcra;
use auth::{Permission, Refusal, Verified, authority::Restrictions};
use domain::{AccountId, UnixNanos};

use super::{
    Config, Scope,
    answer::{self, Closing, WsError},
    lobby::Seat,
    message::{Credentials, Op, OrderOp, Request, canonical, with_args},
    ports::{Denied, Door},
};
use crate::pipeline::authority::Worth;

/// The period of the budget of control operations.
const HOUR: Duration = Duration::from_secs(3_600);
/// Malformed messages after which the connection is closed.
const MALFORMED_MAX: u32 = 20;
/// Failed logins after which the connection is closed.
const FAILED_LOGINS_MAX: u32 = 5;

/// Which connection to the exchange: there are two where a client subscribes before it logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Anonymous,
    Identified,
}

/// What is to be done about a message.
#[derive(Debug)]
pub(super) enum Step {
    /// Send it on; if that cannot be done, say `otherwise`.
    Forward { leg: Leg, text: String, otherwise: Said },
    /// Verify, then tell [`Session::logged_in`] or [`Session::login_refused`].
    LogIn(Credentials),
    /// Tell the client.
    Say(Said),
    /// Take what an operation is worth from the day's budget of its key, and send it on; if that cannot be done, say
    /// `otherwise`, or what [`Spending::split`] gives for a refusal.
    Spend { spending: Spending, text: String, otherwise: Said },
}

/// An operation that is worth something.
#[derive(Debug)]
pub(super) struct Spending {
    worth: Worth,
    op: &'static OrderOp,
    id: Option<String>,
    /// When it came.
    at: UnixNanos,
}

impl Spending {
    /// What is to be taken, and what to say if it cannot be.
    pub(super) fn split(self) -> (Worth, impl FnOnce(&Denied, UnixNanos) -> Said) {
        let Self { worth, op, id, at } = self;
        let denied = move |Denied { refusal, label }: &Denied, now: UnixNanos| {
            let message = refusal.message();
            let text = answer::order_refused(op.name, id.as_deref(), refusal.code(), &message, at, now);
            Said { text, label: Some(*label) }
        };
        (worth, denied)
    }
}

/// Something to tell the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    /// The metric label where it is a refusal.
    pub(super) label: Option<&'static str>,
}

/// Who a client has proven to be.
#[derive(Debug)]
struct Identity {
    verified: Verified,
    /// As they were at the login.
    restrictions: Option<Arc<Restrictions>>,
    _seat: Seat,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    scope: Scope,
    config: Config,
    connection_id: String,
    identity: Option<Identity>,
    /// Times of the control operations of the last hour; at most as many as there may be.
    control: VecDeque<UnixNanos>,
    messages: Gcra,
    pings: Gcra,
    malformed: u32,
    failed_logins: u32,
    /// Where each subscription went, by its argument.
    subscriptions: HashMap<String, Leg>,
    subscription_bytes: usize,
}

impl Session {
    pub(super) fn new(scope: Scope, config: Config, connection_id: String) -> Self {
        Self {
            scope,
            config,
            connection_id,
            identity: None,
            control: VecDeque::new(),
            messages: Gcra::default(),
            pings: Gcra::default(),
            malformed: 0,
            failed_logins: 0,
            subscriptions: HashMap::new(),
            subscription_bytes: 0,
        }
    }

    pub(super) const fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn connection_id(&self) -> &str {
        &self.connection_id
    }

    /// Who the client has proven to be.
    pub(super) fn verified(&self) -> Option<&Verified> {
        self.identity.as_ref().map(|identity| &identity.verified)
    }

    pub(super) fn account(&self) -> Option<&AccountId> {
        self.verified().map(Verified::account)
    }

    /// Whether the client is here for something.
    pub(super) fn is_established(&self) -> bool {
        self.identity.is_some() || !self.subscriptions.is_empty()
    }

    /// The key is still in force, within its hours and restricted as it was at the login, or there is none.
    pub(super) fn check_in_force(&self, now: UnixNanos) -> Result<(), Closing> {
        let is_good = |identity: &Identity| {
            let restrictions = identity.verified.restrictions();
            let is_same = match (&restrictions, &identity.restrictions) {
                (Some(now), Some(before)) => Arc::ptr_eq(now, before),
                (now, before) => now.is_none() && before.is_none(),
            };
            identity.verified.is_in_force()
                && is_same
                && restrictions.is_none_or(|restrictions| restrictions.check_hours(now).is_ok())
        };
        if self.identity.as_ref().is_none_or(is_good) { Ok(()) } else { Err(Closing::KEY_CHANGED) }
    }

    /// Charges a message to the connection; if it came too soon, it is not charged, and to be
    /// charged again after the time given.
    pub(super) fn pace(&mut self, now: UnixNanos) -> Option<Duration> {
        let limited = self.messages.check(self.config.messages, 1, now).err()?;
        limited.retry_after()
    }

    /// Charges a ping.
    pub(super) fn on_ping(&mut self, now: UnixNanos) -> Result<(), Closing> {
        self.pings.check(self.config.pings, 1, now).map(drop).map_err(|_| Closing::PINGS)
    }

    /// Judges a message.
    pub(super) fn on_text(
        &mut self,
        text: &str,
        door: &dyn Door,
        now: UnixNanos,
    ) -> Result<Vec<Step>, Closing> {
        if text == "ping" {
            self.on_ping(now)?;
            return Ok(vec![Step::Say(Said { text: "pong".to_owned(), label: None })]);
        }
        if text == "pong" {
            // Not asked for, but harmless, as the frame of that name.
            return self.on_ping(now).map(|()| Vec::new());
        }
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(malformed) => {
                self.malformed += 1;
                if self.malformed > MALFORMED_MAX {
                    return Err(Closing::MALFORMED);
                }
                return Ok(vec![Step::Say(self.error(&malformed.error, malformed.id.as_deref()))]);
            }
        };
        self.check_in_force(now)?;
        let id = request.id.as_deref();
        let outcome = match request.op {
            Op::Login => self.log_in(&request, now)?,
            Op::Order(op) => self.order(op, &request, text, door, now),
            Op::Subscribe => self.subscribe(&request, text, now),
            Op::Unsubscribe => self.unsubscribe(&request, text, now),
        };
        Ok(outcome.unwrap_or_else(|error| vec![Step::Say(self.error(&error, id))]))
    }

    /// A login was verified, and there is room for one more connection of the account.
    pub(super) fn logged_in(&mut self, verified: Verified, seat: Seat) -> Said {
        let restrictions = verified.restrictions();
        self.identity = Some(Identity { verified, restrictions, _seat: seat });
        Said { text: answer::logged_in(&self.connection_id), label: None }
    }

    /// A login was refused.
    pub(super) fn login_refused(&mut self, error: &WsError) -> Result<Said, Closing> {
        self.failed_logins += 1;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            return Err(Closing::LOGIN_FAILED);
        }
        Ok(self.error(error, None))
    }

    /// The end, announced.
    pub(super) fn upgrade_notice(&self) -> Said {
        Said { text: answer::upgrade_notice(&self.connection_id), label: None }
    }

    fn log_in(
        &mut self,
        request: &Request<'_>,
        now: UnixNanos,
    ) -> Result<Result<Vec<Step>, WsError>, Closing> {
        if self.identity.is_some() {
            return Ok(Err(WsError::LOGIN_REPEATED));
        }
        if !self.control_allowed(now) {
            return Ok(Err(WsError::TOO_MANY_LOGINS));
        }
        match Credentials::read(&request.args) {
            Ok(credentials) => Ok(Ok(vec![Step::LogIn(credentials)])),
            Err(error) => Ok(Ok(vec![Step::Say(self.login_refused(&error)?)])),
        }
    }

    fn order(
        &self,
        op: &'static OrderOp,
        request: &Request<'_>,
        text: &str,
        door: &dyn Door,
        now: UnixNanos,
    ) -> Result<Vec<Step>, WsError> {
        if op.scope != self.scope {
            return Err(WsError::WRONG_URL);
        }
        let verified = self.verified().ok_or(WsError::LOG_IN_FIRST)?;
        let permitted = if verified.permissions().contains(Permission::Trade) {
            door.charge(verified, op.endpoint, &request.args, now)
        } else {
            Err(Denied::from(Refusal::PermissionMissing))
        };
        let id = request.id.as_deref();
        let refuse = |code: &str, message: &str, label| Said {
            text: answer::order_refused(op.name, id, code, message, now, door.now()),
            label: Some(label),
        };
        let text = text.to_owned();
        let down = WsError::internal(op.name);
        let otherwise = refuse(down.code, &down.message, down.label);
        Ok(vec![match permitted {
            Ok(worth) if worth.is_nothing() => Step::Forward { leg: Leg::Identified, text, otherwise },
            Ok(worth) => {
                let spending = Spending { worth, op, id: request.id.clone(), at: now };
                Step::Spend { spending, text, otherwise }
            }
            Err(Denied { refusal, label }) => Step::Say(refuse(refusal.code(), &refusal.message(), label)),
        }])
    }

    fn subscribe(&mut self, request: &Request<'_>, text: &str, now: UnixNanos) -> Result<Vec<Step>, WsError> {
        let leg = self.leg(now)?;
        if !self.control_allowed(now) {
            return Err(WsError::TOO_FREQUENT);
        }
        let mut names = Vec::with_capacity(request.args.len());
        let mut bytes = self.subscription_bytes;
        for arg in &request.args {
            let name = canonical(arg).ok_or(WsError::ARGS)?;
            if !self.subscriptions.contains_key(&name) && !names.contains(&name) {
                bytes += name.len();
                names.push(name);
            }
        }
        if bytes > self.config.subscription_bytes_max {
            return Err(WsError::SUBSCRIPTIONS);
        }
        self.subscription_bytes = bytes;
        self.subscriptions.extend(names.into_iter().map(|name| (name, leg)));
        Ok(vec![self.forward(leg, text.to_owned(), request)])
    }

    /// Every argument goes where its subscription went.
    fn unsubscribe(
        &mut self,
        request: &Request<'_>,
        text: &str,
        now: UnixNanos,
    ) -> Result<Vec<Step>, WsError> {
        let default = self.leg(now)?;
        if !self.control_allowed(now) {
            return Err(WsError::TOO_FREQUENT);
        }
        let mut legs = Vec::with_capacity(request.args.len());
        for arg in &request.args {
            let name = canonical(arg).ok_or(WsError::ARGS)?;
            let leg = self.subscriptions.remove(&name);
            if leg.is_some() {
                self.subscription_bytes -= name.len();
            }
            legs.push(leg.unwrap_or(default));
        }
        let first = legs.first().copied().unwrap_or(default);
        if legs.iter().all(|leg| *leg == first) {
            return Ok(vec![self.forward(first, text.to_owned(), request)]);
        }
        let part = |leg| {
            let args = request.args.iter().zip(&legs).filter(|(_, of)| **of == leg).map(|(arg, _)| *arg);
            let text = with_args(request.op, request.id.as_deref(), &args.collect::<Vec<_>>());
            self.forward(leg, text, request)
        };
        Ok(vec![part(Leg::Anonymous), part(Leg::Identified)])
    }

    /// Where a subscription goes: the account's own connection if its key may read, else where anybody's goes.
    fn leg(&self, now: UnixNanos) -> Result<Leg, WsError> {
        let may_read = self.verified().map(|verified| {
            if !verified.permissions().contains(Permission::Read) {
                return Err(Refusal::PermissionMissing);
            }
            let restrictions = verified.restrictions();
            restrictions.map_or(Ok(()), |all| all.check_stream(self.scope.path().as_bytes(), now))
        });
        match (self.scope, may_read) {
            (_, Some(Ok(()))) => Ok(Leg::Identified),
            (Scope::Private, None) => Err(WsError::LOG_IN_FIRST),
            (Scope::Private, Some(Err(refusal))) => {
                Err(WsError { code: refusal.code(), message: refusal.message(), label: refusal.label() })
            }
            (Scope::Business | Scope::Public, _) => Ok(Leg::Anonymous),
        }
    }

    fn forward(&self, leg: Leg, text: String, request: &Request<'_>) -> Step {
        let otherwise = self.error(&WsError::internal(request.op.name()), request.id.as_deref());
        Step::Forward { leg, text, otherwise }
    }

    /// Charges a control operation: exactly so many in any hour.
    fn control_allowed(&mut self, now: UnixNanos) -> bool {
        while self.control.front().is_some_and(|oldest| now.since(*oldest) >= HOUR) {
            self.control.pop_front();
        }
        if self.control.len() >= self.config.control_per_hour {
            return false;
        }
        self.control.push_back(now);
        true
    }

    fn error(&self, error: &WsError, id: Option<&str>) -> Said {
        Said { text: answer::error(error, id, &self.connection_id), label: Some(error.label) }
    }
}
