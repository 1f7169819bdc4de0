//! Access logs: any line with a quoted request line, as Apache, nginx and most servers write it.
//!
//! *Source*: Common and Combined Log Format.

use super::Recorded;

/// Reads a line such as `… "GET /a HTTP/1.1" 200 …`, with or without the quotes.
pub(super) fn read(line: &str) -> Option<Recorded> {
    let version = line.find(" HTTP/")?;
    let before = &line[..version];
    let begin = before.rfind('"').map_or(0, |at| at + 1);
    let mut words = before[begin..].split_whitespace().rev();
    let (target, method) = (words.next()?, words.next()?);
    let after = line[version + " HTTP/".len()..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let status = after
        .trim_start_matches(['"', ' '])
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    let status = status.filter(|status| (100..600).contains(status));
    // A log has no body: what had one cannot be sent again.
    let has_body = matches!(method, "POST" | "PUT" | "PATCH");
    let recorded = Recorded::new(method, target, Vec::new(), Vec::new(), status)?;
    Some(Recorded {
        is_complete: !has_body,
        ..recorded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, Option<u16>)>) {
        let found = read(line).map(|r| (r.label(), r.status));
        assert_eq!(found, expected.map(|(label, status)| (label.to_owned(), status)));
    }

    #[test]
    fn request_and_status_are_read() {
        check(
            r#"10.0.0.1 - - [24/Nov/2026:10:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl/8""#,
            Some(("GET /a?b=c", Some(200))),
        );
        check(
            "INFO: 127.0.0.1:1 - \"GET /x HTTP/1.1\" 404 Not Found",
            Some(("GET /x", Some(404))),
        );
        check("GET /x HTTP/2.0", Some(("GET /x", None)));
        check("10.0.0.1 \"-\" 400 0", None);
        assert!(!read("\"POST /x HTTP/1.1\" 201 5").unwrap().is_complete);
    }
}
