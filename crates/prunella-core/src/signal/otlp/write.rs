//! Writes protobuf fields: for what OTLP/JSON says, and for answers.

/// Writes a varint.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// A field of type `uint64`, `int64`, `uint32`, `bool` or an enumeration.
pub fn integer(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, 0);
    varint(out, value);
}

/// A field of type `sint32`.
pub fn sint32(out: &mut Vec<u8>, number: u32, value: i32) {
    integer(out, number, u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()));
}

/// A field of type `fixed64`, `sfixed64` or `double`, as bits.
pub fn fixed64(out: &mut Vec<u8>, number: u32, bits: u64) {
    tag(out, number, 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// A field of type `fixed32`.
pub fn fixed32(out: &mut Vec<u8>, number: u32, bits: u32) {
    tag(out, number, 5);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// A field of type `string`, `bytes` or a message.
pub fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    tag(out, number, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
