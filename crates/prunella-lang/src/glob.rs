//! Path patterns as `language.toml` writes them.

/// Whether `path` (relative, with `/`) matches `pattern`.
///
/// `*` stands for any run of characters inside one segment, a segment `**` for any number of segments. A pattern
/// without `/` is matched against the last segment alone. Time is O(pattern × path): there is no backtracking beyond
/// the last star, so a hostile path cannot make it slow.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('/') {
        let name = path.rsplit('/').next().unwrap_or(path);
        return segment_matches(pattern.as_bytes(), name.as_bytes());
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    star_match(
        &pattern,
        &path,
        |part| **part == *"**",
        |a, b| segment_matches(a.as_bytes(), b.as_bytes()),
    )
}

fn segment_matches(pattern: &[u8], text: &[u8]) -> bool {
    star_match(pattern, text, |byte| *byte == b'*', |a, b| a == b)
}

/// Greedy wildcard matching with one remembered star: the classic linear-space algorithm.
fn star_match<T>(pattern: &[T], text: &[T], is_star: impl Fn(&T) -> bool, eq: impl Fn(&T, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && is_star(&pattern[p]) {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && eq(&pattern[p], &text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
    }

    #[test]
    fn a_pattern_without_slash_looks_at_the_name() {
        check("*.lock", "a/b/Cargo.lock", true);
        check("test_*.py", "deep/test_x.py", true);
        check("test_*.py", "deep/attest_x.py", false);
    }

    #[test]
    fn two_stars_cross_segments() {
        check("**/tests/**", "tests/a.py", true);
        check("**/tests/**", "src/x/tests/y/a.py", true);
        check("**/tests/**", "src/latests/a.py", false);
        check("dist/**", "dist/a/b.js", true);
        check("dist/**", "src/dist/b.js", false);
    }
}
