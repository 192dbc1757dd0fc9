//! Looks at everything that a run needs, and says how to mend what is wrong. Changes nothing.

mod container;
mod docker;
mod findings;
mod host;
mod server;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::SignedDuration;

pub use findings::Findings;

use crate::config::Config;
use crate::engine::{self, Engine};
use crate::event::Events;
use crate::outcome::Stop;
use crate::shutdown::Shutdown;
use findings::Finding;

/// Clocks further apart than this spoil signatures, certificates and the age of images.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// How long removing the container may take.
const CLEAN_UP: Duration = Duration::from_secs(8);

/// Looks at everything, one thing after the other, and leaves nothing behind.
///
/// # Errors
/// What stopped it before it was through.
pub async fn examine(
    config: &Config,
    run_id: &str,
    events: &Events,
    shutdown: &Shutdown,
) -> Result<Findings, Stop> {
    let engine = OnceLock::new();
    let looked = tokio::select! {
        findings = look(config, run_id, events, &engine) => Ok(findings),
        by = shutdown.stopped() => Err(by),
    };
    if let Some(engine) = engine.get() {
        // What cannot be removed now, the next run removes.
        let _ = tokio::time::timeout(CLEAN_UP, engine.remove_all()).await;
    }
    looked
}

async fn look(config: &Config, run_id: &str, events: &Events, engine: &OnceLock<Arc<Engine>>) -> Findings {
    let mut findings = Findings::default();
    findings.add(host::git().await);
    findings.extend(host::directories(config));
    findings.extend(host::files(config));
    let list = server::look(config, events, &mut findings).await;
    match engine::connect(run_id, config.docker.docker_wait.0, |_| ()).await {
        Ok(connected) => {
            let engine = engine.get_or_init(|| connected);
            docker::look(config, engine, &list.unwrap_or_default(), &mut findings).await;
        }
        Err(error) => {
            let why = error.to_string();
            let fix = docker::fix(&engine::docker_host(), &why);
            findings.add(Finding::bad("Docker", why, fix));
        }
    }
    findings
}

/// What a clock means that is so far from ours.
fn clock(what: &'static str, skew: SignedDuration) -> Finding {
    let seen = format!("{} s from ours", skew.as_secs());
    if skew.abs() <= SKEW {
        Finding::good(what, seen)
    } else {
        Finding::poor(what, seen, "let both machines set their clocks by NTP")
    }
}
