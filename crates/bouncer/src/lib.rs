//! Bans below the gateway: packets of banned sources are dropped by the kernel before they cost a connection.
//!
//! Two processes share this crate. The gateway, which is exposed and unprivileged, uses [`client`]: it queues bans and
//! sends them once a second over a local socket. The program `caponier-bouncer`, which may change the packet filter and
//! does nothing else, checks each ban itself ([`table`], [`mod@never`]) and puts it into a table of its own ([`nft`]). A
//! gateway that is taken over can at worst ban addresses that may be banned, for at most an hour.
//!
//! Every ban has an end that the kernel enforces: if either process dies, bans run out by themselves.
//!
//! Not here: who deserves a ban (the gateway's reputation), and how an answer is refused at the HTTP level. No list
//! is fetched from or sent to anybody: [`decisions`] reads and writes lists as text.
//!
//! | module | what |
//! |---|---|
//! | [`prefix`] | an address or network that may be banned at all |
//! | [`mod@never`] | what is never banned |
//! | [`protocol`] | the lines spoken over the socket |
//! | [`table`] | the bans in force, checks, limits; pure |
//! | [`nft`] | scripts for nftables and running them |
//! | [`server`] | the socket of the privileged process |
//! | [`outbox`] | what the gateway still has to say; pure |
//! | [`client`] | the gateway's side of the socket |
//! | [`decisions`] | ban lists in the JSON form of CrowdSec's local API |

pub mod client;
pub mod decisions;
pub mod never;
pub mod nft;
pub mod outbox;
pub mod prefix;
pub mod protocol;
pub mod server;
pub mod table;

pub use self::{
    client::{Client, ClientStatus},
    never::NeverBan,
    nft::{DryRun, Firewall, Nft, Setup},
    outbox::{Outbox, QueueFull},
    prefix::{Prefix, PrefixError},
    protocol::{BAN_TTL_MAX, Ban, Command, Reason, Ttl},
    server::Server,
    table::{Limits, Table},
};
