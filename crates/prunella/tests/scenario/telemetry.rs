//! The intake of the running daemon: the service's own telemetry, and what `kill -9` must not take.

use std::net::SocketAddr;

use serde_json::Value;

use crate::client::post as send;
use crate::world::World;

const CONFIG: &str = r#"[service]
name = "worker"
start = ["python3", "worker.py"]
http = false
stop_grace = "2s"

[ready]
settle = "100ms"

[intake]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
save = "1h"
"#;

/// Sends one log record to where its environment says, as an OpenTelemetry SDK would, and prints lines.
const WORKER: &str = r#"import json
import os
import time
import urllib.request

pairs = [("service.name", os.environ["OTEL_SERVICE_NAME"])]
pairs += [tuple(a.split("=", 1)) for a in os.environ["OTEL_RESOURCE_ATTRIBUTES"].split(",")]
attributes = [{"key": key, "value": {"stringValue": value}} for key, value in pairs]
records = [{"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": {"stringValue": "worker began"}}]
body = {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]}]}
assert os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/logs"
request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
assert urllib.request.urlopen(request).status == 200
print("level=info msg=told", flush=True)
print("a plain line", flush=True)
while True:
    time.sleep(1)
"#;

fn world() -> World {
    configured(CONFIG)
}

fn configured(config: &str) -> World {
    let mut world = World::new();
    let files = [
        ("prunella.toml", config),
        (".gitignore", ".prunella\n__pycache__\n"),
        ("worker.py", WORKER),
    ];
    let good = world.repo.commit(&files, "Begin");
    world.run();
    world.until_good(&good);
    world
}

/// What `status` says of the intake.
fn intake(world: &World) -> Value {
    let text = world.ok(&["status", "--json"]).out;
    serde_json::from_str::<Value>(&text).unwrap()["intake"].clone()
}

fn until(world: &mut World, key: &str, least: u64) -> Value {
    world.eventually(&format!("{key} is {least}"), |world| {
        let now = intake(world);
        (now[key].as_u64() >= Some(least)).then_some(now)
    })
}

/// Posts a log record, and says whether it was acknowledged.
fn post(addr: SocketAddr, number: usize) -> bool {
    let body = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"severityNumber\":17,\"body\":{{\"stringValue\":\"{number} failed\"}}}}]}}]}}]}}"
    );
    send(addr, "/v1/logs", "application/json", body.as_bytes()).unwrap() == 200
}

#[test]
fn the_services_telemetry_comes_in_and_is_its_releases() {
    let mut world = world();
    let now = until(&mut world, "lines", 2);
    assert_eq!(now["logs"], 1, "{now}");
    let now = until(&mut world, "services", 1);
    assert_eq!((&now["services"], &now["releases"]), (&1.into(), &1.into()), "{now}");
    assert!(
        world.ok(&["status"]).out.contains("1 logs, 0 spans"),
        "{}",
        world.told()
    );
    world.stop();
}

#[test]
fn what_was_acknowledged_before_a_kill_is_looked_at_after_it() {
    let mut world = world();
    let now = until(&mut world, "logs", 1);
    let addr: SocketAddr = now["listens"][1].as_str().unwrap().parse().unwrap();
    let acknowledged = (0..40).filter(|n| post(addr, *n)).count();
    world.kill();
    world.run();
    let now = until(&mut world, "replayed", 1 + acknowledged as u64);
    assert_eq!(now["replayed"], 1 + acknowledged as u64, "{now}");
    assert_eq!(
        now["listens"][1],
        addr.to_string(),
        "the service that runs still sends there"
    );
    assert!(post(addr, 99), "{}", world.told());
    world.stop();
}

/// How many requests the saved state covers.
fn covered(world: &World) -> u64 {
    let text = std::fs::read(world.home().intake().join("analyzers.json")).unwrap_or_default();
    let saved: Value = serde_json::from_slice(&text).unwrap_or_default();
    saved["next"].as_u64().unwrap_or(0)
}

fn segments(world: &World) -> usize {
    std::fs::read_dir(world.home().intake().join("spool")).unwrap().count()
}

#[test]
fn a_kill_between_two_saves_takes_nothing_and_what_is_saved_is_let_go() {
    // A segment is a sixteenth of the spool: two dozen of these requests.
    let often = "save = \"300ms\"\nmax_request = \"8KiB\"\nmax_unpacked = \"8KiB\"\nspool = \"64KiB\"";
    let mut world = configured(&CONFIG.replace("save = \"1h\"", often));
    let now = until(&mut world, "logs", 1);
    let addr: SocketAddr = now["listens"][1].as_str().unwrap().parse().unwrap();
    let mut acknowledged = 1;
    for round in 0..3 {
        let post = |numbers: std::ops::Range<usize>| numbers.filter(|n| post(addr, *n)).count() as u64;
        acknowledged += post(0..60);
        world.eventually("a part is saved", |world| {
            (covered(world) + 60 > acknowledged).then_some(())
        });
        acknowledged += post(60..100);
        world.kill();
        let unsaved = acknowledged - covered(&world);
        world.run();
        // What is left of the daemon before it counts more requests.
        acknowledged += post(100..101);
        let now = world.eventually(&format!("{unsaved} are looked at again in round {round}"), |world| {
            let now = intake(world);
            (now["requests"] == 1 && now["replayed"] == unsaved).then_some(now)
        });
        assert_eq!(now["spool_damaged"], 0, "{now}");
        world.eventually("all is saved and let go", |world| {
            (covered(world) == acknowledged && segments(world) == 1).then_some(())
        });
        assert_eq!(intake(&world)["replayed"], unsaved, "{}", world.told());
    }
    assert_eq!(acknowledged, 304);
    world.stop();
}
