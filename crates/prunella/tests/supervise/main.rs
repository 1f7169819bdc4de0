//! Supervision and dependency builds with real processes. The executable is its own shim, jail and daemon (named by the
//! first argument), so that each can be killed.

mod adoption;
mod deps;
mod ends;
mod output;
mod readiness;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// One line for each test: its name and the function.
macro_rules! trials {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Trial::test(concat!(stringify!($module), "::", stringify!($name)), || {
            world::on_runtime($module::$name());
            Ok(())
        })),*]
    };
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("shim") => return prunella::supervise::shim_main(),
        Some("jail") => prunella_sandbox::jail_main(0),
        Some("daemon") => return world::daemon_main(),
        Some("builder") => return deps::builder_main(),
        _ => {}
    }
    let trials = trials![
        ends::an_exit_code_is_reported,
        ends::a_signal_is_reported,
        ends::a_graceful_stop_is_a_request,
        ends::a_deaf_service_is_killed_after_its_grace,
        ends::a_detached_grandchild_dies_at_stop,
        ends::a_detached_grandchild_dies_with_a_crashed_service,
        ends::a_program_that_does_not_exist_leaves_nothing,
        ends::a_run_is_started_once,
        ends::the_environment_is_exact,
        ends::a_passed_socket_is_served,
        ends::a_killed_shim_takes_everything_along,
        ends::a_stopped_shim_cannot_prevent_the_stop,
        adoption::a_service_survives_its_killed_daemon,
        adoption::an_exit_while_nobody_looked_is_found,
        adoption::a_run_killed_with_its_shim_is_lost,
        adoption::a_damaged_record_is_named,
        adoption::orphans_are_swept_and_owned_processes_are_not,
        output::lines_arrive_and_reading_resumes,
        output::nothing_is_lost_at_a_high_rate,
        output::output_is_bounded_without_a_daemon,
        output::samples_count_the_whole_tree,
        output::open_databases_are_found,
        readiness::http_tcp_and_log_lines,
        readiness::a_wrong_port_is_named,
        readiness::a_service_that_ends_is_not_ready,
        readiness::a_failing_check_is_not_ready,
        deps::a_virtual_environment_works_from_every_release,
        deps::a_killed_build_is_begun_again,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
