//! The calls and their results, in a file outside the store. A line is on the disk before its
//! caller sends the next request, even if the server is killed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One call. Each contains something that no other call contains, so that the rows of a call can be
/// found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    ResolveAccount { subject: String },
    CreateOrganization { name: String },
    UpdateOrganization { organization: String, name: String },
    CreateOrganizationInvite { organization: String },
    CreateLink { organization: String, note: String, role: String, max_uses: i64 },
    InviteByEmail { organization: String, addresses: Vec<String> },
    JoinOrganization { organization: String, token: String, account: String, role: String },
    SetMemberRole { organization: String, member: String, role: String },
    SuspendMember { organization: String, member: String },
    RestoreMember { organization: String, member: String },
    RemoveMember { organization: String, member: String },
    Revoke { organization: String, invite: String },
}

impl Call {
    /// The name of the call, without its fields.
    pub fn name(&self) -> String {
        let all = format!("{self:?}");
        all.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// The result of a call, as the caller knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallOutcome {
    /// Done, with the ids or tokens in the response.
    Acknowledged(Vec<String>),
    /// Not done.
    Refused { code: String, reason: String },
    /// No response, or a response that the result is not known.
    Unknown(String),
}

impl CallOutcome {
    /// Whether the call was rejected because of a failure of the store, not because of the call.
    pub fn is_fault(&self) -> bool {
        let CallOutcome::Refused { code, reason } = self else { return false };
        code == "Unavailable" || (code == "ResourceExhausted" && reason == "DISK_FULL")
    }

    /// Whether the call was rejected by a rule of the service, such as for a link that is used up.
    pub fn is_rule(&self) -> bool {
        let CallOutcome::Refused { code, reason } = self else { return false };
        matches!(
            (code.as_str(), reason.as_str()),
            ("NotFound" | "PermissionDenied", _) | ("ResourceExhausted", "RATE_LIMITED")
        )
    }
}

/// A call and its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// `x-request-id`, which the audit trail contains.
    pub request: String,
    pub call: Call,
    pub outcome: CallOutcome,
}

/// The file of the entries. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    path: PathBuf,
    file: Arc<File>,
}

impl Ledger {
    pub fn new(directory: &Path) -> Self {
        let path = directory.join("ledger");
        let file = OpenOptions::new().create_new(true).append(true).open(&path).unwrap();
        Self { path, file: Arc::new(file) }
    }

    /// Writes an entry; returns when it is on the disk.
    pub async fn note(&self, entry: &Entry) {
        let line = serde_json::to_string(entry).unwrap() + "\n";
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            // One write, so that lines of several callers do not mix.
            assert_eq!((&*file).write(line.as_bytes())?, line.len());
            file.sync_data()
        });
        written.await.unwrap().unwrap();
    }

    /// Reads all entries from the file.
    pub fn read(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
