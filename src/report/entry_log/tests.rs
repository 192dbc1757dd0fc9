use super::*;

#[test]
fn names_of_logs_are_safe_and_in_order() {
    assert_eq!(log_path(3, 7, "gtk+"), "logs/03-gtk+.log");
    assert_eq!(log_path(3, 1234, "a"), "logs/0003-a.log");
    assert_eq!(log_path(1, 1, "https://x.org/a b.git"), "logs/01-https___x.org_a_b.git.log");
    assert_eq!(log_path(1, 1, "../../etc\0é\n"), "logs/01-.._.._etc___.log");
    assert!(log_path(1, 1, &"x".repeat(5000)).len() < 120);
    assert!(is_log("0003-a.log") && is_log("01-x.log.part") && is_log("00-image.log"));
    assert!(!is_log("1-x.log") && !is_log("notes.log") && !is_log("01-x.txt") && !is_log("-.log"));
}

#[test]
fn tails_are_the_end() {
    let mut tail = Tail::default();
    for number in 0..100 {
        tail.push(&number.to_string());
    }
    tail.push(&"x".repeat(10_000));
    let lines = tail.into_lines();
    assert_eq!(lines.len(), TAIL_LINES);
    assert_eq!(lines[0], "71");
    assert!(lines[TAIL_LINES - 1].len() <= TAIL_WIDTH);
}
