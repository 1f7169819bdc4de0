//! Answers that claim success and are not what they were: no error anywhere, and it heals all the same.

use prunella_core::detect::AnomalyKind;
use prunella_core::diagnose::Grade;
use prunella_core::id::CommitId;
use prunella_core::incident::Outcome;

use crate::client::Traffic;
use crate::service::{APP, CONFIG, innocent, with};
use crate::world::World;

/// What the shop shows of an item, as JSON.
const VIEWS: &str = r#"import json

import catalog
import pricing


def label(item):
    return f"no. {item}"


def item(number):
    return json.dumps({
        "id": number,
        "title": catalog.title(number),
        "price": pricing.price(number) / 100,
        "label": label(number),
    })


def similar(number):
    found = [n for n in range(number % 5 + 20) if n % 4 == number % 4]
    return json.dumps({"of": number, "items": [{"id": n, "price": pricing.price(n)} for n in found]})
"#;

const PATHS: &[&str] = &["/item/{n}", "/similar/{n}", "/title/{n}"];

/// A good release with these views, under traffic for as long as it takes to know its answers.
fn known() -> (World, Traffic) {
    let app = APP.replace("import pricing\n", "import pricing\nimport views\n").replace(
        "    return 404",
        "    if name == \"item\":\n        return 200, views.item(int(rest))\n    if name == \"similar\":\n        return 200, views.similar(int(rest))\n    return 404",
    );
    let mut world = World::new();
    let good = with(&mut world.repo, CONFIG, &[("app.py", &app), ("views.py", VIEWS)]);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    world.eventually("a baseline", |_| (traffic.sent() >= 1_500).then_some(()));
    (world, traffic)
}

/// Deploys these views with two other changes in the same commit: the guilty hunk is found and taken back.
fn heals(from: &str, to: &str) {
    let (mut world, traffic) = known();
    innocent(&mut world.repo, 1);
    let text = VIEWS.replace(from, to).replace("no. {item}", "number {item}")
        + "\n\ndef points(number):\n    return number // 10\n";
    let bad: CommitId = world.repo.commit(&[("views.py", &text)], "Show items otherwise");
    innocent(&mut world.repo, 2);
    world.ok(&["deploy"]);
    let incident = world.until_closed_as(Outcome::Healed);
    assert!(
        incident.anomalies.iter().any(|a| a.kind == AnomalyKind::Silent),
        "{incident:#?}"
    );
    let diagnosis = incident.diagnosis.unwrap();
    assert_eq!((&diagnosis.grade, diagnosis.commit()), (&Grade::Proven, Some(&bad)));
    assert_eq!((diagnosis.guilty_hunks.len(), diagnosis.hunks_total), (1, 3));
    let (_, fix) = incident.branch.unwrap();
    world.until_good(&fix);
    let healed = world.repo.git(&["show", &format!("{fix}:views.py")]);
    assert!(healed.contains(from) && healed.contains("number {item}"), "{healed}");
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}

#[test]
fn a_field_that_is_missing() {
    heals("        \"price\": pricing.price(number) / 100,\n", "");
}

#[test]
fn a_list_that_is_empty() {
    heals("n % 4 == number % 4]", "n % 4 == str(number % 4)]");
}

#[test]
fn a_field_more_and_other_values_are_accepted() {
    let (mut world, traffic) = known();
    let text = VIEWS.replace("\"id\": number,", "\"id\": number,\n        \"stock\": number % 3,");
    let next = world.repo.commit(&[("views.py", &text)], "Show the stock");
    world.ok(&["deploy"]);
    world.until_good(&next);
    assert!(world.truth().incidents.is_empty(), "{}", world.told());
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}
