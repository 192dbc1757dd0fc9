//! What both generations do alike.

use std::io::Read;
use std::time::{Duration, Instant};

use vieter_test_support::packages::{Compression, archive, compress, tar_of};
use vieter_test_support::vieter_server::{Generation, VieterServer};

use crate::wire::{get, get_with_key, head, key, publish, raw, send};

fn on_all(test: impl Fn(&VieterServer)) {
    Generation::ALL.into_iter().for_each(|generation| test(&VieterServer::start(generation)));
}

fn list_path(server: &VieterServer) -> &'static str {
    match server.generation() {
        Generation::Repos02 => "/api/repos",
        Generation::V1 { .. } => "/api/v1/targets",
    }
}

fn pairs(server: &VieterServer, repo: &str) -> Vec<String> {
    let packages = server.packages(repo, "x86_64").into_iter();
    packages.map(|(name, version)| format!("{name} {version}")).collect()
}

#[test]
fn the_key_goes_into_a_header_of_any_case() {
    on_all(|server| {
        let path = format!("GET {}", list_path(server));
        for name in ["X-Api-Key", "X-API-KEY", "x-api-key"] {
            let header = format!("{name}: {}\r\n", server.api_key());
            assert_eq!(send(server, &path, &header, b"").status, 200);
        }
        assert_eq!(send(server, &path, "X-Api-Key: wrong\r\n", b"").status, 401);
        assert_eq!(send(server, &path, "", b"").status, 401);
    });
}

#[test]
fn publishing_needs_the_key_and_looking_up_does_not() {
    on_all(|server| {
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        let headers = format!("Content-Length: {}\r\n", package.len());
        assert_eq!(send(server, "POST /repo/publish", &headers, &package).status, 401);
        assert_eq!(get(server, "/repo/x86_64/repo.db").status, 404);
        assert_eq!(publish(server, "repo", &package).status, 200);
        assert_eq!(get(server, "/repo/x86_64/repo.db").status, 200);
    });
}

#[test]
fn files_are_found_by_name() {
    on_all(|server| {
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        publish(server, "repo", &package);
        let present = [
            "repo.db",
            "repo.db.tar.gz",
            "repo.files",
            "repo.files.tar.gz",
            "tiny-1.0-1-x86_64.pkg.tar.zst",
            "tiny-1.0-1",
        ];
        for file in present {
            assert_eq!(get(server, &format!("/repo/x86_64/{file}")).status, 200, "{file}");
            let answer = head(server, &format!("/repo/x86_64/{file}"));
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{file}");
        }
        assert_eq!(get(server, "/repo/x86_64/tiny-1.0-1-x86_64.pkg.tar.zst").body, package);
        let desc = get(server, "/repo/x86_64/tiny-1.0-1");
        assert!(desc.text().starts_with("%FILENAME%\ntiny-1.0-1-x86_64.pkg.tar.zst\n\n"));
        let absent = [
            "/repo/x86_64/tiny-1.0-2",
            "/repo/x86_64/tiny",
            "/repo/x86_64/tiny-1.0-1-x86_64.pkg.tar.xz",
            "/repo/x86_64/tiny-1.0-1-x86_64.pkg.tar.zst.sig",
            "/repo/x86_64/repo.db.sig",
            "/repo/x86_64/other.db",
            "/repo/aarch64/repo.db",
            "/never/x86_64/never.db",
        ];
        for path in absent {
            assert_eq!(get(server, path).status, 404, "{path}");
            assert_eq!(head(server, path).status, 404, "{path}");
        }
    });
}

#[test]
fn the_epoch_counts() {
    on_all(|server| {
        publish(server, "repo", &archive("epochy", "2:1.0-1", "x86_64", Compression::Zstd));
        assert_eq!(head(server, "/repo/x86_64/epochy-2:1.0-1").status, 200);
        assert_eq!(head(server, "/repo/x86_64/epochy-2%3A1.0-1").status, 200);
        assert_eq!(head(server, "/repo/x86_64/epochy-1.0-1").status, 404);
        let file = "/repo/x86_64/epochy-2:1.0-1-x86_64.pkg.tar.zst";
        assert_eq!(head(server, file).status, 200);
    });
}

#[test]
fn any_is_stored_under_the_default_architecture_and_all_the_repository_has() {
    on_all(|server| {
        publish(server, "repo", &archive("arm", "1.0-1", "aarch64", Compression::Zstd));
        publish(server, "repo", &archive("every", "1.0-1", "any", Compression::Zstd));
        for arch in ["x86_64", "aarch64"] {
            assert_eq!(head(server, &format!("/repo/{arch}/every-1.0-1")).status, 200);
            let file = format!("/repo/{arch}/every-1.0-1-any.pkg.tar.zst");
            assert_eq!(get(server, &file).status, 200);
        }
        assert_eq!(head(server, "/repo/any/every-1.0-1").status, 404);
        assert_eq!(head(server, "/repo/any/repo.db").status, 404);
        assert_eq!(head(server, "/repo/armv7h/every-1.0-1").status, 404);
    });
}

#[test]
fn every_compression_is_read_and_named() {
    let kinds = [
        (Compression::Zstd, ".pkg.tar.zst"),
        (Compression::Gzip, ".pkg.tar.gz"),
        (Compression::Xz, ".pkg.tar.xz"),
        (Compression::None, ".pkg.tar"),
    ];
    on_all(|server| {
        for (compression, extension) in kinds {
            let answer = publish(server, "repo", &archive("tiny", "1-1", "x86_64", compression));
            assert_eq!(answer.status, 200, "{compression:?}");
            let file = format!("/repo/x86_64/tiny-1-1-x86_64{extension}");
            assert_eq!(get(server, &file).status, 200, "{file}");
        }
    });
}

#[test]
fn a_length_is_required() {
    on_all(|server| {
        let chunked = format!("{}Transfer-Encoding: chunked\r\n", key(server));
        let answer = send(server, "POST /repo/publish", &chunked, b"3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(answer.status, 411);
        assert_eq!(send(server, "POST /repo/publish", &key(server), b"abc").status, 411);
    });
}

#[test]
fn an_expectation_is_never_answered() {
    on_all(|server| {
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        let length = package.len();
        let headers = format!("{}Content-Length: {length}\r\nExpect: 100-continue\r\n", key(server));
        let started = Instant::now();
        let answer = send(server, "POST /repo/publish", &headers, &package);
        assert_eq!(answer.status, 200, "the first line is the answer itself");
        assert!(started.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn publishing_replaces_whatever_was_there() {
    on_all(|server| {
        for version in ["1.0-1", "2.0-1", "1.0-1", "1.0-1"] {
            let package = archive("tiny", version, "x86_64", Compression::Zstd);
            assert_eq!(publish(server, "repo", &package).status, 200);
            assert_eq!(pairs(server, "repo"), [format!("tiny {version}")]);
        }
        assert_eq!(head(server, "/repo/x86_64/tiny-2.0-1").status, 404);
    });
}

#[test]
fn the_names_are_taken_from_inside() {
    on_all(|server| {
        let info = "pkgname = inner\npkgbase = outer\npkgver = 3-1\narch = x86_64\n";
        let package = compress(&tar_of(&[(".PKGINFO", info)]), Compression::Zstd);
        publish(server, "repo", &package);
        assert_eq!(head(server, "/repo/x86_64/inner-3-1").status, 200);
        assert_eq!(head(server, "/repo/x86_64/outer-3-1").status, 404, "the base has no entry");
    });
}

#[test]
fn an_archive_without_pkginfo_becomes_a_dash() {
    on_all(|server| {
        let package = compress(&tar_of(&[("usr/file", "text")]), Compression::Zstd);
        assert_eq!(publish(server, "repo", &package).status, 200);
        assert_eq!(head(server, "/repo/x86_64/-").status, 200);
    });
}

#[test]
fn what_is_no_archive_is_refused() {
    let whole = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
    on_all(|server| {
        for bad in [&b""[..], b"garbage", &whole[..whole.len() / 2]] {
            assert_eq!(publish(server, "repo", bad).status, 500);
        }
        let plain = archive("tiny", "1.0-1", "x86_64", Compression::None);
        assert_eq!(publish(server, "repo", &plain[..600]).status, 500);
        assert!(pairs(server, "repo").is_empty());
    });
}

#[test]
fn a_malformed_request_gets_no_answer() {
    on_all(|server| {
        assert!(raw(server, b"nonsense\r\n\r\n").is_none());
        assert!(raw(server, b"GET / HTTP/1.1\r\nno colon\r\n\r\n").is_none());
        assert_eq!(get_with_key(server, list_path(server)).status, 200, "and it lives on");
    });
}

#[test]
fn the_database_holds_an_entry_a_package() {
    on_all(|server| {
        publish(server, "repo", &archive("one", "1:1.0-1", "x86_64", Compression::Gzip));
        publish(server, "repo", &archive("two", "2.0-1", "any", Compression::Xz));
        let database = get(server, "/repo/x86_64/repo.db").body;
        let paths = |bytes: &[u8]| {
            let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
            let entries = tar.entries().expect("a tar").map(|entry| {
                let mut entry = entry.expect("an entry");
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                (entry.path().expect("a path").display().to_string(), text)
            });
            entries.collect::<Vec<_>>()
        };
        let entries = paths(&database);
        assert_eq!(entries[0].0, "one-1:1.0-1/desc");
        assert_eq!(entries[1].0, "two-2.0-1/desc");
        for key in ["NAME", "BASE", "VERSION", "DESC", "CSIZE", "ISIZE", "SHA256SUM", "ARCH"] {
            assert!(entries[0].1.contains(&format!("%{key}%\n")), "{key}");
        }
        assert_eq!(paths(&get(server, "/repo/x86_64/repo.db.tar.gz").body), entries);
        let files = paths(&get(server, "/repo/x86_64/repo.files").body);
        let (path, text) = &files[1];
        assert_eq!(path, "one-1:1.0-1/files");
        assert_eq!(text, "%FILES%\nusr/share/one/version\n");
    });
}
