use super::*;

fn problems(path: &str, text: &str) -> Vec<String> {
    let file = TextFile { path: path.into(), text: format!("//! purpose\n{text}") };
    Source::new(&file).unwrap().check().into_iter().map(|problem| problem.what).collect()
}

#[track_caller]
fn refused(path: &str, text: &str, part: &str) {
    let found = problems(path, text);
    assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
}

#[track_caller]
fn accepted(path: &str, text: &str) {
    assert_eq!(problems(path, text), Vec::<String>::new());
}

#[test]
fn only_rust_is_looked_at() {
    assert!(Source::new(&TextFile { path: "a.py".into(), text: String::new() }).is_none());
}

#[test]
fn a_file_has_an_end() {
    accepted("src/a.rs", &"x\n".repeat(LONGEST - 1));
    refused("src/a.rs", &"x\n".repeat(LONGEST), "one concept a file");
}

#[test]
fn a_file_says_what_it_is_for() {
    let file = TextFile { path: "src/a.rs".into(), text: "fn a() {}".to_owned() };
    assert_eq!(Source::new(&file).unwrap().check().len(), 1);
}

#[test]
fn lib_rs_is_a_table_of_contents() {
    accepted("src/lib.rs", "mod a;\npub use a::A;\n");
    refused("src/lib.rs", "pub struct A;\n", "belongs in a module");
    refused("src/lib.rs", "async fn a() {}\n", "belongs in a module");
    refused("src/lib.rs", &"// x\n".repeat(LONGEST_CONTENTS), "table of contents");
}

#[test]
fn modules_are_not_in_mod_rs() {
    refused("src/a/mod.rs", "", "not foo/mod.rs");
}

#[test]
fn tests_do_not_sleep_without_a_reason() {
    let wait = concat!("    sl", "eep(second).await;");
    refused("tests/it/a.rs", wait, "waits for an event");
    refused("src/a/tests.rs", wait, "waits for an event");
    refused("src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{wait}\n}}"), "waits for an event");
    accepted("src/a.rs", &format!("fn a() {{\n{wait}\n}}\n#[cfg(test)]\nmod tests {{}}"));
    accepted("tests/it/a.rs", &format!("{wait} // allowed: the peer's own pause"));
    accepted("tests/it/a.rs", &format!("// allowed: the peer's own pause\n{wait}"));
    accepted("tests/it/a.rs", &format!("#[tokio::test(start_paused = true)]\nasync fn a() {{\n{wait}\n}}"));
    accepted("tests/bench/a.rs", wait);
    accepted("tests/it/a.rs", concat!("// no sl", "eep() here"));
}

#[test]
fn every_test_runs() {
    refused("tests/it/a.rs", concat!("#[ig", "nore = \"slow\"]"), "does not run");
}

#[test]
fn error_messages_are_lower_case_without_full_stop() {
    accepted("src/a.rs", "#[error(\"no such queue: {0}\")]");
    accepted("src/a.rs", "#[error(\"SQS refused it\")]");
    refused("src/a.rs", "#[error(\"No such queue\")]", "lower case");
    refused("src/a.rs", "#[error(\"no such queue.\")]", "full stop");
}

#[test]
fn secrets_are_not_plain_text() {
    refused("src/a.rs", "    pub auth_token: Option<String>,", "SecretString");
    accepted("src/a.rs", "    pub auth_token: Option<SecretString>,");
    accepted("src/a.rs", "    progress_token: String,");
}

#[test]
fn features_are_known_in_one_crate() {
    let line = concat!("#[cfg(", "feature = \"sqs\")]");
    refused("crates/backend-sqs/src/a.rs", line, "only proxy-bin");
    accepted("crates/proxy-bin/src/backends.rs", line);
}
