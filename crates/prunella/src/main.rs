//! Prunella: self-healing code.

use std::process::ExitCode;

fn main() -> ExitCode {
    prunella::ui::install_errors();
    let verb = std::env::args_os().nth(1);
    // Prunella's other processes: each must begin before any thread, and none is for people.
    match verb.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("jail") => prunella_sandbox::jail_main(0),
        Some("shim") => prunella::supervise::shim_main(),
        Some("probe") => prunella::commands::hidden::probe(std::env::args_os().skip(2)),
        Some("gateway") => prunella::commands::hidden::gateway(std::env::args_os().skip(2)),
        _ => prunella::commands::main(std::env::args_os()),
    }
}
