//! Previews of invites, which are the most frequent requests.

use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};
use uuid::Uuid;

use super::connection::{Connection, Db, first};
use super::entity::{invite, organization, stored};
use super::invites::usable;
use super::members;
use super::organization_cache::{OfOrganization, OrganizationCache};
use super::sql::{Named, query};
use crate::domain::{
    ContinueUrl, EmailAddress, MemberId, OrganizationId, OrganizationName, SecretHash, Timestamp,
};
use crate::error::Result;

/// Previews by the hash of the token.
#[derive(Default)]
pub(super) struct Previews(OrganizationCache<[u8; 32], Arc<Preview>>);

impl Previews {
    /// The preview of the live invite with this token.
    pub(super) async fn find(
        &self,
        db: &Db,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Preview>>> {
        let read = async { Ok(read(db, hash, now).await?.map(Arc::new)) };
        let found = self.0.find(db, hash.into_bytes(), read).await?;
        // Invites and memberships expire without a change of the store.
        let found = found.filter(|preview| preview.expires_at.is_none_or(|end| now < end));
        match found {
            Some(preview) if preview.next_member_end.is_some_and(|end| end <= now) => {
                without_due_members(db, &preview, now).await
            }
            found => Ok(found),
        }
    }
}

/// The preview without memberships that have expired at `now`, but still count as current in the
/// store. `None` if the inviter's membership is one of them.
async fn without_due_members(
    db: &Db,
    preview: &Preview,
    now: Timestamp,
) -> Result<Option<Arc<Preview>>> {
    let organization = preview.organization;
    if !members::ended_among(db, organization, &[preview.inviter], now).await?.is_empty() {
        return Ok(None);
    }
    let member_count = members::count_at(db, organization, now).await?;
    Ok(Some(Arc::new(Preview { member_count, ..preview.clone() })))
}

/// What a live invite shows to a holder of its token.
#[derive(Debug, Clone)]
pub struct Preview {
    pub organization: OrganizationId,
    pub name: OrganizationName,
    /// The number of active and suspended members.
    pub member_count: i64,
    /// The address of an email invitation.
    pub email: Option<EmailAddress>,
    /// When the invite expires, unless it ends before.
    pub expires_at: Option<Timestamp>,
    /// Where its recipients continue after they join.
    pub continue_url: Option<ContinueUrl>,
    inviter: MemberId,
    /// As in [`Organization`](crate::domain::Organization).
    next_member_end: Option<Timestamp>,
}

impl OfOrganization for Arc<Preview> {
    fn organization(&self) -> Uuid {
        self.organization.into()
    }
}

async fn read(db: &impl Connection, hash: &SecretHash, now: Timestamp) -> Result<Option<Preview>> {
    static FIND: Named = Named::new(|| {
        let select = invite::Entity::find()
            .select_only()
            .columns([invite::Column::Email, invite::Column::ExpiresAt])
            .columns([invite::Column::ContinueUrl, invite::Column::InviterId])
            .columns([
                organization::Column::Id,
                organization::Column::Name,
                organization::Column::MemberCount,
                organization::Column::NextMemberEnd,
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
    let continue_url: Option<String> = row.value()?;
    let inviter: Uuid = row.value()?;
    let organization: Uuid = row.value()?;
    let name: String = row.value()?;
    let member_count: i64 = row.value()?;
    let next_member_end: Option<i64> = row.value()?;
    Ok(Some(Preview {
        organization: organization.into(),
        name: stored("organizations.name", &name)?,
        member_count,
        email: email.map(|email| stored("invites.email", &email)).transpose()?,
        expires_at: expires_at.map(Timestamp::from_micros),
        continue_url: continue_url.map(|url| stored("invites.continue_url", &url)).transpose()?,
        inviter: inviter.into(),
        next_member_end: next_member_end.map(Timestamp::from_micros),
    }))
}
