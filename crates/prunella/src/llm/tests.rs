use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::egress::{Hosts, Log};

/// A server that speaks the protocol once for each answer, and hands back what it was sent.
fn server(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let work = move || {
        let mut seen = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            seen.push(head + &String::from_utf8(sent).unwrap());
            // A redirect's body is where it leads.
            let location = if status == 307 { body.as_str() } else { "/" };
            let reply = format!(
                "HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).unwrap();
        }
        seen
    };
    (url, std::thread::spawn(work))
}

fn completion(text: &str) -> String {
    serde_json::json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    })
    .to_string()
}

fn model(url: &str, dir: &std::path::Path, cassette: bool) -> Model {
    let choice = format!("openai:m@{url}").parse().unwrap();
    let gate = Gate::new(Hosts::default(), Log::in_dir(dir));
    let cassette = cassette.then(|| Cassette::open(&dir.join("cassette.jsonl")).unwrap());
    Model::new(choice, Some(Key::new("key-of-the-owner".to_owned())), gate, cassette).unwrap()
}

fn question(vault: &mut Vault, text: &str) -> Question {
    Question {
        system: vault.redact("Repair."),
        user: vault.redact(text),
    }
}

#[test]
fn a_question_is_answered_and_written_down_and_no_secret_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let (url, server) = server(vec![(200, completion("password = 'PRUNELLA_SECRET_1_'"))]);
    let mut vault = Vault::new();
    let question = question(&mut vault, "db_password = 'opensesame1'");
    let answer = model(&url, dir.path(), false).ask(&question, &vault, 0.2).unwrap();
    assert_eq!(vault.restore(&answer.text).unwrap(), "password = 'opensesame1'");
    assert_eq!((answer.tokens, answer.was_called), ((11, 7), true));
    let sent = server.join().unwrap().remove(0);
    assert!(
        sent.contains("PRUNELLA_SECRET_1_") && !sent.contains("opensesame1"),
        "{sent}"
    );
    assert!(
        sent.to_ascii_lowercase()
            .contains("authorization: bearer key-of-the-owner"),
        "{sent}"
    );
    let (rows, _) = Log::in_dir(dir.path()).rows().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[1].outcome.as_str(), rows[1].tokens, rows[1].local),
        ("answered", (11, 7), true)
    );
    assert_eq!(rows[0].taken_out["secret"], 1);
}

#[test]
fn an_error_of_the_provider_is_told_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"{"error":{"message":"Incorrect API key provided: key-of-the-owner"}}"#;
    let (url, server) = server(vec![(401, body.to_owned())]);
    let mut vault = Vault::new();
    let question = question(&mut vault, "x");
    let error = model(&url, dir.path(), false)
        .ask(&question, &vault, 0.2)
        .unwrap_err()
        .to_string();
    assert!(error.contains("401") && !error.contains("key-of-the-owner"), "{error}");
    server.join().unwrap();
    let (rows, _) = Log::in_dir(dir.path()).rows().unwrap();
    assert!(
        rows[1].outcome.contains("401") && !rows[1].outcome.contains("key-of-the-owner"),
        "{:?}",
        rows[1]
    );
}

#[test]
fn a_redirect_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let body = format!("http://{}/v1/chat/completions", elsewhere.local_addr().unwrap());
    let (url, server) = server(vec![(307, body)]);
    let mut vault = Vault::new();
    let question = question(&mut vault, "x");
    assert!(model(&url, dir.path(), false).ask(&question, &vault, 0.2).is_err());
    server.join().unwrap();
    assert!(elsewhere.accept().is_err());
}

#[test]
fn a_cassette_answers_the_same_question_without_a_call() {
    let dir = tempfile::tempdir().unwrap();
    let (url, server) = server(vec![(200, completion("first"))]);
    let mut vault = Vault::new();
    let question = question(&mut vault, "x");
    let called = model(&url, dir.path(), true).ask(&question, &vault, 0.2).unwrap();
    server.join().unwrap();
    // The server is gone: whatever is answered now was remembered.
    let again = model(&url, dir.path(), true).ask(&question, &vault, 0.2).unwrap();
    assert_eq!((again.text.as_str(), again.was_called), (called.text.as_str(), false));
    assert!(model(&url, dir.path(), true).ask(&question, &vault, 0.8).is_err());
}

#[test]
fn a_host_that_nobody_allowed_is_not_called() {
    let choice: Choice = "anthropic:m".parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new(Hosts::default(), Log::in_dir(dir.path()));
    let refused = Model::new(choice, None, gate, None).unwrap_err().to_string();
    assert!(refused.contains("--egress-to api.anthropic.com"), "{refused}");
    assert!(!Log::in_dir(dir.path()).path().exists());
}
