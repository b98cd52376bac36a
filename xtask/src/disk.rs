//! Room on the disk: a full one fails tests far from the cause.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{output, target};

/// What a build from nothing, the tests and their clusters took, rounded up.
const NEEDED_GB: u64 = 8;

/// Says so where there is less room than `cargo xtask test` needs from nothing.
pub fn warn() -> Result {
    let folders = [target()?, std::env::temp_dir()];
    for folder in folders {
        match free_gb(&folder) {
            Some(free) if free < NEEDED_GB => println!(
                "{}: {free} GB free; a first run needs about {NEEDED_GB} GB there",
                folder.display()
            ),
            _ => {} // enough, or `df` does not tell
        }
    }
    Ok(())
}

fn free_gb(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    free_of(&output(Command::new("df").arg("-Pk").arg(existing)).ok()?)
}

/// The fourth column of the second line of `df -Pk` (POSIX), in GB.
fn free_of(table: &str) -> Option<u64> {
    let kib: u64 = table
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_room_is_read_from_df() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 263 9 12000000 97% /\n";
        assert_eq!(free_of(table), Some(12));
        assert_eq!(free_of("nonsense"), None);
        assert!(free_gb(Path::new("/nonexistent/folder")).is_some());
    }
}
