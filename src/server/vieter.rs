//! A Vieter server of any version, over HTTP.
//!
//! Its quirks: it can drop connections under load, answers a lost upload with success, never answers
//! `Expect: 100-continue`, and refuses uploads without a `Content-Length`.

use std::path::PathBuf;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use reqwest::{Body, Method, Response, StatusCode, header};
use serde_json::Value;
use tokio_util::io::{ReaderStream, StreamReader};
use url::Url;

use super::{Contents, List, PackageId, ServerError, Source};
use crate::catalog;
use crate::config::Secret;
use crate::telemetry;

/// The most targets that one request asks for.
const PAGE: usize = 25;
/// A transfer that moves no data for this long has failed.
const STALLED: Duration = Duration::from_secs(120);

/// A Vieter server.
pub struct Vieter {
    client: reqwest::Client,
    /// The address, without a slash at its end.
    address: String,
    key: Secret,
    timeout: Duration,
    attempts: usize,
    /// Whether logs can be sent to it: those of `/api/v1` take them.
    keeps_logs: std::sync::OnceLock<bool>,
}

/// A log to be kept by the server, with what it wants to know of the build.
pub struct BuildLog {
    /// The entry's number in the server's list.
    pub target: i64,
    /// When the build began, in Unix seconds.
    pub start: i64,
    /// When it ended, in Unix seconds.
    pub end: i64,
    /// The architecture.
    pub arch: String,
    /// The exit code of the build.
    pub exit_code: i64,
    /// The file with the log.
    pub file: PathBuf,
}

impl Vieter {
    /// A client for the server at an address.
    ///
    /// # Errors
    /// When the HTTP client cannot be made, for want of TLS roots for example.
    pub fn new(address: &Url, key: Secret, timeout: Duration, attempts: u32) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("vieter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(STALLED)
            // The old generation closes after each answer, and a kept connection that the server has
            // closed meanwhile would fail the next upload.
            .pool_max_idle_per_host(2)
            .http1_only()
            .build()?;
        Ok(Self {
            client,
            address: address.as_str().trim_end_matches('/').to_owned(),
            key,
            timeout,
            attempts: attempts as usize,
            keeps_logs: std::sync::OnceLock::new(),
        })
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, segments: &[&str]) -> String {
        let encoded: Vec<String> = segments.iter().map(|segment| encode(segment)).collect();
        format!("{}/{}", self.address, encoded.join("/"))
    }

    /// Sends one request without a body, once.
    async fn send(&self, method: Method, url: &str, with_key: bool) -> Result<Response, ServerError> {
        let what = format!("{method} {url}");
        let mut request = self.client.request(method.clone(), url);
        if with_key {
            request = request.header("X-Api-Key", secret_header(&self.key));
        }
        let mut request = request.build().map_err(|e| transport(&what, &e))?;
        telemetry::inject(request.headers_mut());
        let sent = tokio::time::timeout(self.timeout, self.client.execute(request)).await;
        let response = match sent {
            Ok(response) => response.map_err(|e| transport(&what, &e))?,
            Err(_) => return Err(no_answer(&what, self.timeout)),
        };
        tracing::debug!(%method, url, status = response.status().as_u16(), "package server answered");
        match response.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(response),
            _ => Err(self.refusal(&what, response).await),
        }
    }

    /// Does something, and does it again where that can help: with pauses, so often in all.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, ServerError>
    where
        F: Future<Output = Result<T, ServerError>>,
    {
        attempt.retry(self.backoff()).when(ServerError::is_transient).await
    }

    fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(self.attempts.saturating_sub(1))
    }

    async fn refusal(&self, what: &str, response: Response) -> ServerError {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return ServerError::Unauthorized { address: self.address.clone() };
        }
        let body = tokio::time::timeout(self.timeout, response.text()).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        ServerError::Refused { what: what.to_owned(), status: status.as_u16(), body }
    }

    async fn json(&self, url: &str) -> Result<Option<Value>, ServerError> {
        Ok(self.json_and_time(url).await?.map(|(value, _)| value))
    }

    /// A document that needs the key, and the server's clock, where it tells; `None` when there is none.
    async fn json_and_time(&self, url: &str) -> Result<Option<(Value, Option<Timestamp>)>, ServerError> {
        let what = format!("GET {url}");
        let attempt = || async {
            let response = self.send(Method::GET, url, true).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let time = time_of(&response);
            let text = response.text().await.map_err(|e| transport(&what, &e))?;
            serde_json::from_str(&text).map(|value| Some((value, time))).map_err(|error| {
                match error.is_eof() {
                    // Without a Content-Length, a connection that is dropped looks like the end.
                    true => {
                        ServerError::Transport { what: what.clone(), why: "the answer ends too early".into() }
                    }
                    false => {
                        ServerError::Nonsense { what: what.clone(), why: format!("is not JSON: {error}") }
                    }
                }
            })
        };
        self.patiently(attempt).await
    }

    /// The server's list: paged from `/api/v1/targets`, or whole from `/api/repos` where there is none.
    ///
    /// # Errors
    /// When the server has neither, refuses, or cannot be reached.
    pub async fn list(&self) -> Result<List, ServerError> {
        let mut list = List::new();
        loop {
            let url = format!("{}/api/v1/targets?limit={PAGE}&offset={}", self.address, list.len());
            let Some(answer) = self.json(&url).await? else { break };
            let page = catalog::parse_targets(&answer)
                .map_err(|why| ServerError::Nonsense { what: format!("GET {url}"), why })?;
            let last = page.len() < PAGE;
            list.extend(page);
            if last {
                let _ = self.keeps_logs.set(true);
                return Ok(list);
            }
        }
        let url = format!("{}/api/repos", self.address);
        let answer = self.json(&url).await?.ok_or_else(|| no_vieter_server(&url))?;
        catalog::parse_repos(&answer).map_err(|why| ServerError::Nonsense { what: format!("GET {url}"), why })
    }

    /// Proves that the address is that of a Vieter server and that it accepts the key, by a look at its list.
    /// Gives the time of its clock, where it tells.
    ///
    /// # Errors
    /// When it cannot be reached, refuses, or is something else.
    pub async fn prove(&self) -> Result<Option<Timestamp>, ServerError> {
        let url = format!("{}/api/v1/targets?limit=1&offset=0", self.address);
        if let Some((_, time)) = self.json_and_time(&url).await? {
            return Ok(time);
        }
        let url = format!("{}/api/repos", self.address);
        let (_, time) = self.json_and_time(&url).await?.ok_or_else(|| no_vieter_server(&url))?;
        Ok(time)
    }

    /// Whether the server has exactly this package: a HEAD request, epoch included.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn has(&self, repo: &str, arch: &str, package: &PackageId) -> Result<bool, ServerError> {
        let name = format!("{}-{}", package.name, package.version);
        let url = self.url(&[repo, arch, &name]);
        let response = self.patiently(|| self.send(Method::HEAD, &url, false)).await?;
        Ok(response.status() != StatusCode::NOT_FOUND)
    }

    /// The database of a repository; `None` when nothing was ever published to it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn database(&self, repo: &str, arch: &str) -> Result<Option<Bytes>, ServerError> {
        let url = self.url(&[repo, arch, &format!("{repo}.db")]);
        let attempt = || async {
            let response = self.send(Method::GET, &url, false).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let bytes = response.bytes().await.map_err(|e| transport(&format!("GET {url}"), &e))?;
            Ok(Some(bytes))
        };
        self.patiently(attempt).await
    }

    /// One package file.
    ///
    /// # Errors
    /// When it cannot be had, or its length is not known.
    pub async fn package(&self, repo: &str, arch: &str, file: &str) -> Result<Contents, ServerError> {
        let url = self.url(&[repo, arch, file]);
        let what = format!("GET {url}");
        let response = self.patiently(|| self.send(Method::GET, &url, false)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(ServerError::Refused { what, status: 404, body: String::new() });
        }
        let size = response
            .content_length()
            .ok_or_else(|| ServerError::Nonsense { what, why: "does not say how long the file is".into() })?;
        let stream = response.bytes_stream().map_err(std::io::Error::other);
        Ok(Contents { size, reader: Box::new(StreamReader::new(Box::pin(stream))) })
    }

    /// Uploads one archive and makes sure that the server shows it afterwards. Returns its size.
    ///
    /// # Errors
    /// When the server refuses it, loses it, or cannot be reached, after all attempts.
    pub async fn publish(
        &self,
        repo: &str,
        arch: &str,
        package: &PackageId,
        source: &impl Source,
    ) -> Result<u64, ServerError> {
        let attempt = || async {
            let size = self.upload(repo, source).await?;
            match self.has(repo, arch, package).await {
                Ok(true) => Ok(size),
                Ok(false) => Err(ServerError::Lost { package: package.to_string() }),
                // Asking was tried often enough; to upload it once more would not help.
                Err(error) => {
                    Err(ServerError::Unconfirmed { package: package.to_string(), why: error.to_string() })
                }
            }
        };
        self.patiently(attempt).await
    }

    async fn upload(&self, repo: &str, source: &impl Source) -> Result<u64, ServerError> {
        let url = self.url(&[repo, "publish"]);
        let what = format!("POST {url}");
        let Contents { size, reader } = source.open().await.map_err(|e| ServerError::Transport {
            what: what.clone(),
            why: format!("cannot read the package from the container: {e:#}"),
        })?;
        let mut request = self
            .client
            .post(&url)
            .header("X-Api-Key", secret_header(&self.key))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .body(Body::wrap_stream(ReaderStream::with_capacity(reader, 128 * 1024)))
            .build()
            .map_err(|e| transport(&what, &e))?;
        telemetry::inject(request.headers_mut());
        let response = self.client.execute(request).await.map_err(|e| transport(&what, &e))?;
        if response.status().is_success() {
            return Ok(size);
        }
        match self.refusal(&what, response).await {
            // A server that has the package already says so with 400.
            ServerError::Refused { status: 400, body, .. } if body.contains("already exists") => Ok(size),
            refusal => Err(refusal),
        }
    }

    /// Whether the server keeps logs, as far as its list has shown.
    pub fn keeps_logs(&self) -> bool {
        self.keeps_logs.get().copied().unwrap_or(false)
    }

    /// Sends the log of a build, to a server that keeps logs.
    ///
    /// # Errors
    /// When the server refuses it or cannot be reached.
    pub async fn send_log(&self, log: &BuildLog) -> Result<(), ServerError> {
        let url = format!(
            "{}/api/v1/logs?startTime={}&endTime={}&exitCode={}&arch={}&target={}",
            self.address,
            log.start,
            log.end,
            log.exit_code,
            encode(&log.arch),
            log.target
        );
        let what = format!("POST {}/api/v1/logs", self.address);
        let attempt = || async {
            let file = tokio::fs::File::open(&log.file).await.map_err(|e| transport_io(&what, &e))?;
            let size = file.metadata().await.map_err(|e| transport_io(&what, &e))?.len();
            let mut request = self
                .client
                .post(&url)
                .header("X-Api-Key", secret_header(&self.key))
                .header(header::CONTENT_LENGTH, size)
                .body(Body::wrap_stream(ReaderStream::new(file)))
                .build()
                .map_err(|e| transport(&what, &e))?;
            telemetry::inject(request.headers_mut());
            let response = self.client.execute(request).await.map_err(|e| transport(&what, &e))?;
            match response.status().is_success() {
                true => Ok(()),
                false => Err(self.refusal(&what, response).await),
            }
        };
        self.patiently(attempt).await
    }
}

/// What it means that the server has a list of neither kind.
fn no_vieter_server(url: &str) -> ServerError {
    let body = "and /api/v1/targets too: is this the address of a Vieter server?";
    ServerError::Refused { what: format!("GET {url}"), status: 404, body: body.into() }
}

/// When the server made an answer, by its own clock.
fn time_of(response: &Response) -> Option<Timestamp> {
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

/// The key as a header that HTTP libraries do not show. `Config` has checked that it can be one.
fn secret_header(key: &Secret) -> header::HeaderValue {
    let mut value =
        header::HeaderValue::from_str(key.expose()).unwrap_or_else(|_| header::HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// One segment of a path. `+`, `:`, `~` and the other characters that a path may contain (RFC 3986,
/// `pchar`) are sent as they are, because old servers do not decode.
fn encode(segment: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
    segment.bytes().fold(String::new(), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// An HTTP library's error with all its causes and without the address, which `what` has already.
fn transport(what: &str, error: &reqwest::Error) -> ServerError {
    let mut why = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        let part = error.to_string();
        if !why.contains(&part) {
            why = if why.is_empty() { part } else { format!("{why}: {part}") };
        }
        cause = error.source();
    }
    if why.is_empty() {
        why = if error.is_timeout() { "no data for too long".into() } else { error.to_string() };
    }
    ServerError::Transport { what: what.to_owned(), why }
}

fn transport_io(what: &str, error: &std::io::Error) -> ServerError {
    ServerError::Transport { what: what.to_owned(), why: error.to_string() }
}

fn no_answer(what: &str, timeout: Duration) -> ServerError {
    let why = format!("no answer after {}", humantime::format_duration(timeout));
    ServerError::Transport { what: what.to_owned(), why }
}
