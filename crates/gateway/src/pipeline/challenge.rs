//! Proof of work for browsers: routes of [`Handling::Browser`] are shown a page that
//! solves a puzzle before they are let through.
//!
//! In force by an operator's word, or by itself for [`HOLDS`] whenever requests were shed. The page, its script and its
//! worker come from memory, run under a policy that allows nothing but themselves, and need no library. What was
//! solved is a cookie that is bound to the source, for [`CLEARANCE`]. Signed requests never see any of it.
//!
//! Not here: puzzles and clearances themselves ([`admission::pow`]).

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use admission::{Puzzle, PuzzleConfig, pow};
use crypto::Secret;
use domain::UnixNanos;
use serde::Deserialize;

use super::{Body, Routed, Shared};
use crate::{http1::head::View, peer::Peer, route::Handling};

/// For how long a challenge stays in force by itself after requests were shed.
const HOLDS: Duration = Duration::from_secs(60);
/// For how long a browser that solved one is not asked again.
const CLEARANCE: Duration = Duration::from_secs(1_800);
/// The cookie; the prefix makes browsers refuse it from anywhere but this very host over TLS.
const COOKIE: &str = "__Host-caponier";
/// Longest answer of the page, in bytes.
const SOLVED_BYTES_MAX: usize = 512;

/// Without full stops, like every path here: they could be dot segments to somebody.
const SCRIPT_PATH: &str = "/_caponier/challenge";
const WORKER_PATH: &str = "/_caponier/worker";
const SOLVED_PATH: &str = "/_caponier/solved";

const PAGE: &str = include_str!("challenge/page.html");
const SCRIPT: &str = include_str!("challenge/challenge.js");
const WORKER: &str = include_str!("challenge/worker.js");

/// What the page may do: run the two scripts and send what they found.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// When browsers are asked to solve something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeMode {
    /// Whenever requests were shed, and for a minute after.
    Auto,
    /// Never.
    Off,
    /// Always.
    On,
}

/// Proof of work for browsers.
///
/// # Defaults
/// - `mode`: off
/// - `bits`: 18, a quarter of a million hashes, well below a second in a browser
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// When.
    pub mode: ChallengeMode,
    /// How hard: every bit doubles the work. Put within [`admission::pow::BITS`].
    pub bits: u8,
}

impl Default for Challenge {
    fn default() -> Self {
        Self { mode: ChallengeMode::Off, bits: 18 }
    }
}

/// Asks browsers, and knows those that answered.
#[derive(Debug)]
pub(crate) struct Challenger {
    puzzle: Puzzle,
    bits: u8,
    mode: AtomicU8,
    /// In force by itself until then, in nanoseconds.
    holds_until: AtomicU64,
    /// Somebody says that there is an attack.
    alarm: AtomicBool,
}

impl Challenger {
    /// `secret` is random.
    pub(crate) fn new(config: Challenge, secret: &Secret<[u8; 32]>) -> Self {
        let puzzle = PuzzleConfig { clearance_life: CLEARANCE, ..PuzzleConfig::default() };
        let this = Self {
            puzzle: Puzzle::new(puzzle, secret),
            bits: config.bits,
            mode: AtomicU8::new(0),
            holds_until: AtomicU64::new(0),
            alarm: AtomicBool::new(false),
        };
        this.set_mode(config.mode);
        this
    }

    pub(crate) fn set_mode(&self, mode: ChallengeMode) {
        let number = match mode {
            ChallengeMode::Off => 0,
            ChallengeMode::Auto => 1,
            ChallengeMode::On => 2,
        };
        self.mode.store(number, Ordering::Relaxed);
    }

    /// While there is an alarm, browsers are asked whatever the mode.
    pub(crate) fn set_alarm(&self, is_raised: bool) {
        self.alarm.store(is_raised, Ordering::Relaxed);
    }

    /// Requests are being shed.
    pub(crate) fn overloaded(&self, now: UnixNanos) {
        self.holds_until.fetch_max(now.plus(HOLDS).0, Ordering::Relaxed);
    }

    /// Whether browsers are asked now.
    pub(crate) fn is_active(&self, now: UnixNanos) -> bool {
        match self.mode.load(Ordering::Relaxed) {
            _ if self.alarm.load(Ordering::Relaxed) => true,
            0 => false,
            1 => now.0 < self.holds_until.load(Ordering::Relaxed),
            _ => true,
        }
    }

    /// Whether the browser has solved one lately. At most a few cookies of the name are looked at.
    fn is_cleared(&self, view: &View<'_>, peer: &Peer, now: UnixNanos) -> bool {
        let cookies = view.all_fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
        cookies
            .filter_map(|(_, value)| str::from_utf8(value).ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .take(4)
            .any(|clearance| self.puzzle.check_clearance(clearance, peer.source, now).is_ok())
    }
}

/// Something that is answered here and is no refusal in the words of the API.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) status: u16,
    pub(crate) body: Cow<'static, str>,
    pub(super) content_type: &'static str,
    pub(super) cache: &'static str,
    /// One more header field.
    pub(super) extra: Option<(&'static str, String)>,
}

impl Own {
    fn file(body: &'static str) -> Self {
        let content_type = "text/javascript; charset=utf-8";
        Self { status: 200, body: body.into(), content_type, cache: "max-age=3600", extra: None }
    }

    fn said(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        let content_type = "application/json";
        Self { status, body: body.into(), content_type, cache: "no-store", extra: None }
    }

    /// The header fields besides those of the body's length and the date.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            Some(("content-type", self.content_type)),
            Some(("cache-control", self.cache)),
            Some(("content-security-policy", POLICY)),
            Some(("x-content-type-options", "nosniff")),
            Some(("referrer-policy", "same-origin")),
            self.extra.as_ref().map(|(name, value)| (*name, &**value)),
        ]
        .into_iter()
        .flatten()
    }
}

/// What the page sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Solved<'a> {
    challenge: &'a str,
    solution: &'a str,
}

impl Shared {
    /// The page, if a browser is to solve a puzzle first.
    pub(super) fn challenge(&self, routed: &Routed<'_>, peer: &Peer, now: UnixNanos) -> Option<Own> {
        if routed.route.handling != Handling::Browser
            || !self.challenger.is_active(now)
            || self.challenger.is_cleared(&routed.view, peer, now)
        {
            return None;
        }
        self.metrics.refusal("challenged");
        let nonce = crypto::random::array();
        let challenge = self.challenger.puzzle.challenge(peer.source, self.challenger.bits, nonce, now);
        Some(Own {
            status: 403,
            body: PAGE.replace("{challenge}", &challenge).into(),
            content_type: "text/html; charset=utf-8",
            cache: "no-store",
            extra: None,
        })
    }

    /// What is asked for under the gateway's own paths; `None` for any other path.
    pub(super) async fn own<B: Body>(
        &self,
        view: &View<'_>,
        body: &mut B,
        peer: &Peer,
        now: UnixNanos,
    ) -> Option<Own> {
        if view.head.fault.is_some() {
            return None;
        }
        match (view.method(), view.path()) {
            (b"GET", SCRIPT_PATH) => Some(Own::file(SCRIPT)),
            (b"GET", WORKER_PATH) => Some(Own::file(WORKER)),
            (b"POST", SOLVED_PATH) => Some(self.solved(body, peer, now).await),
            _ => None,
        }
    }

    async fn solved<B: Body>(&self, body: &mut B, peer: &Peer, now: UnixNanos) -> Own {
        if body.read(SOLVED_BYTES_MAX, self.timeouts.body).await.is_err() {
            return Own::said(400, "{\"error\":\"body cannot be read\"}");
        }
        let Ok(solved) = serde_json::from_slice::<Solved<'_>>(body.bytes()) else {
            return Own::said(400, "{\"error\":\"malformed\"}");
        };
        match self.challenger.puzzle.redeem(solved.challenge, solved.solution, peer.source, now) {
            Ok(clearance) => {
                let seconds = CLEARANCE.as_secs();
                let cookie = format!(
                    "{COOKIE}={clearance}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict"
                );
                Own { extra: Some(("set-cookie", cookie)), ..Own::said(200, "{}") }
            }
            Err(error) => {
                let error: pow::PowError = error;
                Own::said(403, format!("{{\"error\":\"{error}\"}}"))
            }
        }
    }
}
