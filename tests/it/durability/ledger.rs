//! What the callers asked and were told, in a file outside the store: a line is on
//! the disk before its caller asks again, whatever becomes of the server.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One call. Each names something that no other call names, so that what it left
/// can be searched for.
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
    /// Its name alone.
    pub fn name(&self) -> String {
        let all = format!("{self:?}");
        all.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// What a caller was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Done, and which ids or tokens the answer names.
    Acknowledged(Vec<String>),
    /// Not done.
    Refused { code: String, reason: String },
    /// Nothing, or that it is not known.
    Unknown(String),
}

impl Said {
    /// Whether it was refused for no fault of its own.
    pub fn is_fault(&self) -> bool {
        let Said::Refused { code, reason } = self else { return false };
        code == "Unavailable" || (code == "ResourceExhausted" && reason == "DISK_FULL")
    }

    /// Whether it was refused as its rules want it, such as a link that is used up.
    pub fn is_rule(&self) -> bool {
        let Said::Refused { code, reason } = self else { return false };
        matches!(
            (code.as_str(), reason.as_str()),
            ("NotFound" | "PermissionDenied", _) | ("ResourceExhausted", "RATE_LIMITED")
        )
    }
}

/// A call and what was said to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// `x-request-id`, which stands in the audit trail.
    pub request: String,
    pub call: Call,
    pub said: Said,
}

/// The file. Clones share it.
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

    /// Writes an entry; done when the disk has it.
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

    /// All that was written, as the file has it.
    pub fn read(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
