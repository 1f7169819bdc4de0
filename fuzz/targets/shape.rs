//! Answers of a service, in pieces: hostile JSON, HTML and text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_gateway::shape::{MAX_NODES, Shaper};

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (media, size, body) = input;
    let media = ["application/json", "text/html", "text/plain", "", "image/png"][usize::from(media) % 5];
    let whole = Shaper::of(media, &body, true);
    let mut shaper = Shaper::new(media, false);
    body.chunks(usize::from(size) + 1).for_each(|piece| shaper.feed(piece));
    let pieces = shaper.finish(true);
    assert!(whole.nodes.len() <= MAX_NODES);
    assert_eq!(whole.bytes, body.len() as u64);
    assert_eq!((whole.hash, whole.sound), (pieces.hash, pieces.sound));
    if media == "application/json" || media == "text/html" {
        assert_eq!(whole, pieces);
    }
});
