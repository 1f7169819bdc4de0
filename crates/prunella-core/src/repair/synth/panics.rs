//! The classes of Rust's panics, by what they say.
//!
//! *Source*: `library/core/src/panicking.rs` and the `#[track_caller]` messages of `core::slice`, `core::str`,
//! `core::option`, `core::result` and `core::cell` of Rust 1.95, and their forms since 1.40.

/// Parts of messages with the class that they show; the first that is found counts.
const CLASSES: &[(&str, &str)] = &[
    ("index out of bounds", "IndexOutOfBounds"),
    ("is not a char boundary", "CharBoundary"),
    ("out of range for slice of length", "SliceRange"),
    ("out of range for str of length", "SliceRange"),
    ("out of bounds of `", "SliceRange"),
    ("slice index starts at", "SliceRange"),
    ("begin <= end (", "SliceRange"),
    ("with overflow", "Overflow"),
    ("attempt to divide by zero", "DivideByZero"),
    ("with a divisor of zero", "DivideByZero"),
    ("on a `None` value", "UnwrapNone"),
    ("on an `Err` value", "UnwrapErr"),
    ("already borrowed", "AlreadyBorrowed"),
    ("already mutably borrowed", "AlreadyBorrowed"),
    ("assertion failed", "AssertionError"),
    ("assertion `", "AssertionError"),
    ("internal error: entered unreachable code", "Unreachable"),
    ("not implemented", "NotImplemented"),
    ("not yet implemented", "NotImplemented"),
    ("overflowed its stack", "StackOverflow"),
];

/// The class of a panic's message.
#[must_use]
pub fn class(message: &str) -> &'static str {
    let found = CLASSES.iter().find(|(part, _)| message.contains(part));
    found.map_or("Panic", |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_classes() {
        let check = |message: &str, wanted: &str| assert_eq!(class(message), wanted, "{message}");
        check(
            "index out of bounds: the len is 3 but the index is 3",
            "IndexOutOfBounds",
        );
        check("attempt to subtract with overflow", "Overflow");
        check(
            "attempt to calculate the remainder with a divisor of zero",
            "DivideByZero",
        );
        check("called `Option::unwrap()` on a `None` value", "UnwrapNone");
        check(
            "called `Result::unwrap()` on an `Err` value: ParseIntError { kind: Empty }",
            "UnwrapErr",
        );
        check(
            "byte index 1 is not a char boundary; it is inside 'é' (bytes 0..2) of `é`",
            "CharBoundary",
        );
        check("range end index 9 out of range for slice of length 3", "SliceRange");
        check("slice index starts at 4 but ends at 2", "SliceRange");
        check("RefCell already borrowed", "AlreadyBorrowed");
        check("assertion `left == right` failed", "AssertionError");
        check("the house is on fire", "Panic");
    }
}
