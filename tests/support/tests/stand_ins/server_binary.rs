use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::program::{Finished, Signal, Vieter};

fn stand_in() -> Vieter {
    Vieter::new(env!("CARGO_BIN_EXE_vieter-server-stand-in"))
}

fn get(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.trim().replace("http://", "")).expect("connect");
    let request = format!("GET {path} HTTP/1.1\r\nX-Api-Key: hush\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn it_serves_a_list_and_packages() {
    let dir = tempfile::tempdir().expect("a folder");
    let repos = dir.path().join("repos.json");
    let list = r#"{"an-id":{"url":"https://git.example/tiny","arch":["x86_64"],"repo":"vieter"}}"#;
    std::fs::write(&repos, list).expect("a file");
    let package = dir.path().join("package");
    std::fs::write(&package, archive("tiny", "1-1", "any", Compression::Gzip)).expect("a file");
    let package = format!("vieter:{}", package.display());
    let running = ["--generation", "0.2", "--api-key", "hush", "--package", &package, "--repos"]
        .into_iter()
        .fold(stand_in(), Vieter::arg)
        .arg(repos)
        .spawn();
    let end = Instant::now() + Duration::from_secs(10);
    while !running.stdout().ends_with('\n') {
        assert!(Instant::now() < end, "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
    let url = running.stdout();
    assert!(get(&url, "/api/repos").contains("https://git.example/tiny"));
    assert!(get(&url, "/vieter/x86_64/tiny-1-1").starts_with("HTTP/1.1 200"));
    running.signal(Signal::TERM);
    running.wait(Duration::from_secs(5)).assert_code(0);
}

#[test]
fn wrong_options_are_named() {
    let refused = |finished: Finished| {
        finished.assert_code(64);
        finished.stderr
    };
    let text = refused(stand_in().arg("--generation").arg("1.0").run());
    assert!(text.starts_with("--generation: no such generation\n"), "{text}");
    let text = refused(stand_in().arg("--port").run());
    assert!(text.starts_with("--port: a value is missing\n"), "{text}");
}
