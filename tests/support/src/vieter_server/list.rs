//! The list of repository entries a stand-in server hands out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One repository entry: a `Target` of 0.4 and later, a `GitRepo` (without kind and path) before.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Target {
    /// `git`, or `url` for the URL of one PKGBUILD file.
    pub kind: String,
    /// Where the PKGBUILD comes from.
    pub url: String,
    /// Empty: the default branch.
    pub branch: String,
    /// The pacman repository to publish to.
    pub repo: String,
    /// A folder in the Git repository; empty: its root.
    pub path: String,
    /// A cron expression, or empty.
    pub schedule: String,
    /// The architectures to build for.
    pub arch: Vec<String>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            kind: "git".to_string(),
            url: String::new(),
            branch: String::new(),
            repo: String::new(),
            path: String::new(),
            schedule: String::new(),
            arch: vec!["x86_64".to_string()],
        }
    }
}

impl Target {
    /// A Git repository to publish to `repo`: default branch, root folder, x86_64.
    pub fn git(url: impl Into<String>, repo: &str) -> Self {
        Self { url: url.into(), repo: repo.to_string(), ..Self::default() }
    }

    /// A single PKGBUILD file to publish to `repo`.
    pub fn url(url: impl Into<String>, repo: &str) -> Self {
        Self { kind: "url".to_string(), ..Self::git(url, repo) }
    }

    /// Sets the branch.
    pub fn branch(self, branch: &str) -> Self {
        Self { branch: branch.to_string(), ..self }
    }

    /// Sets the folder.
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_string(), ..self }
    }

    /// Sets the architectures.
    pub fn arch(self, arches: &[&str]) -> Self {
        Self { arch: arches.iter().map(|arch| arch.to_string()).collect(), ..self }
    }

    /// As an element of `/api/v1/targets`.
    pub fn to_v1(&self, id: usize) -> Value {
        let arches = self.arch.iter().enumerate();
        let arches = arches.map(|(at, value)| json!({"id": id * 10 + at, "target_id": id, "value": value}));
        json!({
            "id": id, "kind": self.kind, "url": self.url, "branch": self.branch,
            "repo": self.repo, "schedule": self.schedule, "path": self.path,
            "arch": arches.collect::<Vec<_>>(),
        })
    }

    /// As a value of `/api/repos` and of the repos file.
    pub fn to_repos(&self) -> Value {
        json!({
            "url": self.url, "branch": self.branch, "arch": self.arch,
            "repo": self.repo, "schedule": self.schedule,
        })
    }
}

/// The id the stand-in gives the `index`th entry (from 0) of `/api/repos`.
pub fn repo_uuid(index: usize) -> String {
    format!("00000000-0000-4000-8000-{:012}", index + 1)
}

/// What the list request is answered from.
pub(super) enum List {
    /// Elements of `/api/v1/targets` or values of `/api/repos`, handed out one by one.
    Entries(Vec<Value>),
    /// The repos file as it is on disk (generation `/api/repos` only).
    ReposFile(String),
    /// The body of the answer, whatever it is.
    Answer(String),
}

/// The `data` of `/api/repos`; `None` when the file on disk is broken.
pub(super) fn repos_data(list: &List, with_schedule: bool) -> Option<Value> {
    let mut repos = match list {
        List::Entries(entries) => {
            let entries = entries.iter().cloned().enumerate();
            entries.map(|(index, entry)| (repo_uuid(index), entry)).collect()
        }
        List::ReposFile(text) => serde_json::from_str::<Map<String, Value>>(text).ok()?,
        List::Answer(_) => return None,
    };
    for repo in repos.values_mut() {
        *repo = completed(repo, with_schedule);
    }
    Some(Value::Object(repos))
}

/// The server reads its file into a struct of strings: what is null or missing comes out empty.
fn completed(repo: &Value, with_schedule: bool) -> Value {
    let empty = Target { arch: Vec::new(), ..Target::default() }.to_repos();
    let Value::Object(mut fields) = empty else {
        return repo.clone();
    };
    match repo {
        Value::Object(given) => {
            let given = given.iter().filter(|(_, value)| !value.is_null());
            fields.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        }
        Value::Null => {}
        other => return other.clone(),
    }
    if !with_schedule {
        fields.shift_remove("schedule");
    }
    Value::Object(fields)
}

/// The page of `/api/v1/targets` that `query` asks for; filters of 0.6 only with `filters`.
pub(super) fn v1_page<'q, Q>(entries: &[Value], filters: bool, query: Q) -> Vec<Value>
where
    Q: Fn(&str) -> Option<String> + 'q,
{
    let number = |name: &str, default| query(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let wanted = |entry: &&Value| {
        let has = |key: &str, test: &dyn Fn(&str) -> bool| entry[key].as_str().is_some_and(test);
        let arch = |value: &str| {
            let arches = entry["arch"].as_array();
            arches.is_some_and(|arches| arches.iter().any(|arch| arch["value"] == value))
        };
        query("repo").is_none_or(|repo| has("repo", &|value| value == repo))
            && (!filters || query("query").is_none_or(|part| has("url", &|url| url.contains(&part))))
            && (!filters || query("arch").is_none_or(|value| arch(&value)))
    };
    entries.iter().filter(wanted).skip(number("offset", 0)).take(number("limit", 25)).cloned().collect()
}
