//! An environment for tests, of variables and files that are nowhere else.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::Environment;

/// Variables, and the files that `_FILE` variables may name.
pub(crate) struct MadeUp {
    variables: Vec<(String, String)>,
    files: HashMap<String, String>,
}

impl MadeUp {
    /// These variables, and no file.
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: variables.collect(), files: HashMap::new() }
    }

    /// The same with a file.
    pub(crate) fn file(mut self, path: &str, contents: &str) -> Self {
        self.files.insert(path.to_owned(), contents.to_owned());
        self
    }
}

impl Environment for MadeUp {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        let contents = path.to_str().and_then(|path| self.files.get(path));
        contents.cloned().ok_or(io::ErrorKind::NotFound.into())
    }
}
