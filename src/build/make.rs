//! Step 4: install the dependencies and run makepkg, with the version of step 2 held.

use super::StepResult;
use super::check::Promises;
use super::makepkg;
use super::session::{As, Session};
use crate::outcome::FailureKind;

impl Session<'_> {
    pub async fn make_step(&self, directory: &str, promises: &Promises) -> StepResult<()> {
        self.install(directory, &promises.dependencies).await?;
        // makepkg runs pkgver() again, after prepare(); what it says then must not move the version any more,
        // and it does not where the PKGBUILD cannot be written.
        let command = ["/bin/sh", "-c", "chmod a-w PKGBUILD && exec makepkg --holdver --noconfirm"];
        let code = self.run_command("makepkg", As::Builder, directory, &command).await?;
        if code == 0 {
            return Ok(());
        }
        let failure = makepkg::failure("the build", code, FailureKind::Build, &self.last_words());
        Err(self.explain(code, failure).await)
    }
}
