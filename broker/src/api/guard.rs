//! What every request to a route goes through before its handler and after: who is calling, within
//! which time, and a line in the metrics. One layer, because each costs every request.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use http::{Method, header};
use tower::{Layer, Service};

use super::error::ApiError;
use super::request::Caller;
use crate::edge::Edge;
use crate::tokens::Holder;

/// What holds for a group of routes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Nobody gets further without a token.
    pub(super) needs_token: bool,
    /// The handler's time; `None` where it bounds itself.
    pub(super) within: Option<Duration>,
}

/// Puts a [`Guard`] before each route.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) edge: Arc<Edge>,
    pub(super) rules: Rules,
}

impl<S> Layer<S> for Guarded {
    type Service = Guard<S>;

    fn layer(&self, route: S) -> Guard<S> {
        Guard { route, edge: self.edge.clone(), rules: self.rules }
    }
}

/// A route that is guarded.
#[derive(Clone)]
pub(super) struct Guard<S> {
    route: S,
    edge: Arc<Edge>,
    rules: Rules,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let asked = Asked::new(&self.edge, &request);
        let within = self.rules.within;
        if !self.rules.needs_token {
            return Box::pin(asked.answer(within, self.route.call(request)));
        }
        let Some(token) = bearer(&request) else {
            return Box::pin(async move { asked.refuse(ApiError::unauthenticated()) });
        };
        if let Some(holder) = self.edge.tokens.known(token) {
            request.extensions_mut().insert(Caller(holder));
            return Box::pin(asked.answer(within, self.route.call(request)));
        }
        // Nobody showed this token lately: the store knows.
        let (token, mut route) = (token.to_owned(), self.route.clone());
        Box::pin(async move {
            match look_up(&asked.edge, &token).await {
                Ok(holder) => {
                    request.extensions_mut().insert(Caller(holder));
                    asked.answer(within, route.call(request)).await
                }
                Err(error) => asked.refuse(error),
            }
        })
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = header.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn look_up(edge: &Edge, token: &str) -> Result<Arc<Holder>, ApiError> {
    edge.tokens.holder(token).await?.ok_or_else(ApiError::unauthenticated)
}

/// A request that is not answered yet.
struct Asked {
    edge: Arc<Edge>,
    began: Instant,
    method: Method,
    route: Option<MatchedPath>,
}

impl Asked {
    fn new(edge: &Arc<Edge>, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { edge: edge.clone(), began: Instant::now(), method: request.method().clone(), route }
    }

    async fn answer(
        self,
        within: Option<Duration>,
        handler: impl Future<Output = Result<Response, Infallible>>,
    ) -> Result<Response, Infallible> {
        let answer = match within {
            Some(time) => {
                let answer = tokio::time::timeout(time, handler).await;
                answer.unwrap_or_else(|_| Ok(ApiError::timeout().into_response()))
            }
            None => handler.await,
        };
        answer.map(|response| self.count(response))
    }

    fn refuse(self, error: ApiError) -> Result<Response, Infallible> {
        Ok(self.count(error.into_response()))
    }

    fn count(self, response: Response) -> Response {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        self.edge.metrics.answered(route, &self.method, response.status().as_u16(), self.began.elapsed());
        response
    }
}

/// What no route takes, or not with this method: refused, and counted like the rest.
pub(super) fn refuse(edge: &Arc<Edge>, request: &Request, error: ApiError) -> Response {
    Asked::new(edge, request).count(error.into_response())
}
