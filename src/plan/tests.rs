//! Order, shards and decisions, without Git, Docker or a package server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::graph::{self, Makes, Needs, Node};
use super::*;
use crate::catalog::parse_file;
use crate::config::made_up::MadeUp;
use crate::config::{Config, Selection, Shard};
use crate::server::{Database, DatabasePackage};

fn node(name: &str, requires: &[&str]) -> Node {
    let makes = Makes { name: name.into(), version: Some("1-1".into()), ..Makes::default() };
    Node { makes: vec![makes], requires: requires.iter().map(|&r| r.into()).collect(), ..Node::default() }
}

fn sequence(nodes: &[Node]) -> Vec<String> {
    let order = graph::order(&graph::needs(nodes));
    order.sequence.into_iter().map(|number| nodes[number].makes[0].name.clone()).collect()
}

#[test]
fn without_needs_the_list_stays_as_it_is() {
    assert_eq!(sequence(&[node("c", &[]), node("a", &["glibc"]), node("b", &[])]), ["c", "a", "b"]);
}

#[test]
fn what_is_needed_comes_first_also_through_provides_and_constraints() {
    let mut library = node("libfoo-git", &[]);
    library.makes[0].provides = vec!["libfoo=2".into()];
    let user = node("user", &["libfoo>=2", "tool"]);
    let picky = node("picky", &["libfoo>=3"]);
    let nodes = [picky, user, node("tool", &["libfoo"]), library];
    assert_eq!(sequence(&nodes), ["picky", "libfoo-git", "tool", "user"]);
    assert!(graph::needs(&nodes)[0].is_empty(), "libfoo 2 does not satisfy libfoo>=3");
}

/// `provides=("libfoo=$pkgver")`, and a `pkgver()` function: nobody knows which version that will be.
#[test]
fn what_is_provided_in_a_version_that_is_not_known_may_satisfy_all() {
    let mut library = node("libfoo-git", &[]);
    library.makes[0].version = None;
    library.makes[0].provides = vec!["libfoo=1".into()];
    assert_eq!(sequence(&[node("user", &["libfoo>=2"]), library]), ["libfoo-git", "user"]);
}

/// Each name satisfies each other one; following them all again and again would never end.
#[test]
fn a_package_is_followed_once() {
    let many: Vec<String> = (0..5000).map(|number| format!("name{number}")).collect();
    let mut hostile = node("hostile", &["name0"]);
    hostile.makes[0].provides = many.clone();
    hostile.makes[0].depends = many;
    assert_eq!(sequence(&[hostile, node("other", &["hostile"])]), ["hostile", "other"]);
}

#[test]
fn what_a_needed_package_needs_to_run_comes_first_too() {
    let mut split = node("front", &[]);
    split.makes[0].depends = vec!["engine".into()];
    assert_eq!(sequence(&[node("app", &["front"]), split, node("engine", &[])]), ["front", "engine", "app"]);
}

#[test]
fn a_cycle_is_named_and_keeps_the_list_s_order() {
    let nodes = [node("x", &["b"]), node("b", &["a"]), node("a", &["b"]), node("own", &["own"])];
    let order = graph::order(&graph::needs(&nodes));
    assert_eq!(order.sequence, [1, 2, 0, 3]);
    assert_eq!(order.cycles, [vec![1, 2]]);
}

fn any_needs() -> impl Strategy<Value = Needs> {
    (1_usize..40).prop_flat_map(|count| {
        let edges = prop::collection::vec((0..count, 0..count), 0..count * 2);
        edges.prop_map(move |edges| {
            let mut needs: Needs = vec![BTreeMap::new(); count];
            for (from, to) in edges.into_iter().filter(|(from, to)| from != to) {
                needs[from].insert(to, BTreeSet::from(["x".into()]));
            }
            needs
        })
    })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("https://git.example/{number}.git")).collect()
}

proptest! {
    #[test]
    fn every_entry_comes_once_and_after_what_it_needs(needs in any_needs()) {
        let order = graph::order(&needs);
        let mut sorted = order.sequence.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..needs.len()).collect::<Vec<_>>());
        let place = |number: usize| order.sequence.iter().position(|&n| n == number);
        let together = |a: usize, b: usize| order.cycles.iter().any(|c| c.contains(&a) && c.contains(&b));
        for (number, needed) in needs.iter().enumerate() {
            for &other in needed.keys() {
                prop_assert!(place(other) < place(number) || together(number, other));
            }
        }
    }

    #[test]
    fn every_entry_is_in_one_shard_with_those_it_needs(needs in any_needs(), count in 1_u32..6) {
        let shards = shard::divide(&graph::components(&needs), &names(needs.len()), count);
        prop_assert_eq!(shards.len(), needs.len());
        for (number, needed) in needs.iter().enumerate() {
            prop_assert!(shards[number] < count);
            for &other in needed.keys() {
                prop_assert_eq!(shards[number], shards[other]);
            }
        }
    }

    #[test]
    fn single_entries_are_spread_evenly(count in 1_usize..300, shards in 1_u32..8) {
        let needs: Needs = vec![BTreeMap::new(); count];
        let divided = shard::divide(&graph::components(&needs), &names(count), shards);
        let even = count.div_ceil(shards as usize);
        for shard in 0..shards {
            let load = divided.iter().filter(|&&s| s == shard).count();
            prop_assert!(load <= even + even.div_ceil(10), "{load} of {count} on one of {shards}");
        }
    }

    #[test]
    fn the_division_does_not_depend_on_the_order_of_the_list(count in 1_usize..60, shards in 1_u32..6) {
        let needs: Needs = vec![BTreeMap::new(); count];
        let forward = names(count);
        let backward: Vec<String> = forward.iter().rev().cloned().collect();
        let one = shard::divide(&graph::components(&needs), &forward, shards);
        let mut other = shard::divide(&graph::components(&needs), &backward, shards);
        other.reverse();
        prop_assert_eq!(one, other);
    }
}

#[test]
fn a_new_entry_moves_few_others() {
    let divide = |count: usize| {
        let needs: Needs = vec![BTreeMap::new(); count];
        shard::divide(&graph::components(&needs), &names(count), 4)
    };
    let (before, after) = (divide(200), divide(201));
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(moved <= 10, "{moved} of 200 moved");
}

fn selection(variables: &[(&'static str, &'static str)]) -> Selection {
    let base = [("VIETER_ADDRESS", "http://x"), ("VIETER_API_KEY", "k")];
    Config::load(&MadeUp::new(&[&base, variables].concat())).expect("a configuration").selection
}

fn surveyed(name: &str, pkgbuild: &str) -> Surveyed {
    let list = format!(r#"[{{"url": "https://git.example/{name}.git", "repo": "r"}}]"#);
    let entry = parse_file(&list).expect("a list").remove(0).expect("an entry");
    let knowledge = Knowledge::of(pkgbuild.as_bytes(), None, "x86_64");
    Surveyed { entry: Ok(Arc::new(entry)), looked: Looked::Known(knowledge), seen: None }
}

fn plain(name: &str, rest: &str) -> Surveyed {
    surveyed(name, &format!("pkgname={name}\npkgver=1.0\npkgrel=1\narch=(any)\n{rest}\npackage() {{ :; }}\n"))
}

/// Decides with a server that has nothing, or has these packages in this version.
fn decide(surveyed: Vec<Surveyed>, has: &[(&str, &str)], selection: &Selection) -> Vec<(String, String)> {
    let draft = draft(surveyed, selection, "x86_64");
    let packages = has.iter().map(|&(name, version)| DatabasePackage {
        name: name.into(),
        version: version.into(),
        ..DatabasePackage::default()
    });
    let database = Arc::new(Database { packages: packages.collect() });
    let answers = draft.questions().into_iter().map(|(number, _, packages)| {
        let there = |p: &crate::server::PackageId| {
            database.find(&p.name).is_some_and(|known| known.version == p.version)
        };
        let lacking = packages.into_iter().filter(|package| !there(package)).collect();
        (number, Ok(Answer { lacking, database: Some(Arc::clone(&database)) }))
    });
    let answers = answers.collect();
    let plan = complete(draft, answers, selection);
    let row = |planned: &Planned| {
        let why = planned.decision.why();
        let space = if why.is_empty() { "" } else { ": " };
        (planned.title().to_owned(), format!("{}{space}{why}", planned.decision.as_str()))
    };
    plan.entries.iter().map(row).collect()
}

fn decision(surveyed: Surveyed, has: &[(&str, &str)], selection: &Selection) -> String {
    decide(vec![surveyed], has, selection).remove(0).1
}

#[test]
fn what_the_server_has_decides() {
    let all = selection(&[]);
    assert_eq!(decision(plain("a", ""), &[("a", "1.0-1")], &all), "up_to_date");
    assert_eq!(decision(plain("a", ""), &[], &all), "build: new");
    assert_eq!(decision(plain("a", ""), &[("a", "0.9-1")], &all), "build: outdated, the server has 0.9-1");
    let epoch = plain("a", "epoch=1");
    assert_eq!(decision(epoch, &[("a", "1.0-1")], &all), "build: outdated, the server has 1.0-1");
    let split = "pkgbase=s\npkgname=(s1 s2)\npkgver=1\npkgrel=1\narch=(x86_64)\npackage_s1() { :; }\npackage_s2() { :; }\n";
    assert_eq!(decision(surveyed("s", split), &[("s1", "1-1")], &all), "build: the server lacks s2");
}

#[test]
fn doubt_and_pkgver_functions_are_looked_into() {
    let all = selection(&[]);
    let git = plain("a-git", "pkgver() { echo 2; }");
    assert_eq!(decision(git, &[("a-git", "1.0-1")], &all), "look_inside: it has a pkgver() function");
    let tricky = surveyed("b", "pkgname=b\npkgver=$(date +%Y)\npkgrel=1\narch=(any)\npackage() { :; }\n");
    assert!(decision(tricky, &[], &all).starts_with("look_inside: PKGBUILD, line 2"));
}

#[test]
fn the_user_selects_and_forces() {
    let has = [("a", "1.0-1")];
    assert_eq!(
        decision(plain("a", ""), &has, &selection(&[("VIETER_IGNORE", "a*")])),
        "skip: ignored (VIETER_IGNORE)"
    );
    assert_eq!(
        decision(plain("a", ""), &has, &selection(&[("VIETER_ONLY", "b")])),
        "skip: not selected (VIETER_ONLY)"
    );
    assert_eq!(decision(plain("a", ""), &has, &selection(&[("VIETER_FORCE", "true")])), "build: forced");
    assert_eq!(decision(plain("a", ""), &has, &selection(&[("VIETER_FORCE", "b")])), "up_to_date");
}

/// Where the package base is a guess, it is not what the user selects by.
#[test]
fn a_guessed_name_skips_nothing() {
    let text = "pkgbase=foo\n[[ $x == y ]] && pkgbase=foo-x\npkgname=(foo-cli foo-gui)\npkgver=1\npkgrel=1\narch=(any)\n\
                package_foo-cli() { :; }\npackage_foo-gui() { :; }\n";
    for (name, value) in [("VIETER_ONLY", "foo"), ("VIETER_IGNORE", "*-cli")] {
        let decision = decision(surveyed("foo", text), &[], &selection(&[(name, value)]));
        assert!(decision.starts_with("look_inside: "), "{name}={value}: {decision}");
    }
}

fn dead(name: &str) -> Surveyed {
    let failure = crate::outcome::Failure::new(crate::outcome::FailureKind::Clone, "it is gone");
    Surveyed { looked: Looked::Failed(failure), ..plain(name, "") }
}

#[test]
fn a_dead_repository_can_be_ignored_and_is_nobody_else_s_trouble() {
    assert_eq!(decision(dead("a"), &[], &selection(&[])), "failed: it is gone");
    assert_eq!(
        decision(dead("a"), &[], &selection(&[("VIETER_IGNORE", "a")])),
        "skip: ignored (VIETER_IGNORE)"
    );
    assert_eq!(
        decision(dead("a"), &[], &selection(&[("VIETER_ONLY", "b")])),
        "skip: not selected (VIETER_ONLY)"
    );
}

/// What depends on it may be elsewhere for want of knowledge, so no shard leaves it to another.
#[test]
fn a_dead_repository_is_told_by_every_shard() {
    for index in 0..3 {
        let mut selection = selection(&[]);
        selection.shard = Some(Shard { index, count: 3 });
        assert_eq!(decision(dead("a"), &[], &selection), "failed: it is gone");
    }
}

#[test]
fn two_entries_cannot_make_the_same_package() {
    let all = selection(&[]);
    let other = |mut other: Surveyed, repo: &str| {
        let mut entry = (**other.entry.as_ref().expect("an entry")).clone();
        (entry.branch, entry.repo) = (Some("stable".into()), repo.into());
        other.entry = Ok(Arc::new(entry));
        other
    };
    let decisions = |second: Surveyed| decide(vec![plain("a", ""), second], &[], &all);
    assert_eq!(decisions(plain("a", ""))[1].1, "skip: the list has it more than once");
    let conflict = &decisions(other(plain("a", ""), "r"))[1].1;
    assert!(conflict.starts_with("failed: a is made for r by https://git.example/a.git too"), "{conflict}");
    assert_eq!(decisions(other(plain("a", ""), "testing"))[1].1, "build: new");
    let ignored = selection(&[("VIETER_IGNORE", "one")]);
    let base = |base: &str| {
        surveyed(
            base,
            &format!("pkgbase={base}\npkgname=(a)\npkgver=1\npkgrel=1\narch=(any)\npackage_a() {{ :; }}\n"),
        )
    };
    assert_eq!(decide(vec![base("one"), base("two")], &[], &ignored)[1].1, "build: new");
}

/// A dependency can only be installed from the repository that the build publishes to.
#[test]
fn entries_of_different_repositories_do_not_need_each_other() {
    let in_repo = |repo: &str, node: Node| Node { repo: repo.into(), ..node };
    let nodes = [in_repo("stable", node("user", &["lib"])), in_repo("testing", node("lib", &[]))];
    assert!(graph::needs(&nodes)[0].is_empty());
    let nodes = [in_repo("stable", node("user", &["lib"])), in_repo("stable", node("lib", &[]))];
    assert_eq!(graph::needs(&nodes)[0].len(), 1);
}

/// A `.SRCINFO` beside a PKGBUILD that cannot be read is not believed, but good enough for the order.
#[test]
fn a_srcinfo_in_doubt_still_gives_the_order() {
    let pkgbuild = b"pkgname=$(echo libfoo-git)\npkgver=1\npkgrel=1\narch=(any)\npackage() { :; }\n";
    let srcinfo = b"pkgbase = libfoo-git\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\tmakedepends = tool\n\n\
                    pkgname = libfoo-git\n\tprovides = libfoo\n";
    let library = Knowledge::of(pkgbuild, Some(srcinfo), "x86_64");
    assert!(matches!(library, Knowledge::Doubtful { .. }), "{library:?}");
    let nodes = [node("user", &["libfoo"]), library.node(), node("tool", &[])];
    assert_eq!(graph::order(&graph::needs(&nodes)).sequence, [2, 1, 0]);
}

/// One that cannot be read at all is taken to make what it is called.
#[test]
fn what_says_nothing_still_comes_before_its_dependents() {
    let list = vec![plain("user", "depends=(lib)"), surveyed("lib", "pkgname=(\n")];
    let order = decide(list, &[], &selection(&[]));
    assert_eq!(
        order.iter().map(|(name, _)| name.rsplit('/').next()).collect::<Vec<_>>(),
        [Some("lib.git"), Some("user")]
    );
}

/// A `.SRCINFO` is made on one architecture: what it says of dependencies decides nothing where the PKGBUILD does not
/// say the same.
#[test]
fn dependencies_in_doubt_are_left_to_makepkg() {
    let pkgbuild = b"pkgname=a\npkgver=1\npkgrel=1\narch=(any)\n\
                     [[ $CARCH == x86_64 ]] && makedepends+=(nasm)\npackage() { :; }\n";
    let srcinfo = b"pkgbase = a\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\npkgname = a\n";
    let known = Knowledge::of(pkgbuild, Some(srcinfo), "x86_64");
    assert!(matches!(known, Knowledge::Certain { with_dependencies: false, .. }), "{known:?}");
    let entry = Surveyed { looked: Looked::Known(known), ..plain("a", "") };
    let draft = draft(vec![entry], &selection(&[]), "x86_64");
    let answers = draft
        .questions()
        .into_iter()
        .map(|(number, _, lacking)| (number, Ok(Answer { lacking, database: None })));
    let plan = complete(draft, answers.collect(), &selection(&[]));
    assert_eq!(plan.entries[0].decision, Decision::Build(Reason::New));
    assert!(plan.entries[0].facts_for_build().is_none());
    assert_eq!(plan.entries[0].version().as_deref(), Some("1-1"));
}

#[test]
fn a_pkgbuild_for_other_architectures_is_skipped() {
    let text = "pkgname=a\npkgver=1\npkgrel=1\narch=(aarch64)\npackage() { :; }\n";
    let decision = decision(surveyed("a", text), &[], &selection(&[]));
    assert_eq!(decision, "skip: its PKGBUILD is not for x86_64");
}

#[test]
fn dependents_of_what_is_built_are_built_again_when_wanted() {
    let list = || vec![plain("user", "depends=(lib)"), plain("lib", "")];
    let has = [("user", "1.0-1"), ("lib", "0.9-1")];
    let usual = decide(list(), &has, &selection(&[]));
    let expected = |user: &str| {
        [
            ("lib".to_owned(), "build: outdated, the server has 0.9-1".to_owned()),
            ("user".to_owned(), user.to_owned()),
        ]
    };
    assert_eq!(usual, expected("up_to_date"));
    let again = decide(list(), &has, &selection(&[("VIETER_REBUILD_DEPENDENTS", "yes")]));
    assert_eq!(again, expected("build: lib is built again"));
}

#[test]
fn a_shard_takes_its_part_and_skips_the_rest_with_the_reason() {
    let list = || (0..12).map(|n| plain(&format!("p{n}"), "")).collect::<Vec<_>>();
    let mut taken = Vec::new();
    for index in 0..3 {
        let mut selection = selection(&[]);
        selection.shard = Some(Shard { index, count: 3 });
        for (name, decision) in decide(list(), &[], &selection) {
            match decision.as_str() {
                "build: new" => taken.push(name),
                other => assert!(other.starts_with("skip: belongs to shard "), "{other}"),
            }
        }
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 12);
}

#[test]
fn the_table_and_the_json_say_the_same() {
    let draft = draft(vec![plain("user", "depends=(lib)"), plain("lib", "")], &selection(&[]), "x86_64");
    let lacking = |number: usize| {
        let (_, _, packages) = draft.questions().swap_remove(number);
        Ok(Answer { lacking: packages, database: None })
    };
    let answers = BTreeMap::from([(0, lacking(0)), (1, lacking(1))]);
    let plan = complete(draft, answers, &selection(&[]));
    let table = table(&plan);
    assert_eq!(
        table,
        "PACKAGE BASE  VERSION  DECISION  REASON\n\
         lib           1.0-1    build     new\n\
         user          1.0-1    build     new; after lib\n\
         2 to build, 0 to look into, 0 up to date, 0 skipped, 0 failed\n"
    );
    let json = json(&plan);
    assert_eq!(json["entries"][1]["pkgbase"], "user");
    assert_eq!(json["entries"][1]["after"][0], "lib");
}
