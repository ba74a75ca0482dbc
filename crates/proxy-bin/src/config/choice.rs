//! The choice between the tables of several transports.

use proxy_core::config::Problem;

use super::{BackendTables, Role, canonical_backend, names::table_of};

/// The one to use among those that are `given`, by `wanted`: what `backend_transport` says. `remedy` says what to write where
/// there is none.
pub(super) fn choose<T>(
    role: Role,
    mut given: Vec<(&'static str, T)>,
    wanted: Option<&str>,
    remedy: impl FnOnce() -> String,
) -> Result<T, Problem> {
    let tables = role.tables();
    if let Some(wanted) = wanted {
        let name = canonical_backend(wanted);
        if !BackendTables::NAMES.contains(&name.as_str()) {
            return Err(not_in_this_build("backend_transport", wanted));
        }
        let table = table_of(&name);
        let found = given.into_iter().find(|(given, _)| *given == name);
        return found.map(|(_, choice)| choice).ok_or_else(|| {
            Problem::new(
                format!("{tables}.{table}"),
                format!("is missing, though backend_transport is {wanted:?}"),
                format!("write a table [{tables}.{table}]"),
            )
        });
    }
    match given.len() {
        1 => Ok(given.remove(0).1),
        0 => {
            let what = match role {
                Role::Proxy => "is missing, so it is not known where the MCP server is",
                Role::Worker => "is missing, so it is not known where requests come in",
            };
            Err(Problem::new(tables, what, remedy()))
        }
        _ => {
            let names: Vec<String> = given.iter().map(|(name, _)| format!("{name:?}")).collect();
            Err(Problem::new(
                "backend_transport",
                format!("is missing, though there are tables of {}", names.join(" and ")),
                format!("write backend_transport = {}", names[0]),
            ))
        }
    }
}

/// What to say of a transport that is not in this build, named under `key`.
pub(super) fn not_in_this_build(key: &str, name: &str) -> Problem {
    let names = BackendTables::NAMES.join(", ");
    Problem::new(
        key,
        format!("asks for the backend {name:?}, which this build of proxy-bin does not have"),
        format!("use one that it has ({names}), or a build with the cargo feature of that backend"),
    )
}
