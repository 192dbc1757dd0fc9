//! Kept sources, made as good as new ones before makepkg looks at them. makepkg takes a file that is there for the one
//! that is wanted, only warns when a clone cannot be brought up to date, and never asks whether the default branch is
//! another by now: with what an earlier night left, it would find an old version, and all up to date.

use super::StepResult;
use super::session::{As, Session};
use crate::image::{BUILD_HOME, SOURCES};
use crate::sources::MARKER;

/// Keeps those clones that Git has just brought up to date, with the default branch that their origin has now (makepkg
/// clones with `--mirror`), and removes all else. Then becomes the command in its arguments.
const FRESHEN: &str = r#"
sources=$1 marker=$2 && shift 2
for kept in "$sources"/* "$sources"/.[!.]*; do
	[ "$kept" != "$sources/$marker" ] && { [ -e "$kept" ] || [ -L "$kept" ]; } || continue
	[ -d "$kept/objects" ] && [ -f "$kept/HEAD" ] &&
		tip=$(git -C "$kept" ls-remote --symref origin HEAD) &&
		head=$(printf '%s\n' "$tip" | sed -n 's/^ref: \([^[:space:]]*\).*$/\1/p') && [ -n "$head" ] &&
		git -C "$kept" fetch --quiet --all --prune &&
		git -C "$kept" symbolic-ref HEAD "$head" ||
		rm -rf -- "$kept"
done
exec "$@"
"#;

/// The folder of the sources in a container.
pub(super) fn folder() -> String {
    format!("{BUILD_HOME}/{SOURCES}")
}

/// A command that comes after the kept sources in their folder are made fresh.
pub(super) fn and_then<'a>(folder: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    [&["/bin/sh", "-c", FRESHEN, "sh", folder, MARKER], command].concat()
}

impl Session<'_> {
    /// Gets rid of all kept sources.
    pub async fn forget_sources(&self) -> StepResult<()> {
        self.workshop.events.warn("trying once more without the kept sources, which may be why it failed");
        let command = ["find", ".", "-mindepth", "1", "!", "-name", MARKER, "-delete"];
        self.run_command("find -delete", As::Builder, &folder(), &command).await.map(drop)
    }
}
