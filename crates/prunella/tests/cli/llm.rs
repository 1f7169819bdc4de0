//! `heal` with a language model, through the real binary, against a server that speaks the protocol.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::world::{Ran, World, run_in};

const LIB: &str = "# key: API_TOKEN=sk_live_a1B2c3D4e5F6g7H8\ntotal() {\n  echo $(( $1 * 3 ))\n}\n";
const CHECK: &str = ". ./lib.sh\n[ \"$(total 2)\" = 4 ] || { echo 'total of two is wrong' >&2; exit 3; }\n";
const WRONG: &str = "lib.sh\n<<<<<<< SEARCH\n  echo $(( $1 * 3 ))\n=======\n  echo $(( $1 * 5 ))\n>>>>>>> REPLACE\n";
const RIGHT: &str = "It multiplies by three.\n\nlib.sh\n<<<<<<< SEARCH\n  echo $(( $1 * 3 ))\n=======\n  echo $(( $1 * 2 ))\n>>>>>>> REPLACE\n";

/// It never worked: there is nothing to take back.
fn never_worked() -> World {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("lib.sh", LIB), ("tests/check.sh", CHECK)], "Begin");
    world.repo.commit(&[("README", "1\n")], "Describe");
    world
}

fn read(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Answers one question after the other, and hands back the questions.
pub(crate) fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let work = move || {
        let mut questions = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            questions.push(read(&mut stream));
            let body = serde_json::json!({
                "id": "1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            })
            .to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            stream
                .write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())
                .unwrap();
        }
        questions
    };
    (url, std::thread::spawn(work))
}

fn heal(world: &World, state: &std::path::Path, more: &[&str]) -> Ran {
    let args: Vec<&str> = ["heal", "--json", "--strategy", "llm"]
        .iter()
        .chain(more)
        .chain(&["--", "sh", "tests/check.sh"])
        .copied()
        .collect();
    run_in(world.repo.path(), &args, &[("XDG_STATE_HOME", state.to_str().unwrap())])
}

#[test]
fn a_model_is_asked_again_with_what_refuted_it_and_no_secret_leaves() {
    let world = never_worked();
    let state = tempfile::tempdir().unwrap();
    let (url, server) = server(&[WRONG, RIGHT]);
    let cassette = state.path().join("cassette.jsonl");
    let model = format!("openai:m@{url}");
    let options = ["--llm", &model, "--cassette", cassette.to_str().unwrap()];
    let ran = heal(&world, state.path(), &options);
    let json = ran.json();
    assert_eq!((ran.code, &json["outcome"]), (0, &"healed".into()), "{}", ran.all());
    assert_eq!((&json["strategy"], &json["tokens"]), (&"llm".into(), &240.into()));
    assert!(
        json["patch"].as_str().unwrap().contains("+  echo $(( $1 * 2 ))"),
        "{}",
        ran.all()
    );
    assert!(
        json["confidence"].as_f64().unwrap() < 0.7,
        "new code is never as sure as what ran before"
    );
    let questions = server.join().unwrap();
    for question in &questions {
        assert!(!question.contains("sk_live_a1B2c3D4e5F6g7H8"), "{question}");
        assert!(question.contains("PRUNELLA_SECRET_1_"), "{question}");
    }
    assert!(
        questions[1].contains("was tried and is not the answer"),
        "{}",
        questions[1]
    );

    // The server is gone: the cassette answers, and the secret is nowhere in it.
    let again = heal(&world, state.path(), &options).json();
    assert_eq!((&again["outcome"], &again["tokens"]), (&"healed".into(), &0.into()));
    assert!(!std::fs::read_to_string(&cassette).unwrap().contains("sk_live_"));

    let log = run_in(
        world.repo.path(),
        &["egress", "log", "--json"],
        &[("XDG_STATE_HOME", state.path().to_str().unwrap())],
    );
    let rows = log.json()["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 4, "two calls, each with its end: {}", log.all());
    assert_eq!(
        (&rows[0]["taken_out"]["secret"], &rows[3]["outcome"]),
        (&1.into(), &"answered".into())
    );
}

#[test]
fn a_model_elsewhere_is_not_asked_unless_its_host_was_allowed() {
    let world = never_worked();
    let state = tempfile::tempdir().unwrap();
    let ran = heal(&world, state.path(), &["--llm", "anthropic:m"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.err.contains("--egress-to api.anthropic.com"), "{}", ran.all());
    // What the repository says of it does not count.
    std::fs::write(world.repo.path().join(".env"), "PRUNELLA_EGRESS_TO=api.anthropic.com\n").unwrap();
    assert_eq!(heal(&world, state.path(), &["--llm", "anthropic:m"]).code, 2);
}

#[test]
fn answers_that_do_not_fit_end_as_not_healed_with_the_reasons() {
    let world = never_worked();
    let state = tempfile::tempdir().unwrap();
    let (url, server) = server(&[
        "I cannot say.",
        "tests/check.sh\n<<<<<<< SEARCH\n. ./lib.sh\n=======\nexit 0\n>>>>>>> REPLACE\n",
        "lib.sh\n<<<<<<< SEARCH\n  echo nothing\n=======\n  echo 4\n>>>>>>> REPLACE\n",
        "lib.sh\n<<<<<<< SEARCH\n  echo $(( $1 * 3 ))\n=======\n  echo PRUNELLA_SECRET_9_\n>>>>>>> REPLACE\n",
    ]);
    let ran = heal(&world, state.path(), &["--llm", &format!("openai:m@{url}")]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    let notes = ran.json()["notes"].to_string();
    for reason in [
        "holds no edit",
        "was not shown",
        "not in the file",
        "PRUNELLA_SECRET_9_",
    ] {
        assert!(notes.contains(reason), "{reason}: {notes}");
    }
    server.join().unwrap();
}
