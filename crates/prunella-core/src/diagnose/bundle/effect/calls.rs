//! Calls: in loops, no longer in batches, without cache, without clean-up, without pause, under locks, piling up.
//!
//! *Method*: the names of called functions on both sides, told apart by what such names mean everywhere: fetch, store,
//! close, lock, spawn, append.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any, words};
use super::{Effect, Finding};

const LOOPS: &[&str] = &[
    "for", "foreach", "while", "each", "map", "loop", "range", "flatmap", "repeat",
];
/// Verbs of calls that leave the process or read storage.
const REMOTE: &[&str] = &[
    "query", "select", "find", "fetch", "get", "load", "exec", "execute", "request", "send", "post", "put", "save",
    "insert", "update", "delete", "write", "read", "list", "lookup", "call", "publish", "invoke", "scan", "download",
    "upload", "check", "resolve", "render", "price", "dial", "create", "enqueue", "sync",
];
const LOCAL: &[&str] = &[
    "len", "append", "print", "println", "printf", "range", "format", "string", "strings", "str", "int", "float",
    "sprintf", "errorf", "new", "make", "list", "dict", "set", "push", "sorted", "sort", "map", "filter", "error",
    "log", "info", "debug", "warn",
];
const BULK: &[&str] = &[
    "batch",
    "bulk",
    "many",
    "multi",
    "by ids",
    "ids",
    "all_",
    "preload",
    "joins",
    "join",
    "includes",
    "prefetch",
    "select related",
    "eager",
    "mget",
    "dataloader",
    "where in",
    "id in_",
    "chunk",
    "transact",
    "pipeline",
    "coalesce",
    "aggregate",
    "buffer",
    "flush",
];
const CACHED: &[&str] = &[
    "cache",
    "memo",
    "lru",
    "redis",
    "memcache",
    "singleflight",
    "single flight",
];
const CLEANUP: &[&str] = &[
    "close",
    "release",
    "unlock",
    "free",
    "dispose",
    "cancel",
    "shutdown",
    "remove",
    "delete",
    "evict",
    "clear",
    "unsubscribe",
    "removelistener",
    "stop",
    "done",
    "rollback",
    "detach",
    "unregister",
    "purge",
    "prune",
    "pop",
    "commit",
    "ack",
    "expire",
];
const PAUSES: &[&str] = &[
    "backoff",
    "jitter",
    "sleep",
    "delay",
    "exponential",
    "circuit",
    "breaker",
    "ratelimit",
    "rate limit",
    "limiter",
    "throttle",
    "debounce",
    "singleflight",
    "semaphore",
    "ticker",
    "timer",
];
const RETRIES: &[&str] = &["retry", "retries", "attempt", "redeliver", "requeue"];
const GROWS: &[&str] = &[
    "append",
    "push",
    "add",
    "put",
    "insert",
    "set",
    "store",
    "enqueue",
    "register",
    "subscribe",
    "addlistener",
    "addeventlistener",
    "extend",
    "offer",
];
const HOLDS: &[&str] = &[
    "new map",
    "map_",
    "hashmap",
    "dict_",
    "vec_",
    "list_",
    "array",
    "global",
    "static",
    "lazy",
    "concurrenthashmap",
    "arraylist",
    "registry",
    "history",
    "seen",
    "buffer",
    "cache",
    "memo",
    "index",
    "pending",
    "sessions",
    "listeners",
    "maxsize none",
    "weak",
];
const LOCKS: &[&str] = &[
    "lock_",
    "rlock",
    "mutex",
    "synchronized",
    "for update",
    "begin_",
    "transaction",
    "serializable",
    "lock table",
    "acquire",
    "rwlock",
    "run exclusive",
    "with lock",
    "exclusive",
];
const SPAWNS: &[&str] = &[
    "go func",
    "thread",
    "spawn",
    "create task",
    "setinterval",
    "set interval",
    "executor",
    "goroutine",
    "ticker",
    "listener",
    "subscribe",
    "run in background",
    "async task",
    "daemon",
];
const HEAVY: &[&str] = &[
    "regexp",
    "regex",
    "compile",
    "sort",
    "deep copy",
    "deepcopy",
    "clone",
    "encrypt",
    "bcrypt",
    "hash",
    "compress",
    "parse",
    "serialize",
    "marshal",
    "readall",
    "read all",
    "sync_",
    "blocking",
    "copy",
    "array list",
    "to vec",
    "concat",
    "stringify",
    "nested",
];

/// Names that are called on a line, in lower case.
pub(super) fn called(line: &Line) -> impl Iterator<Item = String> + '_ {
    line.tokens.windows(2).filter_map(|pair| match pair {
        [Token::Word(name), Token::Sign('(')] => Some(name.to_lowercase()),
        _ => None,
    })
}

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    loops(hunk, found);
    caches(hunk, found);
    counted(hunk, found);
    grows(hunk, found);
    others(hunk, found);
}

/// A call is remote if its name begins with such a verb and it is a method of something.
fn remote(line: &Line) -> Option<String> {
    line.tokens.windows(3).find_map(|three| match three {
        [Token::Sign('.' | ':' | '>'), Token::Word(name), Token::Sign('(' | '<')] => {
            let first = words(name).into_iter().next()?;
            (REMOTE.contains(&first.as_str()) && !LOCAL.contains(&name.to_lowercase().as_str())).then(|| name.clone())
        }
        [Token::Word(wait), Token::Word(name), _] if wait == "await" => Some(name.clone()),
        _ => None,
    })
}

fn is_loop(line: &Line) -> bool {
    line.tokens
        .iter()
        .any(|token| matches!(token, Token::Word(word) if LOOPS.contains(&word.to_lowercase().as_str())))
}

fn text(lines: &[Line]) -> String {
    norm(
        &lines
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" \n "),
    )
}

fn loops(hunk: &Hunk, found: &mut Vec<Finding>) {
    let in_loop = |lines: &[Line]| -> Option<String> {
        let start = lines.iter().position(is_loop)?;
        // A call on the loop's own line is what it iterates over, unless it is a body of one line.
        let body = lines[start + 1..].iter();
        let own = Some(&lines[start]).filter(|line| {
            line.text.matches('(').count() >= 2
                && (line.text.contains("=>") || line.text.contains("map(") || line.text.contains('['))
        });
        body.chain(own).find_map(remote)
    };
    let bulk = |lines: &[Line]| says_any(&text(lines), BULK);
    if let Some(name) = in_loop(&hunk.added) {
        let before = in_loop(&hunk.removed).is_some();
        if !before {
            let risk = if bulk(&hunk.removed) { 1.0 } else { 0.7 };
            found.push(Finding::new(
                Effect::CallInLoop,
                risk,
                format!("calls `{name}` once for each element"),
            ));
        }
    }
    let whole = norm(&format!("{} {}", hunk.heading, hunk.file));
    let (gone, fresh) = (bulk(&hunk.removed), bulk(&hunk.added));
    if gone && !fresh && hunk.removed.iter().any(|line| remote(line).is_some()) {
        found.push(Finding::new(Effect::BatchingRemoved, 0.9, "no longer works in batches"));
    }
    // A call that loads together, taken out of a chain that stays.
    let loads = |line: &Line| called(line).find(|name| says_any(&norm(name), BULK));
    let lost = hunk
        .replaced()
        .filter(|(_, new)| loads(new).is_none() && !fresh)
        .find_map(|(old, _)| loads(old));
    if let Some(name) = lost.filter(|_| !hunk.fresh().any(|line| called(line).next().is_some())) {
        let told = format!("no longer loads together: takes `{name}` out");
        found.push(Finding::new(Effect::BatchingRemoved, 0.9, told));
    }
    // In a loop that was there before, a call was added.
    let around = hunk.context.iter().any(is_loop) || is_loop_heading(&whole);
    if around
        && let Some(name) = hunk.fresh().find_map(remote)
        && in_loop(&hunk.removed).is_none()
        && !hunk
            .removed
            .iter()
            .any(|line| remote(line).as_deref() == Some(name.as_str()))
    {
        found.push(Finding::new(
            Effect::CallInLoop,
            0.7,
            format!("adds the call `{name}` near a loop"),
        ));
    }
}

fn is_loop_heading(heading: &str) -> bool {
    says_any(heading, &["for_", "while_", "each_"])
}

fn caches(hunk: &Hunk, found: &mut Vec<Finding>) {
    let uses = |lines: &[Line]| {
        lines
            .iter()
            .filter(|line| {
                says_any(&norm(&line.text), CACHED) && called(line).next().is_some()
                    || line.text.trim_start().starts_with('@') && says_any(&norm(&line.text), CACHED)
            })
            .count()
    };
    if uses(&hunk.removed) > uses(&hunk.added) && !hunk.added.iter().any(|line| says_any(&norm(&line.text), CACHED)) {
        found.push(Finding::new(Effect::CacheRemoved, 0.9, "no longer asks a cache"));
    }
}

/// Calls of a kind that became fewer or more.
fn counted(hunk: &Hunk, found: &mut Vec<Finding>) {
    let count = |lines: &[Line], names: &[&str]| {
        lines
            .iter()
            .flat_map(called)
            .filter(|name| says_any(&norm(name), names))
            .count()
    };
    let said = |lines: &[Line], names: &[&str]| {
        lines
            .iter()
            .filter(|line| !line.tokens.is_empty() && says_any(&norm(&line.text), names))
            .count()
    };
    let less = |names: &[&str], calls: bool| {
        let count = |lines: &[Line]| if calls { count(lines, names) } else { said(lines, names) };
        (count(&hunk.removed), count(&hunk.added))
    };
    let (before, after) = less(CLEANUP, true);
    let defers = |lines: &[Line]| {
        lines
            .iter()
            .filter(|line| {
                line.text.contains("defer ")
                    || line.text.contains("finally")
                    || line.text.trim_start().starts_with("with ")
                    || line.text.contains("using ")
                    || line.text.contains("try (")
                    || line.text.contains(".use {")
                    || line.text.trim_end().ends_with("do |file|")
            })
            .count()
    };
    // What takes a function to run in between takes and releases around it.
    let handed = hunk.added.iter().any(|line| {
        let around = ["tx", "trans", "lock", "atomic", "with", "using", "scope"];
        let opens = ["=>", "->", "func(", "func (", "lambda", "|", " do", "{"];
        called(line)
            .map(|name| name.to_lowercase())
            .any(|name| around.iter().any(|word| name.contains(word)))
            && opens.iter().any(|sign| line.text.contains(sign))
    });
    let scoped = handed || defers(&hunk.added) > defers(&hunk.removed);
    if before > after && !scoped || defers(&hunk.removed) > defers(&hunk.added) && !handed {
        found.push(Finding::new(
            Effect::CleanupRemoved,
            0.9,
            "no longer releases or removes what it took",
        ));
    }
    let (before, after) = less(PAUSES, false);
    if before > after {
        found.push(Finding::new(
            Effect::BackoffRemoved,
            0.8,
            "no longer pauses or limits itself",
        ));
    }
    let (before, after) = less(RETRIES, false);
    if before > after && after == 0 {
        found.push(Finding::new(Effect::RetryLowered, 0.5, "no longer tries again"));
    }
    if after > before {
        found.push(Finding::new(Effect::RetryAdded, 0.7, "tries again where it gave up"));
    }
    let locks = |lines: &[Line]| {
        lines
            .iter()
            .flat_map(|line| words(&line.text))
            .filter(|word| word == "lock" || word == "rlock" || word == "mutex")
            .count()
    };
    let sorts = |lines: &[Line]| said(lines, &["sort", "order by", "ordered"]);
    let (before, after) = less(LOCKS, false);
    if locks(&hunk.removed) > 0
        && (locks(&hunk.added) > locks(&hunk.removed) || sorts(&hunk.removed) > sorts(&hunk.added))
    {
        found.push(Finding::new(
            Effect::LockAdded,
            0.8,
            "changes what it locks, or in which order",
        ));
    } else if before > after && after == 0 && !handed {
        found.push(Finding::new(
            Effect::LockRemoved,
            0.8,
            "no longer takes the lock or the transaction",
        ));
    } else if after > before {
        found.push(Finding::new(
            Effect::LockAdded,
            0.7,
            "takes a lock or a transaction that it did not take",
        ));
    }
    let listens = |line: &Line| {
        let on = line.tokens.windows(3).any(|three| {
            matches!(three, [Token::Word(name), Token::Sign('('), Token::Text(_)] if name == "on" || name == "addListener")
        });
        on && line.text.starts_with([' ', '\t'])
    };
    let leaves = |line: &Line| {
        says_any(
            &norm(&line.text),
            &[
                "off_",
                "remove listener",
                "removelistener",
                "unsubscribe",
                "close_",
                "once",
            ],
        )
    };
    if let Some(line) = hunk
        .fresh()
        .find(|line| listens(line))
        .filter(|_| !hunk.added.iter().any(leaves))
    {
        let told = format!("listens on and never leaves: `{}`", line.text.trim());
        found.push(Finding::new(Effect::Accumulates, 0.8, told));
    }
    let (before, after) = less(SPAWNS, false);
    if after > before {
        found.push(Finding::new(
            Effect::Spawns,
            0.6,
            "starts something that runs on by itself",
        ));
    }
}

fn grows(hunk: &Hunk, found: &mut Vec<Finding>) {
    let calls = |line: &Line| {
        called(line).any(|name| says_any(&norm(&name), GROWS)) || keyed(line) || line.text.contains("+= ")
    };
    let declares = hunk.fresh().any(|line| {
        let text = norm(&line.text);
        let outer = !line.text.starts_with([' ', '\t'])
            || says_any(
                &text,
                &[
                    "self_", "this_", "static", "global", "var_", "let_", "const_", "private", "final",
                ],
            );
        outer
            && (says_any(&text, HOLDS)
                || line.text.contains("{}")
                || line.text.contains("[]")
                || line.text.contains("map["))
    });
    let bounded = says_any(
        &text(&hunk.added),
        &[
            "evict", "limit", "max_", "maxlen", "ttl", "expire", "remove_", "delete_", "capacity", "truncate", "lru_",
            "trim", "pool_", "clear_",
        ],
    );
    let lasting = hunk.fresh().any(|line| {
        calls(line)
            && says_any(
                &norm(&line.text),
                &[
                    "cache",
                    "seen",
                    "history",
                    "registry",
                    "self_",
                    "this_",
                    "global",
                    "memo",
                    "index",
                    "sessions",
                    "listeners",
                    "store",
                    "buffer",
                    "recent",
                    "events",
                    "entries",
                    "m_",
                    "s_",
                ],
            )
    });
    let (declares, lasting) = (declares && hunk.fresh().any(calls), lasting);
    if (declares || lasting) && !bounded {
        let risk = if declares && lasting { 0.9 } else { 0.6 };
        found.push(Finding::new(
            Effect::Accumulates,
            risk,
            "keeps what it is given, without a bound",
        ));
    }
}

/// `map[id] = …`: what is set under a constant key does not grow.
fn keyed(line: &Line) -> bool {
    line.tokens.windows(3).any(|three| match three {
        [key, Token::Sign(']'), Token::Sign('=')] => !matches!(key, Token::Text(_) | Token::Number(..)),
        _ => false,
    }) && !line.text.contains("] ==")
}

fn others(hunk: &Hunk, found: &mut Vec<Finding>) {
    let known =
        |line: &&Line| !remote(line).is_some_and(|name| hunk.removed.iter().any(|old| old.text.contains(&name)));
    if let Some(name) = hunk.fresh().filter(known).find_map(remote) {
        found.push(Finding::new(
            Effect::CallAdded,
            0.4,
            format!("calls `{name}`, which it did not call"),
        ));
    }
    let gone = hunk.gone().find_map(remote);
    if let Some(name) = gone.filter(|name| !hunk.added.iter().any(|line| line.text.contains(name.as_str()))) {
        found.push(Finding::new(
            Effect::CallRemoved,
            0.4,
            format!("no longer calls `{name}`"),
        ));
    }
    let waits = |lines: &[Line]| {
        let word = |token: &Token| matches!(token, Token::Word(word) if word == "await" || word == "async");
        lines.iter().any(|line| line.tokens.iter().any(word))
    };
    if waits(&hunk.removed) && !waits(&hunk.added) && hunk.added.iter().any(|line| remote(line).is_some()) {
        let told = "waits for a call where it let others go on";
        found.push(Finding::new(Effect::HeavyWork, 0.8, told));
    }
    let heavy = |line: &Line| called(line).any(|name| says_any(&norm(&name), HEAVY));
    if hunk.added.iter().any(heavy) && !hunk.removed.iter().any(heavy) {
        found.push(Finding::new(Effect::HeavyWork, 0.5, "adds work to each call"));
    }
}

/// Takes back what only moved from one hunk to another of the same commit.
pub(super) fn cancel(hunks: &[Hunk], findings: &mut Vec<Finding>) {
    if hunks.len() < 2 {
        return;
    }
    let counts = |side: fn(&Hunk) -> &[Line], names: &[&str]| {
        hunks
            .iter()
            .flat_map(|hunk| side(hunk).iter())
            .filter(|line| says_any(&norm(&line.text), names))
            .count()
    };
    let fewer = |names: &[&str]| counts(|hunk| &hunk.removed, names) > counts(|hunk| &hunk.added, names);
    let moved = |effect: Effect| match effect {
        Effect::CleanupRemoved => !fewer(CLEANUP),
        Effect::BackoffRemoved => !fewer(PAUSES),
        Effect::CacheRemoved => !fewer(CACHED),
        _ => false,
    };
    findings.retain(|finding| !moved(finding.effect));
}
