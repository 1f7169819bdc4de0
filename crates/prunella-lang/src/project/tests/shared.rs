//! Files of no language.

use super::*;

#[test]
fn a_procfile_says_it() {
    let found = guess(&[
        (
            "Procfile",
            "release: python manage.py migrate\nweb: gunicorn shop:app --bind 0.0.0.0:$PORT\nworker: celery -A shop worker\n",
        ),
        ("requirements.txt", "flask\ngunicorn\ncelery\n"),
        ("shop.py", "app = Flask(__name__)\n"),
    ]);
    assert_eq!(
        starts(&found)[..2],
        [
            "High: .venv/bin/python -m gunicorn shop:app --bind 127.0.0.1:{port}",
            "Medium: .venv/bin/python -m gunicorn -b 127.0.0.1:{port} shop:app",
        ]
    );
    assert!(starts(&found).contains(&"Low: .venv/bin/python -m celery -A shop worker [None]".to_owned()));
}

#[test]
fn a_worker_alone_serves_no_http() {
    let found = guess(&[("Procfile", "worker: node worker.js\n"), ("worker.js", "")]);
    assert_eq!(starts(&found), ["Medium: node worker.js [None]"]);
    assert_eq!(found.readiness.best(), None);
}

#[test]
fn the_last_stage_of_a_dockerfile() {
    let found = guess(&[
        (
            "Dockerfile",
            "FROM node AS build\nCMD [\"npm\", \"run\", \"x\"]\nFROM python\nHEALTHCHECK CMD curl -f http://localhost:8000/ready\n\
             ENTRYPOINT [\"uvicorn\"]\nCMD [\"shop.main:app\", \\\n  \"--host\", \"0.0.0.0\", \"--port\", \"80\"]\n",
        ),
        ("requirements.txt", "starlette\nuvicorn\n"),
        ("shop/main.py", ""),
    ]);
    assert_eq!(
        starts(&found),
        ["Medium: .venv/bin/python -m uvicorn shop.main:app --host 127.0.0.1 --port {port}"]
    );
    assert_eq!(found.readiness.best().map(|guess| guess.value.as_str()), Some("/ready"));
}

#[test]
fn make_targets_are_the_last_resort() {
    let found = guess(&[
        ("Makefile", "VAR := 1\nrun: build\n\t./x\ntest:\n\t./t\n"),
        ("x.py", ""),
    ]);
    assert_eq!(starts(&found), ["Low: make run [Unknown]"]);
    assert_eq!(best_test(&found), "make test");
    assert_eq!(
        found.test.best().map(|guess| guess.why.as_str()),
        Some("found in Makefile, target test")
    );
}
