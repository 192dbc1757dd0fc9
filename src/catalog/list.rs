//! The list of repository entries in each of its forms. One malformed entry is that entry's trouble; the
//! others stand.

use serde_json::{Map, Value};

use super::entry::{self, BadEntry, Entry, Kind};

/// One element of a list.
pub type Parsed = Result<Entry, BadEntry>;

/// Reads a file: a plain array of entries, the object that `/api/repos` answers with, or that
/// object's `data` alone (as the Vieter server keeps it on disk).
///
/// # Errors
/// When it is not JSON, or neither array nor object.
pub fn parse_file(text: &str) -> Result<Vec<Parsed>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("is not valid JSON: {e}"))?;
    match value {
        Value::Array(entries) => Ok(parse_array(&entries)),
        Value::Object(mut object) if object.contains_key("message") && object.contains_key("data") => {
            match object.remove("data") {
                Some(Value::Object(data)) => Ok(parse_object(&data)),
                Some(Value::Array(data)) => Ok(parse_array(&data)),
                _ => Err("has a `data` that is neither array nor object".into()),
            }
        }
        Value::Object(object) => Ok(parse_object(&object)),
        _ => Err("is neither a JSON array nor a JSON object".into()),
    }
}

/// Reads the answer of `/api/repos`: `{"message":..., "data":{"<id>":{...}}}`.
///
/// # Errors
/// When the answer has another form.
pub fn parse_repos(answer: &Value) -> Result<Vec<Parsed>, String> {
    match answer.get("data") {
        Some(Value::Object(data)) => Ok(parse_object(data)),
        _ => Err("has no object `data`".into()),
    }
}

/// Reads one page of `/api/v1/targets`: `{"message":..., "data":[{...}]}`.
///
/// # Errors
/// When the answer has another form.
pub fn parse_targets(answer: &Value) -> Result<Vec<Parsed>, String> {
    match answer.get("data") {
        Some(Value::Array(data)) => Ok(parse_array(data)),
        _ => Err("has no array `data`".into()),
    }
}

fn parse_array(entries: &[Value]) -> Vec<Parsed> {
    let name = |index: usize| format!("entry {} of the list", index + 1);
    entries.iter().enumerate().map(|(i, value)| parse_entry(&name(i), value)).collect()
}

fn parse_object(entries: &Map<String, Value>) -> Vec<Parsed> {
    entries.iter().map(|(id, value)| parse_entry(&format!("entry {id} of the list"), value)).collect()
}

fn parse_entry(name: &str, value: &Value) -> Parsed {
    let bad = |why: String| BadEntry { name: name.to_owned(), why };
    let object = value.as_object().ok_or_else(|| bad("it is not a JSON object".into()))?;
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.trim()),
        Some(_) => Err(bad(format!("its {key} is not a string"))),
    };
    let kind = match text("kind")?.to_ascii_lowercase().as_str() {
        "" | "git" => Kind::Git,
        "url" => Kind::Url,
        other => return Err(bad(format!("its kind {other:?} is neither `git` nor `url`"))),
    };
    let url = entry::check_url(text("url")?, kind).map_err(bad)?;
    // From here on its address says more than its place in the list.
    let bad = |why: String| BadEntry { name: url.to_string(), why };
    let repo = text("repo")?;
    if !entry::is_repo_name(repo) {
        return Err(bad(if repo.is_empty() {
            "it names no pacman repository (`repo`)".into()
        } else {
            format!("its repo {repo:?} is no name of a pacman repository")
        }));
    }
    Ok(Entry {
        kind,
        branch: entry::check_branch(text("branch")?).map_err(bad)?,
        path: entry::check_path(text("path")?).map_err(bad)?,
        arch: parse_arch(object.get("arch")).map_err(bad)?,
        repo: repo.to_owned(),
        target_id: object.get("id").and_then(Value::as_i64),
        url: url.clone(),
    })
}

/// Architectures: strings, or objects with a `value` (`/api/v1`). Empty strings, which old servers give
/// for none, are dropped.
fn parse_arch(value: Option<&Value>) -> Result<Vec<String>, String> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![Value::String(one.clone())],
        Some(Value::Array(list)) => list.clone(),
        Some(_) => return Err("its arch is not a list".into()),
    };
    let mut names = Vec::new();
    for element in &list {
        let name = element.as_str().or_else(|| element.get("value")?.as_str());
        match name.map(str::trim) {
            Some("") => {}
            Some(name) => names.push(name.to_owned()),
            None => return Err("its arch contains something that is no name".into()),
        }
    }
    Ok(names)
}
