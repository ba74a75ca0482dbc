//! Which file a worker's ledger is.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use worker::{Ledger, LedgerError};

/// The folder of ours in the directory that the platform has for programs' state.
const FOLDER: &str = "mcp-proxy";

/// How many workers of one machine may take requests from the same place without naming their ledgers.
const SLOTS: usize = 64;

/// What to do where there is no place.
const REMEDY: &str = "name a file that can be written with --ledger FILE or worker.ledger";

/// Where programs keep state that outlives them, as these variables say (XDG Base Directory Specification, `XDG_STATE_HOME`).
pub(crate) fn state_directory(variables: &[(String, String)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))
}

/// Opens the ledger: the file that is configured, or the first that no other worker has of those that belong to this intake.
/// `longest` is the longest that a call may take.
///
/// # Errors
/// The file that it would be, and what to do.
pub(crate) fn open(
    configured: Option<&Path>,
    state: Option<&Path>,
    intake: &str,
    longest: Duration,
) -> anyhow::Result<(Ledger, PathBuf)> {
    if let Some(path) = configured {
        let ledger = Ledger::open_for_calls_of(path, longest).with_context(|| cannot(path))?;
        return Ok((ledger, path.to_owned()));
    }
    let Some(state) = state else {
        bail!("there is no place for the ledger, since neither XDG_STATE_HOME nor HOME is set: {REMEDY}");
    };
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| cannot(&folder))?;
    for slot in 0..SLOTS {
        let path = folder.join(format!("worker-{}-{slot}.redb", short_hash(intake)));
        match Ledger::open_for_calls_of(&path, longest) {
            Ok(ledger) => return Ok((ledger, path)),
            // Another worker that lives has it.
            Err(LedgerError::Locked { .. }) => {}
            Err(error) => return Err(error).with_context(|| cannot(&path)),
        }
    }
    bail!("{SLOTS} workers have a ledger in {} already: {REMEDY}", folder.display())
}

/// Whether a worker could have a ledger now, in words. A file or folder that was not there is not there afterwards: whoever looks need
/// not be who runs the worker, who could not write into a folder of somebody else's.
///
/// # Errors
/// As those of [`open`].
pub(crate) async fn try_out(
    configured: Option<&Path>,
    state: Option<&Path>,
    intake: &str,
) -> anyhow::Result<String> {
    let folder = state.map(|state| state.join(FOLDER));
    let known: Vec<PathBuf> = match configured {
        Some(path) if path.exists() => vec![path.to_owned()],
        Some(_) => Vec::new(),
        None => folder.iter().flat_map(|folder| files(folder)).collect(),
    };
    let missing = match (configured, &folder) {
        (Some(path), _) => missing_folders(path),
        (None, Some(folder)) => missing_folders(&folder.join("worker")),
        (None, None) => Vec::new(),
    };
    let (path, was_there) = match open(configured, state, intake, Duration::ZERO) {
        Ok((ledger, path)) => {
            ledger.close().await;
            let was_there = known.contains(&path);
            (path, was_there)
        }
        Err(error) => match error.downcast_ref::<LedgerError>() {
            Some(LedgerError::Locked { path }) => {
                return Ok(format!("{path} is in use by a worker that runs"));
            }
            _ => return Err(error),
        },
    };
    if !was_there {
        fs::remove_file(&path).with_context(|| format!("{} cannot be removed again", path.display()))?;
        for folder in missing {
            // Somebody may have put something else there meanwhile.
            drop(fs::remove_dir(folder));
        }
    }
    Ok(format!("{} can be written", path.display()))
}

/// The folders that are made for this file, the innermost first.
fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    folders.take_while(|folder| !folder.exists()).map(Path::to_owned).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn cannot(path: &Path) -> String {
    format!("the ledger {} cannot be used; {REMEDY}", path.display())
}

/// What tells the ledgers of different intakes from each other.
fn short_hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    format!("{:08x}", u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "http://127.0.0.1:4566/000000000000/requests";

    #[test]
    fn state_is_where_the_platform_has_it() {
        let of = |pairs: &[(&str, &str)]| {
            let variables: Vec<_> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            state_directory(&variables)
        };
        assert_eq!(of(&[("HOME", "/home/a")]), Some(PathBuf::from("/home/a/.local/state")));
        assert_eq!(of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")]), Some(PathBuf::from("/state")));
        // Relative paths are to be ignored, says the specification.
        assert_eq!(
            of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "state")]),
            Some(PathBuf::from("/home/a/.local/state"))
        );
        assert_eq!(of(&[]), None);
    }

    #[tokio::test]
    async fn the_next_worker_gets_the_next_file_and_the_next_run_the_same() {
        let state = tempfile::tempdir().unwrap();
        let open = || open(None, Some(state.path()), QUEUE, Duration::from_mins(1)).unwrap();
        let (first, first_path) = open();
        let (second, second_path) = open();
        assert_ne!(first_path, second_path);
        assert_ne!(first.instance(), second.instance());
        let instance = first.instance().clone();
        first.close().await;
        second.close().await;
        let (again, path) = open();
        assert_eq!((again.instance(), path), (&instance, first_path));
        let other = super::open(None, Some(state.path()), "elsewhere", Duration::from_mins(1)).unwrap().1;
        assert_ne!(other.file_name(), second_path.file_name());
    }

    #[tokio::test]
    async fn looking_leaves_nothing_behind_and_takes_nothing_away() {
        let state = tempfile::tempdir().unwrap();
        let look =
            async |configured: Option<&Path>| try_out(configured, Some(state.path()), QUEUE).await.unwrap();
        assert!(look(None).await.ends_with("-0.redb can be written"));
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
        let nowhere = state.path().join("not/there");
        assert!(try_out(None, Some(&nowhere), QUEUE).await.is_ok());
        assert!(look(Some(&nowhere.join("yet/ledger.redb"))).await.ends_with("ledger.redb can be written"));
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
        let (held, path) = open(None, Some(state.path()), QUEUE, Duration::ZERO).unwrap();
        assert!(look(None).await.ends_with("-1.redb can be written"));
        assert!(look(Some(&path)).await.ends_with("is in use by a worker that runs"));
        held.close().await;
        assert!(look(None).await.ends_with("-0.redb can be written"));
        assert!(path.exists());
    }

    #[test]
    fn what_cannot_be_written_is_told_with_the_remedy() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("file");
        fs::write(&file, "not a folder").unwrap();
        let error = open(None, Some(&file), QUEUE, Duration::ZERO).unwrap_err();
        assert!(format!("{error:#}").contains("--ledger FILE"), "{error:#}");
        let error = open(None, None, QUEUE, Duration::ZERO).unwrap_err();
        assert!(format!("{error:#}").contains("XDG_STATE_HOME"), "{error:#}");
    }
}
