//! From the file that a runtime named to a file of the repository.

use prunella_core::signal::Frame;

use crate::languages::EXTERNAL;

/// Knows where releases are checked out, so that frames name files as the repository does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathMapper {
    roots: Vec<String>,
}

impl PathMapper {
    /// A mapper for code that runs from any of `roots`: absolute directories, such as the release's directory and its
    /// resolved path, or `/app` in a container. With no roots every path outside the known external places is in-app.
    pub fn new<S: Into<String>>(roots: impl IntoIterator<Item = S>) -> Self {
        let mut roots: Vec<String> = roots
            .into_iter()
            .map(|root| root.into().trim_end_matches('/').to_owned())
            .filter(|root| !root.is_empty())
            .collect();
        // The longest first: a release directory inside the repository wins over the repository.
        roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        Self { roots }
    }

    /// The path as the repository names it, and whether it is the service's own code.
    pub fn map(&self, file: &str) -> (String, bool) {
        let file = without_scheme(file);
        let (relative, inside) = self.relative(&file);
        let seen = format!("/{}", relative.trim_start_matches('/'));
        let in_app = inside
            && !relative.is_empty()
            && !seen.split('/').any(|part| part == "..")
            && !EXTERNAL.iter().any(|fragment| seen.contains(fragment));
        (relative, in_app)
    }

    /// A frame whose file is mapped.
    pub(crate) fn frame(&self, file: &str, line: Option<u32>, function: &str) -> Frame {
        let (file, in_app) = self.map(file);
        Frame {
            file,
            line,
            function: function.to_owned(),
            in_app,
        }
    }

    fn relative(&self, file: &str) -> (String, bool) {
        for root in &self.roots {
            if let Some(rest) = file.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/')) {
                return (rest.to_owned(), true);
            }
        }
        if is_absolute(file) {
            return (file.to_owned(), self.roots.is_empty());
        }
        let mut rest = file;
        while let Some(shorter) = rest.strip_prefix("./") {
            rest = shorter;
        }
        (rest.to_owned(), true)
    }
}

fn is_absolute(file: &str) -> bool {
    file.starts_with('/') || file.starts_with('\\') || file.as_bytes().get(1) == Some(&b':')
}

/// Without `file://` and the bundlers' schemes; percent escapes of a file URL are decoded.
fn without_scheme(file: &str) -> String {
    if let Some(path) = file.strip_prefix("file://") {
        return percent_decode(path);
    }
    if let Some(rest) = file.strip_prefix("webpack-internal:///") {
        return rest.trim_start_matches("(rsc)/").to_owned();
    }
    match file.strip_prefix("webpack://") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_, path)| path).to_owned(),
        None => file.to_owned(),
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(roots: &[&str], file: &str, expected: &str, in_app: bool) {
        assert_eq!(
            PathMapper::new(roots.iter().copied()).map(file),
            (expected.to_owned(), in_app),
            "{file}"
        );
    }

    #[test]
    fn own_code_is_named_as_the_repository_does() {
        check(&["/srv/r1/"], "/srv/r1/shop/app.py", "shop/app.py", true);
        check(&["/srv/r1"], "/srv/r10/shop/app.py", "/srv/r10/shop/app.py", false);
        check(&["/srv", "/srv/r1"], "/srv/r1/a.js", "a.js", true);
        check(&["/srv/r 1"], "file:///srv/r%201/a.mjs", "a.mjs", true);
        check(&["/srv/r1"], "./src/main.rs", "src/main.rs", true);
        check(&["/srv/r1"], "src/main.rs", "src/main.rs", true);
        check(&[], "/anywhere/app.py", "/anywhere/app.py", true);
        check(&["/x"], "webpack://shop/./src/pay.ts", "src/pay.ts", true);
    }

    #[test]
    fn foreign_code_is_not_in_app() {
        let root = &["/srv/r1"];
        check(
            root,
            "/srv/r1/.venv/lib/python3.11/site-packages/flask/app.py",
            ".venv/lib/python3.11/site-packages/flask/app.py",
            false,
        );
        check(
            root,
            "/srv/r1/node_modules/router/index.js",
            "node_modules/router/index.js",
            false,
        );
        check(
            root,
            "/usr/lib/python3.11/threading.py",
            "/usr/lib/python3.11/threading.py",
            false,
        );
        check(
            root,
            "node:internal/main/run_main_module",
            "node:internal/main/run_main_module",
            false,
        );
        check(
            root,
            "<frozen importlib._bootstrap>",
            "<frozen importlib._bootstrap>",
            false,
        );
        check(root, "<string>", "<string>", false);
        check(
            root,
            "/rustc/59807616/library/core/src/panicking.rs",
            "/rustc/59807616/library/core/src/panicking.rs",
            false,
        );
        check(
            root,
            "./csu/../sysdeps/nptl/libc_start_call_main.h",
            "csu/../sysdeps/nptl/libc_start_call_main.h",
            false,
        );
        check(root, "/srv/r1/../../etc/passwd", "../../etc/passwd", false);
        check(root, "", "", false);
    }
}
