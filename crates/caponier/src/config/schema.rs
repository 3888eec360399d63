//! The table of configuration keys.

use std::fmt::Write as _;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Dotted path.
    pub path: &'static str,
    /// Default as TOML text; empty lists and tables included.
    pub default: &'static str,
    /// What it means, with unit, bounds and why the default is what it is.
    pub meaning: &'static str,
    /// What somebody who controls it gains.
    pub attacker: &'static str,
    /// Whether the value is a table with names of the user's choosing.
    pub is_map: bool,
}

const fn key(
    path: &'static str,
    default: &'static str,
    meaning: &'static str,
    attacker: &'static str,
) -> Key {
    Key { path, default, meaning, attacker, is_map: false }
}

/// Every key, in the order of the default file.
pub static KEYS: &[Key] = &[
    key("version", "1", "Version of this file's format.", "nothing"),
    key(
        "data.dir",
        "\"caponier-data\"",
        "Folder of the journal, its key table, the transparency log and the label lists. Created when absent.",
        "the right to choose which history the installation believes",
    ),
    key(
        "data.kek_file",
        "\"\"",
        "File of the key-encryption key, created on first start with mode 0600. Empty: beside data.dir, with the \
         suffix .kek. Keep a copy where the backups are not: without it no backup can be read.",
        "everything that is sealed, once they also have the data",
    ),
    key(
        "data.segment_size",
        "\"64 MiB\"",
        "Size at which the journal starts a new file; 1 MiB to 4 GiB. A full segment never changes again.",
        "nothing",
    ),
    key(
        "gateway.listen",
        "\"127.0.0.1:8443\"",
        "Address and port the trading API is served on. Addresses beyond loopback need a certificate.",
        "nothing beyond making the service unreachable",
    ),
    key(
        "gateway.certificate_file",
        "\"\"",
        "PEM file with the certificate chain. Empty together with private_key_file: plain HTTP, on loopback only.",
        "the server's identity, together with its key",
    ),
    key("gateway.private_key_file", "\"\"", "PEM file with the private key.", "the server's identity"),
    key(
        "gateway.tls_min",
        "\"1.2\"",
        "Oldest version of TLS that clients may speak: 1.2 or 1.3.",
        "clients that fall back to a version with weaker choices",
    ),
    key(
        "gateway.authorities",
        "[]",
        "Names clients reach the gateway by, at most 16, lower case, with the port where it is not the scheme's own, such \
         as \"api.example.com\". HTTP message signatures for another name are refused. Empty: acme.domains, else the names \
         of loopback with the port that is listened at.",
        "requests signed for those names may be passed on here by whoever they were sent to",
    ),
    key(
        "gateway.upstream",
        "\"http://127.0.0.1:9000\"",
        "The exchange's own API. Plain HTTP: the hop must stay on this machine or in a private network.",
        "every signed request, and the power to answer it",
    ),
    key(
        "gateway.mode",
        "\"enforce\"",
        "enforce, or observe: what would be refused is counted and sent on as it came, with its sender's own \
         credentials, for the time before keys are kept here. Heads that two servers may read differently, and web \
         sockets, are refused in either mode. observe goes with no upstream_token_file.",
        "requests that nobody held against anything",
    ),
    key(
        "gateway.upstream_token_file",
        "\"\"",
        "File with a secret of at least 16 characters sent as x-caponier-upstream-token, by which the exchange \
         knows that a request came through the gateway. Empty: not sent.",
        "the right to act as any account, if they also reach the exchange",
    ),
    key(
        "gateway.upstream_timeout",
        "\"10s\"",
        "Longest wait for the exchange's answer, 1ms to 120s; afterwards the client gets code 50004.",
        "nothing",
    ),
    key(
        "gateway.proxy_trusted",
        "[]",
        "Networks of the proxies and load balancers in front. A connection from there must begin with a PROXY protocol \
         header (version 1 or 2), and the address in it is the client's. Empty: no such header is accepted.",
        "the right to be any client address, for whoever connects from there",
    ),
    key(
        "gateway.connections_per_ip",
        "128",
        "Connections from one IPv4 address or IPv6 /64 at a time.",
        "one source may use up connections",
    ),
    key(
        "gateway.routes_file",
        "\"\"",
        "File of the route table: which request needs which permission, draws on which limits, is decided about. Empty: \
         the built-in table of OKX v5, which `caponier routes default` prints.",
        "withdrawals that nobody decides about",
    ),
    key("gateway.connections_max", "10000", "Connections in all.", "memory may run out"),
    key(
        "acme.directory",
        "\"\"",
        "Directory URL of an ACME certificate authority (RFC 8555), such as \
         https://acme-v02.api.letsencrypt.org/directory; setting it agrees to its terms of service. The gateway then \
         gets and renews its certificate itself, proven by TLS-ALPN-01 on its own port, which the authority must \
         reach as 443. Empty: certificates come from files.",
        "the choice of who vouches for this server",
    ),
    key(
        "acme.domains",
        "[]",
        "Names the certificate is for, at most 100.",
        "certificates for names that lead here",
    ),
    key(
        "acme.contacts",
        "[]",
        "Where the authority may write to, such as \"mailto:ops@example.com\".",
        "the authority's warnings",
    ),
    key(
        "acme.ca_file",
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        "PEM file with the roots that vouch for the authority's own server.",
        "the power to stand in for the authority",
    ),
    key(
        "api_model.document",
        "\"\"",
        "OpenAPI 3.0 or 3.1 document (JSON) of the trading API: requests whose route, parameters or body it does not \
         describe are reported or refused. Empty: shapes are not looked at.",
        "requests of any shape reach the exchange, as without it",
    ),
    key(
        "api_model.mode",
        "\"report\"",
        "What becomes of requests that depart from it: report (counted, they pass), enforce (refused) or off.",
        "as above",
    ),
    key(
        "api_model.enforce",
        "[]",
        "Operations that are enforced whatever the mode, such as \"POST /api/v5/asset/withdrawal\".",
        "as above",
    ),
    key("api_model.off", "[]", "Operations that are not looked at whatever the mode.", "as above"),
    key(
        "api_model.learn",
        "\"off\"",
        "on: requests the exchange answered with status 200 are learned from, in memory, for `caponier model learned`. \
         Copies every request; meant for the time before a document is written.",
        "a draft that describes too much, if nobody reviews it",
    ),
    key(
        "abuse.mode",
        "\"enforce\"",
        "What becomes of sources that forge signatures, guess keys or abuse the protocols: enforce (banned for a \
         minute, four times longer each time, at most an hour), shadow (decided and journalled, without effect) or off.",
        "floods go on",
    ),
    key(
        "abuse.challenge",
        "\"off\"",
        "Whether browsers solve a puzzle before they reach abuse.challenge_paths: on, auto (for a minute whenever \
         requests were turned away for overload) or off. Signed requests never do.",
        "floods of pages without a credential go on",
    ),
    key(
        "abuse.challenge_bits",
        "18",
        "How hard the puzzle is, 8 to 32; each bit doubles the work. 18 is well below a second in a browser.",
        "browsers that are busy for long",
    ),
    key(
        "abuse.challenge_paths",
        "[]",
        "Paths of pages without a credential, such as \"/account/login\"; they are forwarded to the exchange. A path \
         that ends in a slash stands for all below it.",
        "requests to these paths of the exchange, without a signature",
    ),
    key(
        "bans.never",
        "[]",
        "Networks that are never banned, nor any network that holds one: your own, health checkers, offices. Loopback \
         never is.",
        "floods from there go on",
    ),
    key(
        "bans.asn_file",
        "\"\"",
        "Table of network operators, one prefix and number a line. An operator is never banned; one whose sources \
         often misbehave has a lower bar for them. Empty: operators do not count.",
        "a lower or higher bar for the sources of an operator",
    ),
    key(
        "bans.helper_socket",
        "\"\"",
        "Socket of caponier-bouncer, which has the kernel drop packets of banned addresses. Empty: banned connections \
         are reset by the gateway.",
        "who is banned here",
    ),
    key(
        "limits.source",
        "\"500 / 1s\"",
        "Requests from one address (IPv6: /64), all routes, before anything costly is done; exact GCRA, the count \
         is also the burst. Many clients may share an address.",
        "one source may use up the processors",
    ),
    key(
        "limits.key",
        "\"600 / 2s\"",
        "Requests with one API key, all private routes.",
        "one key may load the exchange",
    ),
    key(
        "limits.public",
        "\"400 / 2s\"",
        "Public reads from one address (IPv6: /64); OKX counts 20 / 2s for each endpoint.",
        "one source may load the exchange",
    ),
    key("limits.read", "\"200 / 2s\"", "Private reads per account.", "one account may load the exchange"),
    key(
        "limits.place",
        "\"60 / 2s\"",
        "New orders per account and instrument, one a request; options count by their family.",
        "one account may load the exchange",
    ),
    key(
        "limits.place_batch",
        "\"300 / 2s\"",
        "New orders per account and instrument in batches of two or more, each order counted; independent of single \
         orders.",
        "one account may load the exchange",
    ),
    key(
        "limits.amend",
        "\"60 / 2s\"",
        "Amended orders per account and instrument, one a request.",
        "one account may load the exchange",
    ),
    key(
        "limits.amend_batch",
        "\"300 / 2s\"",
        "Amended orders per account and instrument in batches.",
        "one account may load the exchange",
    ),
    key(
        "limits.cancel",
        "\"60 / 2s\"",
        "Cancelled orders per account and instrument, one a request.",
        "one account may load the exchange",
    ),
    key(
        "limits.cancel_batch",
        "\"300 / 2s\"",
        "Cancelled orders per account and instrument in batches.",
        "one account may load the exchange",
    ),
    key(
        "limits.orders",
        "\"1000 / 2s\"",
        "New and amended orders per account together; beyond it the answer is 50061.",
        "one account may load the exchange",
    ),
    key(
        "limits.write",
        "\"60 / 2s\"",
        "Other private actions per account.",
        "one account may load the exchange",
    ),
    key(
        "limits.withdraw",
        "\"6 / 1s\"",
        "Withdrawal requests per account.",
        "guesses at what passes come faster",
    ),
    Key {
        path: "limits.named",
        default: "{}",
        meaning: "Further limits for the routes in gateway.routes_file: name = \"10 / 2s by account\", by source, key, \
                  account or instrument (account and instrument).",
        attacker: "one account may load the exchange",
        is_map: true,
    },
    key(
        "limits.headers",
        "\"on\"",
        "on: answers to private requests say what is left of the tightest limit (RateLimit-Policy, RateLimit). off: \
         they do not.",
        "nothing",
    ),
    key(
        "websocket.connects",
        "\"3 / 1s\"",
        "New web sockets from one address (IPv6: /64), as OKX has it; the count is also the burst. Many clients may share \
         an address. A change begins afresh.",
        "one source may use up connections",
    ),
    key(
        "websocket.connections_per_account",
        "100",
        "Web sockets logged in to one account at a time, 1 to 100000.",
        "one account may use up connections",
    ),
    key(
        "websocket.control_per_hour",
        "480",
        "Subscribe, unsubscribe and login messages of one web socket in any hour, as OKX has it, 1 to 100000.",
        "one client may load the exchange with subscriptions, or guess keys faster",
    ),
    key(
        "websocket.messages",
        "\"1000 / 1s\"",
        "Messages of one web socket; beyond it they are read later. Orders draw on the limits of their REST endpoints \
         besides.",
        "one client may load the exchange",
    ),
    key(
        "websocket.pings",
        "\"100 / 10s\"",
        "Pings of one web socket, as text or as frames; beyond it the connection is closed.",
        "one client may use up the processors",
    ),
    key(
        "websocket.message_size",
        "\"64 KiB\"",
        "Longest message of a client, 4 KiB to 1 MiB; a longer one ends the connection (1009). Most that one client can \
         have kept in memory here is a small multiple of it.",
        "memory may run out",
    ),
    key(
        "websocket.subscription_size",
        "\"64 KiB\"",
        "Arguments of all subscriptions of one web socket together, 1 KiB to 1 MiB, as OKX has it.",
        "memory may run out",
    ),
    key(
        "websocket.idle",
        "\"30s\"",
        "A web socket on which nothing comes or goes is closed after this (4004), 1s to 1h, as OKX has it.",
        "idle clients hold connections",
    ),
    key(
        "websocket.establish",
        "\"30s\"",
        "A web socket that has neither a login nor a subscription for so long is closed, 1s to 1h.",
        "clients that want nothing hold connections",
    ),
    key(
        "websocket.notice",
        "\"60s\"",
        "Time between the notice of the gateway's end (64008) and the end of a web socket, 0s to 1h; the program stops so \
         much later.",
        "clients have no time to go elsewhere, or a stop takes long",
    ),
    key(
        "keys.first_seen",
        "\"shadow\"",
        "What is done about a key with trade or withdraw permission that is used from a network, or with software, not \
         seen with it before, once it has been in use for a day: enforce (the request is refused and the key frozen), \
         shadow (counted and journalled) or off.",
        "stolen keys work from anywhere",
    ),
    key(
        "keys.withdrawal_cool_down",
        "\"enforce\"",
        "What is done about withdrawals with a key that was issued, or whose restrictions were changed, less than 24 hours \
         ago: enforce (code 58219), shadow (counted) or off.",
        "a key made by an intruder withdraws at once",
    ),
    key(
        "api.listen",
        "\"127.0.0.1:8444\"",
        "Address and port of the listener for the exchange itself (events and decisions).",
        "nothing beyond making the service unreachable",
    ),
    key(
        "api.certificate_file",
        "\"\"",
        "PEM file with the certificate chain; needed beyond loopback.",
        "the listener's identity, together with its key",
    ),
    key("api.private_key_file", "\"\"", "PEM file with the private key.", "the listener's identity"),
    key(
        "api.console",
        "\"on\"",
        "on: pages for people under /console of that listener, for those who have a link of `caponier console link`; off: \
         none.",
        "nothing beyond making the pages unreachable",
    ),
    key(
        "api.appeal",
        "\"\"",
        "What developers of an account read on their page of the console about how to ask for a second look, in at most 500 \
         characters: an address of the support, a number, when it answers. Empty: \"Ask the support of your exchange\".",
        "whom developers turn to",
    ),
    Key {
        path: "api.tokens",
        default: "{}",
        meaning: "Callers of that listener: name = \"file with its bearer token\". Without any, every call is refused.",
        attacker: "the power to report events that did not happen",
        is_map: true,
    },
    Key {
        path: "api.permissions",
        default: "{}",
        meaning: "What a caller may do, where that is not everything a program may: name = \"read_metrics, read_health\" out of \
                  decide, read_decisions, read_health, read_metrics, screen and write_events. A monitoring system needs \
                  read_metrics alone.",
        attacker: "what the callers' tokens then allow",
        is_map: true,
    },
    key(
        "identity.origin",
        "\"\"",
        "Where browsers reach the api listener, such as \"https://caponier.example:8444\" or \"http://localhost:8444\": persons \
         then store passkeys and sign in there. Passkeys need a name and no address in numbers, and are lost when it \
         changes. Empty: no person signs in.",
        "pages at that origin may ask persons for their passkeys",
    ),
    key(
        "identity.totp",
        "\"off\"",
        "fallback: persons may set, signed in by a passkey, a phrase and the one-time codes of an app (RFC 6238), and sign in to \
         the console with both when their passkey is not at hand; off: nobody does, and what was set waits.",
        "a weaker way in: phrase and code can be typed into the wrong page",
    ),
    key(
        "identity.totp_approvals",
        "\"off\"",
        "on: such a session may do all its person may; off: it approves nothing that takes a second person.",
        "the second person's word by a weaker way in",
    ),
    key(
        "oauth.issuer",
        "\"\"",
        "Origin of this API as third-party apps know it, such as \"https://api.example.com\": customers may then let \
         registered apps act for them, never to withdraw. Empty: no app is served.",
        "tokens and proofs that were meant for another server",
    ),
    key(
        "oauth.consent_url",
        "\"\"",
        "Page of the exchange where a customer who is signed in consents; browsers are sent there with ?request=HANDLE.",
        "the page customers trust with their consent",
    ),
    key(
        "decide.deadline",
        "\"500ms\"",
        "Time all checks of one withdrawal together may take, 1ms to 10s. A check that is late denies.",
        "withdrawals may be denied by making it too short; never let through",
    ),
    key(
        "decide.address_book",
        "\"shadow\"",
        "Whether withdrawals may go only to addresses the exchange has reported as added to the account's address \
         book (OKX code 58207): enforce, shadow (reported, without effect) or off.",
        "withdrawals to addresses nobody confirmed",
    ),
    key(
        "decide.silent_admin_act",
        "\"deny\"",
        "What the decision about an act of the exchange's own people is when a check is late or cannot be made: allow, \
         challenge, hold or deny. Withdrawals are always denied then.",
        "acts nobody looked at",
    ),
    key(
        "decide.silent_api_call",
        "\"allow\"",
        "The same for a request to the trading API that the gateway does not see.",
        "requests nobody looked at",
    ),
    key("decide.silent_login", "\"challenge\"", "The same for a login.", "logins nobody looked at"),
    key(
        "decide.silent_order",
        "\"allow\"",
        "The same for an order. Who cannot trade cannot get out of a position either.",
        "orders nobody looked at",
    ),
    key(
        "fraud.shadow",
        "[]",
        "Rules that only report. See docs/reasons/fraud.md.",
        "the named rules stop nobody",
    ),
    key("fraud.off", "[]", "Rules that are not asked at all.", "the named rules see nothing"),
    key(
        "fraud.assets",
        "[]",
        "Assets the exchange trades in; a reported event about another one is refused as a mistake. Empty: any asset.",
        "typing errors in reports that nobody notices, or reports that are refused",
    ),
    key(
        "fraud.bundles",
        "\"\"",
        "Folder of the bundles the fraud engine can judge by, one folder each: see docs/operating/fraud-live.md.",
        "rules and models of their choice, in shadow until somebody promotes them",
    ),
    key(
        "fraud.bundle",
        "\"\"",
        "The bundle to judge by, a folder in fraud.bundles. Empty: the built-in rules alone.",
        "the choice among the bundles there; one that was never promoted stays in shadow",
    ),
    key(
        "fraud.challenger",
        "\"\"",
        "A second bundle that judges the same traffic and never has an effect. Empty: none.",
        "memory and time of the process",
    ),
    key(
        "fraud.mode",
        "\"shadow\"",
        "Whether a bundle that was promoted has an effect: shadow (it only reports) or enforce. One that was not \
         promoted, because it is new or was changed since, only reports in either mode.",
        "bundles that stop nobody",
    ),
    key(
        "fraud.promotion_floor",
        "\"0\"",
        "What the lower end of the interval of a challenger's gain in average precision must exceed before it takes the place of \
         the champion, -1 to 1. See docs/operating/models.md.",
        "a worse model in force",
    ),
    key(
        "cases.window",
        "\"24h\"",
        "Alerts and held withdrawals of one account that come within this time of each other are one case. Whole seconds, \
         as all times here.",
        "cases that fall apart, or never end",
    ),
    key(
        "cases.proposal_life",
        "\"8h\"",
        "How long a proposal to release a held withdrawal waits for a second person.",
        "more time to find somebody who agrees",
    ),
    key(
        "cases.release_life",
        "\"24h\"",
        "How long a released withdrawal may be asked for again.",
        "more time in which what two people released may be used",
    ),
    key(
        "cases.reference_asset",
        "\"USDT\"",
        "The asset expected losses are in. Others are valued by the last fill against it that was reported; what was never \
         traded against it is of unknown value and of high priority.",
        "the order in which people look at cases",
    ),
    key(
        "cases.medium_from",
        "\"1000\"",
        "Expected loss from which a case is of medium priority.",
        "as above",
    ),
    key("cases.high_from", "\"10000\"", "Expected loss from which it is of high priority.", "as above"),
    key("cases.critical_from", "\"100000\"", "Expected loss from which it is critical.", "as above"),
    key(
        "cases.sla_low",
        "\"24h\"",
        "Time in which somebody must look at a case of low priority.",
        "as above",
    ),
    key("cases.sla_medium", "\"4h\"", "The same for medium priority.", "as above"),
    key("cases.sla_high", "\"1h\"", "The same for high priority.", "as above"),
    key("cases.sla_critical", "\"15m\"", "The same for critical ones.", "as above"),
    key(
        "cases.challenge_percent",
        "20",
        "Chance of fraud behind a challenged withdrawal that has no score, 0 to 100.",
        "as above",
    ),
    key("cases.hold_percent", "50", "The same behind a held one.", "as above"),
    Key {
        path: "watch.evm",
        default: "{}",
        meaning: "EVM chains to follow, each a table [watch.evm.NAME] with url and chain_id, and more keys: see \
                  docs/operating/chains.md. Its node is asked for every block.",
        attacker: "the choice of what is seen on the chain",
        is_map: true,
    },
    Key {
        path: "watch.bitcoin",
        default: "{}",
        meaning: "Bitcoin networks to follow, each a table [watch.bitcoin.NAME] with url, and more keys: see \
                  docs/operating/chains.md.",
        attacker: "the choice of what is seen on the chain",
        is_map: true,
    },
    key(
        "watch.shadow",
        "[\"resembling_address\", \"shared_fresh_address\", \"association\", \"exposure\", \"stale_chain\"]",
        "Warnings about destinations that only report: address_poisoning, resembling_address, shared_fresh_address, \
         association, exposure, stale_chain. See docs/reasons/watch.md.",
        "the named warnings stop nobody",
    ),
    key(
        "watch.exposure_hops",
        "5",
        "Transfers over which money is followed from a screened address to listed ones on the chains that are followed, \
         1 to 8; 0: not at all.",
        "money that came over more holders is not seen",
    ),
    key(
        "watch.exposure_share_bps",
        "1000",
        "Least share of one category in what an address received or paid that warns, in hundredths of a percent, 1 to \
         10000.",
        "smaller shares of bad money warn nobody",
    ),
    key(
        "watch.suspected",
        "\"challenge\"",
        "What a withdrawal to an address asks for that a model alone suspects (discovery_model of a chain): challenge, hold, or \
         report (told without effect).",
        "addresses nobody has listed yet are paid without a question",
    ),
    key(
        "watch.record_screenings",
        "\"all\"",
        "Which screenings over the API and on the command line are journalled before they are answered: all, or found (those \
         that something speaks against, and those with an idempotency key). Only what is journalled is judged again when a list \
         changes. Screenings within decisions stand in the decisions.",
        "who asked about clean addresses leaves no trace, and is not told when they are listed",
    ),
    key(
        "log.origin",
        "\"caponier.local/journal\"",
        "Name of the transparency log, first line of every checkpoint; never change it once the log is in use.",
        "checkpoints that look like another log's",
    ),
    key(
        "log.interval",
        "\"1s\"",
        "Longest time from an entry to a signed checkpoint that covers it, 10ms to 1h.",
        "a longer window in which the newest entries could be dropped unnoticed",
    ),
    key(
        "backup.target",
        "\"\"",
        "Folder the sealed journal is shipped to; put it on another disk. Empty: no backup, and every start says so.",
        "ciphertext, pseudonyms and times",
    ),
    key(
        "backup.interval",
        "\"1s\"",
        "Longest time from an entry to its copy, 10ms to 1h.",
        "more lost with the disk",
    ),
    key(
        "backup.drill_every",
        "\"24h\"",
        "How often a restore is rehearsed and journalled, 1s to 30d.",
        "a backup that no longer restores goes unnoticed",
    ),
    key(
        "webhooks.private_networks",
        "[]",
        "Networks such as \"127.0.0.0/8\" or \"10.20.0.0/16\" that webhooks may go to although they are not public. Only there \
         may an endpoint have plain http. All other addresses that are not public are refused, whatever name leads to them.",
        "requests from this machine to services that trust it",
    ),
    key(
        "webhooks.ca_file",
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        "PEM file of the roots that certificates of https endpoints must lead to. Read when the first message goes out.",
        "the power to pose as an endpoint",
    ),
    key(
        "webhooks.time_limit",
        "\"15s\"",
        "How long one try may take in all, 100ms to 60s: name, connection, TLS and answer.",
        "nothing",
    ),
    key(
        "webhooks.first_retry",
        "\"5s\"",
        "Wait before the second try of a message, 10ms to 1h. Each later wait is twice as long, at most 24h, and up to a \
         quarter shorter at random.",
        "nothing",
    ),
    key(
        "webhooks.tries",
        "18",
        "Tries of a message, 1 to 30, before it is put among the dead letters; 18 are nearly four days.",
        "nothing",
    ),
    key("telemetry.log_format", "\"text\"", "text or json, one line each, on standard error.", "nothing"),
    key("telemetry.log_level", "\"info\"", "error, warn, info, debug or trace.", "nothing"),
    key(
        "telemetry.traffic_file",
        "\"\"",
        "File to record one line of JSON in for each request, for `caponier policy dry-run`: time, route, instruments and \
         outcome; source, key and account under pseudonyms whose secret is thrown away. Empty: nothing is recorded.",
        "who traded what and when, without names",
    ),
    key(
        "telemetry.traffic_size",
        "\"256 MiB\"",
        "Most that is kept of it, the older half under the same name with .1 at its end.",
        "a full disk",
    ),
];

/// Keys that take effect on `caponier reload` or SIGHUP, without a restart.
pub const LIVE: &[&str] = &[
    "abuse.challenge",
    "abuse.challenge_paths",
    "abuse.mode",
    "api.certificate_file",
    "api.private_key_file",
    "api_model.document",
    "api_model.enforce",
    "api_model.mode",
    "api_model.off",
    "bans.asn_file",
    "fraud.bundle",
    "fraud.bundles",
    "fraud.challenger",
    "fraud.mode",
    "gateway.certificate_file",
    "gateway.connections_max",
    "gateway.connections_per_ip",
    "gateway.private_key_file",
    "gateway.routes_file",
    "gateway.upstream_timeout",
    "limits.amend",
    "limits.amend_batch",
    "limits.cancel",
    "limits.cancel_batch",
    "limits.headers",
    "limits.key",
    "limits.named",
    "limits.orders",
    "limits.place",
    "limits.place_batch",
    "limits.public",
    "limits.read",
    "limits.source",
    "limits.withdraw",
    "limits.write",
    "websocket.connections_per_account",
    "websocket.connects",
    "websocket.control_per_hour",
    "websocket.establish",
    "websocket.idle",
    "websocket.message_size",
    "websocket.messages",
    "websocket.pings",
    "websocket.subscription_size",
];

/// The limits that have keys of their own: name and what each counts by.
pub const LIMITS: [(&str, &str, gateway::By); 13] = [
    ("limits.source", "source", gateway::By::Source),
    ("limits.public", "public", gateway::By::Source),
    ("limits.key", "key", gateway::By::Key),
    ("limits.read", "read", gateway::By::Account),
    ("limits.place", "place", gateway::By::Instrument),
    ("limits.place_batch", "place_batch", gateway::By::Instrument),
    ("limits.amend", "amend", gateway::By::Instrument),
    ("limits.amend_batch", "amend_batch", gateway::By::Instrument),
    ("limits.cancel", "cancel", gateway::By::Instrument),
    ("limits.cancel_batch", "cancel_batch", gateway::By::Instrument),
    ("limits.orders", "orders", gateway::By::Account),
    ("limits.write", "write", gateway::By::Account),
    ("limits.withdraw", "withdraw", gateway::By::Account),
];

/// The key of a path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The default of a key without its quotes.
pub(super) fn default_text(path: &str) -> String {
    find(path).map(|key| key.default.trim_matches('"').to_owned()).unwrap_or_default()
}

/// The known key most like an unknown one, if any is like it.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    KEYS.iter()
        .map(|key| (distance(path, key.path).min(distance(&last(path), &last(key.path)) + 1), key.path))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, path)| path)
}

/// Levenshtein distance over bytes; the inputs are short.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().take(64).enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, b) in right.bytes().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX);
            let before = row.get(j).copied().unwrap_or(usize::MAX);
            let best =
                (diagonal + usize::from(a != b)).min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = best;
            }
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// The annotated default file.
#[must_use]
pub fn default_file() -> String {
    let mut out = String::from(
        "# Caponier configuration. Every key is shown with its default; relative paths are relative to this file.\n\
         # Secrets are never written here, only the files that hold them.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if table != section {
            section = table;
            let _ = write!(out, "\n[{table}]\n");
        }
        for line in wrap(&format!("{} Who controls it gains: {}.", key.meaning, key.attacker), 106) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "{name} = {}", key.default);
    }
    out
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Ids of the fraud rules.
#[must_use]
pub fn rules() -> Vec<&'static str> {
    fraud::Rule::ALL.iter().map(|rule| rule.as_str()).collect()
}

pub(super) fn is_rule(id: &str) -> bool {
    fraud::Rule::named(id).is_some()
}
