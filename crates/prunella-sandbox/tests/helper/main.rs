//! The tests' own program: the supervisor (`jail`), and hostile code that runs inside (`attack <name> [argument]`).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the tests read what an attack says"
)]

mod attacks;
mod raw;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["jail"] => prunella_sandbox::jail_main(0),
        ["launch", spec] => launch(spec),
        ["attack", name] => attacks::attempt(name, ""),
        ["attack", name, argument] => attacks::attempt(name, argument),
        ["loopback"] => attacks::own_loopback().expect("the jail's own loopback"),
        ["say", fd] => attacks::say_on(fd.parse().expect("a number")).expect("the passed descriptor"),
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        ["eat"] => eat(),
        ["flood"] => flood(),
        _ => {
            eprintln!("usage: prunella-jail jail | launch <spec> | attack <name> [argument] | ...");
            std::process::exit(2);
        }
    }
}

/// Stands for a whole Prunella that can be killed: runs a specification.
fn launch(spec: &str) {
    use prunella_sandbox::{Backend, CancelToken, Native};
    let spec = serde_json::from_str(spec).expect("a specification in JSON");
    println!(
        "{:?}",
        Native::default().run(&spec, &CancelToken::new()).expect("a run").exit
    );
}

/// Takes memory and touches it until something stops it.
fn eat() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![1; 1 << 20]);
    }
}

/// Writes without end.
fn flood() {
    use std::io::Write;
    let line = [b'x'; 4096];
    let mut out = std::io::stdout().lock();
    while out.write_all(&line).is_ok() {}
}
