//! The identity of a series as a number, made from borrowed text without a copy.
//!
//! *Method*: attributes are hashed one by one ([`crate::mix`]) and the results added, so their order does not matter: senders
//! change it. Whoever makes two of their own series collide mixes them up, and no table searches for longer than its own
//! bound.

pub(super) use crate::mix::{mix, of_bytes};
use crate::signal::telemetry::{Attributes, Value};

/// The hash of attributes in any order.
#[inline]
pub(super) fn of_attributes(attributes: &Attributes<'_>) -> u64 {
    let one = |(key, value): &(&str, Value<'_>)| mix(of_bytes(key.as_bytes()), of_value(*value));
    attributes.iter().map(one).fold(0, u64::wrapping_add)
}

fn of_value(value: Value<'_>) -> u64 {
    match value {
        Value::Str(text) => of_bytes(text.as_bytes()),
        Value::Bool(b) => mix(1, u64::from(b)),
        Value::Int(i) => mix(2, i.cast_unsigned()),
        Value::Double(d) => mix(3, d.to_bits()),
        Value::Bytes(bytes) => mix(4, of_bytes(bytes)),
        Value::Nested(bytes) => mix(5, of_bytes(bytes)),
        Value::Empty => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_content_does() {
        let (a, b) = (("route", Value::Str("/a")), ("status", Value::Int(200)));
        assert_eq!(of_attributes(&[a, b]), of_attributes(&[b, a]));
        let swapped = [("route", Value::Int(200)), ("status", Value::Str("/a"))];
        assert_ne!(of_attributes(&[a, b]), of_attributes(&swapped));
        assert_ne!(of_bytes(b"ab\0"), of_bytes(b"ab"));
    }

    #[test]
    fn a_million_similar_series_do_not_collide() {
        let mut seen: Vec<u64> = (0..1_000_000_u32)
            .map(|i| {
                let pod = format!("pod-{}", i % 1000);
                of_attributes(&[("pod", Value::Str(&pod)), ("shard", Value::Int(i64::from(i / 1000)))])
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000_000);
    }
}
