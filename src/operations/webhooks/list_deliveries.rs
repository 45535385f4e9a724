//! `guestlist.v1.WebhookService/ListDeliveries`

use uuid::Uuid;

use super::owner::{WebhookRef, is_operator, to_read};
use crate::domain::{PageSize, WebhookDelivery};
use crate::error::{Error, Result};
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::{webhook_deliveries, webhooks};

#[derive(Debug, Clone)]
pub struct ListDeliveries {
    pub of: WebhookRef,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of deliveries, oldest first.
#[derive(Debug, Clone)]
pub struct DeliveryList {
    pub deliveries: Vec<WebhookDelivery>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the events that an endpoint has not accepted. An admin of its organization gets no
/// responses: a response may come from a server that only this server can reach. An operator may
/// list the deliveries of every endpoint, with the responses.
pub async fn list_deliveries(
    cx: &Context,
    call: &RequestContext,
    input: ListDeliveries,
) -> Result<DeliveryList> {
    let ListDeliveries { of, size, token } = input;
    let is_operator = is_operator(call);
    if !is_operator {
        to_read(cx, call, of.organization).await?;
    }
    let db = cx.store.read();
    let webhook = webhooks::find(db, of.organization, of.id).await?;
    let webhook = webhook.ok_or_else(Error::not_found)?;
    let list = Encoding::new("ListDeliveries").id(webhook.id);
    let pagination = Pagination::new(list, call.caller.account.id, "page.page_token");
    let after: Option<Uuid> = pagination.cursor(&cx.keyring, &token)?;
    let _permit = cx.limits.list(of.organization).await?;
    let after = after.map(Into::into);
    let mut rows = webhook_deliveries::page(db, webhook.id, after, size.get() + 1).await?;
    let next_token = pagination.cut(&cx.keyring, &mut rows, size, |last| Uuid::from(last.id))?;
    if !is_operator {
        rows.iter_mut().for_each(|row| row.answer.clear());
    }
    Ok(DeliveryList { deliveries: rows, next_token })
}
