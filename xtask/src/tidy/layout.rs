//! What stands where: the workspace, its crates and the files that each must have.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Problem;
use crate::workspace::Member;

/// Files that a reader expects.
const EXPECTED: [&str; 9] = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "deny.toml",
    "docs/ARCHITECTURE.md",
    "docs/CONFIGURATION.md",
    "docs/WIRE.md",
    ".ci/run",
];

/// What every crate of backends consists of.
const BACKEND_CRATE: [&str; 3] = ["README.md", "src/lib.rs", "tests"];

/// What every backend consists of.
const BACKEND: [&str; 2] = ["config.rs", "backend.rs"];

pub(super) fn check(root: &Path, members: &[Member]) -> Result<Vec<Problem>> {
    let mut problems = missing(root, "", &EXPECTED);
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    if has_line(&manifest, "[package]") {
        problems.push(Problem::of_file(
            Path::new("Cargo.toml"),
            "the root is no package: code belongs in a crate",
        ));
    }
    for member in members {
        let folder = member.folder.strip_prefix(root)?;
        let manifest = fs::read_to_string(member.folder.join("Cargo.toml"))?;
        problems.extend(check_member(folder, member, &manifest));
        if member.name.starts_with("backend-") {
            problems.extend(missing(root, &folder.to_string_lossy(), &BACKEND_CRATE));
            for sources in backend_sources(&member.name) {
                problems.extend(missing(root, &folder.join(sources).to_string_lossy(), &BACKEND));
            }
        }
    }
    Ok(problems)
}

/// Where the sources of a crate's backends stand. One crate has two, which share a listener.
fn backend_sources(name: &str) -> &'static [&'static str] {
    match name {
        "backend-webhook" => &["src/webhook", "src/streamable_http"],
        _ => &["src"],
    }
}

fn missing(root: &Path, folder: &str, expected: &[&str]) -> Vec<Problem> {
    let paths = expected.iter().map(|file| Path::new(folder).join(file));
    paths
        .filter(|path| !root.join(path).exists())
        .map(|path| Problem::of_file(&path, "this is missing"))
        .collect()
}

fn check_member(folder: &Path, member: &Member, manifest: &str) -> Vec<Problem> {
    let path = folder.join("Cargo.toml");
    let mut problems = Vec::new();
    let mut require = |fulfilled: bool, what: &str| {
        if !fulfilled {
            problems.push(Problem::of_file(&path, what));
        }
    };
    // The end-to-end tests are in the folder that tests are looked for in.
    let expected = if folder == Path::new("tests") { "e2e".into() } else { folder_name(folder) };
    require(member.name == expected, "the package has the name of its folder");
    require(
        manifest.contains("[lints]\nworkspace = true"),
        "the workspace's lints apply: [lints] workspace = true",
    );
    let is_crate = folder.starts_with("crates");
    require(
        member.publishable == is_crate,
        "what is under crates/ can be packaged, and nothing else: publish = false",
    );
    for key in ["version", "edition", "rust-version", "license"] {
        require(has_line(manifest, &format!("{key}.workspace = true")), &format!("{key}.workspace = true"));
    }
    problems
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|each| each.trim() == line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n";

    fn member(name: &str, publishable: bool) -> Member {
        Member { name: name.to_owned(), folder: "crates/one".into(), publishable }
    }

    #[test]
    fn an_ordinary_crate_is_fine() {
        assert_eq!(check_member(Path::new("crates/one"), &member("one", true), MANIFEST), []);
        assert_eq!(check_member(Path::new("tests"), &member("e2e", false), MANIFEST), []);
    }

    #[test]
    fn each_breach_is_a_problem() {
        let count = |name: &str, publishable, manifest: &str| {
            check_member(Path::new("crates/one"), &member(name, publishable), manifest).len()
        };
        assert_eq!(count("two", true, MANIFEST), 1);
        assert_eq!(count("one", false, MANIFEST), 1);
        assert_eq!(count("one", true, &MANIFEST.replace("[lints]", "[other]")), 1);
        assert_eq!(count("one", true, &MANIFEST.replace("license.workspace = true", "license = 'MIT'")), 1);
        assert_eq!(check_member(Path::new("xtask"), &member("xtask", true), MANIFEST).len(), 1);
    }

    #[test]
    fn a_missing_file_is_named() {
        let problems = missing(Path::new("/nowhere"), "crates/one", &["README.md"]);
        assert_eq!(problems[0].to_string(), "crates/one/README.md: this is missing");
    }
}
