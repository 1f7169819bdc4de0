//! Node.js repositories.

use super::*;

#[test]
fn express_with_npm() {
    let found = guess(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "node server.js", "test": "mocha", "build": "tsc"},
                "dependencies": {"express": "^5"}}"#,
        ),
        ("package-lock.json", "{}"),
        (
            "server.js",
            "app.get('/healthz', f); app.listen(process.env.PORT || 3000);\n",
        ),
    ]);
    assert_eq!(
        starts(&found),
        [
            "High: node server.js [Env(\"PORT\")]",
            "Medium: npm start [Env(\"PORT\")]"
        ]
    );
    assert_eq!(
        best_build(&found),
        BuildGuess {
            deps_command: Some("npm ci".to_owned()),
            outputs: vec!["node_modules".to_owned()],
            lockfiles: vec!["package.json".to_owned(), "package-lock.json".to_owned()],
            command: Some("npm run build".to_owned()),
        }
    );
    assert_eq!(best_test(&found), "npm test");
    assert_eq!(
        found.frameworks.best().map(|guess| guess.value.as_str()),
        Some("Express")
    );
    assert_eq!(
        found.readiness.best().map(|guess| guess.value.as_str()),
        Some("/healthz")
    );
}

#[test]
fn managers_by_their_lockfiles() {
    let deps = r#"{"dependencies": {"koa": "*"}}"#;
    let command = |files: &[(&str, &str)]| best_build(&guess(files)).deps_command;
    let source = ("index.js", "");
    assert_eq!(
        command(&[("package.json", deps), source, ("yarn.lock", "")]).as_deref(),
        Some("yarn install --frozen-lockfile")
    );
    assert_eq!(
        command(&[("package.json", deps), source, ("yarn.lock", ""), (".yarnrc.yml", "")]).as_deref(),
        Some("yarn install --immutable")
    );
    assert_eq!(
        command(&[("package.json", deps), source, ("pnpm-lock.yaml", "")]).as_deref(),
        Some("pnpm install --frozen-lockfile")
    );
    assert_eq!(
        command(&[("package.json", deps), source]).as_deref(),
        Some("npm install --no-package-lock")
    );
    assert_eq!(command(&[("package.json", "{}"), source]), None);
}

#[test]
fn scripts_with_hooks_or_a_shell_go_through_the_manager() {
    let found = |scripts: &str| {
        let package = format!("{{\"scripts\": {scripts}, \"dependencies\": {{\"next\": \"*\"}}}}");
        starts(&guess(&[("package.json", &package), ("pages/index.js", "")]))
    };
    assert_eq!(
        found(r#"{"start": "node a.js && node b.js"}"#),
        ["High: npm start [Unknown]"]
    );
    assert_eq!(
        found(r#"{"prestart": "x", "start": "node a.js"}"#),
        ["High: npm start [Unknown]"]
    );
    assert_eq!(
        found(r#"{"start": "serve --port ${PORT:=9000}"}"#),
        ["High: npm start [Env(\"PORT\")]"]
    );
    assert_eq!(
        found(r#"{"start": "next start"}"#)[0],
        "High: node_modules/.bin/next start -p {port}"
    );
}

#[test]
fn a_program_with_a_port_option() {
    let found = guess(&[
        (
            "package.json",
            r#"{"name": "@x/serve", "bin": "./bin/serve", "main": "lib/index.js"}"#,
        ),
        ("bin/serve", "#!/usr/bin/env node\n// usage: serve --port 8080\n"),
        ("lib/index.js", "createServer().listen(4568)\n"),
        ("Dockerfile", "FROM node\nCMD [\"serve\"]\n"),
    ]);
    assert_eq!(
        starts(&found),
        [
            "Medium: node bin/serve --port {port}",
            "Medium: node lib/index.js [Fixed(4568)]",
            "Medium: node bin/serve [Unknown]",
        ]
    );
}

#[test]
fn the_web_page_of_a_python_service_does_not_start_it() {
    let found = guess(&[
        (
            "package.json",
            r#"{"scripts": {"start": "vite", "test": "vitest"}, "devDependencies": {"vite": "*"}}"#,
        ),
        ("package-lock.json", "{}"),
        ("requirements.txt", "flask\n"),
        ("app.py", "app = Flask(__name__)\n"),
        ("db.py", ""),
        ("web/main.js", ""),
    ]);
    assert_eq!(
        starts(&found)[0],
        "Medium: .venv/bin/python -m flask --app app:app run -p {port}"
    );
    assert!(
        best_build(&found)
            .deps_command
            .is_some_and(|command| command.contains("requirements.txt"))
    );
    assert!(
        found
            .start
            .alternatives()
            .iter()
            .all(|guess| guess.confidence == Confidence::Low)
    );
}
