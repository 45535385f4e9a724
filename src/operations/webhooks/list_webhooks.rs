//! `guestlist.v1.WebhookService/ListWebhooks`

use uuid::Uuid;

use super::owner::to_read;
use crate::domain::{OrganizationId, PageSize, Webhook};
use crate::error::Result;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::webhooks;

#[derive(Debug, Clone)]
pub struct ListWebhooks {
    /// `None`: the deployment.
    pub organization: Option<OrganizationId>,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of endpoints, oldest first.
#[derive(Debug, Clone)]
pub struct WebhookList {
    pub webhooks: Vec<Webhook>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the endpoints of an organization, or of the deployment. Needs an admin of the
/// organization; for the deployment, an operator.
pub async fn list_webhooks(
    cx: &Context,
    call: &RequestContext,
    input: ListWebhooks,
) -> Result<WebhookList> {
    to_read(cx, call, input.organization).await?;
    let list = Encoding::new("ListWebhooks").option(input.organization, Encoding::id);
    let pagination = Pagination::new(list, call.caller.account.id, "page.page_token");
    let after: Option<Uuid> = pagination.cursor(&cx.keyring, &input.token)?;
    let (db, after) = (cx.store.read(), after.map(Into::into));
    let mut rows = webhooks::page(db, input.organization, after, input.size.get() + 1).await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut rows, input.size, |last| Uuid::from(last.id))?;
    Ok(WebhookList { webhooks: rows, next_token })
}
