use proptest::prelude::*;

use super::*;

fn rules_of(text: &str) -> Vec<&'static str> {
    findings(text).into_iter().map(|finding| finding.rule).collect()
}

fn check_leaves(text: &str, secret: &str) {
    assert!(text.contains(secret), "the case is wrong: {text}");
    let mut vault = Vault::new();
    let redacted = vault.redact(text);
    assert!(
        !redacted.as_str().contains(secret),
        "{secret} left in: {}",
        redacted.as_str()
    );
    assert_eq!(vault.restore(redacted.as_str()).as_deref(), Ok(text));
}

fn check_kept(text: &str) {
    assert_eq!(rules_of(text), Vec::<&str>::new(), "{text}");
}

#[test]
fn credentials_are_found_by_shape() {
    // Put together here, so that no scanner takes the source for a leak.
    let body = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d";
    for (before, secret) in [
        ("key = ", format!("AKIA{}", "IOSFODNN7EXAMPLE")),
        ("", format!("ghp_{}", &body[..36])),
        ("", format!("glpat-{}", &body[..20])),
        ("", format!("sk_live_{}", &body[..24])),
        ("", format!("xoxb-{}", "123456789012-abcdefghijkl")),
        ("", format!("sk-ant-api03-{body}")),
        ("", format!("npm_{}", &body[..36])),
        ("", format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{}", &body[..30])),
        ("Authorization: Bearer ", body[..20].to_owned()),
        ("DATABASE = 'postgres://app:", "hunter2".to_owned()),
    ] {
        let after = if before.contains("postgres") {
            "@db.internal/app'"
        } else {
            "\n"
        };
        check_leaves(&format!("{before}{secret}{after}"), &secret);
    }
    let pem = format!(
        "-----BEGIN {k}-----\nMIIEow\nabc\n-----END {k}-----\n",
        k = "RSA PRIVATE KEY"
    );
    check_leaves(&pem, "MIIEow\nabc");
    // A block that was cut off loses nothing of its safety.
    check_leaves(&pem[..pem.len() - 20], "MIIEow\nabc");
}

#[test]
fn values_of_secret_names_are_found_in_any_syntax() {
    for text in [
        "db_password = \"correct horse\"",
        "DB_PASSWORD=correct1horse",
        "password: correct1horse\n",
        "{\"api_key\": \"correct horse\"}",
        "config['secret_key'] = 'correct horse'",
        "const clientSecret: string = 'correct horse';",
        "let token := `correct horse`",
        "export API_TOKEN=correct1horse",
        "if password == \"correct horse\":",
        "https://host/path?access_token=correct1horse&x=1",
    ] {
        let secret = if text.contains("correct horse") {
            "correct horse"
        } else {
            "correct1horse"
        };
        check_leaves(text, secret);
    }
}

#[test]
fn random_values_are_found_without_a_name() {
    check_leaves("f('q7Rz2Kp9Xv4Lm8Tn3Wc6')", "q7Rz2Kp9Xv4Lm8Tn3Wc6");
    check_leaves(
        "x = 9f86d081884c7d659a2feaa0c55ad015",
        "9f86d081884c7d659a2feaa0c55ad015",
    );
}

#[test]
fn personal_data_with_a_format_is_found() {
    for (text, secret) in [
        ("mail to jane.roe@corp.example.de today", "jane.roe@corp.example.de"),
        ("call +49 30 1234 5678 now", "+49 30 1234 5678"),
        ("paid with 4111 1111 1111 1111.", "4111 1111 1111 1111"),
        ("to DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
        ("from 203.1.112.9 port 4", "203.1.112.9"),
        ("ssn 078-05-1120", "078-05-1120"),
    ] {
        check_leaves(text, secret);
    }
}

#[test]
fn code_is_left_as_it_is() {
    for text in [
        "def test_parse_authorization_header_returns_none_for_empty_value(self):",
        "password = request.form.get('password')",
        "token: str",
        "self.token = Token(kind, start)",
        "token_type = 'bearer'",
        "for token in tokens: yield token.value",
        "api_key = os.environ['API_KEY']",
        "password: ${DB_PASSWORD}",
        "order 1234567890123456 of 2024-01-01T00:00:00",
        "127.0.0.1:8080 and 10.1.2.3 and 192.0.2.7",
        "someone@example.com",
        "src/components/AuthenticationProvider/useAuthenticationContext.tsx",
        "TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'",
        "ContinuousIntegrationPipelineFactoryBeanDefinition",
        "1.2.3.4",
    ] {
        check_kept(text);
    }
}

#[test]
fn the_same_value_has_the_same_placeholder_everywhere() {
    let mut vault = Vault::new();
    let first = vault.redact("password = 'opensesame1'");
    let second = vault.redact("it said opensesame1 and api_key='anothervalue'");
    let placeholder = "PRUNELLA_SECRET_1_";
    assert_eq!(first.as_str(), format!("password = '{placeholder}'"));
    assert_eq!(
        second.as_str(),
        format!("it said {placeholder} and api_key='PRUNELLA_SECRET_2_'")
    );
    assert_eq!(vault.counts()[&Kind::Secret], 2);
}

#[test]
fn a_placeholder_that_stands_for_nothing_is_refused() {
    let mut vault = Vault::new();
    let _ = vault.redact("password = 'opensesame1'");
    assert_eq!(
        vault.restore("x = 'PRUNELLA_SECRET_1_'").as_deref(),
        Ok("x = 'opensesame1'")
    );
    for bad in [
        "PRUNELLA_SECRET_7_",
        "prunella_secret_1_",
        "PRUNELLA_SECRET_",
        "PRUNELLA_SECRET_1",
        "Prunella Secret 1",
    ] {
        assert!(vault.restore(bad).is_err(), "{bad}");
    }
}

#[test]
fn placeholders_cannot_be_forged() {
    let mut vault = Vault::new();
    let text = "PRUNELLA_SECRET_1_ password = 'opensesame1'";
    let redacted = vault.redact(text);
    assert!(
        redacted.as_str().starts_with("PRUNELLA_LITERAL_1_"),
        "{}",
        redacted.as_str()
    );
    assert_eq!(vault.restore(redacted.as_str()).as_deref(), Ok(text));
}

/// (before, secret, after): a secret in its surroundings.
fn planted() -> impl Strategy<Value = (String, String, String)> {
    let frame = |before: &'static str, body: &'static str, after: &'static str| {
        (Just(before), body, Just(after))
            .prop_map(|(before, secret, after)| (before.to_owned(), secret, after.to_owned()))
    };
    prop_oneof![
        frame("key = \"", "AKIA[A-Z0-9]{16}", "\"\n"),
        frame("", "gh[pousr]_[A-Za-z0-9]{36}", " "),
        frame("url: https://deploy:", "[A-Za-z0-9!$%^*]{6,20}", "@host/x\n"),
        frame("", "sk-ant-api03-[A-Za-z0-9_-]{40}", "\n"),
        frame("Authorization: Bearer ", "[A-Za-z0-9._~+/-]{16,60}", "\n"),
        frame(
            "db_password = '",
            "[A-Za-z0-9!@#$%&*]{2}[0-9][A-Za-z0-9!@#$%&*]{5,20}",
            "'\n"
        ),
        frame("\nSECRET_KEY=", "[a-z0-9]{3}[0-9][A-Za-z0-9]{5,30}", "\n"),
        frame("{\"client_secret\": \"", "[A-Za-z]{2}[0-9][A-Za-z0-9_-]{6,40}", "\"}"),
        frame("", "xox[bp]-[0-9]{12}-[A-Za-z0-9]{24}", "\n"),
        frame("mail ", "[a-z]{3,10}\\.[a-z]{3,10}@[a-z]{4,12}\\.(com|de|io)", " "),
        frame("", "glpat-[A-Za-z0-9_-]{20}", "\n"),
        frame("", "SG\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}", "\n"),
    ]
}

proptest! {
    // Four secrets a case; `PROPTEST_CASES=2500` plants ten thousand.
    #[test]
    fn no_planted_secret_leaves(
        lines in prop::collection::vec("[ -~]{0,60}", 5),
        secrets in prop::collection::vec(planted(), 4),
    ) {
        let mut text = String::new();
        for (line, (before, secret, after)) in lines.iter().zip(&secrets) {
            text.push_str(&format!("{}\n{before}{secret}{after}\n", line.replace(['"', '\'', '`'], " ")));
        }
        text.push_str(&lines[4]);
        let mut vault = Vault::new();
        let redacted = vault.redact(&text);
        for (_, secret, _) in &secrets {
            prop_assert!(!redacted.as_str().contains(secret.as_str()), "{secret} in {}", redacted.as_str());
        }
        prop_assert_eq!(vault.restore(redacted.as_str()).unwrap(), text);
    }

    #[test]
    fn whatever_is_redacted_can_be_restored(text in "\\PC{0,300}") {
        let mut vault = Vault::new();
        let redacted = vault.redact(&text);
        prop_assert_eq!(vault.restore(redacted.as_str()).unwrap(), text);
    }
}
