//! What the entries before this one came to, for those that need them.

use std::collections::BTreeMap;

use crate::build::Workshop;
use crate::outcome::{EntryOutcome, Verdict};
use crate::plan::relation::Relation;
use crate::plan::{Need, Planned, Reason};
use crate::server::Database;

/// The entries that are done with, by their number in the list.
#[derive(Default)]
pub struct Done(BTreeMap<usize, Fate>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Published,
    AsItWas,
    Failed,
}

impl Done {
    /// Notes what became of an entry.
    pub fn note(&mut self, planned: &Planned, outcome: &EntryOutcome) {
        let fate = match outcome.verdict {
            Verdict::Published => Fate::Published,
            Verdict::UpToDate | Verdict::Skipped { .. } => Fate::AsItWas,
            Verdict::Blocked { .. } | Verdict::Failed { .. } | Verdict::NotReached => Fate::Failed,
        };
        self.0.insert(planned.number, fate);
    }

    fn needed(&self, planned: &Planned, fate: Fate) -> impl Iterator<Item = Need> {
        let needs = planned.needs.iter().filter(move |need| self.0.get(&need.entry) == Some(&fate));
        needs.cloned().collect::<Vec<_>>().into_iter()
    }

    /// The failed entries that keep an entry from being built: those whose published packages, if there
    /// are any, do not satisfy it.
    pub async fn blocked_by(&self, planned: &Planned, workshop: &Workshop) -> Vec<String> {
        let failed: Vec<Need> = self.needed(planned, Fate::Failed).collect();
        let (Some(entry), false) = (&planned.entry, failed.is_empty()) else { return Vec::new() };
        let database = match workshop.server.database(&entry.repo, &workshop.engine.info.arch).await {
            Ok(Some(bytes)) => Database::parse(&bytes).await.unwrap_or_default(),
            _ => Database::default(),
        };
        let satisfied = |need: &Need| need.dependencies.iter().all(|wanted| has_satisfier(&database, wanted));
        failed.into_iter().filter(|need| !satisfied(need)).map(|need| need.name).collect()
    }

    /// Why an entry that is up to date is built all the same: something that it needs was.
    pub fn rebuilt_for(&self, planned: &Planned, wanted: bool) -> Option<Reason> {
        let names: Vec<String> = self.needed(planned, Fate::Published).map(|need| need.name).collect();
        (wanted && !names.is_empty()).then_some(Reason::DependencyRebuilt(names))
    }
}

fn has_satisfier(database: &Database, wanted: &str) -> bool {
    let relation = Relation::parse(wanted);
    database.packages.iter().any(|package| {
        relation.is_satisfied_by(&package.name, Some(&package.version))
            || package.provides.iter().any(|provision| relation.is_satisfied_by_provision(provision))
    })
}
