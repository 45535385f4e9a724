//! `guestlist.v1.SignInService`

use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{convert, open, respond};
use crate::operations::sign_in::SignedIn;
use crate::operations::{Context, sign_in};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::sign_in_service_server::SignInService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl SignInService for Service {
    async fn list_providers(
        &self,
        _: Request<pb::ListProvidersRequest>,
    ) -> Result<Response<pb::ListProvidersResponse>, Status> {
        let providers = sign_in::list_providers(&self.0)
            .map(|(issuer, name)| pb::Provider { issuer: issuer.into(), name: name.into() })
            .collect();
        Ok(Response::new(pb::ListProvidersResponse { providers }))
    }

    async fn begin_sign_in(
        &self,
        request: Request<pb::BeginSignInRequest>,
    ) -> Result<Response<pb::BeginSignInResponse>, Status> {
        respond(async {
            let (caller, message) = open(request);
            let input = convert::begin_sign_in(message)?;
            let started = sign_in::begin_sign_in(&self.0, &caller, &input).await?;
            Ok(pb::BeginSignInResponse {
                authorization_url: started.authorization_url,
                redirect_uri: started.redirect_uri,
            })
        })
        .await
    }

    async fn finish_sign_in(
        &self,
        request: Request<pb::FinishSignInRequest>,
    ) -> Result<Response<pb::FinishSignInResponse>, Status> {
        respond(async {
            let (caller, message) = open(request);
            let input = convert::finish_sign_in(message)?;
            let signed_in = sign_in::finish_sign_in(&self.0, &caller, &input).await?;
            let (token, refresh_token) = exposed(&signed_in);
            Ok(pb::FinishSignInResponse { token, refresh_token })
        })
        .await
    }

    async fn renew_sign_in(
        &self,
        request: Request<pb::RenewSignInRequest>,
    ) -> Result<Response<pb::RenewSignInResponse>, Status> {
        respond(async {
            let (caller, message) = open(request);
            let input = convert::renew_sign_in(message)?;
            let signed_in = sign_in::renew_sign_in(&self.0, &caller, &input).await?;
            let (token, refresh_token) = exposed(&signed_in);
            Ok(pb::RenewSignInResponse { token, refresh_token })
        })
        .await
    }
}

/// The token and the refresh token for the response. The second is empty if there is none.
fn exposed(signed_in: &SignedIn) -> (String, String) {
    let refresh_token = signed_in.refresh_token.as_ref().map(ExposeSecret::expose_secret);
    (signed_in.token.expose_secret().to_owned(), refresh_token.unwrap_or_default().to_owned())
}
