//! `templates` through the real binary.

use crate::world::World;

const LOG: &str = "10:00:01 INFO charged order 17 for user ada\n10:00:02 INFO charged order 18 for user bela\n\
                   10:00:03 ERROR cannot reach \x1b[31mdb-1\n";

fn world() -> World {
    let mut world = World::empty();
    let source = "def pay(order, user):\n    log.info('charged order %d for user %s', order, user)\n";
    world.repo.commit(&[("shop/pay.py", source), ("app.log", LOG)], "Begin");
    world
}

#[test]
fn templates_are_counted_and_their_statements_named() {
    let document = world().run(&["templates", "app.log", "--json"]).json();
    assert_eq!(document["lines"], 3);
    let first = &document["templates"][0];
    assert_eq!(
        (&first["lines"], &first["first_line"], &first["last_line"]),
        (&2.into(), &1.into(), &2.into())
    );
    let place = &first["statements"][0];
    assert_eq!(
        (&place["file"], &place["line"]),
        (&"shop/pay.py".into(), &2.into()),
        "{document}"
    );
}

#[test]
fn people_see_a_table_and_no_escape_of_the_log() {
    let ran = world().run(&["templates", "app.log", "--limit", "9"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("shop/pay.py:2"), "{}", ran.all());
    assert!(!ran.out.contains('\x1b'), "{}", ran.all());
}

#[test]
fn a_log_that_is_not_there_is_named() {
    world()
        .run(&["templates", "missing.log"])
        .fails(2, &["missing.log", "standard input"]);
}
