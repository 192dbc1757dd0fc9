//! What there is to build: the repository entries, and what can be learnt of each from outside.

pub mod cache;
mod download;
mod entry;
mod fetch;
pub mod git;
pub mod hosts;
mod list;
pub mod pkgbuild;

pub use entry::{BadEntry, Entry, GitUrl, Kind, is_package_name, is_repo_name};
pub use fetch::{Fetches, LIMIT as FETCH_LIMIT, fetch, patiently};
pub use list::{parse_file, parse_repos, parse_targets};
