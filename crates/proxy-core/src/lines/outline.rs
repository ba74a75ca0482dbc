//! Finds the id of a request or answer whose text cannot be read as a message, so that the error still names the request.
//!
//! Reads the text piece by piece and keeps nothing of it but the members at the top that it looks for: clients write the id
//! after the parameters, and the parameters may be what is too large.

use crate::message::{Message, RequestId};

/// The longest name or value that is kept. Ids are shorter.
const LONGEST: usize = 256;

/// What was seen of a JSON text so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    depth: usize,
    place: Place,
    in_value: bool,
    /// The string or number at the top that is being read, quotes included.
    token: Vec<u8>,
    name: Vec<u8>,
    id: Option<Vec<u8>>,
    has_method: bool,
    is_object: bool,
}

/// Where in the text the reading is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    BetweenStrings,
    InString,
    AfterBackslash,
}

impl Outline {
    /// Reads on.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.take(*byte);
        }
    }

    /// The id, if the text looks like a request that has one.
    pub fn request_id(&self) -> Option<RequestId> {
        self.id().filter(|_| self.has_method)
    }

    /// The id, if the text looks like an answer that has one.
    pub fn answered_id(&self) -> Option<RequestId> {
        self.id().filter(|_| !self.has_method)
    }

    fn id(&self) -> Option<RequestId> {
        let id = self.id.as_ref().filter(|id| self.is_object && id.len() < LONGEST)?;
        let id = std::str::from_utf8(id).ok()?;
        let request = Message::parse(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":""}}"#)).ok()?;
        request.id().cloned()
    }

    fn take(&mut self, byte: u8) {
        if self.place != Place::BetweenStrings {
            self.keep(byte);
            self.place = match (&self.place, byte) {
                (Place::InString, b'\\') => Place::AfterBackslash,
                (Place::InString, b'"') => {
                    self.string_ended();
                    Place::BetweenStrings
                }
                _ => Place::InString,
            };
            return;
        }
        match byte {
            b'"' => {
                self.place = Place::InString;
                if self.depth == 1 {
                    self.token.clear();
                }
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.is_object |= self.depth == 0 && byte == b'{';
                self.depth += 1;
            }
            b'}' | b']' => {
                self.value_ended();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.in_value = true;
                self.token.clear();
            }
            b',' => self.value_ended(),
            byte if self.in_value && !byte.is_ascii_whitespace() => self.keep(byte),
            _ => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < LONGEST {
            self.token.push(byte);
        }
    }

    fn string_ended(&mut self) {
        if self.depth == 1 && !self.in_value {
            self.name = std::mem::take(&mut self.token);
            self.has_method |= self.name == b"\"method\"";
        }
    }

    fn value_ended(&mut self) {
        if self.depth == 1 && self.in_value {
            if self.name == b"\"id\"" {
                self.id = Some(std::mem::take(&mut self.token));
            }
            self.in_value = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(text: &str) -> Option<String> {
        let mut outline = Outline::default();
        for piece in text.as_bytes().chunks(3) {
            outline.feed(piece);
        }
        outline.request_id().map(|id| id.to_json())
    }

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        for (text, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"id":1}}"#, "7"),
            (
                r#"{"method":"tools/call","params":{"a":"\"}","id":1,"b":[{"id":2}]},"id":"x,\"y"}"#,
                r#""x,\"y""#,
            ),
            (r#" { "id" : 1.5 , "method" : "m" } "#, "1.5"),
        ] {
            assert_eq!(id_of(text).as_deref(), Some(id), "{text}");
        }
    }

    #[test]
    fn an_answer_names_what_it_answers() {
        let mut outline = Outline::default();
        outline.feed(br#"{"result":{"id":1,"method":"x"},"jsonrpc":"2.0","id":"a"}"#);
        assert_eq!(outline.answered_id(), Some(RequestId::string("a")));
        assert_eq!(outline.request_id(), None);
    }

    #[test]
    fn what_is_no_request_has_none() {
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"method":"x"}}"#,
            r#"{"method":"notifications/initialized"}"#,
            r#"[{"id":1,"method":"m"}]"#,
            r#"{"id":null,"method":"m"}"#,
            r#"{"id":{},"method":"m"}"#,
            r#"{"id":1,"params":"method"}"#,
            "",
        ] {
            assert_eq!(id_of(text), None, "{text}");
        }
    }
}
