//! What a caller can make the API hold or wait for.

use std::time::Duration;

use domain::UnixNanos;

/// Longest batch of events, in bytes.
pub const EVENT_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most events in a batch.
pub const EVENT_LINES_MAX: usize = 1_000;
/// How far ahead of our clock an event may lie: more is a broken clock, and would make real events look old.
pub const EVENT_AHEAD_MAX: Duration = Duration::from_secs(300);
/// The first day of a blockchain, 2009-01-03: whatever claims to be older has a clock that was never set.
pub const EVENT_EARLIEST: UnixNanos = UnixNanos::from_secs(1_230_940_800);
/// Refused lines that are kept for reading.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// Of each refused line, the bytes that are kept.
pub const DEAD_LETTER_BYTES_MAX: usize = 2_048;
/// Bytes of refused lines that are kept; the oldest make room.
pub const DEAD_LETTERS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Refused lines in one answer.
pub const DEAD_LETTERS_PAGE_MAX: usize = 1_000;
/// Longest decision request, in bytes.
pub const DECISION_BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest words for what somebody of the exchange is about to do, in bytes.
pub const ACT_BYTES_MAX: usize = 256;
/// Longest path of an API call that is asked about, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest time a caller may give a decision.
pub const DEADLINE_MAX: Duration = Duration::from_secs(10);
/// Time for a decision when the caller names none.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(1);
/// After the deadline, how long the decision path may take to record its answer before the caller is told that
/// there is none.
pub const DEADLINE_GRACE: Duration = Duration::from_secs(1);
/// Longest answer for a customer about an app, in bytes.
pub const CONSENT_BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest body about a ban, in bytes.
pub const INSTALLATION_BODY_BYTES_MAX: usize = 4 * 1024;
/// Body of a request that restricts a key.
pub const RESTRICTIONS_BODY_BYTES_MAX: usize = 16 * 1024;
/// A list of words in such a body.
pub const WORDS_BYTES_MAX: usize = 4 * 1024;
/// Longest change of a case, in bytes: a text of 2,000 bytes, each escaped, and what is around it.
pub const CASE_BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest body of a call about emergencies, in bytes: a reason of 1,000 bytes, each escaped, and what is around it.
pub const EMERGENCY_BODY_BYTES_MAX: usize = 8 * 1024;
/// Longest body of a call about webhooks, in bytes: a URL, names of types, a key.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 8 * 1024;
/// Longest body of an enrolment or a sign-in, in bytes: a browser's parts in base64.
pub const SIGN_IN_BODY_BYTES_MAX: usize = 32 * 1024;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// Longest address, recipient or sender, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Longest instrument, network name, tag or client id, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Requests being worked on; more are answered 503.
pub const REQUESTS_MAX: usize = 64;
/// Open connections; more wait in the backlog of the operating system.
pub const CONNECTIONS_MAX: usize = 512;
/// Time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request head, the pause between requests on one connection included.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest request head, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Time for a request body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that requests in progress get to finish when the API shuts down.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Bearer tokens in the configuration.
pub const TOKENS_MAX: usize = 64;
/// Shortest bearer token, in bytes: 128 bits in hexadecimal.
pub const TOKEN_BYTES_MIN: usize = 32;
/// Longest body of a screening, in bytes.
pub const SCREEN_BODY_BYTES_MAX: usize = 256 * 1024;
/// Most addresses screened at once.
pub const SCREEN_LINES_MAX: usize = 1_000;
/// Most entries of a page.
pub const PAGE_MAX: usize = 200;
/// Streams at a time; they are not counted among the requests being worked on.
pub const STREAMS_MAX: usize = 16;
/// Longest life of a stream; its client goes on with a new one.
pub const STREAM_TIME_MAX: Duration = Duration::from_secs(3_600);
/// How often a stream that has nothing to say shows that it lives.
pub const STREAM_BEAT: Duration = Duration::from_secs(15);
/// Longest text of rules that is checked or kept, in bytes; larger sets are brought as a folder.
pub const RULES_TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest body of a call about rules, in bytes: JSON may write a character as two.
pub const RULES_BODY_BYTES_MAX: usize = 2 * RULES_TEXT_BYTES_MAX + (64 << 10);
