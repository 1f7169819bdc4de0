//! The protobuf wire format: tags, varints, fixed and length-delimited fields, groups that are skipped.

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside of a field.
    #[error("the message ends inside of a field")]
    Truncated,
    /// A varint of more than ten bytes, or of more than 64 bits.
    #[error("a varint is too long")]
    Varint,
    /// A tag with field number 0, beyond 2^29 - 1, or with wire type 6 or 7.
    #[error("a tag is not one")]
    Tag,
    /// A known field has another wire type than it should have.
    #[error("field {0} has the wrong wire type")]
    WireType(u32),
    /// Text that is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Utf8(u32),
    /// Groups nested beyond the limit, or without an end.
    #[error("a group is nested too deeply or does not end")]
    Group,
}

/// The value of a field as it is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field: its number and value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Wire<'a>,
}

/// Groups inside of groups that are skipped.
const MAX_GROUPS: usize = 32;

/// The fields of a message, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field that is not a group; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        while !self.rest.is_empty() {
            let (number, kind) = self.tag()?;
            let value = match kind {
                2 => Wire::Bytes(self.bytes()?),
                0 => Wire::Varint(self.varint()?),
                1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
                5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                _ => return Err(DecodeError::Tag),
            };
            return Ok(Some(Field { number, value }));
        }
        Ok(None)
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), DecodeError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| DecodeError::Tag)?;
        if number == 0 || number >= 1 << 29 {
            return Err(DecodeError::Tag);
        }
        Ok((number, (tag & 7) as u8))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return Err(DecodeError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            DecodeError::Truncated
        } else {
            DecodeError::Varint
        })
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Skips a group whose start was read, without recursion.
    fn skip_group(&mut self, number: u32) -> Result<(), DecodeError> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            if self.rest.is_empty() {
                return Err(DecodeError::Group);
            }
            let (number, kind) = self.tag()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.bytes()?),
                5 => drop(self.array::<4>()?),
                3 if open.len() < MAX_GROUPS => open.push(number),
                4 if number == innermost => drop(open.pop()),
                3 | 4 => return Err(DecodeError::Group),
                _ => return Err(DecodeError::Tag),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    fn wrong<T>(self) -> Result<T, DecodeError> {
        Err(DecodeError::WireType(self.number))
    }

    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self.value {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => self.wrong(),
        }
    }

    #[inline]
    pub(crate) fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8(self.number))
    }

    #[inline]
    pub(crate) fn varint(self) -> Result<u64, DecodeError> {
        match self.value {
            Wire::Varint(value) => Ok(value),
            _ => self.wrong(),
        }
    }

    #[inline]
    pub(crate) fn fixed64(self) -> Result<u64, DecodeError> {
        match self.value {
            Wire::Fixed64(value) => Ok(value),
            _ => self.wrong(),
        }
    }

    #[inline]
    pub(crate) fn double(self) -> Result<f64, DecodeError> {
        self.fixed64().map(f64::from_bits)
    }

    /// A `sint32` in zigzag form.
    pub(crate) fn sint32(self) -> Result<i32, DecodeError> {
        // Protobuf takes the low 32 bits of a varint that is longer.
        let raw = self.varint()? as u32;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// An enumeration's value, which protobuf encodes as `int32`.
    pub(crate) fn enumeration(self) -> Result<i32, DecodeError> {
        Ok((self.varint()? as u32).cast_signed())
    }

    /// Adds the values of a repeated 64-bit field, packed or not.
    pub(crate) fn repeated_fixed64<T>(self, into: &mut Vec<T>, convert: fn(u64) -> T) -> Result<(), DecodeError> {
        match self.value {
            Wire::Fixed64(value) => into.push(convert(value)),
            Wire::Bytes(packed) => {
                let (values, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(DecodeError::Truncated);
                }
                into.extend(values.iter().map(|bytes| convert(u64::from_le_bytes(*bytes))));
            }
            _ => return self.wrong(),
        }
        Ok(())
    }

    /// Adds the values of a repeated varint field, packed or not.
    pub(crate) fn repeated_varint(self, into: &mut Vec<u64>) -> Result<(), DecodeError> {
        match self.value {
            Wire::Varint(value) => into.push(value),
            Wire::Bytes(packed) => {
                let mut values = Fields::new(packed);
                while !values.rest.is_empty() {
                    into.push(values.varint()?);
                }
            }
            _ => return self.wrong(),
        }
        Ok(())
    }

    /// An identifier of `N` bytes; `None` if it has another length or is all zero, which means that there is none.
    #[inline]
    pub(crate) fn id<const N: usize>(self) -> Result<Option<[u8; N]>, DecodeError> {
        let id: Option<[u8; N]> = self.bytes()?.try_into().ok();
        Ok(id.filter(|id| *id != [0; N]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Field<'_>>, DecodeError> {
        let (mut fields, mut found) = (Fields::new(bytes), Vec::new());
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn each_wire_type_and_what_is_skipped() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: 150
            0x12, 0x02, b'h', b'i', // 2: "hi"
            0x1b, 0x08, 0x01, 0x23, 0x24, 0x1c, // 3: a group with a group
            0x25, 1, 0, 0, 0, // 4: fixed32
            0x29, 2, 0, 0, 0, 0, 0, 0, 0, // 5: fixed64
        ];
        let values: Vec<(u32, Wire<'_>)> = all(&bytes).unwrap().iter().map(|f| (f.number, f.value)).collect();
        let expected = [
            (1, Wire::Varint(150)),
            (2, Wire::Bytes(b"hi")),
            (4, Wire::Fixed32(1)),
            (5, Wire::Fixed64(2)),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn what_is_not_protobuf_has_a_name() {
        let check = |bytes: &[u8], expected: DecodeError| assert_eq!(all(bytes), Err(expected), "{bytes:x?}");
        check(&[0x80], DecodeError::Truncated);
        check(&[0x0a, 0x05, 1], DecodeError::Truncated);
        check(&[0x09, 1, 2], DecodeError::Truncated);
        check(&[0x00], DecodeError::Tag);
        check(&[0x0e], DecodeError::Tag);
        check(
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            DecodeError::Varint,
        );
        check(
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            DecodeError::Varint,
        );
        check(
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            DecodeError::Truncated,
        );
        check(&[0x0b, 0x14], DecodeError::Group);
        check(&[0x0b], DecodeError::Group);
        check(&[0x0b; 100], DecodeError::Group);
        check(&[0x0c], DecodeError::Tag);
    }

    #[test]
    fn zigzag() {
        for (raw, expected) in [
            (0, 0),
            (1, -1),
            (2, 1),
            (4_294_967_294, i32::MAX),
            (4_294_967_295, i32::MIN),
        ] {
            let field = Field {
                number: 1,
                value: Wire::Varint(raw),
            };
            assert_eq!(field.sint32(), Ok(expected));
        }
    }
}
