//! What to do with each entry, and in which order. Pure: everything that was looked at is an argument.

use std::sync::Arc;

use crate::catalog::git::Checkout;
use crate::catalog::{BadEntry, Entry};
use crate::outcome::{Failure, FailureKind};
use crate::server::List;

/// What to do with one entry.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Nothing: the server has every package.
    UpToDate,
    /// Nothing, for this reason.
    Skip(String),
    /// Nothing: it cannot be built.
    Failed(Failure),
    /// Start a container and see.
    LookInside(String),
}

/// One entry with what is known of it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it is called.
    pub name: String,
    /// The entry; none where the list's element is not one.
    pub entry: Option<Arc<Entry>>,
    /// The package base, where it is known.
    pub pkgbase: Option<String>,
    /// The full version, where it is certain.
    pub version: Option<String>,
    /// What to do.
    pub decision: Decision,
    /// The files, where they were fetched.
    pub checkout: Option<Arc<Checkout>>,
}

/// All entries, in the order in which they are built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The entries.
    pub entries: Vec<Planned>,
}

impl Plan {
    /// A plan that looks into every entry for an architecture.
    pub fn look_into_all(list: List, arch: &str) -> Self {
        let entries = list.into_iter().map(|element| match element {
            Ok(entry) => {
                let decision = if entry.is_for(arch) {
                    Decision::LookInside("listed".into())
                } else {
                    Decision::Skip(format!("not for {arch}"))
                };
                Planned {
                    name: entry.to_string(),
                    entry: Some(Arc::new(entry)),
                    pkgbase: None,
                    version: None,
                    decision,
                    checkout: None,
                }
            }
            Err(bad) => Self::bad(bad),
        });
        Self { entries: entries.collect() }
    }

    fn bad(bad: BadEntry) -> Planned {
        let failure =
            Failure::new(FailureKind::BadEntry, bad.why).hint("correct the list of repository entries");
        Planned {
            name: bad.name,
            entry: None,
            pkgbase: None,
            version: None,
            decision: Decision::Failed(failure),
            checkout: None,
        }
    }
}
