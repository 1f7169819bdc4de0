//! OTLP/JSON → the same request in protobuf, so that there is one reader for both.
//!
//! *Method.* Streams through the document along the tables of `schema`, without building a tree of it. Unknown fields and
//! `null` are skipped; identifiers are hexadecimal, bytes base64, 64-bit integers strings or numbers, enumerations numbers.
//!
//! *Source.* OTLP specification, "JSON Protobuf Encoding"; the protobuf JSON mapping.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::schema::{FieldSpec, Form, LOGS, METRICS, Message, TRACES};
use super::{Kind, write};

/// Why a document is not OTLP/JSON.
#[derive(Debug, thiserror::Error)]
#[error("not OTLP/JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Turns a request in JSON into the same one in protobuf.
///
/// # Errors
/// If it is not JSON or a known field has a value that it cannot have; the message names line and column.
pub fn from_json(kind: Kind, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let message = match kind {
        Kind::Logs => &LOGS,
        Kind::Traces => &TRACES,
        Kind::Metrics => &METRICS,
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut parser = serde_json::Deserializer::from_slice(text);
    MessageSeed { message, out: &mut out }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(out)
}

/// Which kind of request a JSON document is, if it is one: what a Collector's file exporter writes does not say it.
#[must_use]
pub fn kind_of_json(text: &[u8]) -> Option<Kind> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Option<Kind>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Kind>, A::Error> {
            let mut kind = None;
            while let Some(key) = map.next_key::<String>()? {
                map.next_value::<IgnoredAny>()?;
                kind = kind.or(match key.as_str() {
                    "resourceLogs" => Some(Kind::Logs),
                    "resourceSpans" => Some(Kind::Traces),
                    "resourceMetrics" => Some(Kind::Metrics),
                    _ => None,
                });
            }
            Ok(kind)
        }
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    parser.deserialize_map(Keys).ok().flatten()
}

/// Reads an object into a message.
struct MessageSeed<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(KeySeed(self.message))? {
            match field {
                Some(field) => map.next_value_seed(FieldSeed { field, out: self.out })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds a field by its name.
struct KeySeed(&'static Message);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static FieldSpec>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static FieldSpec>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|(known, ..)| *known == name))
    }
}

/// Reads a field's value, or all its values.
struct FieldSeed<'o> {
    field: &'static FieldSpec,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let (_, number, form, repeated) = *self.field;
        if repeated {
            return deserializer.deserialize_any(self);
        }
        let one = OneSeed {
            number,
            form,
            out: self.out,
        };
        one.deserialize(deserializer)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array for `{}`", self.field.0)
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (_, number, form, _) = *self.field;
        while seq
            .next_element_seed(OneSeed {
                number,
                form,
                out: self.out,
            })?
            .is_some()
        {}
        Ok(())
    }
}

/// Reads one value.
struct OneSeed<'o> {
    number: u32,
    form: Form,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for OneSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Form::Message(message) = self.form else {
            return deserializer.deserialize_any(self);
        };
        let mut inner = Vec::new();
        MessageSeed {
            message,
            out: &mut inner,
        }
        .deserialize(deserializer)?;
        write::bytes(self.out, self.number, &inner);
        Ok(())
    }
}

impl OneSeed<'_> {
    fn integer(self, value: u64) {
        match self.form {
            Form::Fixed64 => write::fixed64(self.out, self.number, value),
            Form::Fixed32 => write::fixed32(self.out, self.number, value as u32),
            Form::Sint32 => write::sint32(self.out, self.number, (value as u32).cast_signed()),
            _ => write::integer(self.out, self.number, value),
        }
    }

    fn is_integer(&self) -> bool {
        matches!(self.form, Form::Varint | Form::Fixed64 | Form::Fixed32 | Form::Sint32)
    }

    fn double(self, value: f64) {
        write::fixed64(self.out, self.number, value.to_bits());
    }
}

impl Visitor<'_> for OneSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            Form::Message(_) => "an object",
            Form::Text => "a string",
            Form::Base64 => "a string in base64",
            Form::Hex => "a string of hexadecimal digits",
            Form::Bool => "a boolean",
            Form::Double => "a number",
            _ => "an integer, as a number or a string",
        })
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.form, Form::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        write::integer(self.out, self.number, u64::from(value));
        Ok(())
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match self.form {
            Form::Double => self.double(value as f64),
            _ if self.is_integer() => self.integer(value),
            _ => return Err(E::invalid_type(Unexpected::Unsigned(value), &self)),
        }
        Ok(())
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.form {
            Form::Double => self.double(value as f64),
            _ if self.is_integer() => self.integer(value.cast_unsigned()),
            _ => return Err(E::invalid_type(Unexpected::Signed(value), &self)),
        }
        Ok(())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        // JSON has one kind of number: 1e3 may be meant as an integer.
        let whole = value.fract() == 0.0 && value.abs() < 9.0e15;
        match self.form {
            Form::Double => self.double(value),
            _ if self.is_integer() && whole => self.integer((value as i64).cast_unsigned()),
            _ => return Err(E::invalid_type(Unexpected::Float(value), &self)),
        }
        Ok(())
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let wrong = |this: &Self| E::invalid_value(Unexpected::Str(&text.chars().take(40).collect::<String>()), this);
        match self.form {
            Form::Text => write::bytes(self.out, self.number, text.as_bytes()),
            Form::Hex => {
                let bytes = hex(text).ok_or_else(|| wrong(&self))?;
                write::bytes(self.out, self.number, &bytes);
            }
            Form::Base64 => {
                let bytes = base64(text).ok_or_else(|| wrong(&self))?;
                write::bytes(self.out, self.number, &bytes);
            }
            Form::Double => match text.parse::<f64>() {
                Ok(value) => self.double(value),
                Err(_) => return Err(wrong(&self)),
            },
            _ if self.is_integer() => {
                let whole = text.parse::<u64>().ok();
                let negative = || text.parse::<i64>().ok().map(i64::cast_unsigned);
                let value = whole.or_else(negative).or_else(|| named(text));
                match value {
                    Some(value) => self.integer(value),
                    None => return Err(wrong(&self)),
                }
            }
            _ => return Err(E::invalid_type(Unexpected::Str("a string"), &self)),
        }
        Ok(())
    }
}

/// The value of an enumeration that is written by its name, as the general protobuf mapping does it. OTLP forbids that; old
/// recordings have it all the same.
fn named(text: &str) -> Option<u64> {
    const NAMES: [(&str, &[&str]); 3] = [
        (
            "SPAN_KIND_",
            &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
        ),
        ("STATUS_CODE_", &["UNSET", "OK", "ERROR"]),
        ("AGGREGATION_TEMPORALITY_", &["UNSPECIFIED", "DELTA", "CUMULATIVE"]),
    ];
    if let Some(rest) = text.strip_prefix("SEVERITY_NUMBER_") {
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let word = rest.trim_end_matches(['2', '3', '4']);
        let level = levels.iter().position(|level| *level == word)?;
        let step = rest[word.len()..].parse::<u64>().unwrap_or(1);
        return Some(level as u64 * 4 + step);
    }
    let (rest, names) = NAMES
        .iter()
        .find_map(|(head, names)| Some((text.strip_prefix(head)?, names)))?;
    names.iter().position(|name| *name == rest).map(|at| at as u64)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Both alphabets, with and without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}
