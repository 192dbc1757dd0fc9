//! Every setting, once: its name, type, default and meaning. The structures, the defaults and the
//! table in `docs/configuration.md` are all made from this list.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::Deserialize;

use super::values::{
    Count, Cpus, Force, LogFormat, LogLevel, Patterns, Period, PlanFormat, PullPolicy, Schedule, Secret,
    ServerAddress, Shard, Size, Switch, Timezone,
};

/// One environment variable as the documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The section it belongs to.
    pub section: &'static str,
    /// Its name in lower case without the `VIETER_` prefix.
    pub field: &'static str,
    /// What it means, a line an element.
    pub meaning: &'static [&'static str],
    /// The value when it is not set.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Variable {
    /// The name of the environment variable.
    pub fn name(&self) -> String {
        format!("{}{}", super::PREFIX, self.field.to_ascii_uppercase())
    }
}

/// Lower-case setting names without the prefix, with their values as text.
pub(super) type Values = BTreeMap<String, String>;

/// Reads one section from the values; the error names the first setting that is missing.
pub(super) fn section<T: serde::de::DeserializeOwned>(values: &Values) -> envy::Result<T> {
    envy::from_iter(values.iter().map(|(name, value)| (name.clone(), value.clone())))
}

/// Reads one value by itself, so that every bad one is found and not only the first.
fn check<T: serde::de::DeserializeOwned>(value: &str) -> envy::Result<()> {
    envy::from_iter::<_, HashMap<String, T>>([("value".to_owned(), value.to_owned())]).map(drop)
}

macro_rules! is_secret {
    (Secret) => {
        true
    };
    (Option<Secret>) => {
        true
    };
    ($($other:tt)+) => {
        false
    };
}

macro_rules! default_value {
    () => {
        None
    };
    ($default:literal) => {
        Some($default)
    };
}

macro_rules! sections {
    ($(
        $(#[doc = $about:literal])+
        $section:ident {$(
            $(#[doc = $doc:literal])+
            $field:ident : [$($ty:tt)+] $(= $default:literal)?
        ),+ $(,)?}
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone, Deserialize)]
            pub struct $section {
                $($(#[doc = $doc])+ pub $field: $($ty)+),+
            }
        )+

        /// Every setting, in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[$($(Variable {
            section: stringify!($section),
            field: stringify!($field),
            meaning: &[$($doc),+],
            default: default_value!($($default)?),
            secret: is_secret!($($ty)+),
        }),+),+];

        /// Checks one value against the type of its setting.
        pub(super) fn check_value(field: &str, value: &str) -> envy::Result<()> {
            match field {
                $($(stringify!($field) => check::<$($ty)+>(value),)+)+
                _ => Ok(()),
            }
        }
    };
}

sections! {
    /// Package server and list.
    Server {
        /// Where packages are published and looked up: the URL of a Vieter server (`http://` or
        /// `https://`), or `file:///directory` for a static pacman repository.
        address: [ServerAddress],
        /// The key of the Vieter server (header `X-Api-Key`). Needed for `http(s)://`.
        api_key: [Option<Secret>],
        /// A JSON file with the repository entries, instead of the server's list. Needed for `file://`.
        repos_file: [Option<PathBuf>],
        /// How long one look-up at the package server may take. Transfers may take longer, as long as
        /// data moves.
        http_timeout: [Period] = "30s",
        /// How often a request to the package server, or a Git look-up, is tried in all.
        http_attempts: [Count] = "4",
        /// Send the log of each build to servers that keep logs (`/api/v1/logs`).
        upload_logs: [Switch] = "true",
    }

    /// Docker.
    Docker {
        /// How long to wait for a Docker daemon that is not up yet or does not answer. Which daemon it
        /// is, `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` say, as for the `docker` command.
        docker_wait: [Period] = "15s",
        /// The Docker network of the containers. Unset: Docker's default.
        network: [Option<String>],
    }

    /// Builder image.
    Image {
        /// The image that the builder image is made from.
        base_image: [String] = "archlinux:latest",
        /// When the base image is pulled: `always`, `missing` or `never`.
        pull: [PullPolicy] = "always",
        /// The name under which builder images are kept.
        image_name: [String] = "vieter-builder",
        /// A kept builder image younger than this is used as it is; an older one is brought up to date.
        image_max_age: [Period] = "12h",
        /// How long stage 1 (pull, update, commit) may take; `0`: no limit.
        image_timeout: [Period] = "30m",
    }

    /// Builds and their limits.
    Build {
        /// How long one repository entry may take, all steps together; `0`: no limit but one day.
        build_timeout: [Period] = "2h",
        /// How long a build may print nothing; `0`: no limit.
        idle_timeout: [Period] = "30m",
        /// How long the whole run may take; `0`: no limit.
        run_timeout: [Period] = "0",
        /// Memory of a build container, swap included; `0`: no limit.
        memory: [Size] = "0",
        /// Processors of a build container. Unset: all.
        cpus: [Option<Cpus>],
        /// Processes and threads of a build container.
        pids: [Count] = "8192",
        /// Open files of each process in a build container.
        nofile: [Count] = "16384",
        /// How much output of one repository entry is logged and kept; what comes after it is counted
        /// and dropped. `0`: no limit.
        log_limit: [Size] = "16M",
        /// `PACKAGER` for makepkg, such as `Jane Doe <jane@example.org>`.
        packager: [Option<String>],
        /// Make and publish `-debug` packages.
        debug_packages: [Switch] = "false",
        /// How much disk the sources kept for `pkgver()` packages may use; `0`: keep none.
        source_cache: [Size] = "20G",
        /// Kept sources that no run has used for this long are removed.
        source_cache_max_age: [Period] = "30days",
    }

    /// What is built.
    Selection {
        /// Only these package bases: names or shell patterns, separated by commas or blanks.
        only: [Option<Patterns>],
        /// Not these package bases: names or shell patterns.
        ignore: [Option<Patterns>],
        /// Build although the package server has the version: `true` for all, or names or patterns.
        force: [Force] = "false",
        /// Also build again what depends on a package that was built in this run.
        rebuild_dependents: [Switch] = "false",
        /// Take only part i of n of the list, counted from 0: `i/n`.
        shard: [Option<Shard>],
        /// The n of `VIETER_SHARD` where `JOB_COMPLETION_INDEX` gives the i (a Kubernetes Indexed Job).
        shard_count: [Option<Count>],
        /// Stop at the first repository entry that fails.
        fail_fast: [Switch] = "false",
    }

    /// Looking before building.
    Plan {
        /// How many repository entries are looked at at once.
        plan_concurrency: [Count] = "16",
        /// How many of these at one Git host.
        plan_host_concurrency: [Count] = "8",
        /// How `vieter plan` prints: `auto`, `json` or `table`.
        plan_format: [PlanFormat] = "auto",
        /// A directory for what was learnt of Git repositories, so that unchanged ones need no fetch.
        /// Unset: no cache. It may be lost at any time.
        cache_dir: [Option<PathBuf>],
    }

    /// Logs, reports, locking.
    Output {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        log_level: [LogLevel] = "info",
        /// `json`, `text` or `auto` (text on a terminal, JSON otherwise).
        log_format: [LogFormat] = "auto",
        /// A directory for `report.json`, `junit.xml` and one log file for each repository entry.
        report_dir: [Option<PathBuf>],
        /// The file that keeps two runs from working at once. Unset: one in the system's directory
        /// for temporary files, named after the package server and the shard.
        lock_file: [Option<PathBuf>],
    }

    /// The nightly container.
    Nightly {
        /// When `vieter cron` starts a run: a cron expression of five fields, or a
        /// nickname such as `@daily`.
        schedule: [Schedule] = "0 3 * * *",
        /// The time zone of the schedule, such as `Europe/Brussels`. Unset: that of `TZ`, else the
        /// machine's, else UTC.
        timezone: [Option<Timezone>],
        /// Each run starts up to this much later, by chance, so that many builders do not start at once.
        jitter: [Period] = "0s",
        /// Also start a run at once when `vieter cron` starts.
        run_at_start: [Switch] = "false",
        /// Where `vieter cron` notes what it does, for `vieter healthcheck`. Unset: `vieter-status.json`
        /// in the system's directory for temporary files.
        status_file: [Option<PathBuf>],
    }
}
