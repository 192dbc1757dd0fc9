//! Docker: what it is, what its version allows, its clock and its architecture.

use std::sync::Arc;

use jiff::Timestamp;

use super::findings::{Finding, Findings};
use super::{clock, container, host};
use crate::config::Config;
use crate::engine::{self, Engine};
use crate::server::List;

/// The first Docker whose seccomp profile allows Landlock (moby 23.0).
const LANDLOCK_SINCE: u32 = 23;

pub(super) async fn look(config: &Config, engine: &Arc<Engine>, list: &List, findings: &mut Findings) {
    let info = &engine.info;
    findings.add(Finding::good(
        "Docker",
        format!("{} at {}, API {}, {}", info.version, engine::docker_host(), info.api_version, info.arch),
    ));
    findings.add(landlock(&info.version));
    if let Some(time) = engine.system_time().await {
        findings.add(clock("Docker's clock", Timestamp::now().duration_since(time)));
    }
    if let Some(finding) = architecture(list, &info.arch) {
        findings.add(finding);
    }
    findings.extend(host::closed_repositories(config, list, &info.arch));
    container::look(config, engine, findings).await;
}

/// What the daemon's version tells of pacman's download sandbox.
fn landlock(version: &str) -> Finding {
    const WHAT: &str = "Landlock";
    let major = version.trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(LANDLOCK_SINCE..) => {
            let seen =
                format!("the seccomp profile of Docker {version} allows it (the kernel was not examined)");
            Finding::good(WHAT, seen)
        }
        Some(_) => Finding::poor(
            WHAT,
            format!(
                "the seccomp profile of Docker before {LANDLOCK_SINCE} (this is {version}) keeps pacman 7 from \
                 using its download sandbox"
            ),
            "none needed: it is turned off in the builder image; a newer Docker would allow it",
        ),
        None => Finding::poor(
            WHAT,
            format!("not known: the daemon's version, `{version}`, tells nothing"),
            "none needed: where pacman cannot use its download sandbox, it is turned off in the builder image",
        ),
    }
}

/// Whether the list has something for the architecture of the daemon's containers. An empty list is for all.
fn architecture(list: &List, arch: &str) -> Option<Finding> {
    const WHAT: &str = "architecture";
    let entries = list.iter().flatten();
    let (all, ours) =
        entries.fold((0, 0), |(all, ours), entry| (all + 1, ours + usize::from(entry.is_for(arch))));
    match (all, ours) {
        (0, _) => None,
        (_, 0) => Some(Finding::poor(
            WHAT,
            format!("none of the {all} entries is for {arch}, which is what this Docker builds for"),
            format!("add {arch} to the `arch` of the entries, or set DOCKER_HOST to a daemon for theirs"),
        )),
        _ => Some(Finding::good(WHAT, format!("{ours} of {all} entries are for {arch}"))),
    }
}

/// What to do when the daemon cannot be reached. The same words mean different things on different ways to it.
pub(super) fn fix(host: &str, why: &str) -> &'static str {
    let says = |part: &str| why.contains(part);
    let denied = says("ermission denied");
    match host.split_once("://").map_or("unix", |(scheme, _)| scheme) {
        "ssh" if says("Host key verification failed") => {
            "add the other machine's key to this user's known_hosts"
        }
        "ssh" if denied && says("daemon socket") => {
            "let the user of DOCKER_HOST use Docker on the other machine (its group `docker`)"
        }
        "ssh" if denied => "let ssh log in without asking: with a key that the other machine accepts",
        "ssh" => "see what `ssh` to that machine says, and `docker version` on it; or correct DOCKER_HOST",
        "tcp" | "http" | "https" => {
            "start Docker there, or correct DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
        }
        _ if denied => {
            "let this user use the socket: run with the socket's group (`group_add` in compose, `--group-add`)"
        }
        _ if says("ocket not found") || says("No such file") => {
            "mount the daemon's socket at /var/run/docker.sock, or set DOCKER_HOST"
        }
        _ => "start Docker, or correct DOCKER_HOST",
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::State;
    use super::*;

    #[test]
    fn landlock_is_judged_by_what_is_known() {
        let judge = |version| {
            let Finding { state, seen, .. } = landlock(version);
            (state, seen)
        };
        for version in ["23.0.0", "v28.2.2", "28.2.2+dfsg1"] {
            let (state, seen) = judge(version);
            assert!(state == State::Good && seen.contains("kernel was not examined"), "{seen}");
        }
        let (state, seen) = judge("20.10.24+dfsg1");
        assert!(state == State::Poor && seen.contains("before 23 (this is 20.10.24+dfsg1)"), "{seen}");
        for version in ["unknown", "", "dev"] {
            let (state, seen) = judge(version);
            assert!(state == State::Poor && seen.contains("not known"), "{seen}");
        }
    }

    #[test]
    fn a_list_for_other_architectures_is_told() {
        let list = |text: &str| crate::catalog::parse_file(text).expect("a list");
        let judge = |text: &str| {
            let finding = architecture(&list(text), "x86_64")?;
            Some((finding.state, finding.seen))
        };
        assert_eq!(judge("[]"), None);
        let foreign = r#"[{"url": "https://a.example/b", "repo": "c", "arch": ["aarch64"]}]"#;
        let (state, seen) = judge(foreign).expect("a finding");
        assert!(state == State::Poor && seen.contains("none of the 1 entries is for x86_64"), "{seen}");
        for arch in [r#"["aarch64", "x86_64"]"#, r#"["any"]"#, "[]"] {
            let ours = foreign.replace(r#"["aarch64"]"#, arch);
            assert_eq!(judge(&ours).expect("a finding").0, State::Good, "{arch}");
        }
    }

    #[test]
    fn what_to_do_depends_on_the_way_to_docker() {
        let unix = "unix:///var/run/docker.sock";
        for (host, why, part) in [
            (unix, "Permission denied (os error 13)", "--group-add"),
            ("/var/run/docker.sock", "Permission denied (os error 13)", "--group-add"),
            (unix, "Socket not found: /var/run/docker.sock", "mount the daemon's socket"),
            (unix, "Connection refused", "start Docker"),
            (
                "ssh://builder@host",
                "builder@host: Permission denied (publickey).",
                "key that the other machine",
            ),
            ("ssh://host", "Host key verification failed.", "known_hosts"),
            (
                "ssh://host",
                "permission denied while trying to connect to the Docker daemon socket",
                "`docker`)",
            ),
            ("ssh://host", "Could not resolve hostname host", "`ssh` to that machine"),
            ("tcp://host:2376", "Connection refused", "DOCKER_TLS_VERIFY"),
        ] {
            assert!(fix(host, why).contains(part), "{host} {why}: {}", fix(host, why));
        }
    }
}
