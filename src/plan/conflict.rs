//! Entries that make the same package for the same repository. A package server has one version of a package at a
//! time, so they would take turns in replacing each other's, night after night.

use std::collections::HashMap;

use super::Decision;
use super::surveyed::Surveyed;
use crate::outcome::{Failure, FailureKind};

/// For each entry: why it cannot be built beside the ones before it in the list. `skipped` are left out.
pub fn find(surveyed: &[Surveyed], skipped: impl Fn(usize) -> bool) -> Vec<Option<Decision>> {
    let mut makers: HashMap<(&str, String), usize> = HashMap::new();
    let mut conflicts = vec![None; surveyed.len()];
    for (number, candidate) in surveyed.iter().enumerate() {
        let (Ok(entry), false) = (&candidate.entry, skipped(number)) else { continue };
        let names = candidate.certain_names();
        let taken =
            names.iter().find_map(|name| Some((name, makers.get(&(entry.repo.as_str(), name.clone()))?)));
        match taken {
            Some((name, &other)) => conflicts[number] = Some(conflict(name, &surveyed[other], candidate)),
            None => makers.extend(names.into_iter().map(|name| ((entry.repo.as_str(), name), number))),
        }
    }
    conflicts
}

fn conflict(name: &str, first: &Surveyed, second: &Surveyed) -> Decision {
    if first.entry == second.entry {
        return Decision::Skip("the list has it more than once".into());
    }
    let repo = second.entry.as_ref().map(|entry| entry.repo.as_str()).unwrap_or_default();
    let message = format!("{name} is made for {repo} by {} too, which comes first in the list", first.name());
    let hint =
        "remove one of the two entries, ignore it (VIETER_IGNORE), or let it publish to another repository";
    Decision::Failed(Failure::new(FailureKind::BadEntry, message).hint(hint))
}
