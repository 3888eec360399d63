//! What is answered about persons and programs over the control socket; names and times in words.

use serde::{Deserialize, Serialize};

/// An invitation. The only time the link is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedUser {
    /// Who.
    pub user: String,
    /// Where they store a passkey; holds a secret and works once.
    pub link: String,
    /// RFC 3339; `None` while it waits for somebody to approve it.
    pub expires_at: Option<String>,
    /// The change request that makes it good when it is approved.
    pub change: Option<String>,
}

/// A person who uses the control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedUser {
    /// Name.
    pub user: String,
    /// By name.
    pub roles: Vec<String>,
    /// How many.
    pub passkeys: usize,
    /// RFC 3339, while an invitation is open.
    pub invited_until: Option<String>,
    /// RFC 3339, the last time.
    pub signed_in_at: Option<String>,
    /// none, set or locked: whether they can sign in by phrase and code.
    pub fallback: String,
}

/// A program's token. The only time it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedService {
    /// Name.
    pub service: String,
    /// What it presents.
    pub token: String,
    /// RFC 3339; `None` while it waits for somebody to approve it.
    pub expires_at: Option<String>,
    /// The change request that makes it good when it is approved.
    pub change: Option<String>,
}

/// A program that uses the control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedService {
    /// Name.
    pub service: String,
    /// By name.
    pub capabilities: Vec<String>,
    /// From where; empty for anywhere.
    pub ips: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
}
