//! The helpers of the black-box tests do what they say.

mod docker;
mod git;
mod otlp;
mod packages;
mod program;
mod registry;
mod server_binary;
