//! What to do with each entry, and in which order. Pure: everything that was looked at is an argument.

mod conflict;
mod decide;
pub mod graph;
pub mod knowledge;
pub mod relation;
pub mod shard;
mod show;
mod surveyed;

use std::sync::Arc;

use crate::catalog::Entry;
use crate::catalog::git::Seen;
use crate::catalog::pkgbuild::Facts;
use crate::outcome::Failure;

pub use decide::{Answer, Draft, complete, draft, unwanted};
pub use knowledge::Knowledge;
pub use show::{json, table};
pub use surveyed::{Looked, Surveyed};

/// Why an entry is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The server has none of its packages.
    New,
    /// The server has another version.
    Outdated(String),
    /// The server lacks some of its packages.
    Incomplete(Vec<String>),
    /// The user wants it.
    Forced,
    /// These package bases, which it depends on, are built.
    DependencyRebuilt(Vec<String>),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Outdated(version) => write!(f, "outdated, the server has {version}"),
            Self::Incomplete(names) => write!(f, "the server lacks {}", names.join(", ")),
            Self::Forced => f.write_str("forced"),
            Self::DependencyRebuilt(names) => write!(f, "{} is built again", names.join(", ")),
        }
    }
}

/// What to do with one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the server has every package.
    UpToDate,
    /// Build it.
    Build(Reason),
    /// Start a container and see, for this reason.
    LookInside(String),
    /// Nothing, for this reason.
    Skip(String),
    /// Nothing: it cannot be built.
    Failed(Failure),
}

impl Decision {
    /// The decision's name in tables and JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Build(_) => "build",
            Self::LookInside(_) => "look_inside",
            Self::Skip(_) => "skip",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, in words; empty where the decision says it all.
    pub fn why(&self) -> String {
        match self {
            Self::UpToDate => String::new(),
            Self::Build(reason) => reason.to_string(),
            Self::LookInside(why) | Self::Skip(why) => why.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }

    /// Whether a container is needed.
    pub fn needs_container(&self) -> bool {
        matches!(self, Self::Build(_) | Self::LookInside(_))
    }
}

/// An entry that another one needs, and for which dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The needed entry's number in the list.
    pub entry: usize,
    /// What it is called.
    pub name: String,
    /// The dependencies that it satisfies.
    pub dependencies: Vec<String>,
}

/// One entry with what is known of it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its number in the list, from 0.
    pub number: usize,
    /// What it is called in the list.
    pub name: String,
    /// The entry; none where the list's element is not one.
    pub entry: Option<Arc<Entry>>,
    /// The package base, where it is known.
    pub pkgbase: Option<String>,
    /// What it makes, where that is certain.
    pub facts: Option<Arc<Facts>>,
    /// Whether the dependencies among that are certain too.
    pub dependencies_are_certain: bool,
    /// What to do.
    pub decision: Decision,
    /// Entries that must be done with before.
    pub needs: Vec<Need>,
    /// The tip of its branch, as the plan saw it.
    pub seen: Option<Seen>,
}

impl Planned {
    /// All that a build must know, where that is certain.
    pub fn facts_for_build(&self) -> Option<Arc<Facts>> {
        self.facts.clone().filter(|_| self.dependencies_are_certain)
    }

    /// The full version, where it is certain.
    pub fn version(&self) -> Option<String> {
        self.facts.as_ref().map(|facts| facts.full_version())
    }

    /// The package base, or the name in the list where that is not known.
    pub fn title(&self) -> &str {
        self.pkgbase.as_deref().unwrap_or(&self.name)
    }
}

/// All entries, in the order in which they are built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The entries.
    pub entries: Vec<Planned>,
    /// Entries that need each other, by name.
    pub cycles: Vec<Vec<String>>,
}

impl Plan {
    /// How many entries need a container.
    pub fn to_do(&self) -> usize {
        self.entries.iter().filter(|planned| planned.decision.needs_container()).count()
    }
}

#[cfg(test)]
mod tests;
