//! The base image, and what only a container of it can tell: room, limits, the tools.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;

use super::findings::{Finding, Findings};
use crate::config::{Config, PullPolicy};
use crate::engine::{self, Engine, EngineError, Exec};

/// Less room than this is soon used up by a build.
const LITTLE_ROOM: u64 = 5 << 30;
/// What the finding on the base image is called.
const BASE: &str = "base image";

pub(super) async fn look(config: &Config, engine: &Arc<Engine>, findings: &mut Findings) {
    let (base, ours) = (&config.image.base_image, engine.info.arch.as_str());
    let image = match engine.image(base).await {
        Ok(image) => image,
        Err(error) => {
            findings.add(Finding::bad(BASE, error.to_string(), "see what `docker image ls` says"));
            return;
        }
    };
    // Not every image tells for what it is.
    let theirs = image.as_ref().map(|image| image.arch.as_deref().unwrap_or(ours));
    if theirs == Some(ours) {
        findings.add(Finding::good(BASE, format!("{base} is there")));
        findings.extend(in_a_container(config, engine).await);
        return;
    }
    findings.add(match (config.image.pull, theirs) {
        (PullPolicy::Always, _) | (PullPolicy::Missing, None) => in_registry(base, engine).await,
        (PullPolicy::Never, None) => never_pulled(base),
        (PullPolicy::Missing | PullPolicy::Never, Some(theirs)) => foreign(base, theirs, ours),
    });
    findings.add(Finding::poor(
        "container",
        format!(
            "without {base} for {ours} here, nobody can tell the room for builds, the limit of open files, the \
             image's tools, and whether VIETER_NETWORK is right"
        ),
        format!("`docker pull {base}`, and look once more"),
    ));
}

fn never_pulled(base: &str) -> Finding {
    Finding::bad(
        BASE,
        format!("{base} is not there, and VIETER_PULL=never keeps a run from pulling it"),
        "`docker pull` or `docker load` it, or set VIETER_PULL=missing",
    )
}

async fn in_registry(base: &str, engine: &Engine) -> Finding {
    match engine.architectures_in_registry(base).await {
        Ok(architectures) => pullable(base, &architectures, &engine.info.arch),
        Err(error) => Finding::bad(
            BASE,
            error.to_string(),
            "check VIETER_BASE_IMAGE and the way to its registry, or `docker load` the image",
        ),
    }
}

/// What a registry's answer means for a daemon. Not every registry tells for what an image is.
fn pullable(base: &str, architectures: &[String], ours: &str) -> Finding {
    if architectures.is_empty() || architectures.iter().any(|arch| arch == ours) {
        return Finding::good(BASE, format!("{base} can be pulled"));
    }
    Finding::bad(
        BASE,
        format!("{base} is there for {}, and not for {ours}", architectures.join(", ")),
        format!("set VIETER_BASE_IMAGE to an image for {ours}, or DOCKER_HOST to another daemon"),
    )
}

/// The image on the daemon is for other machines, and no run will pull it anew.
fn foreign(base: &str, theirs: &str, ours: &str) -> Finding {
    Finding::bad(
        BASE,
        format!("the {base} on this daemon is for {theirs}, and not for {ours}"),
        format!(
            "`docker pull {base}` where it is there for {ours}, or set VIETER_BASE_IMAGE to an image for that"
        ),
    )
}

async fn in_a_container(config: &Config, engine: &Arc<Engine>) -> Vec<Finding> {
    let script = "df -Pk / | tail -n 1 | while read -r a b c free rest; do echo \"$free\"; done\n\
                  ulimit -n\n\
                  for tool in pacman makepkg; do command -v $tool >/dev/null || echo $tool; done";
    match ask(config, engine, script).await {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            vec![
                room(lines.first().and_then(|kib| kib.parse().ok())),
                open_files(lines.get(1).unwrap_or(&"nothing"), config.build.nofile.0),
                tools(lines.get(2..).unwrap_or_default()),
            ]
        }
        Err(error) => {
            let why = error.to_string();
            let fix = start_fix(&why);
            vec![Finding::bad("container", why, fix)]
        }
    }
}

/// What to do when no container starts.
fn start_fix(why: &str) -> &'static str {
    // runc says `rlimit type 7`, crun `RLIMIT_NOFILE`.
    if why.to_ascii_lowercase().contains("rlimit") {
        "lower VIETER_NOFILE: the daemon cannot let a process open so many files"
    } else {
        "see whether `docker run` works with the base image and VIETER_NETWORK"
    }
}

/// The limit in a container, as its shell tells it, and the one that was asked for.
fn open_files(seen: &str, asked: u32) -> Finding {
    const WHAT: &str = "open files";
    if seen == asked.to_string() {
        return Finding::good(WHAT, format!("{seen}, as VIETER_NOFILE says"));
    }
    Finding::poor(
        WHAT,
        format!("{seen} in a container, although VIETER_NOFILE is {asked}"),
        "set VIETER_NOFILE to what the daemon can give, or raise the daemon's own limit",
    )
}

fn room(free_kib: Option<u64>) -> Finding {
    const WHAT: &str = "room for builds";
    match free_kib.map(|kib| kib.saturating_mul(1024)) {
        Some(free) if free < LITTLE_ROOM => Finding::poor(
            WHAT,
            format!("{} free where Docker keeps containers", ByteSize(free)),
            "make room; `docker system df` shows what uses it",
        ),
        Some(free) => Finding::good(WHAT, format!("{} free", ByteSize(free))),
        None => Finding::poor(WHAT, "df gives no number", ""),
    }
}

fn tools(missing: &[&str]) -> Finding {
    match missing {
        [] => Finding::good("tools", "the base image has pacman and makepkg"),
        missing => Finding::bad(
            "tools",
            format!("the base image has no {}", missing.join(", ")),
            "set VIETER_BASE_IMAGE to an Arch Linux image",
        ),
    }
}

async fn ask(config: &Config, engine: &Arc<Engine>, script: &str) -> Result<String, EngineError> {
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

#[cfg(test)]
mod tests {
    use super::super::findings::State;
    use super::*;

    #[test]
    fn a_base_image_for_other_machines_is_told() {
        let judge = |architectures: &[&str]| {
            let architectures: Vec<String> = architectures.iter().map(|&arch| arch.to_owned()).collect();
            pullable("archlinux:latest", &architectures, "aarch64").state
        };
        assert_eq!(judge(&["x86_64"]), State::Bad);
        assert_eq!(judge(&["x86_64", "aarch64"]), State::Good);
        assert_eq!(judge(&[]), State::Good);
    }

    #[test]
    fn the_limit_of_open_files_is_compared() {
        assert_eq!(open_files("16384", 16384).state, State::Good);
        for other in ["1024", "unlimited", "nothing"] {
            assert_eq!(open_files(other, 16384).state, State::Poor, "{other}");
        }
        for why in ["error setting rlimit type 7: operation not permitted", "setrlimit `RLIMIT_NOFILE`"] {
            assert!(start_fix(why).starts_with("lower VIETER_NOFILE"), "{why}");
        }
        assert!(start_fix("no such network").contains("VIETER_NETWORK"));
    }
}
