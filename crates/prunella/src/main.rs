//! temporary
#![allow(clippy::all)]
use std::process::ExitCode;
fn main() -> ExitCode {
    let a: Vec<String> = std::env::args().collect();
    let get = |n: &str| a.iter().position(|x| x == n).and_then(|i| a.get(i + 1).cloned());
    match a.get(1).map(String::as_str) {
        Some("jail") => prunella_sandbox::jail_main(0),
        Some("shim") => prunella::supervise::shim_main(),
        Some("probe") => { prunella::experiment::probe::main(get("--spec-fd").unwrap().parse().unwrap(), get("--result-fd").unwrap().parse().unwrap()).unwrap(); ExitCode::SUCCESS }
        Some("gateway") => { let r = prunella_gateway::main(prunella_gateway::GatewayArgs { state_dir: get("--state-dir").unwrap().into(), listen: None, listen_fd: Some(3), tls: None, worker_threads: 1 }); if let Err(e) = r { eprintln!("{e}"); return ExitCode::FAILURE; } ExitCode::SUCCESS }
        Some("run") => { let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            match rt.block_on(prunella::daemon::run(prunella::daemon::RunOptions { root: ".".into(), start: None, json: false })) { Ok(c) => c, Err(e) => { eprintln!("{e:?}"); ExitCode::FAILURE } } }
        Some("deploy") => { let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            rt.block_on(async { use prunella_core::{ledger::*, release::*};
              let repo = prunella::git::Repo::open(std::path::Path::new(".")).unwrap(); let c = repo.resolve(&a[2]).unwrap();
              let home = prunella::home::Home::of(repo.root(), None); let mut j = prunella::journal::Journal::open(&home).await.unwrap();
              let r = j.world().service.next_id(&c);
              j.append(&Stream::Releases, &[Event::Release(ReleaseEvent::Requested { release: r, commit: c, origin: Origin::Deploy })]).await.unwrap(); });
            ExitCode::SUCCESS }
        _ => ExitCode::FAILURE,
    }
}
