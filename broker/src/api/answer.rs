//! Answers in JSON, written in one go.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;

use super::error::ApiError;

/// Holds most answers to a signal, so that writing one does not move it again and again; what is
/// larger than this the system's allocator does not keep at hand.
const LEN_USUAL: usize = 1000;

/// A JSON answer of a route that is asked often.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(LEN_USUAL);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => {
                let json = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => ApiError::internal("api.internal", &error).into_response(),
        }
    }
}
