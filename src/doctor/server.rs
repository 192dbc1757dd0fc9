//! The package server and the list.

use jiff::Timestamp;

use super::clock;
use super::findings::{Finding, Findings};
use crate::config::Config;
use crate::event::Events;
use crate::run;
use crate::server::vieter::Vieter;
use crate::server::{List, PackageServer};

/// Looks at both, and gives the list where it can be had.
pub(super) async fn look(config: &Config, events: &Events, findings: &mut Findings) -> Option<List> {
    let server = match run::open_server(config) {
        Ok(server) => server,
        Err(error) => {
            findings.add(Finding::bad("package server", error.message, error.hint));
            return None;
        }
    };
    if let PackageServer::Vieter(server) = &server {
        let proven = address_and_key(server, findings).await;
        if !proven && config.server.repos_file.is_none() {
            // To ask it for the list would only tell the same twice.
            return None;
        }
    }
    list(config, &server, events, findings).await
}

/// Whether the server answers and takes the key. Its list may come from a file, but packages go there.
async fn address_and_key(server: &Vieter, findings: &mut Findings) -> bool {
    let proof = server.prove().await;
    let now = Timestamp::now();
    match proof {
        Ok(time) => {
            let seen = format!("{} answers and accepts the API key", server.address());
            findings.add(Finding::good("package server", seen));
            findings.add(match time {
                Some(time) => clock("package server's clock", now.duration_since(time)),
                None => Finding::good("package server's clock", "it does not tell"),
            });
            true
        }
        Err(error) => {
            findings.add(Finding::bad("package server", error.to_string(), error.hint()));
            false
        }
    }
}

async fn list(
    config: &Config,
    server: &PackageServer,
    events: &Events,
    findings: &mut Findings,
) -> Option<List> {
    match run::read_list(config, server, events).await {
        Ok(list) => {
            let bad = list.iter().filter(|entry| entry.is_err()).count();
            let seen = format!("{} entries from {}", list.len(), run::list_source(config));
            findings.add(match bad {
                0 => Finding::good("list", seen),
                _ => Finding::poor(
                    "list",
                    format!("{seen}, {bad} of them malformed"),
                    "correct them; `vieter plan` names each",
                ),
            });
            Some(list)
        }
        Err(error) => {
            findings.add(Finding::bad("list", error.message, error.hint));
            None
        }
    }
}
