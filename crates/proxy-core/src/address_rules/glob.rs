//! Patterns in which `*` stands for any characters, none included.

/// Whether the pattern matches the whole text. Takes time in proportion to their lengths' product, at worst.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at_pattern, mut at_text) = (0, 0);
    // where to go on when what follows the latest star does not fit: one character later
    let mut retry = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                at_pattern += 1;
                retry = Some((at_pattern, at_text));
            }
            Some(byte) if *byte == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                at_pattern = after_star;
                at_text = from + 1;
                retry = Some((after_star, at_text));
            }
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}

/// Whether there is a `*` in it.
pub(super) fn is_open(pattern: &str) -> bool {
    pattern.contains('*')
}

/// Whether it is nothing but `*`.
pub(super) fn is_everything(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*')
}
