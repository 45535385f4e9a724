//! `guestlist.v1.DomainService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, domains};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::domain_service_server::DomainService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl DomainService for Service {
    async fn add_domain(
        &self,
        request: Request<pb::AddDomainRequest>,
    ) -> Result<Response<pb::AddDomainResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::add_domain(message)?;
            let domain = domains::add_domain(&self.0, &call, input).await?;
            let domain = Some(convert::domain(domain, &self.0.rules));
            Ok(pb::AddDomainResponse { domain })
        })
        .await
    }

    async fn verify_domain(
        &self,
        request: Request<pb::VerifyDomainRequest>,
    ) -> Result<Response<pb::VerifyDomainResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::domain_ref(&message.organization_id, &message.domain_id)?;
            let domain = domains::verify_domain(&self.0, &call, of).await?;
            let domain = Some(convert::domain(domain, &self.0.rules));
            Ok(pb::VerifyDomainResponse { domain })
        })
        .await
    }

    async fn list_domains(
        &self,
        request: Request<pb::ListDomainsRequest>,
    ) -> Result<Response<pb::ListDomainsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let organization = convert::organization_id(&message.organization_id)?;
            let domains = domains::list_domains(&self.0, &call, organization).await?;
            let domains = domains.into_iter().map(|it| convert::domain(it, &self.0.rules));
            Ok(pb::ListDomainsResponse { domains: domains.collect() })
        })
        .await
    }

    async fn remove_domain(
        &self,
        request: Request<pb::RemoveDomainRequest>,
    ) -> Result<Response<pb::RemoveDomainResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::domain_ref(&message.organization_id, &message.domain_id)?;
            domains::remove_domain(&self.0, &call, of).await?;
            Ok(pb::RemoveDomainResponse {})
        })
        .await
    }

    async fn set_domain_mode(
        &self,
        request: Request<pb::SetDomainModeRequest>,
    ) -> Result<Response<pb::SetDomainModeResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (of, mode) = convert::set_domain_mode(message)?;
            let domain = domains::set_domain_mode(&self.0, &call, of, mode).await?;
            let domain = Some(convert::domain(domain, &self.0.rules));
            Ok(pb::SetDomainModeResponse { domain })
        })
        .await
    }
}
