//! Finding the daemon and agreeing on an API version.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::Docker;
use tokio::time::Instant;

use super::{DaemonInfo, Engine, EngineError};

/// How long to wait between two looks for a daemon that is not up yet.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How long one try may take in any case: a host that drops packets would hold it for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the daemon that `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` name, and waits
/// up to `wait` for it to come up (a Docker-in-Docker sidecar may start after us) and to answer. `waiting` is told
/// once, with the reason, when it is not there at first.
///
/// # Errors
/// When there is no daemon to talk to after that time.
pub async fn connect(
    run_id: &str,
    wait: Duration,
    mut waiting: impl FnMut(&EngineError),
) -> Result<Arc<Engine>, EngineError> {
    let give_up = Instant::now() + wait;
    let mut told = false;
    loop {
        let limit = give_up.saturating_duration_since(Instant::now()).max(PATIENCE);
        let tried = tokio::time::timeout(limit, try_connect(run_id)).await;
        match tried.unwrap_or_else(|_| Err(no_answer(limit))) {
            Ok(engine) => return Ok(Arc::new(engine)),
            Err(error) if Instant::now() >= give_up => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    waiting(&error);
                }
                tokio::time::sleep(RETRY_EVERY).await;
            }
        }
    }
}

fn no_answer(limit: Duration) -> EngineError {
    let limit = limit.as_secs_f64();
    let why = format!("it gave no answer within {limit:.0} s; VIETER_DOCKER_WAIT lets it take longer");
    EngineError::Unreachable { host: docker_host(), why }
}

async fn try_connect(run_id: &str) -> Result<Engine, EngineError> {
    let host = docker_host();
    let unreachable =
        |error: bollard::errors::Error| EngineError::Unreachable { host: host.clone(), why: chain(&error) };
    let docker = open(&host).map_err(unreachable)?;
    let docker = docker.negotiate_version().await.map_err(unreachable)?;
    let version = docker.version().await.map_err(unreachable)?;
    let info = DaemonInfo {
        version: version.version.unwrap_or_else(|| "unknown".into()),
        api_version: docker.client_version().to_string(),
        arch: pacman_arch(&version.arch.unwrap_or_default()).to_owned(),
    };
    Ok(Engine {
        docker,
        info,
        run_id: run_id.to_owned(),
        live: Mutex::default(),
        background: Mutex::default(),
    })
}

/// Where the daemon is looked for.
pub fn docker_host() -> String {
    std::env::var("DOCKER_HOST")
        .ok()
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "unix:///var/run/docker.sock".into())
}

/// How long the daemon may take to begin an answer, in seconds.
const ANSWER_WITHIN: u64 = 120;

/// `tcp://` with `DOCKER_TLS_VERIFY` set to something means TLS, as for the `docker` command;
/// `DOCKER_CERT_PATH` alone, or an empty variable, does not.
fn open(host: &str) -> Result<Docker, bollard::errors::Error> {
    let verify = std::env::var_os("DOCKER_TLS_VERIFY").is_some_and(|v| !v.is_empty());
    match host.split_once("://") {
        Some(("tcp", _)) if verify => Docker::connect_with_ssl_defaults(),
        Some(("tcp" | "http", _)) => {
            Docker::connect_with_http(host, ANSWER_WITHIN, bollard::API_DEFAULT_VERSION)
        }
        Some(("ssh", _)) => super::ssh::client(host, ANSWER_WITHIN),
        _ => Docker::connect_with_host(host),
    }
}

/// The whole chain of an error's causes, without repetitions.
pub(super) fn chain(error: &bollard::errors::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}

/// Go's name of an architecture, as the daemon gives it, in the words of pacman.
pub(super) fn pacman_arch(go_arch: &str) -> &str {
    match go_arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "arm" => "armv7h",
        "386" => "i686",
        "loong64" => "loong64",
        other => other,
    }
}
