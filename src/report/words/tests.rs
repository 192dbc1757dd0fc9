use super::super::tests::{all_kinds, broken, run as outcome, stopped};
use super::*;
use crate::outcome::{Failure, FailureKind, Published};

#[test]
fn lengths_of_time_and_sizes() {
    assert_eq!(duration(Duration::from_micros(1500)), "1ms");
    assert_eq!(duration(Duration::ZERO), "0s");
    assert_eq!(duration(Duration::from_millis(84_321)), "1m 24s");
    assert!((seconds(Duration::from_micros(84_321_999)) - 84.321).abs() < f64::EPSILON);
    assert_eq!(size(1536), "1.5 KiB");
    assert_eq!(number(1, "entry", "entries"), "1 entry");
    assert_eq!(number(0, "entry", "entries"), "0 entries");
}

#[test]
fn runs() {
    assert_eq!(
        run(&outcome(Ending::Finished, all_kinds())),
        "run finished in 1h 2m 3s: 1 published, 1 up to date, 1 skipped, 2 failed, 1 blocked, \
         1 not reached"
    );
    assert_eq!(run(&stopped(vec![])), "run stopped after 1h 2m 3s, terminated (SIGTERM): no entries");
    assert_eq!(run(&broken()), "the run could not go on: Docker does not answer");
    let mut back = broken();
    back.finished = "2026-11-22T02:00:00Z".parse().unwrap();
    assert_eq!(run_duration(&back), Duration::ZERO);
    assert_eq!(failed_names(&outcome(Ending::Finished, all_kinds())), "bad, https://example.org/gone.git");
}

#[test]
fn entries() {
    let words: Vec<_> = all_kinds().iter().map(entry).collect();
    assert_eq!(
        words,
        [
            "foo 1:1.2-1: published 1 package in 1m 24s",
            "same 1:1.2-1: up to date",
            "arm 1:1.2-1: skipped: not for x86_64",
            "bad 1:1.2-1: failed in step make: makepkg ended with exit code 4",
            "late 1:1.2-1: not built, because bad failed",
            "https://example.org/gone.git: failed: no daemon",
            "never 1:1.2-1: not reached before the run ended",
        ]
    );
}

#[test]
fn half_of_a_split_package() {
    let mut split = all_kinds().remove(0);
    let [Published { file, .. }] = &split.published[..] else { panic!() };
    let file = file.clone();
    split.verdict = Verdict::Failed { failure: Failure::new(FailureKind::Publish, "no room") };
    assert_eq!(verdict(&split), format!("failed: no room (published all the same: {file})"));
}
