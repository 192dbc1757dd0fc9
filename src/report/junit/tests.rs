use super::super::tests::{all_kinds, broken, entry, run, stopped};
use super::*;

#[test]
fn each_entry_is_a_test_case() {
    let key = ("extra".to_owned(), "https://example.org/bad.git".to_owned());
    let tails = Tails::from([(key, vec!["gcc: <error>\u{1b}[m".to_owned(), "]]>".to_owned()])]);
    let xml = report(&run(Ending::Finished, all_kinds()), &tails).unwrap();
    let expected = [
        r#"<testsuite name="extra" tests="7" skipped="2" errors="1" failures="2""#,
        r#"<testcase name="foo" classname="extra" time="84.321">"#,
        r#"<skipped message="skipped: not for x86_64"/>"#,
        r#"<failure message="failed in step make: makepkg ended with exit code 4" type="build">"#,
        "See the end of the log.\nexit code 4</failure>",
        "<system-out>gcc: &lt;error&gt;\n]]&gt;</system-out>",
        r#"<failure message="not built, because bad failed" type="blocked"/>"#,
        r#"<error message="failed: no daemon" type="docker">"#,
        r#"<property name="log" value="logs/02-bad.log"/>"#,
    ];
    for expected in expected {
        assert!(xml.contains(expected), "{expected}\nin\n{xml}");
    }
}

#[test]
fn repositories_are_suites() {
    let mut other = entry("x", Verdict::UpToDate);
    other.repo = "other".into();
    let entries = vec![entry("a", Verdict::UpToDate), other, entry("b", Verdict::UpToDate)];
    let xml = report(&run(Ending::Finished, entries), &Tails::new()).unwrap();
    assert_eq!(xml.matches("<testsuite ").count(), 2);
    assert!(
        xml.contains(r#"<testsuites name="vieter" tests="3" skipped="0" failures="0" errors="0""#),
        "{xml}"
    );
}

#[test]
fn a_run_that_did_not_finish_is_an_error() {
    let xml = report(&broken(), &Tails::new()).unwrap();
    assert!(xml.contains(r#"<error message="the run could not go on: Docker does not answer""#), "{xml}");
    let xml = report(&stopped(vec![entry("a", Verdict::NotReached)]), &Tails::new()).unwrap();
    assert!(xml.contains(r#"tests="2" skipped="1" failures="0" errors="1""#), "{xml}");
}
