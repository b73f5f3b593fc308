//! What the runner reaches in the customer's account: locks, states, secrets, a cluster. Always with its own
//! credentials, which no tool gets.

mod aws;
pub mod kubernetes;
pub mod lock;
pub mod object_store;
pub mod secret;

pub(crate) use aws::load as load_aws;
