//! A curl command, as browsers copy it: address, method, header fields and body.

use super::Recorded;

/// Options that take a value which does not matter here.
const WITH_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-w",
    "--write-out",
    "-x",
    "--proxy",
    "--cacert",
    "-E",
    "--cert",
    "--key",
    "--retry",
    "--resolve",
    "-c",
    "--cookie-jar",
    "-F",
    "--form",
    "-T",
    "--upload-file",
];

/// Reads one; `None` if it has no address, or sends a file.
pub(super) fn read(line: &str) -> Option<Recorded> {
    let words = words(line)?;
    let mut rest = words.into_iter().skip(1);
    let (mut method, mut target, mut headers, mut body, mut to_query) = (None, None, Vec::new(), None::<String>, false);
    while let Some(word) = rest.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ if word.starts_with('-')
                && !word.starts_with("--")
                && word.len() > 2
                && "XHdbAeu".contains(&word[1..2]) =>
            {
                (word[..2].to_owned(), Some(word[2..].to_owned()))
            }
            _ => (word.clone(), None),
        };
        let mut value = || inline.clone().or_else(|| rest.next());
        match name.as_str() {
            "-X" | "--request" => method = value(),
            "-H" | "--header" => {
                let field = value()?;
                if let Some((name, value)) = field.split_once(':') {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
            "-b" | "--cookie" => headers.push(("cookie".to_owned(), value()?)),
            "-A" | "--user-agent" => headers.push(("user-agent".to_owned(), value()?)),
            "-e" | "--referer" => headers.push(("referer".to_owned(), value()?)),
            "-u" | "--user" => {
                use base64::Engine as _;
                let encoded = base64::engine::general_purpose::STANDARD.encode(value()?);
                headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
            }
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-ascii" | "--json" => {
                let part = value()?;
                // What is in a file was not recorded.
                if part.starts_with('@') && name != "--data-raw" {
                    return None;
                }
                if name == "--json" {
                    headers.push(("content-type".to_owned(), "application/json".to_owned()));
                }
                body = Some(body.map_or_else(|| part.clone(), |had| format!("{had}&{part}")));
            }
            "-G" | "--get" => to_query = true,
            "-I" | "--head" => method = Some("HEAD".to_owned()),
            "-F" | "--form" | "-T" | "--upload-file" => return None,
            "--url" => target = value(),
            other if WITH_VALUE.contains(&other) => drop(value()),
            other if other.starts_with('-') => {}
            _ => target = target.or(Some(word)),
        }
    }
    let mut target = target?;
    if to_query && let Some(query) = body.take() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&query);
    }
    let has_type = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if body.is_some() && !has_type {
        headers.push((
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ));
    }
    let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    if !target.contains("://") && !target.starts_with('/') {
        target = format!("http://{target}");
    }
    Recorded::new(&method, &target, headers, body.unwrap_or_default().into_bytes(), None)
}

/// The words of a command as a POSIX shell splits them, with quotes, `\` and `$'…'`; `None` if a quote stays open.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '$' if chars.peek() == Some(&'\'') => {
                let _ = chars.next();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        '\\' => word.push(match chars.next()? {
                            'n' => '\n',
                            'r' => '\r',
                            't' => '\t',
                            c => c,
                        }),
                        c => word.push(c),
                    }
                }
            }
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => word.push(chars.next()?),
                    c => word.push(c),
                }
            },
            '\\' => word.push(chars.next()?),
            c => word.push(c),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, label: &str, headers: &[(&str, &str)], body: &str) {
        let found = read(line).unwrap();
        let pairs: Vec<(&str, &str)> = found
            .request
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!((found.label().as_str(), pairs), (label, headers.to_vec()));
        assert_eq!(String::from_utf8(found.request.body).unwrap(), body);
    }

    #[test]
    fn what_a_browser_copies_is_read() {
        check(
            r#"curl 'https://x.org/a?b=1' -H 'accept: */*' -H 'x: "y"' --compressed"#,
            "GET /a?b=1",
            &[("accept", "*/*"), ("x", "\"y\"")],
            "",
        );
        check(
            r#"curl -XPUT x.org/a --data-raw '{"a":"it'\''s"}' -H "Content-Type: application/json""#,
            "PUT /a",
            &[("Content-Type", "application/json")],
            r#"{"a":"it's"}"#,
        );
        check("curl -G /s -d q=1 -d r=2", "GET /s?q=1&r=2", &[], "");
        check(
            "curl -d a=1 http://x/f",
            "POST /f",
            &[("content-type", "application/x-www-form-urlencoded")],
            "a=1",
        );
        assert!(read("curl -d @file http://x/").is_none() && read("curl -s").is_none() && read("curl 'x").is_none());
    }
}
