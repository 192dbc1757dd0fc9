//! The labels on everything that the program makes.

/// The run that made a container.
pub const RUN: &str = "dev.vieter.run";
/// What a container, image or volume is for.
pub const ROLE: &str = "dev.vieter.role";
/// When a container is over at the latest, in Unix seconds. What is past it is nobody's.
pub const DEADLINE: &str = "dev.vieter.deadline";
/// The id of the base image that a builder image was made from.
pub const BASE: &str = "dev.vieter.base";
/// The digest of everything that shapes a builder image.
pub const SETUP: &str = "dev.vieter.setup";
/// When a builder image was last brought up to date, in Unix seconds.
pub const UPDATED: &str = "dev.vieter.updated";
/// How often a builder image was brought up to date since it was made.
pub const UPDATES: &str = "dev.vieter.updates";
/// The build user's numeric id in a builder image.
pub const UID: &str = "dev.vieter.uid";
/// The repository entry that a source volume belongs to.
pub const ENTRY: &str = "dev.vieter.entry";
/// Which of several set-ups on one daemon a builder image belongs to.
pub const NAME: &str = "dev.vieter.name";
/// The role of a volume that keeps the sources of one entry.
pub const SOURCES: &str = "sources";
