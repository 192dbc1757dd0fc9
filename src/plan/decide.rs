//! From what was seen to what is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::graph::{self, Needs, Node};
use super::knowledge::{Knowledge, packages};
use super::surveyed::{Looked, Surveyed, guessed_name};
use super::{Decision, Need, Plan, Planned, Reason, conflict, shard};
use crate::config::Selection;
use crate::outcome::{Failure, FailureKind};
use crate::server::{Database, PackageId};

/// A plan that still lacks the package server's answers.
pub struct Draft {
    surveyed: Vec<Surveyed>,
    decisions: Vec<Option<Decision>>,
    needs: Needs,
    arch: String,
}

/// Decides all that needs no package server: what is skipped, what cannot be built, what must be looked
/// into, who needs whom.
pub fn draft(surveyed: Vec<Surveyed>, selection: &Selection, arch: &str) -> Draft {
    let nodes: Vec<Node> = surveyed.iter().map(Surveyed::node).collect();
    let needs = graph::needs(&nodes);
    let names: Vec<String> = surveyed.iter().map(Surveyed::name).collect();
    let shards =
        selection.shard.map(|ours| (ours, shard::divide(&graph::components(&needs), &names, ours.count)));
    let alone: Vec<Option<Decision>> = surveyed.iter().map(|s| decide_alone(s, selection, arch)).collect();
    let skipped = |number: usize| matches!(alone[number], Some(Decision::Skip(_)));
    let conflicts = conflict::find(&surveyed, skipped);
    let decisions = alone.into_iter().zip(conflicts).enumerate().map(|(number, (alone, conflict))| {
        // What cannot be looked at is not known well enough to be left to another shard: all of them tell it.
        let is_known = !matches!(surveyed[number].looked, Looked::Failed(_));
        match &shards {
            Some((ours, shards)) if is_known && shards[number] != ours.index => {
                Some(Decision::Skip(shard::elsewhere(shards[number], *ours)))
            }
            _ => conflict.or(alone),
        }
    });
    let decisions = decisions.collect();
    Draft { surveyed, decisions, needs, arch: arch.to_owned() }
}

/// What follows from an entry alone; `None` where the package server is to be asked.
fn decide_alone(surveyed: &Surveyed, selection: &Selection, arch: &str) -> Option<Decision> {
    let knowledge = match (&surveyed.entry, &surveyed.looked) {
        (Err(bad), _) => {
            let failure = Failure::new(FailureKind::BadEntry, bad.why.clone())
                .hint("correct the list of repository entries");
            return Some(Decision::Failed(failure));
        }
        (_, Looked::NotForArch) => return Some(Decision::Skip(format!("not for {arch}"))),
        (Ok(entry), Looked::Failed(failure)) => {
            // Nothing would be built of it, so a guess is good enough to silence a dead repository.
            let unwanted = unwanted(selection, &guessed_name(entry));
            return Some(unwanted.map_or_else(|| Decision::Failed(failure.clone()), Decision::Skip));
        }
        (_, Looked::Known(knowledge)) => knowledge,
    };
    // Where the name is a guess, a look inside comes first.
    let pkgbase = knowledge.certain_pkgbase();
    if let Some(reason) = pkgbase.and_then(|pkgbase| unwanted(selection, pkgbase)) {
        return Some(Decision::Skip(reason));
    }
    match knowledge {
        Knowledge::Doubtful { why, .. } => Some(Decision::LookInside(why.clone())),
        Knowledge::Certain { facts, .. } if !facts.arch.iter().any(|a| a == arch || a == "any") => {
            Some(Decision::Skip(format!("its PKGBUILD is not for {arch}")))
        }
        Knowledge::Certain { facts, .. } if selection.force.applies_to(&facts.pkgbase) => {
            Some(Decision::Build(Reason::Forced))
        }
        Knowledge::Certain { .. } => None,
    }
}

/// Why the user does not want a package base, if so.
pub fn unwanted(selection: &Selection, pkgbase: &str) -> Option<String> {
    if selection.ignore.as_ref().is_some_and(|patterns| patterns.matches(pkgbase)) {
        return Some("ignored (VIETER_IGNORE)".into());
    }
    if selection.only.as_ref().is_some_and(|patterns| !patterns.matches(pkgbase)) {
        return Some("not selected (VIETER_ONLY)".into());
    }
    None
}

/// What the package server said of one entry.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The packages that it does not have.
    pub lacking: Vec<PackageId>,
    /// What it has instead; nothing where that was not asked.
    pub database: Option<Arc<Database>>,
}

impl Draft {
    /// The entries that the package server must be asked about: number, repository and packages.
    pub fn questions(&self) -> Vec<(usize, String, Vec<PackageId>)> {
        let open = self.decisions.iter().enumerate().filter(|(_, decision)| decision.is_none());
        open.filter_map(|(number, _)| match (&self.surveyed[number].entry, &self.surveyed[number].looked) {
            (Ok(entry), Looked::Known(Knowledge::Certain { facts, .. })) => {
                Some((number, entry.repo.clone(), packages(facts, &self.arch)))
            }
            _ => None,
        })
        .collect()
    }
}

/// Completes a draft with the package server's answers, and puts it in order.
pub fn complete(
    draft: Draft,
    mut answers: BTreeMap<usize, Result<Answer, Failure>>,
    selection: &Selection,
) -> Plan {
    let Draft { surveyed, decisions, needs, .. } = draft;
    let titles: Vec<String> =
        surveyed.iter().map(|s| s.pkgbase().map_or_else(|| s.name(), str::to_owned)).collect();
    let mut planned: Vec<Planned> = surveyed
        .into_iter()
        .zip(decisions)
        .enumerate()
        .map(|(number, (surveyed, decision))| {
            let decision = decision.unwrap_or_else(|| match answers.remove(&number) {
                Some(Ok(answer)) => judge(&surveyed, &answer),
                Some(Err(failure)) => Decision::Failed(failure),
                None => Decision::LookInside("the package server was not asked".into()),
            });
            let (facts, dependencies_are_certain) = match &surveyed.looked {
                Looked::Known(Knowledge::Certain { facts, with_dependencies }) => {
                    (Some(Arc::new(facts.clone())), *with_dependencies)
                }
                _ => (None, false),
            };
            let needs = needs[number].iter().map(|(&entry, dependencies)| Need {
                entry,
                name: titles[entry].clone(),
                dependencies: dependencies.iter().cloned().collect(),
            });
            Planned {
                number,
                name: surveyed.name(),
                pkgbase: surveyed.pkgbase().map(str::to_owned),
                facts,
                dependencies_are_certain,
                decision,
                needs: needs.collect(),
                entry: surveyed.entry.ok(),
                seen: surveyed.seen,
            }
        })
        .collect();
    let order = graph::order(&needs);
    if selection.rebuild_dependents.0 {
        rebuild_dependents(&mut planned, &order.sequence);
    }
    let place: BTreeMap<usize, usize> =
        order.sequence.iter().enumerate().map(|(place, &number)| (number, place)).collect();
    planned.sort_by_key(|planned| place[&planned.number]);
    let cycles = order
        .cycles
        .into_iter()
        .map(|cycle| cycle.into_iter().map(|number| titles[number].clone()).collect())
        .collect();
    Plan { entries: planned, cycles }
}

/// Compares what an entry makes with what the server has.
fn judge(surveyed: &Surveyed, answer: &Answer) -> Decision {
    let Looked::Known(Knowledge::Certain { facts, .. }) = &surveyed.looked else {
        return Decision::LookInside("its version is not certain".into());
    };
    if answer.lacking.is_empty() {
        return Decision::UpToDate;
    }
    let there = answer.lacking.iter().find_map(|lacking| answer.database.as_ref()?.find(&lacking.name));
    Decision::Build(match there {
        Some(package) => Reason::Outdated(package.version.clone()),
        None if answer.lacking.len() < facts.packages.len() => {
            Reason::Incomplete(answer.lacking.iter().map(|package| package.name.clone()).collect())
        }
        None => Reason::New,
    })
}

/// Turns what is up to date into builds where something that it needs is built.
fn rebuild_dependents(planned: &mut [Planned], sequence: &[usize]) {
    for &number in sequence {
        let built: Vec<String> = planned[number]
            .needs
            .iter()
            .filter(|need| matches!(planned[need.entry].decision, Decision::Build(_)))
            .map(|need| need.name.clone())
            .collect();
        if !built.is_empty() && planned[number].decision == Decision::UpToDate {
            planned[number].decision = Decision::Build(Reason::DependencyRebuilt(built));
        }
    }
}
