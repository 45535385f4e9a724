//! `guestlist.v1.AccountService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, accounts};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::account_service_server::AccountService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl AccountService for Service {
    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        respond(async {
            let (call, _) = authenticated(request)?;
            Ok(accounts::get_caller(&call).into())
        })
        .await
    }

    async fn resolve_account(
        &self,
        request: Request<pb::ResolveAccountRequest>,
    ) -> Result<Response<pb::ResolveAccountResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::resolve_account(message)?;
            let (account, created) = accounts::resolve_account(&self.0, &call, input).await?;
            Ok(pb::ResolveAccountResponse { account: Some((&account).into()), created })
        })
        .await
    }
}
