//! Who caused an event.

use serde::{Deserialize, Serialize};

use crate::id::ObjectId;

/// Who caused an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person or their program, by the name of their token.
    Person(String),
    /// Another event loop, by its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    Object(ObjectId),
    /// The runner of the object's install.
    Runner,
    /// Time itself.
    Clock,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Person(name) => f.write_str(name),
            Actor::Object(id) => write!(f, "{id}"),
            Actor::Runner => f.write_str("the runner"),
            Actor::Clock => f.write_str("the clock"),
        }
    }
}
