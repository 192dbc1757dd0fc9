//! `DOCKER_HOST=ssh://`: as the `docker` command does it, by the `ssh` of this machine (its configuration, keys and
//! known hosts apply) and `docker system dial-stdio` on the other side. Every connection is a process.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bollard::{BollardRequest, Docker};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use url::Url;

/// The most that is kept of what ssh says when it fails.
const LONGEST_WORDS: u64 = 4096;

/// A client for the daemon behind an address such as `ssh://user@host:port`, which may take so many seconds to begin
/// an answer.
pub(super) fn client(address: &str, answer_within: u64) -> Result<Docker, bollard::errors::Error> {
    let connector = Connector { arguments: arguments(address)?.into() };
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move { Ok(client.request(request).await?) }
    };
    // The connector knows where to; this name is only the `Host` of requests, as the `docker` command has it.
    let host = Some("http://docker.example.com");
    Docker::connect_with_custom_transport(transport, host, answer_within, bollard::API_DEFAULT_VERSION)
}

/// The arguments of ssh(1) for an address. Docker knows a user, a host and a port, and nothing else.
fn arguments(address: &str) -> Result<Vec<String>, io::Error> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let url = Url::parse(address).map_err(|error| bad(format!("it is not valid: {error}")))?;
    let host = url.host_str().filter(|host| !host.starts_with('-'));
    let host = host.ok_or_else(|| bad("it names no host".into()))?;
    if url.password().is_some() {
        return Err(bad("a password cannot be given; use a key".into()));
    }
    if !matches!(url.path(), "" | "/") {
        return Err(bad("a path cannot be given; the `docker` command there knows its daemon".into()));
    }
    let mut arguments: Vec<String> =
        ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"].map(str::to_owned).into();
    if !url.username().is_empty() {
        arguments.extend(["-l".to_owned(), url.username().to_owned()]);
    }
    if let Some(port) = url.port() {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    // IPv6 addresses stand in brackets in URLs, and bare here.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    arguments.extend(["--".to_owned(), host]);
    arguments.extend(["docker", "system", "dial-stdio"].map(str::to_owned));
    Ok(arguments)
}

/// Makes connections by starting ssh.
#[derive(Clone)]
struct Connector {
    arguments: Arc<[String]>,
}

impl tower_service::Service<hyper::Uri> for Connector {
    type Response = TokioIo<Tunnel>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: hyper::Uri) -> Self::Future {
        let arguments = Arc::clone(&self.arguments);
        async move { Tunnel::open(&arguments).map(TokioIo::new) }.boxed()
    }
}

/// A running ssh, as a connection. It is ended with it.
struct Tunnel {
    input: ChildStdin,
    output: ChildStdout,
    /// What ssh said on standard error, once it is through.
    words: JoinHandle<String>,
    /// Whether the other side has answered anything.
    answered: bool,
    ended: bool,
    _ssh: Child,
}

impl Tunnel {
    fn open(arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        // A process group of its own: Ctrl-C on a terminal is for us, who clean up through these connections. They
        // end with us in any case, as their input does.
        command.args(arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let no_ssh = |error: io::Error| io::Error::new(error.kind(), format!("cannot run ssh: {error}"));
        let mut ssh = command.spawn().map_err(no_ssh)?;
        let (Some(input), Some(output), Some(errors)) =
            (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
        else {
            return Err(io::Error::other("ssh has no input or output"));
        };
        let words = tokio::spawn(async move {
            let mut words = String::new();
            let mut errors = errors;
            // Whatever could be read before an error is said all the same.
            let _ = (&mut errors).take(LONGEST_WORDS).read_to_string(&mut words).await;
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
        });
        Ok(Self { input, output, words, answered: false, ended: false, _ssh: ssh })
    }
}

impl AsyncRead for Tunnel {
    /// The end before any answer is an error, with ssh's own words: a wrong key, an unknown host, no `docker` there.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if !self.ended {
            ready!(Pin::new(&mut self.output).poll_read(context, buffer))?;
            self.answered |= buffer.filled().len() > before;
            self.ended = !self.answered;
        }
        if !self.ended {
            return Poll::Ready(Ok(()));
        }
        let words = ready!(Pin::new(&mut self.words).poll(context)).unwrap_or_default();
        let why = if words.is_empty() { "it ended without a word".to_owned() } else { words };
        Poll::Ready(Err(io::Error::other(format!("ssh: {why}"))))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

impl Connection for Tunnel {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn user_host_and_port_are_told_apart() {
        let tail =
            |address: &str| arguments(address).map(|words| words[5..].join(" ")).map_err(|e| e.to_string());
        let dial = "docker system dial-stdio";
        assert_eq!(tail("ssh://me@far:2222"), Ok(format!("-l me -p 2222 -- far {dial}")));
        assert_eq!(tail("ssh://far"), Ok(format!("-- far {dial}")));
        assert_eq!(tail("ssh://[::1]:22/"), Ok(format!("-p 22 -- ::1 {dial}")));
    }

    #[test]
    fn what_ssh_cannot_be_told_is_refused() {
        for (address, why) in [
            ("ssh://me:secret@far", "use a key"),
            ("ssh://far/var/run/docker.sock", "a path cannot be given"),
            ("ssh://", "host"),
            ("ssh://-oProxyCommand=x", "host"),
        ] {
            let error = arguments(address).expect_err(address).to_string();
            assert!(error.contains(why), "{address}: {error}");
        }
    }
}
