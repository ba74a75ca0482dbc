//! What tools, resources and prompts are made of.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A red pixel, as the base64 text of a PNG file.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC";

/// A hundredth of a second of silence, as the base64 text of a WAV file.
pub(crate) static WAV: LazyLock<String> = LazyLock::new(|| {
    let samples = [0x80_u8; 80];
    let mut file = b"RIFF".to_vec();
    file.extend(116_u32.to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    for number in [1_u16, 1] {
        file.extend(number.to_le_bytes());
    }
    for number in [8000_u32, 8000] {
        file.extend(number.to_le_bytes());
    }
    for number in [1_u16, 8] {
        file.extend(number.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(80_u32.to_le_bytes());
    file.extend(samples);
    STANDARD.encode(file)
});

pub(crate) fn text(text: impl Into<String>) -> Value {
    json!({"type": "text", "text": text.into()})
}

pub(crate) fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

pub(crate) fn sound() -> Value {
    json!({"type": "audio", "data": &*WAV, "mimeType": "audio/wav"})
}

pub(crate) fn embedded(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": text}})
}
