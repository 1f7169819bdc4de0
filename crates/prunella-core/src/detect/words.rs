//! The words of a name.

/// The words of a metric's name in lower case, cut at separators and at capitals that follow a small letter. At most
/// sixteen of the first 200 characters: a hostile name costs no more.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars().take(200) {
        let cut = !c.is_ascii_alphanumeric();
        if cut || (c.is_ascii_uppercase() && lower_before) {
            words.push(String::new());
        }
        if !cut {
            words.last_mut().expect("never empty").push(c.to_ascii_lowercase());
        }
        lower_before = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words.truncate(16);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_capitals() {
        assert_eq!(
            words("http.server.requestDuration_ms"),
            ["http", "server", "request", "duration", "ms"]
        );
        assert_eq!(words("JVM/GC time"), ["jvm", "gc", "time"]);
        assert_eq!(words(&"a.".repeat(500)).len(), 16);
        assert!(words("..").is_empty());
    }
}
