//! Programs and installed packages outside of the repository that a command needs, as directories to show.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use prunella_sandbox::find_toolchain;

use crate::state::secrets::is_secret_file;

/// Programs that a command may start without naming them.
const USUAL: &[&str] = &[
    "python3", "python", "node", "npm", "cargo", "rustc", "go", "java", "make",
];
/// Files that say where packages outside are; more in one directory are not read.
const MAX_PTH: usize = 64;

/// Toolchains of every program that the command names and of the usual ones, and installed packages outside.
pub(super) fn toolchains(
    root: &Path,
    cwd: &Path,
    argv: &[String],
    env: &mut BTreeMap<String, String>,
    home: Option<&Path>,
) -> Vec<PathBuf> {
    let path = env.get("PATH").cloned().unwrap_or_default();
    let words = argv
        .iter()
        .flat_map(|arg| arg.split(|c: char| c.is_whitespace() || ";&|()'\"=".contains(c)));
    let mut found: BTreeSet<PathBuf> = BTreeSet::new();
    for word in words.chain(USUAL.iter().copied()).filter(|word| !word.is_empty()) {
        let local = cwd.join(word);
        let program = if word.contains('/') && local.exists() {
            local.as_os_str()
        } else {
            OsStr::new(word)
        };
        found.extend(find_toolchain(program, OsStr::new(&path)));
    }
    for variable in ["PYTHONPATH", "NODE_PATH"] {
        let listed = listed(env, variable, cwd);
        found.extend(listed.into_iter().filter(|dir| may_show(dir, home)));
    }
    found.extend(homes(&found, env, home));
    let linked: Vec<PathBuf> = found.iter().flat_map(|dir| linked_packages(dir)).collect();
    found.extend(linked.into_iter().filter(|dir| may_show(dir, home)));
    found.retain(|dir| !dir.starts_with(root) && !root.starts_with(dir));
    let all = found.clone();
    found.retain(|dir| !dir.ancestors().skip(1).any(|above| all.contains(above)));
    found.into_iter().collect()
}

/// The folders that a search path names; programs read relative ones from where they start.
pub(super) fn listed(env: &BTreeMap<String, String>, variable: &str, cwd: &Path) -> Vec<PathBuf> {
    let value = env.get(variable).map(String::as_str).unwrap_or_default();
    let whole = |dir: PathBuf| {
        if dir.is_absolute() {
            Some(dir)
        } else {
            cwd.join(dir).canonicalize().ok()
        }
    };
    std::env::split_paths(value).filter_map(whole).collect()
}

/// What programs look for in the home directory, which is another one inside.
fn homes(found: &BTreeSet<PathBuf>, env: &mut BTreeMap<String, String>, home: Option<&Path>) -> Vec<PathBuf> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    if let Some(rustup) = found.iter().find(|path| path.ends_with(".rustup")) {
        env.entry("RUSTUP_HOME".to_owned()).or_insert_with(|| text(rustup));
    }
    if let Some(cargo) = found
        .iter()
        .find_map(|path| path.parent().filter(|p| p.ends_with(".cargo")))
    {
        env.entry("CARGO_HOME".to_owned()).or_insert_with(|| text(cargo));
        // There is no network inside: what is not downloaded is said at once.
        env.entry("CARGO_NET_OFFLINE".to_owned())
            .or_insert_with(|| "true".to_owned());
    }
    let Some(home) = home else { return Vec::new() };
    let lib = home.join(".local/lib");
    let user = fs::read_dir(&lib).into_iter().flatten().flatten();
    let user: Vec<PathBuf> = user
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("python"))
        })
        .collect();
    if !user.is_empty() {
        env.entry("PYTHONUSERBASE".to_owned())
            .or_insert_with(|| text(&home.join(".local")));
    }
    user
}

/// Folders of installed packages in a Python installation or a virtual environment, or the folder itself if it is Node's.
pub(super) fn packages_below(root: &Path) -> Vec<PathBuf> {
    if root.ends_with("node_modules") {
        return vec![root.to_owned()];
    }
    let versions = |lib: PathBuf| -> Vec<PathBuf> {
        let entries = fs::read_dir(lib).into_iter().flatten().flatten();
        let pythons = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
        pythons.map(|entry| entry.path()).collect()
    };
    let homes = versions(root.join("lib")).into_iter().chain([root.to_owned()]);
    homes
        .flat_map(|home| ["site-packages", "dist-packages"].map(|name| home.join(name)))
        .filter(|dir| dir.is_dir())
        .collect()
}

/// Directories that `.pth` files of an installation put on Python's path: packages installed as links.
fn linked_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut linked = Vec::new();
    let libs = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    let pythons = libs.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
    for site in pythons.map(|entry| entry.path().join("site-packages")) {
        let files = fs::read_dir(site).into_iter().flatten().flatten();
        let files = files.filter(|entry| entry.path().extension().is_some_and(|e| e == "pth"));
        for file in files.take(MAX_PTH) {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            linked.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|line| line.starts_with('/'))
                    .map(PathBuf::from),
            );
        }
    }
    linked
}

/// A directory that a variable or file names: an existing one, deeper than a home, without credentials.
fn may_show(dir: &Path, home: Option<&Path>) -> bool {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let system = ["/etc", "/proc", "/sys", "/dev", "/run", "/boot", "/var/lib", "/var/run"];
    dir.is_dir()
        && real.components().count() > 2
        && !is_secret_file(&real)
        && !system.iter().any(|path| real.starts_with(path))
        && home.is_none_or(|home| !home.starts_with(&real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_file_shows_linked_packages_but_no_home() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("venv/lib/python3.12/site-packages");
        let package = dir.path().join("work/package");
        fs::create_dir_all(&site).unwrap();
        fs::create_dir_all(&package).unwrap();
        fs::write(site.join("a.pth"), format!("{}\nimport os\n/\n", package.display())).unwrap();
        let linked = linked_packages(&dir.path().join("venv"));
        assert_eq!(linked, [package.clone(), PathBuf::from("/")]);
        assert!(may_show(&package, Some(dir.path())));
        assert!(!may_show(Path::new("/"), None) && !may_show(dir.path(), Some(&package)));
    }

    #[test]
    fn relative_search_paths_are_read_from_where_the_command_starts() {
        let dir = tempfile::tempdir().unwrap();
        let cwd = dir.path().canonicalize().unwrap();
        fs::create_dir(cwd.join("src")).unwrap();
        let env = BTreeMap::from([("PYTHONPATH".to_owned(), "src:/opt/x:nowhere:".to_owned())]);
        let found = listed(&env, "PYTHONPATH", &cwd);
        assert_eq!(found, [cwd.join("src"), PathBuf::from("/opt/x"), cwd.clone()]);
        assert!(found.iter().all(|path| path.is_absolute()));
        assert!(listed(&env, "NODE_PATH", &cwd).iter().all(|path| path.is_absolute()));
    }
}
