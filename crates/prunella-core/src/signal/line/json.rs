//! Lines that are one JSON object each.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fields::arrange;
use super::{Line, Scalar};

/// The text that systemd's journal writes as a list of bytes, because it is not all printable: that of a coloured line is.
///
/// *Source*: systemd, "Journal JSON Format".
fn text_of(bytes: &[Value]) -> Option<String> {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes: Vec<u8> = bytes.iter().map(byte).collect::<Option<_>>()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a JSON object; `None` if the line is none.
pub(super) fn parse(line: &str) -> Option<Line<'static>> {
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    let mut fields = Vec::with_capacity(object.len());
    for (key, value) in object {
        let value = match value {
            Value::Null => continue,
            Value::Bool(value) => Scalar::Bool(value),
            Value::String(text) => Scalar::Text(Cow::Owned(text)),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Scalar::Int(value),
                None => Scalar::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(bytes) if key == "MESSAGE" => match text_of(&bytes) {
                Some(text) => Scalar::Text(Cow::Owned(text)),
                None => Scalar::Nested(Value::Array(bytes).to_string()),
            },
            nested => Scalar::Nested(nested.to_string()),
        };
        fields.push((Cow::Owned(key), value));
    }
    Some(arrange(fields))
}
