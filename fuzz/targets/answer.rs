//! An answer of a language model: whatever it is, it is applied as a whole or refused.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use prunella_core::repair::answer::{MAX_EDITS, edited, parse};

const FILE: &str = "def a(x):\n    return x\n\n\ndef b(y):\n    return y\n";

fuzz_target!(|answer: &str| {
    assert!(parse(answer).len() <= MAX_EDITS);
    let files = BTreeMap::from([("m.py".to_owned(), FILE.to_owned())]);
    if let Ok((changed, _)) = edited(answer, &files) {
        assert!(changed.iter().all(|(path, content)| path == "m.py" && content != FILE));
    }
});
