//! Looking at many repositories at once without asking one host too much, or waiting for a dead one again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{GitUrl, git};
use crate::outcome::{Failure, FailureKind};

/// How long a place may be out of reach, whoever asks, until nobody asks any more. Less than that is a bad moment.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many questions all hosts together, and each of them, get at once; and what is out of reach.
pub struct Hosts {
    all: Semaphore,
    at_one: usize,
    patience: Duration,
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// By scheme, host and port: another port of the host may answer.
    places: Mutex<HashMap<String, Place>>,
}

#[derive(Clone)]
enum Place {
    /// It was asked first at this time.
    Asked(Instant),
    /// It answered somebody in this run.
    Answers,
    /// It never answered, for longer than there is patience; what was said in the end.
    Dead(String),
}

impl Hosts {
    /// Nobody was asked yet.
    pub fn new(at_once: usize, at_one: usize) -> Self {
        Self {
            all: Semaphore::new(at_once),
            at_one,
            patience: PATIENCE,
            turns: Mutex::default(),
            places: Mutex::default(),
        }
    }

    /// Asks a host when its turn has come. Local paths, without a host, wait for none.
    ///
    /// # Errors
    /// What the question comes to; at once when nobody was answered there before.
    pub async fn ask<T>(
        &self,
        url: &GitUrl,
        question: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let turns = self.turns(url.host());
        // Neither is ever closed. The host's turn first: who waits for a slow host is in nobody else's way.
        let _turn = if url.host().is_empty() { None } else { turns.acquire().await.ok() };
        let _slot = self.all.acquire().await.ok();
        let origin = url.origin();
        if let Place::Dead(why) = self.begin(&origin) {
            let message = format!("{origin} is out of reach, as for other entries: {why}");
            return Err(Failure::new(FailureKind::Clone, message)
                .hint("check the network and the host; the next run tries again"));
        }
        let answer = question.await;
        match &answer {
            Err(failure) if git::is_out_of_reach(failure) => self.failed(&origin, failure),
            _ => self.note(&origin, Place::Answers),
        }
        answer
    }

    fn turns(&self, host: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.at_one))))
    }

    fn begin(&self, origin: &str) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(origin.to_owned()).or_insert_with(|| Place::Asked(Instant::now())).clone()
    }

    fn note(&self, origin: &str, place: Place) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(origin.to_owned(), place);
    }

    fn failed(&self, origin: &str, failure: &Failure) {
        if matches!(self.begin(origin), Place::Asked(since) if since.elapsed() >= self.patience) {
            self.note(origin, Place::Dead(failure.message.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Kind;

    fn hosts(patience: Duration) -> Hosts {
        Hosts { patience, ..Hosts::new(2, 1) }
    }

    fn url(text: &str) -> GitUrl {
        crate::catalog::entry::check_url(text, Kind::Git).expect("an address")
    }

    async fn fails(hosts: &Hosts, text: &str) -> Failure {
        let failure = Failure::new(FailureKind::Clone, "fatal: Could not resolve host: gone".to_owned());
        let answer: Result<(), Failure> = hosts.ask(&url(text), async { Err(failure) }).await;
        answer.expect_err("it fails")
    }

    #[tokio::test]
    async fn what_is_dead_is_asked_no_more_and_another_port_is() {
        let hosts = hosts(Duration::ZERO);
        fails(&hosts, "https://gone/a").await;
        let unasked: Result<(), Failure> =
            hosts.ask(&url("https://gone/b"), async { panic!("it is asked again") }).await;
        let failure = unasked.expect_err("it is dead");
        assert!(failure.message.contains("https://gone is out of reach"), "{failure}");
        assert!(hosts.ask(&url("https://gone:8443/a"), async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_bad_moment_is_not_the_end() {
        let patient = hosts(PATIENCE);
        fails(&patient, "https://busy/a").await;
        assert!(patient.ask(&url("https://busy/b"), async { Ok(()) }).await.is_ok());
        let impatient = hosts(Duration::ZERO);
        assert!(impatient.ask(&url("https://busy/a"), async { Ok(()) }).await.is_ok());
        fails(&impatient, "https://busy/b").await;
        assert!(impatient.ask(&url("https://busy/c"), async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_a_slow_host_takes_nobody_s_place() {
        let hosts = hosts(PATIENCE);
        let (slow, quick) = (url("https://slow/a"), url("https://quick/a"));
        let forever = || hosts.ask::<()>(&slow, std::future::pending());
        tokio::select! {
            biased;
            _ = forever() => unreachable!("it never ends"),
            _ = forever() => unreachable!("it never ends"),
            answer = hosts.ask(&quick, async { Ok(()) }) => assert!(answer.is_ok()),
        }
    }
}
