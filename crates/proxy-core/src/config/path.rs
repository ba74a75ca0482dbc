//! Paths that can be served, and written into URLs, as they stand.

/// Whether this is an absolute path that everything on the way to it reads alike: letters, digits and `/ - _ . ~ @ +`, and no empty
/// segment within it. A router takes it for itself and not for a pattern.
pub fn is_plain_path(path: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~' | b'@' | b'+')
    };
    path.starts_with('/') && path.bytes().all(plain) && !path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_read_alike_by_everything() {
        for path in ["/", "/mcp", "/a/b/", "/~me/v1.0/@x"] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in ["", "mcp", "//", "/a//b", "/a?b", "/a#b", "/{a}", "/:a", "/*a", "/%61", "/ä", "/a b"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }
}
