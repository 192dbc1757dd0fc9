//! The command line and the environment: what is shown, and what is refused before anything is done.

use std::fs;

use vieter_test_support::program::{Finished, Vieter};

fn vieter(arguments: &[&str]) -> Vieter {
    arguments.iter().fold(Vieter::new(env!("CARGO_BIN_EXE_vieter")), |vieter, word| vieter.arg(*word))
}

fn with(vieter: Vieter, variables: &[(&str, &str)]) -> Finished {
    variables.iter().fold(vieter, |vieter, (name, value)| vieter.env(*name, *value)).run()
}

/// The words of the line for a setting.
fn line(shown: &Finished, name: &str) -> Vec<String> {
    let line = shown.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {}", shown.stdout));
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_settings_in_force_are_shown_with_their_sources() {
    let folder = tempfile::tempdir().expect("make a folder");
    let key = folder.path().join("key");
    fs::write(&key, "the-secret-key\n").expect("write a file");
    let key = key.display().to_string();
    let shown = with(
        vieter(&["config"]),
        &[
            ("VIETER_ADDRESS", "https://packages.example.org/"),
            ("VIETER_API_KEY_FILE", &key),
            ("VIETER_MEMORY", "4GiB"),
            // Empty is not set.
            ("VIETER_PULL", ""),
            // Settings of the server, and what Kubernetes makes for a service of the same name.
            ("VIETER_DEFAULT_ARCH", "x86_64"),
            ("VIETER_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ],
    );
    shown.assert_code(0);
    assert_eq!(line(&shown, "VIETER_ADDRESS"), ["https://packages.example.org/", "environment"]);
    assert_eq!(line(&shown, "VIETER_API_KEY"), ["***", "file", &key]);
    assert_eq!(line(&shown, "VIETER_MEMORY"), ["4GiB", "environment"]);
    assert_eq!(line(&shown, "VIETER_PULL"), ["always", "default"]);
    assert_eq!(line(&shown, "VIETER_CPUS"), ["-", "not", "set"]);
    assert!(!shown.text().contains("the-secret-key"), "{}", shown.text());
    assert_eq!(shown.stderr, "");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let wrong = [
        ("VIETER_ADDRESS", "ftp://example.org"),
        ("VIETER_API_KEY", "two secret-words"),
        ("VIETER_MEMORY", "lots"),
        ("VIETER_PULL", "sometimes"),
        ("VIETER_SHARD", "3/3"),
        ("VIETER_BUILD_TIMEOUT", "soon"),
        ("VIETER_FAIL_FAST", "perhaps"),
        ("VIETER_LOG_LEVEL", "loud"),
        ("VIETER_REPORT_DIR", "/reports"),
        ("VIETER_REPORT_DIR_FILE", "/run/reports"),
        ("VIETER_CACHE_DIR_FILE", "/there/is/no/such/file"),
        ("VIETER_BASE_IMGE", "archlinux"),
    ];
    for command in ["build", "plan", "config"] {
        let refused = with(vieter(&[command]), &wrong);
        refused.assert_code(64);
        assert_eq!(refused.stdout, "");
        for part in [
            "VIETER_ADDRESS: expected http://",
            "(it is `ftp://example.org`)",
            "VIETER_API_KEY: contains blanks",
            "VIETER_MEMORY: expected a size",
            "(it is `lots`)",
            "VIETER_PULL: expected one of: always, missing, never",
            "VIETER_SHARD: expected i/n",
            "VIETER_BUILD_TIMEOUT: expected a length of time",
            "VIETER_FAIL_FAST: expected true or false",
            "VIETER_LOG_LEVEL: expected one of: error, warn, info, debug, trace",
            "VIETER_REPORT_DIR and VIETER_REPORT_DIR_FILE are both set",
            "VIETER_CACHE_DIR_FILE: cannot read /there/is/no/such/file",
            "VIETER_BASE_IMGE: no such setting; did you mean VIETER_BASE_IMAGE?",
        ] {
            assert!(refused.stderr.contains(part), "{command}: no {part:?} in {}", refused.stderr);
        }
        assert!(!refused.stderr.contains("secret-words"), "{}", refused.stderr);
    }
}

#[test]
fn what_a_server_needs_is_asked_for() {
    let directory = [("VIETER_ADDRESS", "file:///srv/pacman")];
    let server = [("VIETER_ADDRESS", "http://localhost:8000")];
    for (variables, asked) in [
        (&[][..], "VIETER_ADDRESS: is required"),
        (
            &server,
            "VIETER_API_KEY: is required for a Vieter server: the server's API key (or VIETER_API_KEY_FILE)",
        ),
        (&directory, "VIETER_REPOS_FILE: is required with a file:// address"),
    ] {
        let refused = with(vieter(&["build"]), variables);
        refused.assert_code(64);
        assert!(refused.stderr.contains(asked), "no {asked:?} in {}", refused.stderr);
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["help"], &["build", "--help"]] {
        let shown = vieter(arguments).run();
        shown.assert_code(0);
        assert!(shown.stdout.contains("Usage: vieter"), "{}", shown.stdout);
    }
    let help = vieter(&["--help"]).run().stdout;
    for word in ["build", "plan", "config", "VIETER_"] {
        assert!(help.contains(word), "no {word} in {help}");
    }
    let version = vieter(&["--version"]).run();
    version.assert_code(0);
    assert_eq!(version.stdout, concat!("vieter ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn unknown_variables_are_a_warning() {
    let folder = tempfile::tempdir().expect("make a folder");
    let list = folder.path().join("list.json");
    fs::write(&list, "[]").expect("write a file");
    let address = format!("file://{}", folder.path().join("public").display());
    let list = list.display().to_string();
    let settings = [
        ("VIETER_ADDRESS", address.as_str()),
        ("VIETER_REPOS_FILE", &list),
        ("VIETER_SOMETHING_FROM_TOMORROW", "1"),
        ("VIETER_PKG_DIR", "/pkgs"),
    ];
    let finished = with(vieter(&["build"]), &settings);
    finished.assert_code(0);
    let warnings: Vec<_> = finished.json_lines().into_iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let message = warnings[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("VIETER_SOMETHING_FROM_TOMORROW"), "{message}");
}
