//! What no file of the repository may contain, whatever it is written in.

use std::path::Path;

use super::Problem;
use super::tree::TextFile;

/// Folders of this machine: the checkout's own and the user's home. Neither means anything elsewhere.
pub(super) fn machine_paths(root: &Path) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    // A home such as `/` is in every path.
    let folders = [root.to_string_lossy().into_owned(), home].into_iter().filter(|folder| folder.len() > 2);
    folders.map(|folder| format!("{}/", folder.trim_end_matches('/'))).collect()
}

pub(super) fn check(file: &TextFile, machine_paths: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut problem = |what: &str| problems.push(Problem::of_line(&file.path, index + 1, what));
        if machine_paths.iter().any(|path| contains_path(line, path)) {
            problem("a path of this machine");
        }
        if is_lock(&file.path) && line.contains("\"resolved\"") {
            problem("a registry's address: npm install --omit-lockfile-registry-resolved");
        }
        if is_requirements(&file.path) && line.contains("://") {
            problem("a registry's address: requirements name packages and versions only");
        }
        if unfinished(line) {
            problem("unfinished: do it now or file an issue");
        }
    }
    problems
}

/// Whether the path stands there as such, and not as the tail of another path or address.
fn contains_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || "-_./~}".contains(character))
    })
}

fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "package-lock.json")
}

fn is_requirements(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("requirements"))
}

fn unfinished(line: &str) -> bool {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    line.split(|character: char| !character.is_alphanumeric()).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check(&TextFile { path: path.into(), text: text.to_owned() }, &["/home/me/".to_owned()]).len()
    }

    #[test]
    fn paths_of_this_machine_are_refused() {
        assert_eq!(problems("a.md", "see /home/me/project"), 1);
        assert_eq!(problems("a.md", "see https://example.com/home/me/project and /home/you/"), 0);
    }

    #[test]
    fn registry_addresses_are_refused_in_lists_of_packages() {
        assert_eq!(problems("package-lock.json", "\"resolved\": \"x\""), 1);
        assert_eq!(problems("requirements-a.txt", "--index-url https://example.com"), 1);
        assert_eq!(problems("README.md", "https://example.com"), 0);
    }

    #[test]
    fn unfinished_things_are_refused() {
        assert_eq!(problems("a.py", concat!("# TO", "DO: more")), 1);
        assert_eq!(problems("a.py", "# TODOS is another word"), 0);
    }
}
