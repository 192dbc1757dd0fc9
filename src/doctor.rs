//! Looks at everything that a run needs, and says how to mend what is wrong. Changes nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::engine::{self, Engine, EngineError, Exec};
use crate::event::Events;
use crate::run;
use crate::server::PackageServer;

/// Clocks further apart than this spoil signatures, certificates and the age of images.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Less room than this is soon used up by a build.
const LITTLE_ROOM: u64 = 5 << 30;
/// The first Docker whose seccomp profile allows Landlock (moby 23.0).
const LANDLOCK_SINCE: u32 = 23;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Poor,
    Bad,
}

/// One thing that was looked at.
struct Finding {
    state: State,
    what: &'static str,
    seen: String,
    fix: String,
}

/// All that was looked at.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, state: State, what: &'static str, seen: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Finding { state, what, seen: seen.into(), fix: fix.into() });
    }

    fn good(&mut self, what: &'static str, seen: impl Into<String>) {
        self.add(State::Good, what, seen, "");
    }

    /// Whether a run could work.
    pub fn all_well(&self) -> bool {
        self.0.iter().all(|finding| finding.state != State::Bad)
    }

    /// A line for each thing, with its fix below it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Finding { state, what, seen, fix } in &self.0 {
            let mark = match state {
                State::Good => "ok  ",
                State::Poor => "warn",
                State::Bad => "FAIL",
            };
            let _ = writeln!(text, "{mark}  {what}: {seen}");
            if !fix.is_empty() {
                let _ = writeln!(text, "      fix: {fix}");
            }
        }
        text
    }
}

/// Looks at everything, one thing after the other.
pub async fn examine(config: &Config, run_id: &str, events: &Events) -> Findings {
    let mut findings = Findings::default();
    git(&mut findings).await;
    directories(config, &mut findings);
    package_server(config, events, &mut findings).await;
    match engine::connect(run_id, config.docker.docker_wait.0, |_| ()).await {
        Ok(engine) => docker(config, &engine, &mut findings).await,
        Err(error) => findings.add(State::Bad, "Docker", error.to_string(), socket_fix(&error)),
    }
    findings
}

async fn git(findings: &mut Findings) {
    match tokio::process::Command::new("git").arg("--version").output().await {
        Ok(output) if output.status.success() => {
            findings.good("Git", String::from_utf8_lossy(&output.stdout).trim());
        }
        Ok(output) => findings.add(State::Bad, "Git", output.status.to_string(), "reinstall git"),
        Err(error) => findings.add(State::Bad, "Git", error.to_string(), "install git"),
    }
}

/// Directories that a run writes to.
fn directories(config: &Config, findings: &mut Findings) {
    let temporary = std::env::temp_dir();
    let mut look =
        |what: &'static str, directory: &Path, fix: &str| match tempfile::NamedTempFile::new_in(directory) {
            Ok(_) => findings.good(what, format!("{} can be written", directory.display())),
            Err(error) => {
                findings.add(State::Bad, what, format!("{}: {error}", directory.display()), fix);
            }
        };
    look("temporary files", &temporary, "make it writable, or point TMPDIR elsewhere");
    if let Some(directory) = &config.plan.cache_dir {
        look("cache", directory, "make VIETER_CACHE_DIR a directory that this user can write");
    }
    if let Some(directory) = &config.output.report_dir {
        look("reports", directory, "make VIETER_REPORT_DIR a directory that this user can write");
    }
    if let crate::config::ServerAddress::Directory(directory) = &config.server.address {
        look("static repository", directory, "make the directory of VIETER_ADDRESS, writable for this user");
    }
}

async fn package_server(config: &Config, events: &Events, findings: &mut Findings) {
    let server = match run::open_server(config) {
        Ok(server) => server,
        Err(error) => return findings.add(State::Bad, "package server", error.message, error.hint),
    };
    match run::read_list(config, &server, events).await {
        Ok(list) => {
            let bad = list.iter().filter(|entry| entry.is_err()).count();
            let seen = format!("{} entries from {}", list.len(), run::list_source(config));
            match bad {
                0 => findings.good("list", seen),
                _ => findings.add(
                    State::Poor,
                    "list",
                    format!("{seen}, {bad} of them malformed"),
                    "correct them; `vieter plan` names each",
                ),
            }
        }
        Err(error) => findings.add(State::Bad, "list", error.message, error.hint),
    }
    if let PackageServer::Vieter(server) = &server {
        match server.clock_skew(Timestamp::now()).await {
            Some(skew) => clock("package server's clock", skew, findings),
            None => findings.good("package server's clock", "it does not tell"),
        }
    }
}

fn clock(what: &'static str, skew: SignedDuration, findings: &mut Findings) {
    let seen = format!("{} s from ours", skew.as_secs());
    if skew.abs() <= SKEW {
        findings.good(what, seen);
    } else {
        findings.add(State::Poor, what, seen, "let both machines set their clocks by NTP");
    }
}

async fn docker(config: &Config, engine: &std::sync::Arc<Engine>, findings: &mut Findings) {
    let info = &engine.info;
    findings.good(
        "Docker",
        format!("{} at {}, API {}, {}", info.version, engine::docker_host(), info.api_version, info.arch),
    );
    let major = info.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major < LANDLOCK_SINCE => findings.add(
            State::Poor,
            "Landlock",
            format!("Docker before {LANDLOCK_SINCE} keeps pacman 7 from using its download sandbox"),
            "none needed: it is turned off in the builder image; a newer Docker would allow it",
        ),
        _ => findings.good("Landlock", "this Docker's seccomp profile allows it"),
    }
    if let Some(time) = engine.system_time().await {
        clock("Docker's clock", Timestamp::now().duration_since(time), findings);
    }
    let base = &config.image.base_image;
    match engine.image(base).await {
        Ok(Some(_)) => {
            findings.good("base image", format!("{base} is there"));
            in_a_container(config, engine, findings).await;
        }
        Ok(None) => match engine.is_in_registry(base).await {
            Ok(()) => findings.good("base image", format!("{base} can be pulled")),
            Err(error) => findings.add(
                State::Bad,
                "base image",
                error.to_string(),
                "check VIETER_BASE_IMAGE and the way to its registry, or `docker load` the image",
            ),
        },
        Err(error) => findings.add(State::Bad, "base image", error.to_string(), ""),
    }
}

/// What only a container of the base image can tell: room, limits, the tools.
async fn in_a_container(config: &Config, engine: &std::sync::Arc<Engine>, findings: &mut Findings) {
    let script = "df -Pk / | tail -n 1 | while read -r a b c free rest; do echo \"$free\"; done\n\
                  ulimit -n\n\
                  for tool in pacman makepkg; do command -v $tool >/dev/null || echo $tool; done";
    let answer = ask(config, engine, script).await;
    let lines = match answer {
        Ok(text) => text.lines().map(str::to_owned).collect::<Vec<_>>(),
        Err(error) => {
            return findings.add(
                State::Bad,
                "container",
                error.to_string(),
                "see whether `docker run` works with the base image and VIETER_NETWORK",
            );
        }
    };
    let free = lines.first().and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib * 1024);
    match free {
        Some(free) if free < LITTLE_ROOM => findings.add(
            State::Poor,
            "room for builds",
            format!("{} free where Docker keeps containers", bytesize::ByteSize(free)),
            "make room; `docker system df` shows what uses it",
        ),
        Some(free) => findings.good("room for builds", format!("{} free", bytesize::ByteSize(free))),
        None => findings.add(State::Poor, "room for builds", "df gives no number", ""),
    }
    let nofile = lines.get(1).map_or("?", String::as_str);
    findings.good("open files", format!("{nofile} as VIETER_NOFILE sets it"));
    match lines.get(2..).unwrap_or_default() {
        [] => findings.good("tools", "the base image has pacman and makepkg"),
        missing => findings.add(
            State::Bad,
            "tools",
            format!("the base image has no {}", missing.join(", ")),
            "set VIETER_BASE_IMAGE to an Arch Linux image",
        ),
    }
}

async fn ask(config: &Config, engine: &std::sync::Arc<Engine>, script: &str) -> Result<String, EngineError> {
    let spec = engine::ContainerSpec {
        image: config.image.base_image.clone(),
        role: "doctor",
        lifetime: Duration::from_secs(60),
        limits: engine::Limits {
            pids: 64,
            nofile: config.build.nofile.0.into(),
            ..engine::Limits::default()
        },
        isolation: engine::Isolation::Hostile,
        network: config.docker.network.clone(),
        volumes: Vec::new(),
    };
    let container = engine.start(&spec).await?;
    let command = ["/bin/sh", "-c", script];
    let exec = Exec { user: "0:0", command: &command, env: &[], directory: "/", idle: None, capture: true };
    let ran = container.exec(exec, |_| ()).await;
    container.remove().await?;
    Ok(ran?.output)
}

fn socket_fix(error: &EngineError) -> &'static str {
    let text = error.to_string();
    if text.contains("ermission denied") {
        "let this user use the socket: run with the socket's group (`group_add` in compose, `--group-add`)"
    } else if text.contains("ocket not found") || text.contains("No such file") {
        "mount the daemon's socket at /var/run/docker.sock, or set DOCKER_HOST"
    } else {
        "start Docker, or correct DOCKER_HOST"
    }
}
