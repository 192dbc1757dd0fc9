//! The elements of the list, with what was seen of them.

use std::sync::Arc;

use super::graph::{Makes, Node};
use super::knowledge::Knowledge;
use crate::catalog::git::Seen;
use crate::catalog::{BadEntry, Entry};
use crate::outcome::Failure;

/// What was seen of an entry's files.
#[derive(Debug, Clone)]
pub enum Looked {
    /// It is for other architectures, and was not looked at.
    NotForArch,
    /// It cannot be looked at.
    Failed(Failure),
    /// Its files were read.
    Known(Knowledge),
}

/// An element of the list, with what was seen.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The entry, or what is wrong with it.
    pub entry: Result<Arc<Entry>, BadEntry>,
    /// What was seen.
    pub looked: Looked,
    /// The tip of its branch.
    pub seen: Option<Seen>,
}

impl Surveyed {
    /// What it is called in the list.
    pub(super) fn name(&self) -> String {
        match &self.entry {
            Ok(entry) => entry.to_string(),
            Err(bad) => bad.name.clone(),
        }
    }

    /// The package base, where it is known or can be guessed.
    pub(super) fn pkgbase(&self) -> Option<&str> {
        match &self.looked {
            Looked::Known(knowledge) => knowledge.pkgbase(),
            _ => None,
        }
    }

    /// The names of its packages, where they are certain.
    pub(super) fn certain_names(&self) -> Vec<String> {
        match &self.looked {
            Looked::Known(knowledge) if knowledge.certain_pkgbase().is_some() => {
                knowledge.node().makes.into_iter().map(|made| made.name).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What it makes and needs. Of one that cannot be looked at, or says nothing, only a guess.
    pub(super) fn node(&self) -> Node {
        let Ok(entry) = &self.entry else { return Node::default() };
        let mut node = match &self.looked {
            Looked::Known(knowledge) => knowledge.node(),
            Looked::Failed(_) | Looked::NotForArch => Node::default(),
        };
        if node.makes.is_empty() && !matches!(self.looked, Looked::NotForArch) {
            node.makes.push(Makes { name: guessed_name(entry), ..Makes::default() });
        }
        Node { repo: entry.repo.clone(), ..node }
    }
}

/// The package base of an entry that does not tell it: AUR repositories, and folders, are called like theirs.
pub(super) fn guessed_name(entry: &Entry) -> String {
    let address = entry.path.clone().unwrap_or_else(|| entry.url.to_string());
    let last = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    last.trim_end_matches(".git").to_owned()
}
