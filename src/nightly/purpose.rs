//! What a container was started for.

/// What the first process of a container tells of what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `vieter cron`.
    Scheduler,
    /// `vieter build`.
    OneRun,
    /// Anything else, such as a machine that is no container.
    Unknown,
}

impl Purpose {
    /// What the container in which this process runs is for.
    pub fn of_this_container() -> Self {
        // Where it cannot be read, nothing is known.
        Self::of(&std::fs::read("/proc/1/cmdline").unwrap_or_default())
    }

    /// An init, such as tini, stands before the program in its own arguments.
    fn of(command_line: &[u8]) -> Self {
        let mut words = command_line.split(|byte| *byte == 0);
        let program = words.find(|word| word.rsplit(|byte| *byte == b'/').next() == Some(b"vieter"));
        match (program, words.next()) {
            (Some(_), Some(b"cron" | b"crond")) => Self::Scheduler,
            (Some(_), Some(b"build")) => Self::OneRun,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_tells() {
        for (line, purpose) in [
            ("tini\0--\0vieter\0cron\0", Purpose::Scheduler),
            ("/sbin/docker-init\0--\0tini\0--\0vieter\0crond\0-f\0", Purpose::Scheduler),
            ("/usr/local/bin/vieter\0build\0", Purpose::OneRun),
            ("tini\0--\0vieter\0healthcheck\0", Purpose::Unknown),
            ("tini\0--\0vieter\0", Purpose::Unknown),
            ("/sbin/init\0", Purpose::Unknown),
            ("sleep\0build\0", Purpose::Unknown),
            ("", Purpose::Unknown),
        ] {
            assert_eq!(Purpose::of(line.as_bytes()), purpose, "{line:?}");
        }
    }
}
