//! What every request to a route goes through before its handler and after: who is calling, within
//! which time, and a line in the metrics. One layer, because each costs every request.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use http::{Method, StatusCode, header};
use tower::{Layer, Service};

use super::error::ApiError;
use super::request::{Caller, audited};
use crate::audit::{Facts, New};
use crate::door::Guest;
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
        let mut asked = Asked::new(&self.edge, &request);
        let within = self.rules.within;
        if !self.rules.needs_token {
            return Box::pin(asked.answer(within, self.route.call(request)));
        }
        let Some(token) = bearer(&request) else {
            self.edge.audit.refuse("api", "no token");
            return Box::pin(async move { asked.refuse(ApiError::unauthenticated()) });
        };
        if let Some(holder) = self.edge.tokens.known(token) {
            asked.about(&request, &holder);
            admit(&mut request, holder);
            return Box::pin(asked.answer(within, self.route.call(request)));
        }
        // Nobody showed this token lately: the store knows.
        let (token, mut route) = (token.to_owned(), self.route.clone());
        Box::pin(async move {
            match look_up(&asked.edge, &token).await {
                Ok(holder) => {
                    asked.about(&request, &holder);
                    admit(&mut request, holder);
                    asked.answer(within, route.call(request)).await
                }
                Err(error) => {
                    if error.status == StatusCode::UNAUTHORIZED {
                        asked.edge.audit.refuse("api", "unknown token");
                    }
                    asked.refuse(error)
                }
            }
        })
    }
}

/// The caller is known, and so is the connection that it came by.
fn admit(request: &mut Request, holder: Arc<Holder>) {
    if let Some(guest) = request.extensions().get::<Arc<Guest>>() {
        guest.is_known();
    }
    request.extensions_mut().insert(Caller(holder));
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
    /// What the audit log is to say of it, if it is done.
    audit: Option<New>,
}

impl Asked {
    fn new(edge: &Arc<Edge>, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self {
            edge: edge.clone(),
            began: Instant::now(),
            method: request.method().clone(),
            route,
            audit: None,
        }
    }

    /// Notes who asks for what: a request that changes something is written down once it is done. Signals are
    /// in the log of events, which is followed.
    fn about(&mut self, request: &Request, holder: &Holder) {
        let is_signal = self.route.as_ref().is_some_and(|route| route.as_str().ends_with("/signals"));
        if !self.method.is_safe() && !is_signal {
            self.audit = Some(audited(request, holder));
        }
    }

    async fn answer(
        mut self,
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
        let Ok(response) = answer;
        let response = match self.audit.take().filter(|_| response.status().is_success()) {
            Some(new) => self.write_down(new, response).await,
            None => response,
        };
        Ok(self.count(response))
    }

    /// Nobody is told that something was done before that stands in the audit log.
    async fn write_down(&self, new: New, response: Response) -> Response {
        let facts = response.extensions().get::<Facts>().cloned().unwrap_or_default();
        let new = facts.0.into_iter().fold(new, |new, (name, value)| new.fact(name, value));
        match self.edge.audit.put(new).await {
            Ok(_) => response,
            Err(error) => ApiError::from(error).into_response(),
        }
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
