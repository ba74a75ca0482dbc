//! The JSON Schema of the configuration, for editors: from the same structs that the configuration is read into.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{
    Config,
    names::{self, OtherName},
};

/// The JSON Schema of the configuration file (draft 7, which TOML editors know). Names of the Python proxy are in it as
/// deprecated ones.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    polish(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "The configuration of proxy-bin".into());
        schema.insert("description".to_owned(), "docs/CONFIGURATION.md explains it.".into());
    }
    add_other_names(&mut schema);
    schema
}

/// The schema of the table at this path; `NAME` is any key of a table, or any place in a list.
pub(super) fn table<'schema>(schema: &'schema Value, path: &str) -> Option<&'schema Map<String, Value>> {
    let mut keys = path.split('.').filter(|key| !key.is_empty());
    let found = keys.try_fold(schema, |schema, key| match key {
        "NAME" => schema.get("additionalProperties").or_else(|| schema.get("items")),
        key => schema.get("properties")?.get(key),
    })?;
    found.get("properties")?.as_object()
}

/// Makes it fit for TOML, which has no null: what may be left out is left out. A line end within a sentence means nothing.
fn polish(schema: &mut Value) {
    let null = json!({ "type": "null" });
    if let Some(object) = schema.as_object_mut() {
        if object.get("default").is_some_and(|default| default.is_null() || default == "") {
            object.remove("default");
        }
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(variants)) = object.get_mut("anyOf")
            && variants.contains(&null)
        {
            variants.retain(|variant| *variant != null);
            if let [Value::Object(only)] = variants.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        object.values_mut().for_each(polish);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(polish);
    }
}

/// Adds the names that are taken beside this program's own, so that editors do not call them mistakes.
fn add_other_names(schema: &mut Value) {
    let of_tables = |schema: &Value, tables: &str| -> Vec<String> {
        table(schema, tables).into_iter().flat_map(Map::keys).map(|name| format!("{tables}.{name}")).collect()
    };
    let backends = of_tables(schema, "backend");
    for tables in ["backend", "intake"] {
        let known = of_tables(schema, tables);
        let pointer = format!("/properties/{tables}/properties");
        let Some(properties) = schema.pointer_mut(&pointer).and_then(Value::as_object_mut) else { continue };
        for (name, ours) in
            names::OF_TABLES.iter().filter(|(_, ours)| known.contains(&format!("{tables}.{ours}")))
        {
            properties.insert((*name).to_owned(), json!({ "$ref": format!("#{pointer}/{ours}") }));
        }
    }
    for other in names::others() {
        let tables = match other.table.as_str() {
            names::BACKENDS => backends.clone(),
            table => vec![table.to_owned()],
        };
        for path in tables {
            let ours = other.ours.map(|(table, name)| (table.replace(names::BACKENDS, &path), name));
            add_other_name(schema, &path, &other, ours);
        }
    }
}

fn add_other_name(schema: &mut Value, path: &str, other: &OtherName, ours: Option<(String, &str)>) {
    let mut property = json!({});
    if let Some((in_table, name)) = ours {
        match table(schema, &in_table).and_then(|table| table.get(name)) {
            Some(known) => property = known.clone(),
            // This backend has no such setting.
            None => return,
        }
    }
    if let Some(property) = property.as_object_mut() {
        property.remove("default");
        property.insert("deprecated".to_owned(), true.into());
        property.insert("description".to_owned(), other.meaning.clone().into());
    }
    let steps = path.split('.').filter(|key| !key.is_empty()).map(|key| format!("/properties/{key}"));
    let pointer: String = steps.chain(["/properties".to_owned()]).collect();
    if let Some(Value::Object(properties)) = schema.pointer_mut(&pointer) {
        properties.entry(other.name.clone()).or_insert(property);
    }
}
