//! What an API offers: one list, by which requests are routed and which it tells who asks.

use axum::{
    Extension, Json, Router,
    handler::Handler,
    routing::{MethodRouter, get, post, put},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{gate, page, refusal::ErrorAnswer};

/// What the API is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Serves {
    /// One node.
    Node,
    /// A network that is simulated: it has no node of its own.
    Network,
    /// The recording of one: nothing can be done to it any more.
    Recording,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "method": "GET", "path": "/v1/status" }))]
pub(crate) struct Offer {
    /// How it is asked.
    method: &'static str,
    /// Where, with names in braces for what varies.
    path: &'static str,
}

/// Everything that can be asked here. Nothing else is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OffersAnswer {
    /// What the API is of.
    serves: Serves,
    /// Every route.
    routes: Vec<Offer>,
}

/// The list while it is made.
#[derive(Debug)]
pub(crate) struct Offers<S> {
    serves: Serves,
    router: Router<S>,
    routes: Vec<Offer>,
}

impl<S: Clone + Send + Sync + 'static> Offers<S> {
    pub(crate) fn of(serves: Serves) -> Self {
        Self { serves, router: Router::new(), routes: Vec::new() }
    }

    pub(crate) fn get<T: 'static>(self, path: &'static str, by: impl Handler<T, S>) -> Self {
        self.with("GET", path, get(by))
    }

    pub(crate) fn post<T: 'static>(self, path: &'static str, by: impl Handler<T, S>) -> Self {
        self.with("POST", path, post(by))
    }

    pub(crate) fn put<T: 'static>(self, path: &'static str, by: impl Handler<T, S>) -> Self {
        self.with("PUT", path, put(by))
    }

    fn with(mut self, method: &'static str, path: &'static str, by: MethodRouter<S>) -> Self {
        self.routes.push(Offer { method, path });
        self.router = self.router.route(path, by);
        self
    }

    /// Routes what is listed, the list itself, and the files of the page.
    pub(crate) fn into_router(self, state: S) -> Router {
        let listed = self.get(LIST, offers);
        let answer = OffersAnswer { serves: listed.serves, routes: listed.routes };
        listed
            .router
            .layer(Extension(answer))
            .fallback(page::answer)
            .method_not_allowed_fallback(gate::wrong_method)
            .with_state(state)
    }
}

/// Where the list is. Named in what is said of a route that is not there.
const LIST: &str = "/v1";

/// What can be asked here.
#[utoipa::path(
    get, path = "/v1", tag = "node",
    responses(
        (status = 200, description = "Every route.", body = OffersAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn offers(Extension(answer): Extension<OffersAnswer>) -> Json<OffersAnswer> {
    Json(answer)
}
