//! Connections, clients and sessions that are made for each call instead of once.
//!
//! *Method*: a constructor of something that holds a connection, on an added line inside of a function, where the
//! removed lines used one that was there; connections that are no longer kept open.
//! *Source*: RFC 9112, section 9.3 on persistent connections; "improper instantiation" among the cloud antipatterns.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::{Effect, Finding};

const HOLDERS: &[&str] = &[
    "client",
    "connection",
    "session",
    "channel",
    "transport",
    "pool",
    "datasource",
    "producer",
    "consumer",
    "socket",
    "engine",
    "cluster",
];
const MAKERS: &[&str] = &[
    "new",
    "create",
    "open",
    "connect",
    "dial",
    "get connection",
    "build",
    "make",
];
/// Words of a line that makes what lasts.
const LASTING: &[&str] = &[
    "static",
    "final",
    "global",
    "once",
    "lazy",
    "singleton",
    "self_",
    "this_",
    "package",
];
/// Functions that run once.
const ONCE: &[&str] = &["init_", "main_", "constructor", "new_", "setup", "startup", "configure"];
const NOT_KEPT: &[&str] = &[
    "disable keep alive",
    "disable keepalive",
    "keep alive false",
    "keepalive false",
    "keepalive off",
    "connection close",
    "pooling false",
    "null pool",
    "nullpool",
    "force new connection",
    "conn max age 0",
    "reuse false",
];
const KEPT: &[&str] = &[
    "max idle",
    "keep alive",
    "keepalive",
    "idle conn",
    "pooling true",
    "reuse true",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    let makes = |lines: &[Line]| lines.iter().filter_map(maker).next();
    let lasting = says_any(&norm(&hunk.heading), ONCE);
    if let Some(name) = makes(&hunk.added).filter(|_| makes(&hunk.removed).is_none() && !lasting)
        && !hunk.removed.is_empty()
    {
        found.push(Finding::new(
            Effect::ConnectionEachCall,
            0.8,
            format!("makes `{name}` where it used one that was there"),
        ));
    }
    let says = |line: &Line, phrases: &[&str]| !line.tokens.is_empty() && says_any(&norm(&line.text), phrases);
    let closes =
        hunk.added.iter().any(|line| says(line, NOT_KEPT)) && !hunk.removed.iter().any(|line| says(line, NOT_KEPT));
    let lost = hunk.gone().any(|line| says(line, KEPT)) && !hunk.added.iter().any(|line| says(line, KEPT));
    if closes || lost {
        found.push(Finding::new(
            Effect::ConnectionEachCall,
            if closes { 0.9 } else { 0.6 },
            "no longer keeps connections open for the next call",
        ));
    }
}

/// What a line makes, if it is something that holds a connection and is not kept beyond the function.
fn maker(line: &Line) -> Option<String> {
    let text = norm(&line.text);
    if !line.text.starts_with([' ', '\t']) || says_any(&text, LASTING) {
        return None;
    }
    line.tokens.windows(3).find_map(|three| match three {
        [Token::Word(new), Token::Word(name), Token::Sign('(' | '{')] if new == "new" && holds(name) => {
            Some(name.clone())
        }
        [_, Token::Word(name), Token::Sign('(')] if made(name) => Some(name.clone()),
        _ => None,
    })
}

fn holds(name: &str) -> bool {
    let name = norm(name);
    HOLDERS.iter().any(|holder| name.contains(&format!("{holder} ")))
}

/// `createClient`, `NewSession`, `HttpClient`, `open_connection`: a maker's name, or a type's.
fn made(name: &str) -> bool {
    let normed = norm(name);
    let typed = name.starts_with(char::is_uppercase) && !normed.starts_with(" get ");
    // A prepared statement is held by the server.
    says_any(&normed, &["prepare context", "prepare statement", "prepare_"])
        || holds(name) && (typed || says_any(&normed, MAKERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(removed: &str, added: &str, expected: bool) {
        let diff = format!("@@ run @@\n{removed}\n{added}\n");
        let commit = super::super::Commit {
            files: vec!["a/b.x".to_owned()],
            diff: Some(diff),
            ..Default::default()
        };
        let found = super::super::read(&commit).findings;
        let each = found.iter().any(|finding| finding.effect == Effect::ConnectionEachCall);
        assert_eq!(each, expected, "{removed} {added} {found:?}");
    }

    #[test]
    fn connections_of_many_languages() {
        check(
            "-    r = self.session.get(url)",
            "+    r = requests.Session().get(url)",
            true,
        );
        check(
            "-    pool.query(sql)",
            "+    const client = new Client(dsn); client.query(sql)",
            true,
        );
        check(
            "-    rows := s.db.Query(q)",
            "+    rows := sqlx.NewClient(dsn).Query(q)",
            true,
        );
        check("-    connect(dsn)", "+    connect(dsn, name)", false);
        check("-    x = client.get(a)", "+    x = client.get(b)", false);
        check("-    t.KeepAlive = 30", "+    t.DisableKeepAlives = true", true);
    }
}
