//! A cache of previews, which are the most frequent requests, on SQLite.
//!
//! On SQLite this process makes all changes of invites and organizations: a lock keeps a
//! second server off the file, and the command line beside it changes only keys and
//! accounts. So a preview is valid until this process changes its organization: see
//! [`preview_versions`](super::preview_versions). On PostgreSQL other replicas may change it
//! at any time, so nothing is cached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};
use uuid::Uuid;

use super::connection::{Connection, Db, Readers, first};
use super::entity::{invite, organization, stored};
use super::invites::usable;
use super::sql::{Named, query};
use crate::domain::{EmailAddress, OrganizationId, OrganizationName, SecretHash, Timestamp};
use crate::error::Result;

/// The longest time that a preview is kept, in case an operator edits the file by hand.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The most previews that are kept; one takes about 300 bytes.
const CAPACITY: usize = 20_000;

/// Previews by the hash of the token.
pub(super) struct Previews(Cache<Box<[u8]>, Kept>);

#[derive(Clone)]
struct Kept {
    preview: Arc<Preview>,
    /// The time of [`PreviewVersions`](super::preview_versions::PreviewVersions) before the read.
    version: u64,
    read_at: Instant,
}

impl Previews {
    /// The preview of the live invite with this token.
    pub(super) async fn find(
        &self,
        db: &Db,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Preview>>> {
        if matches!(db.engine, Readers::Postgres(_)) {
            return Ok(read(db, hash, now).await?.map(Arc::new));
        }
        // Before the read, so that a change during the read makes the preview outdated.
        let (version, read_at) = (db.state.previews.now(), Instant::now());
        let kept = self.0.get(hash.as_bytes()).filter(|kept| {
            db.state.previews.is_current(kept.preview.organization.into(), kept.version)
                && read_at.saturating_duration_since(kept.read_at) < MAX_AGE
        });
        if let Some(kept) = kept {
            // An invite expires without a change.
            let lives = kept.preview.expires_at.is_none_or(|end| now < end);
            return Ok(lives.then_some(kept.preview));
        }
        let Some(preview) = read(db, hash, now).await?.map(Arc::new) else {
            return Ok(None);
        };
        let kept = Kept { preview: Arc::clone(&preview), version, read_at };
        self.0.insert(hash.as_bytes().into(), kept);
        Ok(Some(preview))
    }
}

impl Default for Previews {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

/// What a live invite shows to a holder of its token.
#[derive(Debug)]
pub struct Preview {
    pub organization: OrganizationId,
    pub name: OrganizationName,
    /// The number of active and suspended members.
    pub member_count: i64,
    /// The address of an email invitation.
    pub email: Option<EmailAddress>,
    /// When the invite expires, unless it ends before.
    pub expires_at: Option<Timestamp>,
}

async fn read(db: &impl Connection, hash: &SecretHash, now: Timestamp) -> Result<Option<Preview>> {
    static FIND: Named = Named::new(|| {
        let select = invite::Entity::find()
            .select_only()
            .columns([invite::Column::Email, invite::Column::ExpiresAt])
            .columns([
                organization::Column::Id,
                organization::Column::Name,
                organization::Column::MemberCount,
            ])
            .join(JoinType::InnerJoin, invite::Relation::Organization.def())
            .filter(invite::Column::TokenHash.eq(&[][..]))
            .filter(usable(Timestamp::from_micros(0)));
        query(select)
    });
    let found = FIND.with(db, [hash.as_bytes().into(), now.as_micros().into()]);
    let Some(mut row) = first(db, found).await? else { return Ok(None) };
    let email: Option<String> = row.value()?;
    let expires_at: Option<i64> = row.value()?;
    Ok(Some(Preview {
        organization: row.value::<Uuid>()?.into(),
        name: stored("organizations.name", &row.value::<String>()?)?,
        member_count: row.value()?,
        email: email.map(|email| stored("invites.email", &email)).transpose()?,
        expires_at: expires_at.map(Timestamp::from_micros),
    }))
}
