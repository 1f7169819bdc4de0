//! Services that cannot run twice, and services without HTTP.

use std::fs;

use prunella_core::diagnose::Grade;
use prunella_core::incident::{Mitigation, Outcome};

use crate::client::Traffic;
use crate::service::{APP, CONFIG, HEALTHY, PATHS, begin, guilty, innocent, with};
use crate::world::World;

const WORKER: &str = r#"import os
import time

import parts

number = 0
while True:
    number += 1
    with open("done.txt", "w") as file:
        file.write(os.environ["PRUNELLA_RELEASE"] + " " + parts.part(number))
    time.sleep(0.02)
"#;

const PARTS: &str = "def part(number):\n    return str(number)\n";

const WORKER_CONFIG: &str = r#"[service]
name = "worker"
start = ["python3", "worker.py"]
http = false
stop_grace = "2s"

[ready]
settle = "200ms"

[state]
paths = ["done.txt"]

[test]
command = "python3 -c 'import parts; assert parts.part(1)'"

[heal]
autonomy = "promote"

[canary]
probation = "2s"
"#;

#[test]
fn a_worker_is_supervised_diagnosed_and_healed() {
    let mut world = World::new();
    let good = world.repo.commit(
        &[
            ("prunella.toml", WORKER_CONFIG),
            (".gitignore", ".prunella\n__pycache__\ndone.txt\n"),
            ("worker.py", WORKER),
            ("parts.py", PARTS),
        ],
        "Begin",
    );
    world.repo.write("done.txt", "");
    world.run();
    let first = world.until_good(&good);
    world.repo.commit(&[("notes.txt", "nothing\n")], "Add notes");
    let bad = world.repo.commit(
        &[(
            "parts.py",
            "LIMITS = [50] * 25\n\n\ndef part(number):\n    return str(min(number, LIMITS[number]))\n",
        )],
        "Limit parts",
    );
    world.repo.commit(&[("notes.txt", "nothing more\n")], "Add more notes");
    world.ok(&["deploy"]);
    let incident = world.until_closed();
    assert_eq!(
        incident.outcome.as_ref().map(|o| o.0),
        Some(Outcome::Healed),
        "{incident:#?}\n{}",
        world.told()
    );
    assert_eq!(incident.mitigation, Some(Mitigation::FailOver { to: first }));
    let diagnosis = incident.diagnosis.unwrap();
    assert_eq!((&diagnosis.grade, diagnosis.commit()), (&Grade::Proven, Some(&bad)));
    let fix = incident.branch.unwrap().1;
    let healed = world.until_good(&fix);
    let done = world.repo.path().join("done.txt");
    world.eventually("the healed release works", |_| {
        let text = fs::read_to_string(&done).unwrap_or_default();
        text.starts_with(healed.as_str()).then_some(())
    });
    world.stop();
}

fn cold(config: &str, app: &str) {
    let mut world = World::new();
    let config = config.replace("listen = ", "standby = \"cold\"\nlisten = ");
    let good = with(&mut world.repo, &config, &[("app.py", app)]);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    // What is not known of the good release nobody can be compared with.
    world.eventually("a baseline", |_| (traffic.sent() >= 300).then_some(()));
    let next = innocent(&mut world.repo, 1);
    world.ok(&["deploy", "--wait=accepted", "--timeout", "60s"]);
    let seen = traffic.stop();
    assert_eq!(seen.failed, 0, "{:?}\n{}", seen.shown, world.told());
    assert!(seen.commits.contains_key(next.as_str()), "{:?}", seen.commits);
    assert_eq!(world.services().len(), 1, "never two at a time");

    // A bad release has to give way to the good one, which starts again.
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    guilty(&mut world.repo);
    world.ok(&["deploy"]);
    world.until_event("mitigated");
    world.eventually("the good release answers again", |w| {
        (w.get("/total/4").status == 200).then_some(())
    });
    let incident = world.until_closed_as(Outcome::Healed);
    world.until_good(&incident.branch.unwrap().1);
    let seen = traffic.stop();
    // There is no second process to ask: what the bad release answers is what the client gets, but nothing is dropped.
    let dropped: Vec<&String> = seen.shown.iter().filter(|f| !f.contains("500 it broke")).collect();
    assert!(dropped.is_empty() && seen.refused == 0, "{dropped:?}\n{}", world.told());
    world.stop();
}

#[test]
fn one_at_a_time_on_a_port() {
    cold(CONFIG, APP);
}

#[test]
fn one_at_a_time_on_a_passed_socket() {
    let app = APP.replace(
        "    Server((\"127.0.0.1\", int(sys.argv[1])), Handler).serve_forever()",
        "    assert os.environ[\"LISTEN_FDS\"] == \"1\"\n    \
         server = Server((\"127.0.0.1\", 0), Handler, bind_and_activate=False)\n    \
         server.socket = socket.socket(fileno=3)\n    server.serve_forever()",
    );
    let app = app.replace("import os\n", "import os\nimport socket\n");
    cold(
        &CONFIG.replace("listen = ", "socket_activation = true\nlisten = "),
        &app,
    );
}

#[test]
fn a_service_in_a_warm_world_keeps_its_good_release_beside() {
    let mut world = World::new();
    let good = begin(&mut world.repo, &CONFIG.replace("500ms", "1h"));
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, HEALTHY);
    innocent(&mut world.repo, 1);
    world.ok(&["deploy", "--wait", "--timeout", "60s"]);
    assert_eq!(world.services().len(), 2);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}
