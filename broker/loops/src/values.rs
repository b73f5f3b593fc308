//! Values by name, like the inputs of an install.

use std::collections::BTreeMap;

/// Values by name, in a fixed order. Values are JSON texts or plain strings, as their owner says.
pub type Values = BTreeMap<String, String>;
