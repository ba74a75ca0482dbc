//! What process groups take, as `/proc` tells (proc(5)).

use std::{collections::HashMap, fs, io};

/// What one process group takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// How many processes it is, without those that have ended and were not waited for.
    pub(super) processes: usize,
    /// The bytes that are resident and not shared with files or others.
    pub(super) memory: usize,
}

/// Whether this system tells.
pub(super) fn is_known() -> bool {
    fs::metadata("/proc/self/stat").is_ok()
}

/// What each of these groups takes. A process that comes or goes meanwhile may be missed.
pub(super) fn of_groups(groups: &[i32]) -> io::Result<HashMap<i32, Usage>> {
    let page = rustix::param::page_size();
    let mut usages: HashMap<i32, Usage> = groups.iter().map(|group| (*group, Usage::default())).collect();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let is_process =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if !is_process {
            continue;
        }
        let group = fs::read_to_string(path.join("stat")).ok().and_then(|stat| group(&stat));
        let Some(usage) = group.and_then(|group| usages.get_mut(&group)) else { continue };
        let pages = fs::read_to_string(path.join("statm")).ok().and_then(|statm| own_pages(&statm));
        usage.processes += 1;
        usage.memory += pages.unwrap_or_default() * page;
    }
    Ok(usages)
}

/// The group of the process of this `/proc/…/stat`, unless it has ended. The name before it, in brackets, may hold anything.
fn group(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(group)
}

/// The resident pages that are not shared, of this `/proc/…/statm`.
fn own_pages(statm: &str) -> Option<usize> {
    let mut fields = statm.split_ascii_whitespace().skip(1);
    let resident: usize = fields.next()?.parse().ok()?;
    let shared: usize = fields.next()?.parse().ok()?;
    Some(resident.saturating_sub(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_behind_any_name() {
        assert_eq!(group("12 (a) R 7) S 1 42 42 0 -1 4194560"), Some(42));
        assert_eq!(group("12 (sh) Z 1 42 42 0"), None);
        assert_eq!(group("12 (sh) S 1"), None);
    }

    #[test]
    fn memory_is_what_is_not_shared() {
        assert_eq!(own_pages("5000 1200 200 10 0 300 0\n"), Some(1000));
        assert_eq!(own_pages(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_takes_something() {
        let own = rustix::process::getpgrp().as_raw_nonzero().get();
        let usage = of_groups(&[own]).unwrap()[&own];
        assert!(usage.processes >= 1 && usage.memory > 0, "{usage:?}");
    }
}
