//! A web server for a few files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use vieter_test_support::docker::bridge_gateway;

/// Serves the files of a folder, on every address of the machine, until it is dropped.
pub struct Web {
    port: u16,
    folder: TempDir,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Web {
    /// One without files.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("vieter-web-").tempdir().expect("make a folder");
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("listen");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, root) = (stopping.clone(), folder.path().to_owned());
        let acceptor = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is its own business.
                let _ = answer(&stream, &root);
            }
        });
        Self { port, folder, stopping, acceptor: Some(acceptor) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its address for programs on this machine.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its address for programs in containers on the default bridge.
    pub fn url_from_container(&self) -> String {
        format!("http://{}:{}", bridge_gateway(), self.port)
    }

    /// Serves a text, and gives its URL for programs on this machine.
    pub fn serve(&self, path: &str, text: &str) -> String {
        let file = self.folder.path().join(path);
        fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("make a folder");
        fs::write(file, text).expect("write a file");
        format!("{}/{path}", self.url())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor up, so that it sees the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn answer(stream: &TcpStream, root: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split_whitespace().nth(1).unwrap_or_default().replace("%3A", ":");
    let file: PathBuf = root.join(path.trim_start_matches('/'));
    let (status, body) = match fs::read(file) {
        Ok(contents) => ("200 OK", contents),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if request.starts_with("HEAD ") { Ok(()) } else { stream.write_all(&body) }
}
