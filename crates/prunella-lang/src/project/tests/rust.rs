//! Cargo repositories.

use super::*;

#[test]
fn a_package() {
    let found = guess(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\n[dependencies]\naxum = \"0.8\"\n",
        ),
        ("Cargo.lock", ""),
        (
            "src/main.rs",
            "let port = std::env::var(\"PORT\"); Router::new().route(\"/health\", get(ok))\n",
        ),
    ]);
    assert_eq!(starts(&found), ["High: target/release/shop [Env(\"PORT\")]"]);
    assert_eq!(
        best_build(&found),
        BuildGuess {
            deps_command: None,
            outputs: vec!["target".to_owned()],
            lockfiles: vec!["Cargo.lock".to_owned()],
            command: Some("cargo build --release --locked".to_owned()),
        }
    );
    assert_eq!(best_test(&found), "cargo test --workspace");
    assert_eq!(
        found.readiness.best().map(|guess| guess.value.as_str()),
        Some("/health")
    );
}

#[test]
fn the_member_of_a_workspace_that_serves() {
    let found = guess(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/old\"]\n",
        ),
        ("crates/cli/Cargo.toml", "[package]\nname = \"cli\"\n"),
        ("crates/cli/src/main.rs", ""),
        (
            "crates/old/Cargo.toml",
            "[package]\nname = \"old\"\n[dependencies]\nwarp = \"*\"\n",
        ),
        ("crates/old/src/main.rs", ""),
        (
            "crates/web/Cargo.toml",
            "[package]\nname = \"web\"\ndefault-run = \"serve\"\n[dependencies]\nactix-web = \"4\"\n",
        ),
        ("crates/web/src/bin/migrate.rs", ""),
        (
            "crates/web/src/bin/serve.rs",
            "HttpServer::new(f).bind((\"0.0.0.0\", 8080))\n",
        ),
    ]);
    assert_eq!(
        starts(&found),
        [
            "High: target/release/serve [Fixed(8080)]",
            "Medium: target/release/migrate [Fixed(8080)]",
            "Low: target/release/cli [Unknown]",
        ]
    );
}

#[test]
fn a_port_option_of_clap() {
    let found = guess(&[
        (
            "Cargo.toml",
            "[package]\nname = \"s\"\n[[bin]]\nname = \"serve\"\npath = \"src/x.rs\"\n",
        ),
        (
            "src/x.rs",
            "#[derive(Parser)]\nstruct A {\n    #[arg(short, long, default_value_t = 8080)]\n    port: u16,\n}\n",
        ),
    ]);
    assert_eq!(starts(&found), ["High: target/release/serve --port {port}"]);
}
