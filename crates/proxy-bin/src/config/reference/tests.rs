use super::*;
use crate::config::show;

#[test]
fn the_documentation_is_what_the_structs_say() {
    let written = include_str!("../../../../../docs/CONFIGURATION.md");
    assert!(
        written == reference(),
        "docs/CONFIGURATION.md is out of date: cargo run -p proxy-bin -- config reference > docs/CONFIGURATION.md"
    );
}

#[test]
fn the_schema_is_what_the_structs_say() {
    let written: Value =
        serde_json::from_str(include_str!("../../../../../docs/config.schema.json")).unwrap();
    assert!(
        written == schema::schema(),
        "docs/config.schema.json is out of date: cargo run -p proxy-bin -- config schema > docs/config.schema.json"
    );
}

#[test]
fn every_setting_is_in_the_reference_and_the_schema() {
    let text = reference();
    let schema = schema::schema();
    for key in show::known_keys() {
        let (path, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let path = path.replace("auth_tokens", "auth_tokens.NAME");
        let setting = schema::table(&schema, &path).and_then(|table| table.get(name));
        let setting = setting.unwrap_or_else(|| panic!("the schema lacks {key}"));
        assert!(setting["description"].is_string(), "{key} has no description");
        let row = Row::new(&path, name, setting);
        assert!(text.contains(&format!("| `{name}` | {} | {}", row.default, row.meaning)), "{key}");
    }
    for other in names::others() {
        assert!(text.contains(&format!("`{}`", other.name)), "the other name {}", other.name);
    }
    assert!(!text.contains("{{") && !text.contains("does not have it"));
}

#[test]
fn a_sentence_that_repeats_the_default_is_left_out() {
    let description = "How long a poll waits.\nDefault 20 s. More costs\nnothing.";
    assert_eq!(meaning(description, true), "How long a poll waits. More costs nothing.");
    assert_eq!(meaning("A | B. Default none.", true), "A \\| B.");
    assert_eq!(meaning("Default 250 ms, as it was before.", true), "Default 250 ms, as it was before.");
    assert_eq!(meaning("Names it. Default none.", false), "Names it. Default none.");
}
