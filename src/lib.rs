//! Builds Arch Linux packages in throw-away containers and publishes them to a pacman repository.
//!
//! This is the library of the `vieter` program, split off so that its parts can be tested. Its API
//! follows the program's needs and promises nothing.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod build;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod doctor;
mod done;
pub mod engine;
pub mod event;
pub mod exit_status;
pub mod image;
pub mod lock;
pub mod nightly;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod run;
pub mod server;
pub mod shutdown;
pub mod sources;
pub mod survey;
pub mod telemetry;
