use super::*;
use crate::signal::Language;

fn frame(file: &str, line: u32, function: &str, in_app: bool) -> Frame {
    Frame {
        file: file.into(),
        line: Some(line),
        function: function.into(),
        in_app,
    }
}

fn exception(class: &str, message: &str, frames: Vec<Frame>) -> Exception {
    Exception {
        language: Language::Python,
        class: class.into(),
        message: message.into(),
        frames,
        causes: vec![],
    }
}

fn route() -> Location {
    Location::Route {
        method: "GET".into(),
        template: "/orders/{id}".into(),
    }
}

fn identity(root: &str, line: u32, message: &str) -> FailureIdentity {
    let frames = vec![
        frame("/usr/lib/python3/wsgi.py", 9, "run", false),
        frame(&format!("{root}/shop/web.py"), 10, "handle", true),
        frame(&format!("{root}/shop/price.py"), line, "total", true),
        frame("/usr/lib/python3/json.py", 1, "loads", false),
    ];
    FailureIdentity::from_exception(&exception("KeyError", message, frames), route(), Some(500), &[root])
}

#[test]
fn survives_line_moves_checkouts_and_values() {
    let one = identity("/srv/releases/a", 10, "'order 7'");
    let two = identity("/srv/releases/b", 99, "'order 8'");
    assert_eq!(one.matches(&two), Match::Same);
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(
        one.frames[0],
        FrameKey {
            file: "shop/price.py".into(),
            function: "total".into()
        }
    );
    assert_eq!(one.frames.len(), 2);
}

#[test]
fn the_class_alone_is_never_enough() {
    let one = identity("/r", 1, "'x'");
    let mut other_message = one.clone();
    other_message.message = "no such column".into();
    assert_eq!(one.matches(&other_message), Match::Different(Difference::Message));

    let mut other_frame = one.clone();
    other_frame.frames[0].function = "tax".into();
    assert_eq!(one.matches(&other_frame), Match::Different(Difference::Frames));

    let mut other_route = one.clone();
    other_route.location = Location::Route {
        method: "POST".into(),
        template: "/orders/{id}".into(),
    };
    assert_eq!(one.matches(&other_route), Match::Different(Difference::Location));

    let mut other_class = one.clone();
    other_class.class = "ValueError".into();
    assert_eq!(one.matches(&other_class), Match::Different(Difference::Class));

    for other in [other_message, other_frame, other_route, other_class] {
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.matches(&other), other.matches(&one));
    }
}

#[test]
fn too_little_seen_is_weaker_never_same() {
    let full = identity("/r", 1, "'x'");
    let mut no_frames = full.clone();
    no_frames.frames.clear();
    assert_eq!(full.matches(&no_frames), Match::Weaker);
    let mut no_place = full.clone();
    no_place.location = Location::Process;
    assert_eq!(no_place.matches(&full), Match::Weaker);
    let mut other_caller = full.clone();
    other_caller.frames[1].function = "retry".into();
    assert_eq!(full.matches(&other_caller), Match::Weaker);
    let status_only = FailureIdentity::from_response(route(), 500, b"oops");
    assert_eq!(full.matches(&status_only), Match::Weaker);
    let other_status = FailureIdentity::from_response(route(), 503, b"oops");
    assert_eq!(full.matches(&other_status), Match::Different(Difference::Status));
}

#[test]
fn a_status_alone_matches_by_route_status_and_body_class() {
    let one = FailureIdentity::from_response(route(), 500, br#"{"error": "order 7 failed", "id": 3}"#);
    let two = FailureIdentity::from_response(route(), 500, br#"{"id": 9, "error": "order 8 failed"}"#);
    assert_eq!(one.matches(&two), Match::Same);
    let other = FailureIdentity::from_response(route(), 500, br#"{"error": "no stock", "id": 3}"#);
    assert_eq!(one.matches(&other), Match::Different(Difference::Message));
    let html = FailureIdentity::from_response(route(), 500, b"<h1>Error 12</h1>");
    assert_eq!(
        html.matches(&FailureIdentity::from_response(route(), 500, b"<h1>Error 13</h1>")),
        Match::Same
    );
}

#[test]
fn exits_differ_by_code_signal_and_last_line() {
    let exit = |exit, line| FailureIdentity::from_exit(Location::Process, exit, line);
    let one = exit(Exit::Code(1), "error: port 80 in use");
    assert_eq!(one.matches(&exit(Exit::Code(1), "error: port 81 in use")), Match::Same);
    assert_eq!(
        one.matches(&exit(Exit::Signal(11), "")),
        Match::Different(Difference::Class)
    );
    assert_eq!(
        one.matches(&exit(Exit::Code(1), "no such table")),
        Match::Different(Difference::Message)
    );
}

#[test]
fn recursion_is_collapsed() {
    let recursive = |depth: usize| {
        let mut frames = vec![frame("/r/a.py", 1, "main", true)];
        for _ in 0..depth {
            frames.push(frame("/r/a.py", 5, "walk", true));
            frames.push(frame("/r/a.py", 9, "visit", true));
        }
        FailureIdentity::from_exception(
            &exception("RecursionError", "deep", frames),
            Location::Process,
            None,
            &["/r"],
        )
    };
    assert_eq!(recursive(1), recursive(400));
    assert_eq!(recursive(2).frames.len(), 3);
}

#[test]
fn which_of_two_mutually_recursive_functions_was_innermost_does_not_matter() {
    let recursive = |depth: usize| {
        let mut frames = vec![frame("/r/a.py", 1, "main", true)];
        for n in 0..depth {
            frames.push(frame("/r/a.py", 5, ["odd", "even"][n % 2], true));
        }
        let exception = exception("RecursionError", "deep", frames);
        FailureIdentity::from_exception(&exception, Location::Process, None, &["/r"])
    };
    assert_eq!(recursive(40), recursive(41));
    assert_eq!(recursive(40).frames.len(), 3);
}

#[test]
fn a_key_is_no_part_of_the_group_where_frames_tell_the_place() {
    let missing = |key: &str, frames| {
        let exception = exception("KeyError", key, frames);
        FailureIdentity::from_exception(&exception, Location::Process, None, &["/r"])
    };
    let placed = |key| missing(key, vec![frame("/r/a.py", 1, "price", true)]);
    assert_eq!(placed("'ada'").fingerprint(), placed("'bela'").fingerprint());
    assert_ne!(placed("'ada'"), placed("'bela'"), "still two failures");
    assert_ne!(
        missing("'ada'", vec![]).fingerprint(),
        missing("'bela'", vec![]).fingerprint()
    );
}

#[test]
fn files_are_compared_inside_the_repository() {
    assert_eq!(repository_path("/srv/r1/app/x.py", &["/srv", "/srv/r1/"]), "app/x.py");
    assert_eq!(repository_path("./app/x.py", &[]), "app/x.py");
    assert_eq!(repository_path("file:///srv/r1/x.js", &["/srv/r1"]), "x.js");
    assert!(same_file("/old/place/app/x.py", "app/x.py"));
    assert!(!same_file("lib/app/x.py", "app/x.py"));
    assert!(!same_file("/old/myapp/x.py", "app/x.py"));
}

#[test]
fn function_names_lose_what_varies_between_builds() {
    assert_eq!(
        function_name("shop::price::total::h0123456789abcdef"),
        "shop::price::total"
    );
    assert_eq!(function_name("async Cart.total"), "Cart.total");
    assert_eq!(function_name("shop::high"), "shop::high");
}
