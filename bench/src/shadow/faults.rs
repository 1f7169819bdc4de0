//! Changes of behaviour, made on the answers of a real service: those of the suite `silent`, and changes of status, header
//! fields, pages, texts and latency.

use prunella_core::verify::shadow::Reply;
use prunella_gateway::shape::media_of;

use super::service::Got;
use crate::silent::bodies::{self, Answer};

/// What becomes of an answer.
type Make = Box<dyn Fn(&Got) -> Option<Got>>;

/// A change of an answer; nothing if it does not apply to such an answer.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) make: Make,
}

/// All of them. Those of `silent` that spare some answers are left out: which answers are touched is said otherwise here.
pub(super) fn all() -> Vec<Fault> {
    let of_bodies = bodies::FAULTS
        .iter()
        .filter(|f| !f.name.contains("in one answer of"))
        .map(|fault| Fault {
            name: fault.name,
            make: Box::new(|got| of_body(got, fault)),
        });
    let own: [Own; 9] = [
        ("another status of success", |g| {
            response(g, |r| r.0 = if r.0 == 200 { 202 } else { 200 })
        }),
        ("an error instead of the answer", |g| {
            response(g, |r| (r.0, *r.2) = (500, b"Internal Server Error".to_vec()))
        }),
        ("no answer", |g| {
            let what = "the connection broke".to_owned();
            Some(Got {
                reply: Reply::Nothing { what },
                ..g.clone()
            })
        }),
        ("a header field is missing", |g| response(g, |r| drop(r.1.pop()))),
        ("another content type", |g| {
            response(g, |r| {
                for (name, value) in
                    r.1.iter_mut()
                        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
                {
                    name.make_ascii_lowercase();
                    "application/octet-stream".clone_into(value);
                }
            })
        }),
        ("a header field more", |g| {
            response(g, |r| r.1.push(("Access-Control-Allow-Origin".into(), "*".into())))
        }),
        ("a word is another", |g| text(g, swap_word)),
        ("the last quarter of a text is missing", |g| {
            text(g, |text| {
                let keep = text.char_indices().nth(text.chars().count() * 3 / 4)?.0;
                Some(text[..keep].to_owned())
            })
        }),
        ("four times as slow, and 20 ms", |g| {
            Some(Got {
                latency_us: g.latency_us * 4 + 20_000,
                ..g.clone()
            })
        }),
    ];
    let own = own.into_iter().map(|(name, make)| Fault {
        name,
        make: Box::new(make),
    });
    of_bodies.chain(own).collect()
}

/// A change that is a function alone.
type Own = (&'static str, fn(&Got) -> Option<Got>);
/// Status, header fields and body.
type Parts<'a> = (u16, &'a mut Vec<(String, String)>, &'a mut Vec<u8>);

fn response(got: &Got, change: impl Fn(&mut Parts<'_>)) -> Option<Got> {
    let mut new = got.clone();
    let Reply::Response {
        status, headers, body, ..
    } = &mut new.reply
    else {
        return None;
    };
    let mut parts = (*status, headers, body);
    change(&mut parts);
    *status = parts.0;
    Some(new)
}

fn text(got: &Got, change: impl Fn(&str) -> Option<String>) -> Option<Got> {
    let Reply::Response { body, .. } = &got.reply else {
        return None;
    };
    let new = change(std::str::from_utf8(body).ok()?)?.into_bytes();
    response(got, |parts| parts.2.clone_from(&new))
}

/// Another word in the place of the middle one of those that stand between white space or tags and have only letters.
fn swap_word(text: &str) -> Option<String> {
    let words: Vec<(usize, &str)> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '/' | '=' | ',' | ':'))
        .filter(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_alphabetic()))
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .collect();
    let (at, word) = words.get(words.len() / 2)?;
    Some(format!("{}{}{}", &text[..*at], "otherwise", &text[at + word.len()..]))
}

fn of_body(got: &Got, fault: &bodies::Fault) -> Option<Got> {
    let Reply::Response {
        status, headers, body, ..
    } = &got.reply
    else {
        return None;
    };
    let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
    let media = media_of(
        headers
            .iter()
            .find(|(name, _)| is_type(name))
            .map(|(_, value)| value.as_str()),
    );
    let answer = Answer {
        route: String::new(),
        uri: String::new(),
        status: *status,
        media: media.clone(),
        body: body.clone(),
    };
    let made = (fault.make)(&answer, 0)?;
    let mut new = got.clone();
    if let Reply::Response {
        status, headers, body, ..
    } = &mut new.reply
    {
        (*status, *body) = (made.status, made.body);
        if made.media != media {
            headers.retain(|(name, _)| !is_type(name));
            headers.push(("content-type".to_owned(), made.media));
        }
    }
    Some(new)
}
