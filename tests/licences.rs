//! Every dependency of the program may be used under licences that go with `MIT OR Apache-2.0`.

use std::process::Command;

use serde_json::Value;

/// Licences that ask for nothing but their notice; MPL-2.0 also wants its own files, which are used unchanged, to
/// stay under it.
const FINE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Whether an SPDX expression can be satisfied with the fine ones. Brackets bind; `OR` is one of, `AND` all of.
fn is_fine(expression: &str) -> bool {
    let expression = expression.trim().replace('/', " OR ");
    let split = |word: &str| {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
        for (at, c) in expression.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if depth == 0 && expression[at..].starts_with(word) => {
                    parts.push(expression[start..at].to_owned());
                    start = at + word.len();
                }
                _ => {}
            }
        }
        parts.push(expression[start..].to_owned());
        parts
    };
    match (split(" AND "), split(" OR ")) {
        (all, _) if all.len() > 1 => all.iter().all(|part| is_fine(part)),
        (_, any) if any.len() > 1 => any.iter().any(|part| is_fine(part)),
        _ => match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            Some(inner) => is_fine(inner),
            None => FINE.contains(&expression.as_str()),
        },
    }
}

#[test]
fn expressions_are_understood() {
    for fine in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "ISC AND (Apache-2.0 OR ISC)",
    ] {
        assert!(is_fine(fine), "{fine}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0", "(GPL-2.0 OR AGPL-3.0) AND MIT", ""] {
        assert!(!is_fine(bad), "{bad}");
    }
}

#[test]
fn all_dependencies_are_fine() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("run cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("the metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| !is_fine(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
