//! The pages of models.

use axum::{
    Router,
    extract::{Form, Path, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use identity::Capability;
use serde::Deserialize;

use super::{Console, Visit};
use crate::{
    headers::{Nonce, secure},
    pages::{self, models},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/models", get(list)).route("/console/models/{model}", get(model).post(act))
}

async fn list(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::MODELS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    visit.answer(pages::MODELS.name, &models::list(&console.0.ports.rules.models().await))
}

impl Visit {
    async fn model(
        &self,
        console: &Console,
        model: &str,
        status: StatusCode,
        says: Option<&str>,
    ) -> Response {
        match console.0.ports.rules.model(model.to_owned()).await {
            Ok(file) => self.answer_with(status, "Model", &models::one(&file, &self.viewer, says)),
            Err(error) => self.missing(&format!("There is no such model: {error}.")),
        }
    }
}

async fn model(State(console): State<Console>, Path(model): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::MODELS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    visit.model(&console, &model, StatusCode::OK, None).await
}

#[derive(Deserialize)]
struct Act {
    deed: String,
}

async fn act(
    State(console): State<Console>,
    Path(model): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::MODELS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    if let Some(refused) = visit.lacks(Capability::WriteRules) {
        return refused;
    }
    if !form.is_ok_and(|Form(act)| act.deed == "try") {
        let says = Some("The form is none of this page.");
        return visit.model(&console, &model, StatusCode::BAD_REQUEST, says).await;
    }
    match console.0.ports.rules.try_model(visit.viewer.actor.clone(), model.clone()).await {
        Ok(version) => {
            let mut response = Redirect::to(&format!("/console/rules/versions/{version}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => {
            let says = format!("Not done: {error}.");
            visit.model(&console, &model, StatusCode::CONFLICT, Some(&says)).await
        }
    }
}
