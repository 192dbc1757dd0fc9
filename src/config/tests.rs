//! What each kind of bad environment is answered with, and what the good ones mean.

use std::time::Duration;

use super::made_up::MadeUp;
use super::*;

const ADDRESS: (&str, &str) = ("VIETER_ADDRESS", "http://server:8000/");
const KEY: (&str, &str) = ("VIETER_API_KEY", "s3cr3t");

fn load(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigError> {
    Config::load(&MadeUp::new(variables))
}

fn with(variables: &[(&'static str, &'static str)]) -> Config {
    load(&[&[ADDRESS, KEY], variables].concat()).expect("a good configuration")
}

fn problems(variables: &[(&'static str, &'static str)]) -> String {
    load(variables).expect_err("a bad configuration").to_string()
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = with(&[]);
    assert_eq!(config.image.base_image, "archlinux:latest");
    assert_eq!(config.build.build_timeout.0, Duration::from_secs(7200));
    assert_eq!(config.build.memory.limit(), None);
    assert_eq!(config.server.address.to_string(), "http://server:8000");
    assert!(config.warnings.is_empty());
}

#[test]
fn every_problem_is_reported_at_once_and_by_name() {
    let text = problems(&[
        ("VIETER_ADDRESS", "ftp://server"),
        ("VIETER_BUILD_TIMEOUT", "soon"),
        ("VIETER_CPUS", "-1"),
        ("VIETER_FAIL_FAST", "maybe"),
        ("VIETER_LOG_LEVEL", "loud"),
        ("VIETER_SHARD", "3/3"),
    ]);
    assert!(text.starts_with("6 settings are wrong; nothing was done\n"), "{text}");
    for expected in [
        "VIETER_ADDRESS: expected http://..., https://... or file:///absolute/directory (it is `ftp://server`)",
        "VIETER_BUILD_TIMEOUT: expected a length of time such as 90s, 30m or 2h",
        "VIETER_CPUS: expected a number of processors such as 2 or 1.5 (it is `-1`)",
        "VIETER_FAIL_FAST: expected true or false (it is `maybe`)",
        "VIETER_LOG_LEVEL: expected one of: error, warn, info, debug, trace (it is `loud`)",
        "VIETER_SHARD: expected i/n with i from 0 to n-1, such as 0/3 (it is `3/3`)",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
}

#[test]
fn what_is_required_depends_on_the_address() {
    assert!(problems(&[]).contains("VIETER_ADDRESS: is required"));
    assert!(problems(&[ADDRESS]).contains("VIETER_API_KEY: is required for a Vieter server"));
    assert!(problems(&[("VIETER_ADDRESS", "file:///srv")]).contains("VIETER_REPOS_FILE: is required"));
    assert!(load(&[("VIETER_ADDRESS", "file:///srv"), ("VIETER_REPOS_FILE", "/r.json")]).is_ok());
}

#[test]
fn a_misspelt_name_is_an_error_and_an_unknown_one_a_warning() {
    let text = problems(&[ADDRESS, KEY, ("VIETER_BASE_IMGE", "x"), ("VIETER_API_KEY_FIEL", "y")]);
    assert!(text.contains("VIETER_BASE_IMGE: no such setting; did you mean VIETER_BASE_IMAGE?"), "{text}");
    assert!(text.contains("did you mean VIETER_API_KEY_FILE?"), "{text}");
    let config = with(&[("VIETER_SOMETHING_ELSE_ENTIRELY", "x")]);
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn variables_of_the_server_and_of_kubernetes_services_are_passed_over() {
    let config = with(&[
        ("VIETER_DEFAULT_ARCH", "x86_64"),
        ("VIETER_PKG_DIR", "/data"),
        ("VIETER_PORT", "tcp://10.0.0.1:8000"),
        ("VIETER_SERVICE_HOST", "10.0.0.1"),
        ("VIETER_SERVICE_PORT_HTTP", "8000"),
        ("VIETER_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("VIETER_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("VIETER_BUILDER_SERVICE_HOST", "10.0.0.1"),
    ]);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn values_come_from_files_without_one_trailing_newline() {
    let variables = [ADDRESS, ("VIETER_API_KEY_FILE", "/run/secrets/key")];
    let environment = MadeUp::new(&variables).file("/run/secrets/key", "abc\n");
    let config = Config::load(&environment).expect("a good configuration");
    assert_eq!(config.server.api_key.expect("a key").expose(), "abc");
    let both = problems(&[ADDRESS, KEY, ("VIETER_API_KEY_FILE", "/k")]);
    assert!(both.contains("VIETER_API_KEY and VIETER_API_KEY_FILE are both set"), "{both}");
    let unreadable = problems(&[ADDRESS, ("VIETER_API_KEY_FILE", "/nowhere")]);
    assert!(unreadable.contains("VIETER_API_KEY_FILE: cannot read /nowhere"), "{unreadable}");
    assert!(!unreadable.contains("is required"), "one problem, one message: {unreadable}");
}

#[test]
fn the_health_check_reads_one_setting_and_no_other() {
    let status_file = |variables: &[(&'static str, &'static str)]| {
        super::status_file(&MadeUp::new(variables).file("/where", "/cache/status.json\n"))
    };
    let wrong = [("VIETER_API_KEY_FILE", "/gone"), ("VIETER_PULL", "x"), ("VIETER_STATUS_FIEL", "y")];
    let path = Some(PathBuf::from("/cache/status.json"));
    for name in ["VIETER_STATUS_FILE", "VIETER_STATUS_FILE_FILE"] {
        let value = if name.ends_with("_FILE_FILE") { "/where" } else { "/cache/status.json" };
        assert_eq!(status_file(&[&wrong[..], &[(name, value)]].concat()), Ok(path.clone()));
    }
    assert_eq!(status_file(&wrong), Ok(None));
    let unreadable = status_file(&[("VIETER_STATUS_FILE_FILE", "/gone")]).expect_err("no such file");
    assert_eq!(unreadable.variable, "VIETER_STATUS_FILE_FILE");
}

#[test]
fn empty_means_unset() {
    let config = with(&[("VIETER_MEMORY", ""), ("VIETER_BASE_IMAGE", ""), ("VIETER_ONLY", "")]);
    assert_eq!(config.image.base_image, "archlinux:latest");
    assert!(config.selection.only.is_none());
}

#[test]
fn secrets_are_never_shown() {
    let environment = MadeUp::new(&[ADDRESS, KEY]);
    let (shown, _) = effective(&environment).expect("a good configuration");
    assert!(shown.contains("VIETER_API_KEY") && shown.contains("***"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(!format!("{:?}", with(&[])).contains("s3cr3t"));
    let bad = problems(&[ADDRESS, ("VIETER_API_KEY", "s3cr3t\u{7}with bell")]);
    assert!(bad.contains("VIETER_API_KEY: contains blanks or characters"), "{bad}");
    assert!(!bad.contains("s3cr3t"), "{bad}");
    let address = problems(&[("VIETER_ADDRESS", "http://me:s3cr3t@server/"), KEY]);
    assert!(address.contains("must not contain a user name or password"), "{address}");
    assert!(!address.contains("s3cr3t"), "{address}");
}

#[test]
fn sizes_times_and_patterns_are_read_as_people_write_them() {
    let config = with(&[
        ("VIETER_MEMORY", "2g"),
        ("VIETER_LOG_LIMIT", "1500"),
        ("VIETER_RUN_TIMEOUT", "1h 30m"),
        ("VIETER_IDLE_TIMEOUT", "90"),
        ("VIETER_ONLY", "linux-*, foo bar"),
        ("VIETER_FORCE", "yes"),
        ("VIETER_CPUS", "1.5"),
    ]);
    assert_eq!(config.build.memory.0, 2 << 30);
    assert_eq!(config.build.log_limit.0, 1500);
    assert_eq!(config.build.run_timeout.0, Duration::from_secs(5400));
    assert_eq!(config.build.idle_timeout.0, Duration::from_secs(90));
    assert_eq!(config.build.cpus.map(Cpus::jobs), Some(2));
    let only = config.selection.only.expect("patterns");
    assert!(only.matches("linux-lts") && only.matches("bar") && !only.matches("linux"));
    assert!(config.selection.force.applies_to("anything"));
    let some = with(&[("VIETER_FORCE", "foo-*")]).selection.force;
    assert!(some.applies_to("foo-git") && !some.applies_to("bar"));
}

#[test]
fn a_schedule_has_five_fields() {
    for good in ["0 3 * * *", "*/15 1-5 * jan MON", "@daily"] {
        with(&[("VIETER_SCHEDULE", good)]);
    }
    for bad in ["0 3 * * * *", "0 0 3 * * * 2030", "3 * * *", "tonight"] {
        let text = problems(&[ADDRESS, KEY, ("VIETER_SCHEDULE", bad)]);
        let expected = "VIETER_SCHEDULE: expected a cron expression of five fields such as `0 3 * * *`";
        assert!(text.contains(expected) && text.contains(&format!("(it is `{bad}`)")), "{text}");
    }
}

#[test]
fn an_indexed_job_gives_the_shard() {
    let config = with(&[("VIETER_SHARD_COUNT", "4"), ("JOB_COMPLETION_INDEX", "2")]);
    assert_eq!(config.selection.shard, Some(Shard { index: 2, count: 4 }));
    for bad in [
        &[ADDRESS, KEY, ("VIETER_SHARD_COUNT", "4")][..],
        &[ADDRESS, KEY, ("VIETER_SHARD_COUNT", "4"), ("JOB_COMPLETION_INDEX", "4")],
        &[ADDRESS, KEY, ("VIETER_SHARD_COUNT", "4"), ("VIETER_SHARD", "1/4")],
        &[ADDRESS, KEY, ("VIETER_SHARD_COUNT", "4294967295"), ("JOB_COMPLETION_INDEX", "0")],
        &[ADDRESS, KEY, ("VIETER_SHARD", "0/4294967295")],
    ] {
        assert!(problems(bad).contains("1 setting is wrong"), "{bad:?}");
    }
}

#[test]
fn every_setting_belongs_to_a_structure_and_has_a_meaning() {
    for variable in VARIABLES {
        assert!(!variable.meaning.concat().trim().is_empty(), "{}", variable.name());
        assert!(!variable.field.ends_with("_file_file"), "{}", variable.name());
    }
}

#[test]
fn the_table_in_the_documentation_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (begin, end) = ("<!-- settings: begin -->\n", "<!-- settings: end -->");
    let written = text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(table, _)| table);
    let expected = format!("{}\n", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let before = text.split_once(begin).map_or("# Settings\n\n", |(before, _)| before);
        let after = text.split_once(end).map_or("\n", |(_, after)| after);
        std::fs::write(path, format!("{before}{begin}{expected}{end}{after}")).expect("docs can be written");
        return;
    }
    assert_eq!(written, Some(expected.as_str()), "run the tests once with UPDATE_DOCS=1");
}
