//! The call of `echo` over Connect's GET: a JSON message in the query, and one as the answer.

use axum::extract::Query;
use axum::serve::ListenerExt;
use axum::{Json, Router, routing};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{Outcome, echo, end_on_signal, ready};

const PATH: &str = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary";

#[derive(Deserialize)]
struct Asked {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    invite_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    organization_id: String,
    organization_name: &'static str,
    organization_member_count: i32,
}

pub async fn serve(listener: TcpListener) -> Outcome<()> {
    ready(&listener)?;
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("reference: cannot set TCP_NODELAY: {error}");
        }
    });
    let router = Router::new().route(PATH, routing::get(echo));
    axum::serve(listener, router).with_graceful_shutdown(end_on_signal()).await?;
    Ok(())
}

async fn echo(Query(asked): Query<Asked>) -> Result<Json<Summary>, String> {
    let message: Message = serde_json::from_str(&asked.message).map_err(|e| e.to_string())?;
    Ok(Json(Summary {
        organization_id: message.invite_id,
        organization_name: echo::NAME,
        organization_member_count: 1,
    }))
}
