//! What Rust's standard library (1.95) and anyhow print.

use super::check;

#[test]
fn panic() {
    check(
        r#"
thread 'main' (4711) panicked at src/shop.rs:2:63:
index out of bounds: the len is 1 but the index is 5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"#,
        r#"
Fatal | 3 lines
  Rust panic: index out of bounds: the len is 1 but the index is 5
    src/shop.rs:2 
"#,
    );
}

#[test]
fn multi() {
    check(
        r#"
thread 'main' (4711) panicked at src/main.rs:8:20:
first line
second line
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"#,
        r#"
Fatal | 4 lines
  Rust panic: first line⏎second line
    src/main.rs:8 
"#,
    );
}

#[test]
fn thread() {
    check(
        r#"
thread 'worker-1' (4711) panicked at src/main.rs:9:84:
in worker 3
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"#,
        r#"
Fatal | 3 lines
  Rust panic: in worker 3
    src/main.rs:9 
"#,
    );
}

#[test]
fn anyhow() {
    check(
        r#"Error: loading order 17

Caused by:
    0: parsing total "x1"
    1: invalid digit found in string"#,
        r#"
Error | 5 lines
  Rust Error: loading order 17
    caused by Rust Error: parsing total "x1"
    caused by Rust Error: invalid digit found in string
"#,
    );
}

#[test]
fn asserteq() {
    check(
        r#"
thread 'main' (4711) panicked at src/main.rs:15:23:
assertion `left == right` failed: maths
  left: 2
 right: 3
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"#,
        r#"
Fatal | 5 lines
  Rust panic: assertion `left == right` failed: maths⏎  left: 2⏎ right: 3
    src/main.rs:15 
"#,
    );
}

#[test]
fn overflow() {
    check(
        r#"
thread 'main' (4711) has overflowed its stack
fatal runtime error: stack overflow, aborting
Aborted"#,
        r#"
Fatal | 3 lines
  Rust panic: stack overflow
"#,
    );
}

#[test]
fn panic_with_backtrace() {
    check(
        r#"
thread 'main' (4711) panicked at src/shop.rs:2:63:
index out of bounds: the len is 1 but the index is 5
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_fmt
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs:80:14
   2: core::panicking::panic_bounds_check
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs:271:5
   3: app::shop::Shop::total
             at ./src/shop.rs:2:63
   4: app::main
             at ./src/main.rs:6:48
   5: core::ops::function::FnOnce::call_once
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs:250:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace."#,
        r#"
Fatal | 16 lines
  Rust panic: index out of bounds: the len is 1 but the index is 5
    src/main.rs:6 app::main
    src/shop.rs:2 app::shop::Shop::total
    and 4 foreign frames
"#,
    );
}

#[test]
fn anyhow_with_backtrace() {
    check(
        r#"Error: loading order 17

Caused by:
    0: parsing total "x1"
    1: invalid digit found in string

Stack backtrace:
   0: <E as anyhow::context::ext::StdError>::ext_context
             at /home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/anyhow-1.0.104/src/backtrace.rs:10:14
   1: anyhow::context::<impl anyhow::Context<T,E> for core::result::Result<T,E>>::with_context
             at /home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/anyhow-1.0.104/src/context.rs:65:37
   2: app::shop::parse
             at ./src/shop.rs:3:86
   3: app::main
             at ./src/main.rs:11:23
   4: core::ops::function::FnOnce::call_once
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs:250:5
   5: std::sys::backtrace::__rust_begin_short_backtrace
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:166:18
   6: std::rt::lang_start::{{closure}}
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:206:18
   7: <&dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync + core::panic::unwind_safe::RefUnwindSafe as core::ops::function::FnOnce<()>>::call_once
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs:287:21
   8: std::panicking::catch_unwind::do_call::<&dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync + core::panic::unwind_safe::RefUnwindSafe, i32>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:581:40
   9: std::panicking::catch_unwind::<i32, &dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync + core::panic::unwind_safe::RefUnwindSafe>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:544:19
  10: std::panic::catch_unwind::<&dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync + core::panic::unwind_safe::RefUnwindSafe, i32>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panic.rs:359:14
  11: std::rt::lang_start_internal::{closure#0}
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:175:24
  12: std::panicking::catch_unwind::do_call::<std::rt::lang_start_internal::{closure#0}, isize>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:581:40
  13: std::panicking::catch_unwind::<isize, std::rt::lang_start_internal::{closure#0}>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:544:19
  14: std::panic::catch_unwind::<std::rt::lang_start_internal::{closure#0}, isize>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panic.rs:359:14
  15: std::rt::lang_start_internal
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:171:5
  16: std::rt::lang_start
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:205:5
  17: main
  18: __libc_start_call_main
             at ./csu/../sysdeps/nptl/libc_start_call_main.h:58:16
  19: __libc_start_main_impl
             at ./csu/../csu/libc-start.c:360:3
  20: _start"#,
        r#"
Error | 47 lines
  Rust Error: loading order 17
    src/main.rs:11 app::main
    src/shop.rs:3 app::shop::parse
    and 19 foreign frames
    caused by Rust Error: parsing total "x1"
    caused by Rust Error: invalid digit found in string
"#,
    );
}

#[test]
fn panic_with_full_backtrace() {
    check(
        r#"
thread 'main' (4711) panicked at src/shop.rs:2:63:
index out of bounds: the len is 1 but the index is 5
stack backtrace:
   0:     0x55636640042a - std[e28293b1aa0f68bd]::backtrace_rs::backtrace::libunwind::trace
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/../../backtrace/src/backtrace/libunwind.rs:117:9
   1:     0x55636640042a - std[e28293b1aa0f68bd]::backtrace_rs::backtrace::trace_unsynchronized::<std[e28293b1aa0f68bd]::sys::backtrace::_print_fmt::{closure#1}>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/../../backtrace/src/backtrace/mod.rs:66:14
   2:     0x55636640042a - std[e28293b1aa0f68bd]::sys::backtrace::_print_fmt
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:74:9
   3:     0x55636640042a - <<std[e28293b1aa0f68bd]::sys::backtrace::BacktraceLock>::print::DisplayBacktrace as core[c1f1a4ba060b9bfa]::fmt::Display>::fmt
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:44:26
   4:     0x55636641219a - <core[c1f1a4ba060b9bfa]::fmt::rt::Argument>::fmt
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/fmt/rt.rs:152:76
   5:     0x55636641219a - core[c1f1a4ba060b9bfa]::fmt::write
   6:     0x556366404d12 - std[e28293b1aa0f68bd]::io::default_write_fmt::<std[e28293b1aa0f68bd]::sys::stdio::unix::Stderr>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/io/mod.rs:639:11
   7:     0x556366404d12 - <std[e28293b1aa0f68bd]::sys::stdio::unix::Stderr as std[e28293b1aa0f68bd]::io::Write>::write_fmt
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/io/mod.rs:1994:13
   8:     0x5563663ea84f - <std[e28293b1aa0f68bd]::sys::backtrace::BacktraceLock>::print
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:47:9
   9:     0x5563663ea84f - std[e28293b1aa0f68bd]::panicking::default_hook::{closure#0}
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:292:27
  10:     0x5563663fbe41 - std[e28293b1aa0f68bd]::panicking::default_hook
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:319:9
  11:     0x5563663fbffb - std[e28293b1aa0f68bd]::panicking::panic_with_hook
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:825:13
  12:     0x5563663ea908 - std[e28293b1aa0f68bd]::panicking::panic_handler::{closure#0}
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:698:13
  13:     0x5563663e1f99 - std[e28293b1aa0f68bd]::sys::backtrace::__rust_end_short_backtrace::<std[e28293b1aa0f68bd]::panicking::panic_handler::{closure#0}, !>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:182:18
  14:     0x5563663eb25d - __rustc[b7974e8690430dd9]::rust_begin_unwind
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
  15:     0x556366412a4c - core[c1f1a4ba060b9bfa]::panicking::panic_fmt
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs:80:14
  16:     0x55636641283c - core[c1f1a4ba060b9bfa]::panicking::panic_bounds_check
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/panicking.rs:271:5
  17:     0x5563663c5da3 - app::shop::Shop::total::h6c5463f8635660ab
                               at /srv/shop/src/shop.rs:2:63
  18:     0x5563663c4ed5 - app::main::hf0a67695ba0155dd
                               at /srv/shop/src/main.rs:6:48
  19:     0x5563663c030b - core::ops::function::FnOnce::call_once::hdc76daabeb7da481
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs:250:5
  20:     0x5563663c27dd - std::sys::backtrace::__rust_begin_short_backtrace::hda4448f36fb8a70a
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/backtrace.rs:166:18
  21:     0x5563663c5f41 - std::rt::lang_start::{{closure}}::h8f47463e571336a2
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:206:18
  22:     0x5563663fb174 - <&dyn core[c1f1a4ba060b9bfa]::ops::function::Fn<(), Output = i32> + core[c1f1a4ba060b9bfa]::marker::Sync + core[c1f1a4ba060b9bfa]::panic::unwind_safe::RefUnwindSafe as core[c1f1a4ba060b9bfa]::ops::function::FnOnce<()>>::call_once
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs:287:21
  23:     0x5563663fb174 - std[e28293b1aa0f68bd]::panicking::catch_unwind::do_call::<&dyn core[c1f1a4ba060b9bfa]::ops::function::Fn<(), Output = i32> + core[c1f1a4ba060b9bfa]::marker::Sync + core[c1f1a4ba060b9bfa]::panic::unwind_safe::RefUnwindSafe, i32>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:581:40
  24:     0x5563663fb174 - std[e28293b1aa0f68bd]::panicking::catch_unwind::<i32, &dyn core[c1f1a4ba060b9bfa]::ops::function::Fn<(), Output = i32> + core[c1f1a4ba060b9bfa]::marker::Sync + core[c1f1a4ba060b9bfa]::panic::unwind_safe::RefUnwindSafe>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:544:19
  25:     0x5563663fb174 - std[e28293b1aa0f68bd]::panic::catch_unwind::<&dyn core[c1f1a4ba060b9bfa]::ops::function::Fn<(), Output = i32> + core[c1f1a4ba060b9bfa]::marker::Sync + core[c1f1a4ba060b9bfa]::panic::unwind_safe::RefUnwindSafe, i32>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panic.rs:359:14
  26:     0x5563663fb174 - std[e28293b1aa0f68bd]::rt::lang_start_internal::{closure#0}
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:175:24
  27:     0x5563663fb174 - std[e28293b1aa0f68bd]::panicking::catch_unwind::do_call::<std[e28293b1aa0f68bd]::rt::lang_start_internal::{closure#0}, isize>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:581:40
  28:     0x5563663fb174 - std[e28293b1aa0f68bd]::panicking::catch_unwind::<isize, std[e28293b1aa0f68bd]::rt::lang_start_internal::{closure#0}>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:544:19
  29:     0x5563663fb174 - std[e28293b1aa0f68bd]::panic::catch_unwind::<std[e28293b1aa0f68bd]::rt::lang_start_internal::{closure#0}, isize>
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panic.rs:359:14
  30:     0x5563663fb174 - std[e28293b1aa0f68bd]::rt::lang_start_internal
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:171:5
  31:     0x5563663c5f27 - std::rt::lang_start::h513451766bd22162
                               at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs:205:5
  32:     0x5563663c506e - main
  33:     0x7ff3c0f2824a - __libc_start_call_main
                               at ./csu/../sysdeps/nptl/libc_start_call_main.h:58:16
  34:     0x7ff3c0f28305 - __libc_start_main_impl
                               at ./csu/../csu/libc-start.c:360:3
  35:     0x5563663bed31 - _start
  36:                0x0 - <unknown>"#,
        r#"
Fatal | 73 lines
  Rust panic: index out of bounds: the len is 1 but the index is 5
    src/main.rs:6 app::main
    src/shop.rs:2 app::shop::Shop::total
    and 35 foreign frames
"#,
    );
}

#[test]
fn before_1_73() {
    check(
        r#"2026-01-01T00:00:00Z  INFO shop: listening
thread 'main' panicked at 'no total for order 4711', src/main.rs:3:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
thread 'tokio-runtime-worker' panicked at 'first
it's second', src/shop.rs:8:20
2026-01-01T00:00:01Z  INFO shop: next"#,
        r#"
Info | 2026-01-01T00:00:00Z  INFO shop: listening
Fatal | 2 lines
  Rust panic: no total for order 4711
    src/main.rs:3 
Fatal | 2 lines
  Rust panic: first⏎it's second
    src/shop.rs:8 
Info | 2026-01-01T00:00:01Z  INFO shop: next
"#,
    );
}

#[test]
fn release_build_without_debug_information() {
    check(
        r#"thread 'main' (4711) panicked at src/shop.rs:2:63:
index out of bounds: the len is 1 but the index is 5
stack backtrace:
   0: __rustc::rust_begin_unwind
   1: core::panicking::panic_fmt
   2: core::panicking::panic_bounds_check
   3: app::main
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace."#,
        r#"
Fatal | 8 lines
  Rust panic: index out of bounds: the len is 1 but the index is 5
    src/shop.rs:2 
    and 4 foreign frames
"#,
    );
}
