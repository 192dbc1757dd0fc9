//! Commands in a container, each with its own exit code.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::{Container, EngineError, failed};

/// A line longer than this is cut into several.
const LONGEST_LINE: usize = 16 * 1024;
/// How much captured output is kept: far more than any answer that is asked for.
const LONGEST_CAPTURE: usize = 4 * 1024 * 1024;
/// After this long without output, look whether the command has ended: a process that it left in the
/// background may keep its output open.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// A command to run in a container.
#[derive(Debug, Clone)]
pub struct Exec<'a> {
    /// The user, by name or number.
    pub user: &'a str,
    /// The command and its arguments. No shell is put around it.
    pub command: &'a [&'a str],
    /// `NAME=value` pairs on top of the image's.
    pub env: &'a [String],
    /// The directory to run in.
    pub directory: &'a str,
    /// How long it may print nothing.
    pub idle: Option<Duration>,
    /// Keep standard output and return it instead of passing it on as lines.
    pub capture: bool,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code.
    pub code: i64,
    /// Its standard output, when it was captured.
    pub output: String,
}

impl Container {
    /// Runs a command to its end and passes on what it prints, line by line.
    ///
    /// # Errors
    /// When the daemon fails, or when the command is silent for longer than it may be. A command that
    /// fails is no error here: see [`Ran::code`].
    pub async fn exec(&self, exec: Exec<'_>, mut on_line: impl FnMut(&str)) -> Result<Ran, EngineError> {
        let docker = &self.engine.docker;
        let program = exec.command.first().copied().unwrap_or_default();
        let run = || failed(format!("run {program} in the container"));
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(exec.env.to_vec()),
            cmd: Some(exec.command.iter().map(|&word| word.to_owned()).collect()),
            user: Some(exec.user.to_owned()),
            working_dir: Some(exec.directory.to_owned()),
            ..Default::default()
        };
        let id = docker.create_exec(&self.id, options).await.map_err(run())?.id;
        let start = StartExecOptions { output_capacity: Some(64 * 1024), ..Default::default() };
        let started = docker.start_exec(&id, Some(start)).await.map_err(run())?;
        let StartExecResults::Attached { mut output, .. } = started else {
            return Err(EngineError::Failed {
                what: format!("run {program} in the container"),
                why: "the daemon did not attach to it".into(),
                status: None,
            });
        };
        let mut captured = Vec::new();
        let mut lines = [Lines::default(), Lines::default()];
        let mut last_output = Instant::now();
        loop {
            match timeout(LOOK_AFTER, output.next()).await {
                Ok(None) => break,
                Ok(Some(chunk)) => {
                    last_output = Instant::now();
                    match chunk.map_err(run())? {
                        LogOutput::StdOut { message } if exec.capture => {
                            let room = LONGEST_CAPTURE.saturating_sub(captured.len());
                            captured.extend_from_slice(&message[..message.len().min(room)]);
                        }
                        LogOutput::StdErr { message } => lines[1].push(&message, &mut on_line),
                        other => lines[0].push(&other.into_bytes(), &mut on_line),
                    }
                }
                Err(_) if self.has_ended(&id).await? => break,
                Err(_) => {
                    if let Some(idle) = exec.idle.filter(|idle| last_output.elapsed() >= *idle) {
                        return Err(EngineError::Silent(idle));
                    }
                }
            }
        }
        lines.iter_mut().for_each(|rest| rest.finish(&mut on_line));
        let code = self.exit_code(&id).await?;
        Ok(Ran { code, output: String::from_utf8_lossy(&captured).into_owned() })
    }

    async fn has_ended(&self, exec_id: &str) -> Result<bool, EngineError> {
        let state = self.engine.docker.inspect_exec(exec_id).await;
        Ok(state.map_err(failed("ask for the state of a command"))?.running == Some(false))
    }

    /// The exit code of a command whose output has ended; the daemon may notice its end a moment later.
    async fn exit_code(&self, exec_id: &str) -> Result<i64, EngineError> {
        let mut pause = Duration::from_millis(5);
        loop {
            let state = self.engine.docker.inspect_exec(exec_id).await;
            let state = state.map_err(failed("ask for the exit code of a command"))?;
            match (state.running, state.exit_code) {
                (Some(false) | None, Some(code)) => return Ok(code),
                _ if pause > Duration::from_secs(10) => {
                    return Err(EngineError::Failed {
                        what: "get the exit code of a command".into(),
                        why: "its output has ended but it is still running".into(),
                        status: None,
                    });
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8], on_line: &mut impl FnMut(&str)) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.0.extend_from_slice(part);
            if self.0.last() == Some(&b'\n') || self.0.len() >= LONGEST_LINE {
                self.finish(on_line);
            }
        }
    }

    fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        if !self.0.is_empty() {
            on_line(String::from_utf8_lossy(&self.0).trim_end_matches(['\n', '\r']));
            self.0.clear();
        }
    }
}
