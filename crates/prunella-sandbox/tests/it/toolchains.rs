//! Real interpreters of this machine run inside, wherever they live.

use std::ffi::OsStr;

use crate::common::{run, shell};
use prunella_sandbox::find_toolchain;

#[test]
fn interpreters_found_on_the_path_run_inside() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut tried = Vec::new();
    for (program, argument) in [("python3", "--version"), ("node", "--version"), ("cargo", "--version")] {
        let on_path = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
        if !on_path {
            continue;
        }
        let mut spec = shell("");
        spec.argv = vec![program.into(), argument.into()];
        spec.toolchains = find_toolchain(OsStr::new(program), &path);
        spec.env.insert("PATH".into(), path.to_string_lossy().into_owned());
        // rustup's proxy finds its toolchains by these; they follow from where it was found.
        for directory in &spec.toolchains {
            if directory.ends_with(".rustup") {
                spec.env
                    .insert("RUSTUP_HOME".into(), directory.to_string_lossy().into_owned());
            }
        }
        let report = run(&spec);
        assert!(
            report.success(),
            "{program} with {:?}: {}",
            spec.toolchains,
            report.stderr.text()
        );
        assert!(
            report.stdout.text().contains('.'),
            "{program} says its version: {}",
            report.stdout.text()
        );
        tried.push((program, spec.toolchains, report.stdout.text()));
    }
    println!("tried: {tried:?}");
    assert!(
        !tried.is_empty() || path.is_empty(),
        "none of python3, node and cargo is on the PATH"
    );
}
