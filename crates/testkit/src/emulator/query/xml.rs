//! Answers and errors as XML.

use std::collections::BTreeMap;

use super::super::error::ServiceError;

/// An element that holds text or elements.
#[derive(Debug)]
pub(in super::super) struct Xml {
    name: &'static str,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Elements(Vec<Xml>),
}

impl Xml {
    pub(in super::super) fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, content: Content::Text(text.into()) }
    }

    pub(in super::super) fn element(name: &'static str, elements: Vec<Self>) -> Self {
        Self { name, content: Content::Elements(elements) }
    }

    /// A list: each member is an element of its own.
    pub(in super::super) fn list(name: &'static str, members: impl IntoIterator<Item = Vec<Self>>) -> Self {
        Self::element(name, members.into_iter().map(|member| Self::element("member", member)).collect())
    }

    /// A map of texts.
    pub(in super::super) fn map(name: &'static str, map: BTreeMap<String, String>) -> Self {
        let entry =
            |(key, value)| Self::element("entry", vec![Self::text("key", key), Self::text("value", value)]);
        Self::element(name, map.into_iter().map(entry).collect())
    }

    fn write(&self, text: &mut String) {
        text.extend(["<", self.name, ">"]);
        match &self.content {
            Content::Text(content) => escape(text, content),
            Content::Elements(elements) => elements.iter().for_each(|element| element.write(text)),
        }
        text.extend(["</", self.name, ">"]);
    }
}

/// What a successful action is answered with.
pub(in super::super) fn answer(action: &str, namespace: &str, request_id: &str, result: &[Xml]) -> String {
    let mut text = format!("<{action}Response xmlns=\"{namespace}\"><{action}Result>");
    for element in result {
        element.write(&mut text);
    }
    text.extend(["</", action, "Result>"]);
    Xml::element("ResponseMetadata", vec![Xml::text("RequestId", request_id)]).write(&mut text);
    text.extend(["</", action, "Response>"]);
    text
}

/// What a refused action is answered with.
pub(in super::super) fn error(error: &ServiceError, namespace: &str, request_id: &str) -> String {
    let kind = if error.is_sender_fault() { "Sender" } else { "Receiver" };
    let details = [("Type", kind), ("Code", &error.code), ("Message", &error.message)];
    let details = details.into_iter().map(|(name, text)| Xml::text(name, text)).collect();
    let mut text = format!("<ErrorResponse xmlns=\"{namespace}\">");
    Xml::element("Error", details).write(&mut text);
    Xml::text("RequestId", request_id).write(&mut text);
    text.push_str("</ErrorResponse>");
    text
}

fn escape(text: &mut String, content: &str) {
    for character in content.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\r' => text.push_str("&#xD;"),
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_errors_are_wrapped() {
        let tags = BTreeMap::from([("a<".to_owned(), "&b".to_owned())]);
        let result = vec![Xml::text("Arn", "x"), Xml::map("Tags", tags), Xml::list("None", [])];
        assert_eq!(
            answer("Act", "http://n/", "1", &result),
            "<ActResponse xmlns=\"http://n/\"><ActResult><Arn>x</Arn><Tags><entry><key>a&lt;</key>\
             <value>&amp;b</value></entry></Tags><None></None></ActResult>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ActResponse>"
        );
        assert_eq!(
            error(&ServiceError::new("NotFound", 404, "no"), "http://n/", "1"),
            "<ErrorResponse xmlns=\"http://n/\"><Error><Type>Sender</Type><Code>NotFound</Code>\
             <Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
    }
}
