use super::super::tests::{all_kinds, broken, entry, failed, run};
use super::*;

#[test]
fn a_table_of_what_changed() {
    let text = summary(&run(Ending::Finished, all_kinds()), &Tails::new());
    assert!(text.starts_with("## Packages: ❌ 1 published, 1 up to date"), "{text}");
    assert!(
        text.contains("| ✅ | foo | 1\\:1\\.2\\-1 | extra | published 1 package in 1m 24s |\n"),
        "{text}"
    );
    assert!(text.contains("makepkg ended with exit code 4; See the end of the log\\. |"), "{text}");
    assert!(!text.contains("| same |"), "what is up to date is only counted: {text}");
    assert!(summary(&broken(), &Tails::new()).contains("> Is the daemon running?"));
    let quiet = summary(&run(Ending::Finished, vec![entry("same", Verdict::UpToDate)]), &Tails::new());
    assert!(!quiet.contains("| Package |") && quiet.contains("✅ 1 up to date"), "{quiet}");
}

#[test]
fn hostile_text_is_only_text() {
    let mut hostile = failed("bad");
    let name = "a|b\n<img src=x> [x](http://e) `c` @user";
    hostile.pkgbase = Some(name.into());
    let key = (hostile.repo.clone(), hostile.entry.clone());
    let tail = vec!["</pre><script>".to_owned(), String::new(), String::new(), "x".to_owned()];
    let text = summary(&run(Ending::Finished, vec![hostile]), &Tails::from([(key, tail)]));
    assert!(!text.contains("<img") && !text.contains("<script"), "{text}");
    let row = text.lines().find(|line| line.starts_with("| ❌")).unwrap();
    assert!(!row.contains("[x](") && !row.contains(" `c`"), "{row}");
    let bars = row.replace("\\|", "").matches('|').count();
    assert_eq!(bars, 6, "{row}");
    let log = text.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
    assert!(!log.contains("\n\n"), "{log:?}");
}

#[test]
fn it_fits() {
    let entries: Vec<_> = (0..3000)
        .map(|number| {
            let mut entry = failed(&format!("package-{number}"));
            if let Verdict::Failed { failure } = &mut entry.verdict {
                failure.message = "!".repeat(10_000);
            }
            entry
        })
        .collect();
    let tail = |entry: &EntryOutcome| ((entry.repo.clone(), entry.entry.clone()), vec!["&".repeat(500); 30]);
    let tails = entries.iter().map(tail).collect();
    let text = summary(&run(Ending::Finished, entries), &tails);
    assert!(text.len() <= LIMIT && text.len() > LIMIT / 2, "{}", text.len());
    assert!(text.contains(" more\n\n<details>"), "the table is cut, and logs follow");
}

#[test]
fn it_is_added_to_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("summary.md");
    append(&path, "one\n").unwrap();
    append(&path, "two\n").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\n");
}
