//! Previews as they were read, where nobody else writes: they are asked most of all.
//!
//! On SQLite every change of an invite or an organization is made by this process: a
//! lock keeps a second server off the file, and the command line beside it changes keys
//! and accounts alone. So what was read holds until this process commits something,
//! exactly so long. On PostgreSQL there may be replicas: nothing is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};
use uuid::Uuid;

use super::entity::{invite, organization, stored};
use super::invites::usable;
use super::text::{Text, one};
use super::tx::{Db, Readers};
use crate::domain::{EmailAddress, OrganizationId, OrganizationName, SecretHash, Timestamp};
use crate::error::Result;

/// However quiet it is, no longer: somebody may have edited the file by hand.
const AGE: Duration = Duration::from_secs(1);

/// Previews at most; about 300 bytes each.
const ROOM: usize = 20_000;

/// See the module.
pub(super) struct Previews(Cache<Box<[u8]>, Kept>);

#[derive(Clone)]
struct Kept {
    preview: Arc<Preview>,
    /// How many commits there were when reading began.
    commits: u64,
    read_at: Instant,
}

impl Previews {
    /// What the live invite with this token leads to.
    pub(super) async fn find(
        &self,
        db: &Db,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Preview>>> {
        if matches!(db.engine, Readers::Postgres(_)) {
            return Ok(read(db, hash, now).await?.map(Arc::new));
        }
        // Before the look: what is committed while it is read makes it old at once.
        let (commits, read_at) = (db.watching.commits.load(Ordering::SeqCst), Instant::now());
        let kept = self.0.get(hash.as_bytes()).filter(|kept| {
            kept.commits == commits && read_at.saturating_duration_since(kept.read_at) < AGE
        });
        if let Some(kept) = kept {
            // Time passes without a commit.
            let lives = kept.preview.expires_at.is_none_or(|end| now < end);
            return Ok(lives.then_some(kept.preview));
        }
        let Some(preview) = read(db, hash, now).await?.map(Arc::new) else {
            return Ok(None);
        };
        let kept = Kept { preview: Arc::clone(&preview), commits, read_at };
        self.0.insert(hash.as_bytes().into(), kept);
        Ok(Some(preview))
    }
}

impl Default for Previews {
    fn default() -> Self {
        Self(Cache::new(ROOM))
    }
}

/// What is told of a live invite to whoever holds its token.
#[derive(Debug)]
pub struct Preview {
    /// Where it leads.
    pub organization: OrganizationId,
    /// That organization's name.
    pub name: OrganizationName,
    /// Its active and suspended members.
    pub member_count: i64,
    /// Whose invitation it is, if it is an email invitation.
    pub email: Option<EmailAddress>,
    /// When the invite stops working, if it is not used up or ended before.
    pub expires_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct PreviewRow {
    id: Uuid,
    name: String,
    member_count: i64,
    email: Option<String>,
    expires_at: Option<i64>,
}

/// Reads one.
async fn read(
    db: &impl ConnectionTrait,
    hash: &SecretHash,
    now: Timestamp,
) -> Result<Option<Preview>> {
    static TEXT: Text = Text::new();
    let key = [hash.as_bytes().into(), now.as_micros().into()];
    let found = TEXT.statement(db, key, || {
        invite::Entity::find()
            .select_only()
            .columns([invite::Column::Email, invite::Column::ExpiresAt])
            .columns([
                organization::Column::Id,
                organization::Column::Name,
                organization::Column::MemberCount,
            ])
            .join(JoinType::InnerJoin, invite::Relation::Organization.def())
            .filter(invite::Column::TokenHash.eq(hash.as_bytes()))
            .filter(usable(now))
    });
    let Some(row) = one::<PreviewRow>(db, found).await? else { return Ok(None) };
    Ok(Some(Preview {
        organization: row.id.into(),
        name: stored("organizations.name", &row.name)?,
        member_count: row.member_count,
        email: row.email.map(|email| stored("invites.email", &email)).transpose()?,
        expires_at: row.expires_at.map(Timestamp::from_micros),
    }))
}
