//! One log file an entry, and the end of each log for the other reports.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, LineWriter, Write};
use std::path::{Path, PathBuf};

use crate::telemetry::shorten;

/// Where log files are, relative to the report directory.
const FOLDER: &str = "logs";
/// The log of stage 1. Entries are counted from 1, so it is the first in the listing.
pub(super) const IMAGE_LOG: &str = "logs/00-image.log";
/// What a log that is being written has after its name.
const UNFINISHED: &str = ".part";

/// How many lines of the end of a log go into other reports.
const TAIL_LINES: usize = 30;
/// How long each of these may be, in bytes.
const TAIL_WIDTH: usize = 500;

/// Where the log of an entry is, relative to the report directory: `logs/03-name.log`. `number` is its place
/// from 1 and `total` how many there are, as in [`Event::EntryStarted`](crate::event::Event::EntryStarted).
pub fn log_path(number: usize, total: usize, name: &str) -> String {
    let width = total.to_string().len().max(2);
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._+-@".contains(c) { c } else { '_' };
    let name: String = name.chars().take(100).map(safe).collect();
    format!("{FOLDER}/{number:0width$}-{name}.log")
}

/// Whether a file name is one that [`log_path`] makes.
fn is_log(name: &str) -> bool {
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    let number = name.split('-').next().unwrap_or_default();
    name.ends_with(".log") && number.len() >= 2 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Makes the directory for logs and removes those of the run before. Other files stay.
pub(super) fn prepare(directory: &Path) {
    let folder = directory.join(FOLDER);
    let prepared = (|| {
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(&folder)? {
            let file = file?;
            if file.file_name().to_str().is_some_and(is_log) && !file.file_type()?.is_dir() {
                fs::remove_file(file.path())?;
            }
        }
        io::Result::Ok(())
    })();
    super::warn(&folder, prepared);
}

/// The log file of the entry whose turn it is.
#[derive(Debug)]
pub(super) struct EntryLog {
    path: PathBuf,
    unfinished: PathBuf,
    file: LineWriter<File>,
    result: io::Result<()>,
}

impl EntryLog {
    /// Begins a log file. One that cannot be written is a warning.
    pub fn open(directory: &Path, path: &str) -> Option<Self> {
        let path = directory.join(path);
        let unfinished = path.with_added_extension(&UNFINISHED[1..]);
        let file = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(&unfinished));
        match file {
            Ok(file) => Some(Self { path, unfinished, file: LineWriter::new(file), result: Ok(()) }),
            Err(error) => {
                super::warn(&path, Err(error));
                None
            }
        }
    }

    /// Adds a line, unless one before could not be written.
    pub fn line(&mut self, line: &str) {
        if self.result.is_ok() {
            self.result = writeln!(self.file, "{line}");
        }
    }

    /// Gives the file its name.
    pub fn close(mut self) {
        let result = self.result.and_then(|()| self.file.flush());
        let renamed = fs::rename(&self.unfinished, &self.path);
        super::warn(&self.path, result.and(renamed));
    }
}

/// The last lines of a log.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    pub fn push(&mut self, line: &str) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(shorten(line, TAIL_WIDTH).into_owned());
    }

    pub fn into_lines(self) -> Vec<String> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests;
