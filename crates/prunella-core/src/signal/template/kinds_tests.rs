//! Lines of many kinds of programs: what is one statement stays one template, what are several stay apart.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Each statement is a function from a number to a line; many lines of all, mixed.
type Statement = fn(u64) -> String;

/// Statements whose lines are not exactly one template of their own, by their position.
fn wrong(statements: &[Statement], lines_of_each: u64) -> Vec<usize> {
    let mut templates = Templates::default();
    let mut ids: Vec<(usize, TemplateId)> = Vec::new();
    for n in 0..lines_of_each {
        for (at, statement) in statements.iter().enumerate() {
            // Numbers that look random, the same in each run.
            let value = (n * 31 + at as u64 * 7 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
            ids.push((at, templates.observe(&statement(value)).template));
        }
    }
    templates.refine();
    let mut of: BTreeMap<usize, BTreeSet<TemplateId>> = BTreeMap::new();
    let mut used: BTreeMap<TemplateId, BTreeSet<usize>> = BTreeMap::new();
    for (at, id) in ids {
        let id = templates.resolve(id);
        of.entry(at).or_default().insert(id);
        used.entry(id).or_default().insert(at);
    }
    let right = |ids: &BTreeSet<TemplateId>| ids.len() == 1 && ids.iter().all(|id| used[id].len() == 1);
    of.iter().filter(|(_, ids)| !right(ids)).map(|(&at, _)| at).collect()
}

fn pick(n: u64, of: &[&'static str]) -> &'static str {
    of[(n % of.len() as u64) as usize]
}

#[test]
fn a_job_scheduler() {
    let statements: &[Statement] = &[
        |n| format!("attempt_{n}_0001_m_{:06}_0 moved from NEW to ASSIGNED", n % 99),
        |n| format!("attempt_{n}_0001_m_{:06}_0 moved from ASSIGNED to RUNNING", n % 99),
        |n| {
            format!(
                "Progress of attempt_{n}_0001_m_{:06}_0 is : {}.{}",
                n % 99,
                n % 2,
                n % 977
            )
        },
        |n| {
            format!(
                "Retrying connect to server: node-{}:8030. Already tried {} time(s); policy is Sleep(max=10, sleep=1000 MILLISECONDS)",
                n % 9,
                n % 10
            )
        },
        |n| format!("Recalculating, headroom=<memory:{}, cores:-{}>", n % 9_999, n % 31),
        |n| format!("After: pending:{} maps:{} reduces:0 local:{}", n % 3, n % 20, n % 77),
        |n| format!("Jetty bound to port {}", n % 65_000),
    ];
    assert_eq!(wrong(statements, 60), Vec::<usize>::new());
    assert_eq!(wrong(statements, 4), Vec::<usize>::new());
}

#[test]
fn a_coordinator() {
    let statements: &[Statement] = &[
        |n| format!("Accepted socket connection from /10.1.{}.7:{}", n % 250, n % 60_000),
        |n| {
            format!(
                "Closed socket connection for client /10.1.{}.7:{} (no session established)",
                n % 250,
                n % 60_000
            )
        },
        |n| {
            format!(
                "Established session 0x{n:x} with negotiated timeout {}000 for client /10.1.2.{}:{}",
                n % 9,
                n % 250,
                n % 999
            )
        },
        |n| format!("Connection broken for id {n}, my id = {}, error =", n % 3),
        |n| format!("Snapshotting: 0x{n:x} to /var/lib/data/version-2/snapshot.{n:x}"),
        |n| format!("Dropping the connection: ({}, {})", n % 3, n % 5),
        |_| "Send worker leaving thread".to_owned(),
        |_| "Interrupting SendWorker".to_owned(),
    ];
    assert_eq!(wrong(statements, 40), Vec::<usize>::new());
}

#[test]
fn a_cloud_and_its_proxy() {
    let statements: &[Statement] = &[
        |n| {
            format!(
                "10.1.2.{} \"GET /v2/{n:032x}/servers/detail HTTP/1.1\" status: {} len: {} time: 0.{}",
                n % 250,
                200 + n % 5,
                n % 9_999,
                n % 99_999
            )
        },
        |n| {
            format!(
                "[instance: {n:08x}-aaaa-4bbb-8ccc-{n:012x}] Took {}.{:02} seconds to build instance.",
                n % 20,
                n % 100
            )
        },
        |n| {
            format!(
                "[instance: {n:08x}-aaaa-4bbb-8ccc-{n:012x}] memory limit: {}.00 MB, free: {}.00 MB",
                n % 96_000,
                n % 9_000
            )
        },
        |n| {
            format!(
                "proxy{}.example.org:{} open through proxy relay.example.org:5070 HTTPS",
                n % 7,
                1 + n % 999
            )
        },
        |n| {
            format!(
                "h{}.example.org:443 close, {} bytes sent, {} bytes received, lifetime {}",
                n % 7,
                n % 900,
                n % 800,
                pick(n, &["00:01", "<1 sec", "1:02:03"])
            )
        },
        |n| {
            format!(
                "h{}.example.org:443 close, {} bytes ({}.{} KB) sent, {} bytes received, lifetime 00:0{}",
                n % 7,
                n % 90_000,
                n % 9,
                n % 90,
                n % 800,
                n % 9
            )
        },
    ];
    assert_eq!(wrong(statements, 50), Vec::<usize>::new());
}

#[test]
fn a_kernel_and_a_phone() {
    let statements: &[Statement] = &[
        |n| {
            format!(
                "DHCPDISCOVER from 00:11:{:02x}:{:02x}:ba:c3 via eth{}",
                n % 256,
                n / 256 % 256,
                n % 2
            )
        },
        |n| {
            format!(
                "PCI interrupt 0000:{:02x}:{:02x}.0 -> GSI {} (level, low) -> IRQ {}",
                n % 256,
                n / 256 % 256,
                n % 40,
                n % 255
            )
        },
        |n| {
            format!(
                "resolved to fe80::{:x}:{:x}:1:2%en0",
                1 + n % 60_000,
                1 + n / 7 % 60_000
            )
        },
        |n| {
            format!(
                "Skipping Token{{{:x} token=Inner{{{:x} Record{{{:x} u0 t{}}}}}}} -- going to hide",
                n % 99_999,
                n % 77_777,
                n % 55_555,
                n % 99
            )
        },
        |n| {
            format!(
                "setVisibility vis={} mask=1 old={} bounds=Rect(0, 0 - 1080, {})",
                n % 9,
                n % 777,
                n % 1_920
            )
        },
        |n| format!("Temperature ({}C) exceeds warning threshold", n % 60),
        |n| {
            format!(
                "Link error on tree Interconnect-{}T{:02}:{:02}:{}:{}",
                n % 3,
                n % 9,
                n % 7,
                n % 3,
                n % 2
            )
        },
        |n| format!("taskID[{n}] dealloc"),
    ];
    assert_eq!(wrong(statements, 50), Vec::<usize>::new());
}

#[test]
fn states_stay_apart_though_one_is_rare_and_names_do_not_though_few() {
    let mut templates = Templates::default();
    let states: Vec<&str> = (0..60)
        .map(|i| {
            if i == 50 {
                "Stopped"
            } else {
                pick(i, &["Started", "Paused", "Resumed"])
            }
        })
        .collect();
    let mut ids = BTreeMap::new();
    for (i, state) in states.iter().enumerate() {
        ids.insert(
            *state,
            templates
                .observe(&format!("[instance: a{i}-b{i}] VM {state} (lifecycle event)"))
                .template,
        );
    }
    let mut users = BTreeSet::new();
    for user in ["root", "ada"].into_iter().cycle().take(40) {
        users.insert(
            templates
                .observe(&format!("session opened for user {user} by (uid=0)"))
                .template,
        );
    }
    templates.refine();
    let states: BTreeSet<TemplateId> = ids.values().map(|&id| templates.resolve(id)).collect();
    assert_eq!(states.len(), 4);
    assert_eq!(
        users
            .iter()
            .map(|&id| templates.resolve(id))
            .collect::<BTreeSet<_>>()
            .len(),
        1
    );
}

#[test]
fn what_is_written_together_is_one_variable() {
    let text = |lines: &[&str]| {
        let mut templates = Templates::default();
        for line in lines {
            templates.observe(line);
        }
        templates.templates()[0].text()
    };
    assert_eq!(text(&["steps=1##22##333##4", "steps=5##6##77##8"]), "steps=<*>");
    assert_eq!(
        text(&["chip 00:11:22:aa:bb:c1 up", "chip 00:11:22:aa:bb:c2 up"]),
        "chip <*> up"
    );
    assert_eq!(
        text(&["at Sun Jul 10 03:55:15 2005", "at Mon Jul 11 04:00:00 2005"]),
        "at <*>"
    );
    assert_eq!(
        text(&["peer 10.0.0.1:80 is up", "peer 10.0.0.2:81 is up"]),
        "peer <*>:<*> is up"
    );
}
