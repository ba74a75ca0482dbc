//! Says whether an installed folder was made from these very files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The hash of the files that a folder is installed from.
#[derive(Debug)]
pub(super) struct Stamp {
    file: PathBuf,
    hash: String,
}

impl Stamp {
    /// Of `folder`, installed from `sources` by the tool that calls itself `tool`.
    pub(super) fn new(folder: &Path, tool: &str, sources: &[PathBuf]) -> Result<Self> {
        let mut hasher = Sha256::new();
        hasher.update(tool);
        for source in sources {
            hasher.update(fs::read(source).with_context(|| format!("cannot read {}", source.display()))?);
        }
        let mut hash = String::new();
        for byte in hasher.finalize() {
            write!(hash, "{byte:02x}")?;
        }
        Ok(Self { file: folder.join(".stamp"), hash })
    }

    /// Whether the folder is complete and was made from these sources.
    pub(super) fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|hash| hash == self.hash)
    }

    /// Says that the folder is complete.
    pub(super) fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.hash).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_current_only_for_the_same_sources_and_tool() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("requirements.txt");
        fs::write(&source, "one").unwrap();
        let sources = [source.clone()];
        let stamp = Stamp::new(&folder, "tool 1", &sources).unwrap();
        assert!(!stamp.is_current(), "nothing is installed yet");
        stamp.write().unwrap();
        assert!(stamp.is_current());
        assert!(!Stamp::new(&folder, "tool 2", &sources).unwrap().is_current());
        fs::write(&source, "two").unwrap();
        assert!(!Stamp::new(&folder, "tool 1", &sources).unwrap().is_current());
        fs::remove_dir_all(&folder).unwrap();
    }
}
