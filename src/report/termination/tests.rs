use super::super::tests::{all_kinds, broken, failed, run};
use super::*;

#[test]
fn it_says_how_the_run_ended_and_what_to_do() {
    let text = message(&run(Ending::Finished, all_kinds()));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("exit status 1: run finished in 1h 2m 3s: 1 published"), "{text}");
    assert_eq!(
        lines[1],
        "bad 1:1.2-1: failed in step make: makepkg ended with exit code 4; See the end of the log."
    );
    assert_eq!(
        message(&broken()),
        "exit status 69: the run could not go on: Docker does not answer\nIs the daemon running?\n"
    );
}

#[test]
fn it_is_never_too_long() {
    let mut entries: Vec<_> = (0..1000).map(|number| failed(&format!("package-{number}"))).collect();
    let text = message(&run(Ending::Finished, entries.clone()));
    assert!(text.len() <= LIMIT && text.len() > LIMIT / 2, "{}", text.len());
    let shown = text.lines().count() - 2;
    assert!(text.ends_with(&format!("… and {} more\n", 1000 - shown)), "{text}");
    for entry in &mut entries {
        entry.pkgbase = Some("\u{202e}é".repeat(3000));
    }
    for count in 0..30 {
        let text = message(&run(Ending::Finished, entries[..count].to_vec()));
        assert!(text.len() <= LIMIT, "{count}: {}", text.len());
        assert!(!text.contains('\u{202e}'));
    }
}

#[test]
fn it_is_written_in_place_and_only_where_there_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("termination-log");
    write(&path, "x").unwrap();
    assert!(!path.exists());
    write(directory.path(), "x").unwrap();
    std::fs::write(&path, "something longer").unwrap();
    write(&path, "short").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "short");
}
