//! The repository's text files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold nothing of the repository.
const FOREIGN: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];

/// A file with its text.
#[derive(Debug)]
pub(super) struct TextFile {
    /// From the repository's root.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Every text file under `root`, sorted by path.
pub(super) fn read(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<TextFile>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !FOREIGN.contains(&name.as_ref()) {
                collect(root, &path, files)?;
            }
        } else if let Ok(text) = String::from_utf8(fs::read(&path)?) {
            files.push(TextFile { path: path.strip_prefix(root)?.to_path_buf(), text });
        }
    }
    Ok(())
}
