use std::time::Duration;

use vieter_test_support::program::{Signal, Vieter};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Vieter {
    Vieter::new("/bin/sh").arg("-c").arg(script)
}

#[test]
fn the_environment_is_its_own() {
    let finished = shell("env").env("VIETER_ADDRESS", "file:///x").run();
    finished.assert_code(0);
    let known = ["PATH", "HOME", "TMPDIR", "PWD", "VIETER_ADDRESS", "DOCKER_HOST", "_", "SHLVL"];
    for line in finished.stdout.lines() {
        let name = line.split('=').next().unwrap_or_default();
        assert!(known.contains(&name), "{line}");
    }
    assert!(finished.stdout.contains("VIETER_ADDRESS=file:///x\n"));
}

#[test]
fn what_it_says_is_kept() {
    let script = r#"echo out; echo '{"message":"a b","run_id":"7"}' >&2; echo '{"run_id":"7"}' >&2; exit 3"#;
    let finished = shell(script).run();
    finished.assert_code(3);
    assert_eq!(finished.stdout, "out\n");
    assert_eq!(finished.json_lines().len(), 2);
    assert_eq!(finished.messages("a b").len(), 1);
    assert_eq!(finished.run_id(), "7");
}

#[test]
#[should_panic(expected = "no JSON object: plain text")]
fn a_line_that_is_no_json_fails() {
    shell("echo plain text >&2").run().json_lines();
}

#[test]
fn a_log_line_is_waited_for_and_a_signal_sent() {
    let script = r#"trap 'exit 143' TERM; echo '{"step":"make"}' >&2; while :; do sleep 0.1; done"#;
    let mut running = shell(script).spawn();
    let line = running.wait_for_log(|line| line["step"] == "make", SOON);
    assert_eq!(line["step"], "make");
    running.signal(Signal::TERM);
    running.wait(SOON).assert_code(143);
}

#[test]
#[should_panic(expected = "no such line in the log")]
fn the_wait_for_a_line_ends_with_the_program() {
    shell("echo '{}' >&2").spawn().wait_for_log(|line| line["step"] == "make", SOON);
}

#[test]
#[should_panic(expected = "still running after")]
fn a_program_that_does_not_end_is_stopped() {
    shell("sleep 600").spawn().wait(Duration::from_millis(200));
}

#[test]
fn command_lines_of_children_are_seen() {
    let finished = shell("sleep 0.2; (sleep 0.3; :); :").sample_cmdlines().run();
    let all = finished.cmdlines.iter().cloned().collect::<Vec<_>>().join("\n");
    assert!(all.contains("sleep 0.2") && all.contains("sleep 0.3"), "{all}");
    assert!(finished.text().contains("sleep 0.3"));
}
