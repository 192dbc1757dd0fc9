//! What the entries before this one came to, for those that need them.

use std::collections::BTreeMap;

use crate::build::Workshop;
use crate::outcome::{EntryOutcome, Verdict};
use crate::plan::relation::Relation;
use crate::plan::{Decision, Need, Planned, Reason};
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

    /// The failed entries that may keep an entry from being built: those whose published packages, if there are any,
    /// do not satisfy it. Another repository's packages still may.
    pub async fn suspects(&self, planned: &Planned, workshop: &Workshop) -> Vec<Need> {
        let failed: Vec<Need> = self.needed(planned, Fate::Failed).collect();
        let (Some(entry), false) = (&planned.entry, failed.is_empty()) else { return Vec::new() };
        let database = match workshop.server.database(&entry.repo, &workshop.engine.info.arch).await {
            Ok(Some(bytes)) => Database::parse(&bytes).await.unwrap_or_default(),
            // Trouble with the server is the build's to tell.
            _ => Database::default(),
        };
        let satisfied = |need: &Need| need.dependencies.iter().all(|wanted| has_satisfier(&database, wanted));
        failed.into_iter().filter(|need| !satisfied(need)).collect()
    }

    /// What is to be done about an entry, now that those before it are done with; nothing where no container is needed.
    pub fn course(&self, planned: &Planned, rebuild_dependents: bool) -> Option<Course> {
        let rebuilt: Vec<String> = self.needed(planned, Fate::Published).map(|need| need.name).collect();
        let rebuilt =
            (rebuild_dependents && !rebuilt.is_empty()).then_some(Reason::DependencyRebuilt(rebuilt));
        let (decided, reason) = match (&planned.decision, rebuilt) {
            (Decision::UpToDate | Decision::LookInside(_), Some(reason)) => (true, reason.to_string()),
            // What it needs was to be built again, and was not.
            (Decision::Build(Reason::DependencyRebuilt(_)), None) => return None,
            (Decision::Build(reason), _) => (true, reason.to_string()),
            (Decision::LookInside(why), None) => (false, why.clone()),
            (Decision::UpToDate | Decision::Skip(_) | Decision::Failed(_), _) => return None,
        };
        Some(Course { decided, reason })
    }
}

/// What is to be done in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Whether to build in any case, or to see first whether there is something new.
    pub decided: bool,
    /// Why.
    pub reason: String,
}

fn has_satisfier(database: &Database, wanted: &str) -> bool {
    let relation = Relation::parse(wanted);
    database.packages.iter().any(|package| {
        relation.is_satisfied_by(&package.name, Some(&package.version))
            || package.provides.iter().any(|provision| relation.is_satisfied_by_provision(provision))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(decision: Decision) -> Planned {
        let need = Need { entry: 0, name: "lib".into(), dependencies: vec!["lib".into()] };
        Planned {
            number: 1,
            name: "user".into(),
            entry: None,
            pkgbase: Some("user".into()),
            facts: None,
            dependencies_are_certain: false,
            decision,
            needs: vec![need],
            seen: None,
        }
    }

    fn course(decision: Decision, lib: Fate, rebuild: bool) -> Option<(bool, String)> {
        let done = Done(BTreeMap::from([(0, lib)]));
        done.course(&planned(decision), rebuild).map(|course| (course.decided, course.reason))
    }

    #[test]
    fn dependents_are_built_again_only_when_what_they_need_was() {
        let again = || Some((true, "lib is built again".to_owned()));
        for decision in [Decision::UpToDate, Decision::LookInside("doubt".into())] {
            assert_eq!(course(decision, Fate::Published, true), again());
        }
        let planned = || Decision::Build(Reason::DependencyRebuilt(vec!["lib".into()]));
        assert_eq!(course(planned(), Fate::Published, true), again());
        assert_eq!(course(planned(), Fate::Failed, true), None, "lib is what it was");
        assert_eq!(course(planned(), Fate::AsItWas, true), None);
    }

    #[test]
    fn without_that_wish_the_plan_stands() {
        assert_eq!(course(Decision::UpToDate, Fate::Published, false), None);
        let look = Decision::LookInside("doubt".into());
        assert_eq!(course(look, Fate::Published, false), Some((false, "doubt".into())));
        assert_eq!(course(Decision::Build(Reason::New), Fate::Failed, false), Some((true, "new".into())));
        assert_eq!(course(Decision::Skip("no".into()), Fate::Published, true), None);
    }
}
