//! `guestlist.v1.WebhookService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, webhooks};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::webhook_service_server::WebhookService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl WebhookService for Service {
    async fn create_webhook(
        &self,
        request: Request<pb::CreateWebhookRequest>,
    ) -> Result<Response<pb::CreateWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::create_webhook(message)?;
            Ok(webhooks::create_webhook(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn get_webhook(
        &self,
        request: Request<pb::GetWebhookRequest>,
    ) -> Result<Response<pb::GetWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            let webhook = webhooks::get_webhook(&self.0, &call, of).await?;
            Ok(pb::GetWebhookResponse { webhook: Some(webhook.into()) })
        })
        .await
    }

    async fn list_webhooks(
        &self,
        request: Request<pb::ListWebhooksRequest>,
    ) -> Result<Response<pb::ListWebhooksResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_webhooks(message)?;
            Ok(webhooks::list_webhooks(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn update_webhook(
        &self,
        request: Request<pb::UpdateWebhookRequest>,
    ) -> Result<Response<pb::UpdateWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::update_webhook(message)?;
            let webhook = webhooks::update_webhook(&self.0, &call, input).await?;
            Ok(pb::UpdateWebhookResponse { webhook: Some(webhook.into()) })
        })
        .await
    }

    async fn delete_webhook(
        &self,
        request: Request<pb::DeleteWebhookRequest>,
    ) -> Result<Response<pb::DeleteWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            webhooks::delete_webhook(&self.0, &call, of).await?;
            Ok(pb::DeleteWebhookResponse {})
        })
        .await
    }

    async fn rotate_secret(
        &self,
        request: Request<pb::RotateSecretRequest>,
    ) -> Result<Response<pb::RotateSecretResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            Ok(webhooks::rotate_secret(&self.0, &call, of).await?.into())
        })
        .await
    }

    async fn enable_webhook(
        &self,
        request: Request<pb::EnableWebhookRequest>,
    ) -> Result<Response<pb::EnableWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            Ok(webhooks::enable_webhook(&self.0, &call, of).await?.into())
        })
        .await
    }

    async fn disable_webhook(
        &self,
        request: Request<pb::DisableWebhookRequest>,
    ) -> Result<Response<pb::DisableWebhookResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            let webhook = webhooks::disable_webhook(&self.0, &call, of).await?;
            Ok(pb::DisableWebhookResponse { webhook: Some(webhook.into()) })
        })
        .await
    }

    async fn send_test(
        &self,
        request: Request<pb::SendTestRequest>,
    ) -> Result<Response<pb::SendTestResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::webhook_ref(&message.organization_id, &message.webhook_id)?;
            let attempt = webhooks::send_test(&self.0, &call, of).await?;
            Ok(pb::SendTestResponse {
                accepted: attempt.is_accepted(),
                status: attempt.status.map_or(0, i32::from),
                reason: attempt.reason,
                answer: attempt.answer,
            })
        })
        .await
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_deliveries(message)?;
            Ok(webhooks::list_deliveries(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn replay(
        &self,
        request: Request<pb::ReplayRequest>,
    ) -> Result<Response<pb::ReplayResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::replay(message)?;
            Ok(webhooks::replay(&self.0, &call, input).await?.into())
        })
        .await
    }
}
