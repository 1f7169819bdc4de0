use super::*;

fn json(text: &str) -> BodyShape {
    Shaper::of("application/json", text.as_bytes(), true)
}

fn at<'a>(shape: &'a BodyShape, place: &str) -> &'a Node {
    shape
        .nodes
        .iter()
        .find(|n| n.at == place)
        .unwrap_or_else(|| panic!("no {place:?} in {shape:?}"))
}

#[test]
fn places_types_and_sizes_of_json() {
    let shape = json(
        r#"{"items": [{"id": 1, "price": 9.5, "name": "tea"}, {"id": 2, "price": 0, "name": ""}], "next": null,
            "at": "2024-02-03T00:00:00Z", "ok": true, "n\"x": -3, "deep": {"a": [[], [1.23456]]}}"#,
    );
    assert!(shape.sound && shape.complete, "{shape:?}");
    let items = at(&shape, "items");
    assert_eq!((items.arrays, items.size, items.empty), (1, 2, 0));
    assert_eq!(at(&shape, "items[]").objects, 2);
    let price = at(&shape, "items[].price");
    assert_eq!(
        (price.numbers, price.zeros, price.fractions, price.exponents),
        (2, 1, 1, 3)
    );
    let name = at(&shape, "items[].name");
    assert_eq!((name.strings, name.empty, name.size), (2, 1, 3));
    assert_eq!((at(&shape, "next").nulls, at(&shape, "at").forms), (1, [0, 1, 0, 0]));
    assert_eq!((at(&shape, "ok").trues, at(&shape, "n\\\"x").negatives), (1, 1));
    assert_eq!((at(&shape, "deep.a").size, at(&shape, "deep.a[]").empty), (2, 1));
    assert_eq!(at(&shape, "deep.a[][]").long_fractions, 1);
}

#[test]
fn keys_that_are_values_share_a_place_and_values_are_nowhere() {
    let shape = json(r#"{"a81f03bb29": 1, "4711": 2, "user@example.org": "topsecret", "plain": "topsecret"}"#);
    assert_eq!(at(&shape, "{}").numbers, 2);
    let wire = serde_json::to_string(&shape).unwrap();
    for secret in ["a81f", "4711", "example", "topsecret"] {
        assert!(!wire.contains(secret), "{wire}");
    }
    assert_eq!(serde_json::from_str::<BodyShape>(&wire).unwrap(), shape);
}

#[test]
fn what_is_no_json_is_unsound_and_what_is_cut_is_incomplete() {
    for broken in [
        "",
        "{",
        "[1, 2",
        "{\"a\" 1}",
        "{\"a\": tru}",
        "]",
        "{]",
        "not json",
        "\"open",
    ] {
        assert!(!json(broken).sound, "{broken:?}");
    }
    for whole in ["1", "null", "[]", "{}", "\"x\"", "{\"a\":1}\n{\"a\":2}\n", " [1,2] "] {
        assert!(json(whole).sound, "{whole:?}");
    }
    let cut = Shaper::of("application/json", b"{\"a\": [1, 2", false);
    assert!(cut.sound && !cut.complete);
    let long = format!("[{}0]", "1,".repeat(MAX_LOOKED_AT));
    let shape = json(&long);
    assert!(shape.sound && !shape.complete);
    assert_eq!(shape.bytes, long.len() as u64);
    assert!(!json(&"[".repeat(10_000)).sound);
}

#[test]
fn pieces_make_no_difference() {
    let text = r#"{"rows": [{"a": "x\\\"y", "b": [1, -2.5e3, null]}, {"a": "", "c": false}], "n": 12}"#;
    let whole = json(text);
    for size in 1..text.len() {
        let mut shaper = Shaper::new("application/json", false);
        text.as_bytes().chunks(size).for_each(|piece| shaper.feed(piece));
        assert_eq!(shaper.finish(true), whole, "in pieces of {size}");
    }
    let page = "<!doctype html><p class=\"a>b\">one</p><script>if (a<b) x()</script><ul><li>x<li>y</ul>";
    let whole = Shaper::of("text/html", page.as_bytes(), true);
    assert_eq!((at(&whole, "<li>").size, at(&whole, "<text>").size), (2, 5));
    for size in 1..page.len() {
        let mut shaper = Shaper::new("text/html", false);
        page.as_bytes().chunks(size).for_each(|piece| shaper.feed(piece));
        assert_eq!(shaper.finish(true), whole, "in pieces of {size}");
    }
}

#[test]
fn places_are_bounded() {
    let wide: Vec<String> = (0..500).map(|i| format!("\"key_{}\": 1", letters(i))).collect();
    let shape = json(&format!("{{{}}}", wide.join(",")));
    assert_eq!((shape.nodes.len(), shape.left_out), (MAX_NODES, 500 - 63));
    let page: String = (0..500).map(|i| format!("<x-{}>", letters(i))).collect();
    assert!(Shaper::of("text/html", page.as_bytes(), true).nodes.len() <= MAX_NODES);
}

fn letters(mut i: usize) -> String {
    let mut text = String::new();
    for _ in 0..3 {
        text.push(char::from(b'a' + u8::try_from(i % 26).unwrap()));
        i /= 26;
    }
    text
}

#[test]
fn plain_text_is_a_number_or_a_text() {
    let number = Shaper::of("", b"101\n", true);
    assert_eq!((at(&number, "").numbers, at(&number, "<lines>").size), (1, 1));
    assert_eq!(at(&Shaper::of("text/plain", b"Item 7", true), "").strings, 1);
    assert_eq!(at(&Shaper::of("text/plain", b" \n ", true), "").size, 0);
    assert!(Shaper::of("image/png", b"\x89PNG", true).nodes.is_empty());
    assert_eq!(at(&Shaper::of("", b"[1]", true), "").arrays, 1);
    assert_eq!(media_of(Some("Text/HTML; charset=utf-8")), "text/html");
}

/// Any bytes in any pieces: no panic, and no more than the limits allow.
#[test]
fn hostile_bytes_stay_within_the_limits() {
    let alphabet = b"{}[]\",:\\0123456789.eE-+ntrufalse <>/=a\x00\xff\n ";
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for media in ["application/json", "text/html", "text/plain", ""] {
        for _ in 0..2_000 {
            let body: Vec<u8> = (0..next() % 300).map(|_| alphabet[next() % alphabet.len()]).collect();
            let mut shaper = Shaper::new(media, false);
            body.chunks(1 + next() % 17).for_each(|piece| shaper.feed(piece));
            let shape = shaper.finish(true);
            assert!(shape.nodes.len() <= MAX_NODES && shape.bytes == body.len() as u64);
        }
    }
}
