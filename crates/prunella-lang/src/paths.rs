//! What a path of the repository says about a file.

use prunella_core::signal::Language;

use crate::glob;
use crate::languages::all_data;

/// The language of the file, by its extension.
pub fn language_of(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    all_data()
        .find(|(_, data)| {
            data.extensions
                .iter()
                .any(|known| known.eq_ignore_ascii_case(extension))
        })
        .map(|(language, _)| language)
}

/// Whether the file is test code or test data: never part of what a release runs.
pub fn is_test_path(path: &str) -> bool {
    all_data().any(|(_, data)| data.tests.iter().any(|pattern| glob::matches(pattern, path)))
}

/// Whether a program wrote the file: lockfiles, generated and vendored code. Its hunks follow from other hunks.
pub fn is_generated_or_lock(path: &str) -> bool {
    all_data().any(|(_, data)| {
        data.lockfiles
            .iter()
            .chain(&data.generated)
            .any(|pattern| glob::matches(pattern, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_by_extension() {
        assert_eq!(language_of("shop/app.py"), Some(Language::Python));
        assert_eq!(language_of("src/pay.TS"), Some(Language::JavaScript));
        assert_eq!(language_of("src/main.rs"), Some(Language::Rust));
        assert_eq!(language_of("README.md"), None);
        assert_eq!(language_of(".py"), None);
        assert_eq!(language_of("py"), None);
        assert_eq!(language_of(""), None);
    }

    #[test]
    fn tests_are_told_from_code() {
        for path in [
            "tests/data/a.json",
            "shop/test_app.py",
            "src/pay.test.ts",
            "a/__tests__/b.js",
            "x/conftest.py",
        ] {
            assert!(is_test_path(path), "{path}");
        }
        for path in [
            "shop/app.py",
            "src/latest.js",
            "contest.py",
            "src/attestation/a.rs",
            "testing.md",
        ] {
            assert!(!is_test_path(path), "{path}");
        }
    }

    #[test]
    fn generated_files_and_lockfiles() {
        for path in [
            "Cargo.lock",
            "web/package-lock.json",
            "poetry.lock",
            "a_pb2.py",
            "dist/x.js",
            "static/a.min.js",
        ] {
            assert!(is_generated_or_lock(path), "{path}");
        }
        for path in [
            "Cargo.toml",
            "package.json",
            "requirements.txt",
            "src/main.rs",
            "distance/x.js",
        ] {
            assert!(!is_generated_or_lock(path), "{path}");
        }
    }
}
