//! Signals and the run's deadline: one thing that everything in progress can wait for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::watch;

use crate::exit_status::ExitStatus;
use crate::outcome::Stop;

/// Tells when, and by what, the run is to be stopped. Cheap to clone.
#[derive(Clone)]
pub struct Shutdown {
    stop: watch::Receiver<Option<Stop>>,
}

impl Shutdown {
    /// Listens for SIGINT and SIGTERM from now on, and for the deadline if there is one. A second signal
    /// ends the process at once with the status of that signal. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn listen(deadline: Option<Duration>) -> io::Result<Self> {
        let already = Arc::new(AtomicBool::new(false));
        for (signal, status) in [(SIGINT, ExitStatus::Interrupted), (SIGTERM, ExitStatus::Terminated)] {
            let code = i32::from(status.code());
            // The order matters: the first signal must find the flag not yet set.
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&already))?;
            signal_hook::flag::register(signal, Arc::clone(&already))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (sender, stop) = watch::channel(None);
        tokio::spawn(async move {
            let deadline = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let why = tokio::select! {
                signal = signals.next() => match signal {
                    Some(SIGINT) => Stop::Interrupted,
                    _ => Stop::Terminated,
                },
                () = deadline => Stop::Deadline,
            };
            sender.send_replace(Some(why));
            // Kept so that the receivers go on seeing the value.
            sender.closed().await;
        });
        Ok(Self { stop })
    }

    /// Waits until the run is to be stopped.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.clone();
        let seen = stop.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        match seen {
            Some(why) => why,
            // The listener is gone without a word, which only happens when the runtime ends.
            None => std::future::pending().await,
        }
    }
}
