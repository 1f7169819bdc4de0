//! How a Python service is started.

use std::sync::LazyLock;

use regex::Regex;

use super::Project;
use crate::project::commands::{quoted, with_port};
use crate::project::hints::{MAX_SOURCES, is_source, port_env_in};
use crate::project::{Confidence, PortContract, ProjectGuess, StartCommand, Tree};

static APPLICATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?m)^(\w+)(?:\s*:\s*[\w.]+)?\s*=\s*(?:\w+\.)*",
        r"(Flask|APIFlask|FastAPI|Starlette|Litestar|Quart|Sanic|Bottle|create_app|make_app|create_application)\(",
    ))
    .expect("a constant pattern")
});
static FACTORY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^def (create_app|make_app|create_application)\(").expect("a constant pattern"));
static SETTINGS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']"#).expect("a constant pattern"));
static MAIN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)^if\s+__name__\s*==\s*["']__main__["']"#).expect("a constant pattern"));
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bapp\.run\(|HTTPServer\(|serve_forever\(|run_app\(|uvicorn\.run\(|run_simple\(|make_server\(|\bserve\(|start_server\(|WSGIServer\(|\.listen\(")
        .expect("a constant pattern")
});
static PORT_OPTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"["'](--port)["']"#).expect("a constant pattern"));
static PORT_ARGUMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"int\(\s*sys\.argv\[1\]").expect("a constant pattern"));
static FIXED_PORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:\bport\s*=\s*|\bPORT\s*=\s*|["'](?:0\.0\.0\.0|127\.0\.0\.1|localhost)?["']\s*,\s*)(\d{2,5})\b"#)
        .expect("a constant pattern")
});

pub(super) fn detect(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    django(project, tree, guess);
    applications(project, tree, guess);
    scripts(project, tree, guess);
    entry_points(project, guess);
}

fn add(project: &Project, guess: &mut ProjectGuess, command: &str, confidence: Confidence, why: &str) {
    let (command, port) = with_port(command);
    guess.start.add(
        StartCommand {
            command,
            env: project.env(),
            port,
        },
        confidence,
        why,
    );
}

fn django(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let Some(text) = tree.read("manage.py") else { return };
    let python = project.python();
    let settings = SETTINGS.captures(&text).map(|found| found[1].to_owned());
    let package = settings.as_deref().and_then(|module| module.split('.').next());
    if let Some(package) = package {
        let exists = |name: &str| tree.has(&format!("{package}/{name}.py"));
        if project.has("gunicorn") && exists("wsgi") {
            let command = format!("{python} -m gunicorn -b 127.0.0.1:{{port}} {package}.wsgi:application");
            add(
                project,
                guess,
                &command,
                Confidence::Medium,
                &format!("gunicorn is a dependency, found {package}/wsgi.py"),
            );
        }
        if project.has("uvicorn") && exists("asgi") {
            let command = format!("{python} -m uvicorn {package}.asgi:application");
            add(
                project,
                guess,
                &command,
                Confidence::Medium,
                &format!("uvicorn is a dependency, found {package}/asgi.py"),
            );
        }
    }
    let command = format!("{python} manage.py runserver");
    add(project, guess, &command, Confidence::Medium, "found manage.py");
}

/// Application objects and factories, those in the usual files first.
fn applications(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let is_python = |path: &str| is_source(path) && path.ends_with(".py");
    let mut found: Vec<(usize, &str, String, String)> = Vec::new();
    for path in tree.files().filter(|path| is_python(path)).take(MAX_SOURCES) {
        let Some(text) = tree.read(path) else { continue };
        for object in APPLICATION.captures_iter(&text).take(2) {
            found.push((rank(path), path, object[1].to_owned(), object[2].to_owned()));
        }
        if let Some(factory) = FACTORY.captures(&text) {
            found.push((rank(path) + 5, path, format!("{}()", &factory[1]), String::new()));
        }
    }
    found.sort();
    for (at, (_, path, object, class)) in found.iter().take(4).enumerate() {
        let sure = if at == 0 { Confidence::Medium } else { Confidence::Low };
        application(project, guess, (path, object, class), sure);
    }
}

/// Shallow files with the usual names come first.
fn rank(path: &str) -> usize {
    let name = path.rsplit('/').next().unwrap_or(path);
    let usual = [
        "wsgi.py",
        "asgi.py",
        "app.py",
        "main.py",
        "server.py",
        "api.py",
        "__init__.py",
        "run.py",
    ];
    path.matches('/').count() * 10 + usual.iter().position(|usual| *usual == name).unwrap_or(9)
}

fn application(project: &Project, guess: &mut ProjectGuess, found: (&str, &str, &str), sure: Confidence) {
    let (path, object, class) = found;
    let python = project.python();
    let target = quoted(&format!("{}:{object}", module_of(path)));
    let why = format!("found {object} in {path}");
    let asgi = match class {
        "FastAPI" | "Starlette" | "Litestar" | "Quart" | "Sanic" => true,
        "Flask" | "APIFlask" | "Bottle" => false,
        _ => !project.has("flask") && ["fastapi", "starlette", "quart"].iter().any(|name| project.has(name)),
    };
    let is_factory = object.ends_with("()");
    if asgi && (project.has("uvicorn") || !project.has("hypercorn")) {
        let target = if is_factory {
            format!("--factory {}:{}", module_of(path), object.trim_end_matches("()"))
        } else {
            target
        };
        add(project, guess, &format!("{python} -m uvicorn {target}"), sure, &why);
    } else if asgi {
        add(project, guess, &format!("{python} -m hypercorn {target}"), sure, &why);
    } else if !asgi && project.has("gunicorn") {
        let command = format!("{python} -m gunicorn -b 127.0.0.1:{{port}} {target}");
        add(
            project,
            guess,
            &command,
            sure,
            &format!("gunicorn is a dependency, {why}"),
        );
    } else if !asgi && project.has("waitress") {
        add(
            project,
            guess,
            &format!("{python} -m waitress --listen=127.0.0.1:{{port}} {target}"),
            sure,
            &why,
        );
    }
    if !asgi && (project.has("flask") || class == "Flask") {
        let rest = if project.has("gunicorn") { Confidence::Low } else { sure };
        let app = quoted(&format!("{}:{}", module_of(path), object.trim_end_matches("()")));
        add(
            project,
            guess,
            &format!("{python} -m flask --app {app} run -p {{port}}"),
            rest,
            &why,
        );
    }
}

fn module_of(path: &str) -> String {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".py").unwrap_or(path);
    path.strip_suffix("/__init__").unwrap_or(path).replace('/', ".")
}

/// Files that start something when they are run.
fn scripts(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let python = project.python();
    let is_python = |path: &str| is_source(path) && path.ends_with(".py") && path.matches('/').count() <= 2;
    for path in tree.files().filter(|path| is_python(path)).take(MAX_SOURCES) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some(mut text) = tree.read(path) else { continue };
        let (command, why) = match name {
            "setup.py" | "manage.py" | "conftest.py" | "gunicorn.conf.py" => continue,
            "__main__.py" if path.contains('/') => {
                let package = module_of(path).trim_end_matches(".__main__").to_owned();
                // The options are often defined elsewhere in the package.
                text.push_str(&option_parsers(tree, path));
                (format!("{python} -m {}", quoted(&package)), format!("found {path}"))
            }
            _ if MAIN.is_match(&text) => (format!("{python} {}", quoted(path)), format!("{path} can be run")),
            _ => continue,
        };
        let serves = SERVES.is_match(&text);
        let usual = [
            "app.py",
            "main.py",
            "server.py",
            "run.py",
            "service.py",
            "__main__.py",
            "worker.py",
        ]
        .contains(&name);
        let confidence = match (serves, usual) {
            (true, true) => Confidence::Medium,
            _ if name == "__main__.py" && path.matches('/').count() == 1 => Confidence::Medium,
            (true, false) | (false, true) => Confidence::Low,
            (false, false) => continue,
        };
        let (command, port) = script_port(command, &text, serves);
        guess.start.add(
            StartCommand {
                command,
                env: project.env(),
                port,
            },
            confidence,
            why,
        );
    }
}

/// The text of the package's files that define a `--port` option.
fn option_parsers(tree: &Tree<'_>, main: &str) -> String {
    let package = main.trim_end_matches("__main__.py");
    let beside = |path: &&str| {
        path.strip_prefix(package)
            .is_some_and(|rest| !rest.contains('/') && rest.ends_with(".py"))
    };
    let texts = tree.files().filter(beside).take(30).filter_map(|path| tree.read(path));
    texts
        .filter(|text| PORT_OPTION.is_match(text))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How a script learns its port.
fn script_port(command: String, text: &str, serves: bool) -> (String, PortContract) {
    if PORT_OPTION.is_match(text) {
        return (format!("{command} --port {{port}}"), PortContract::Argument);
    }
    if let Some(name) = port_env_in(text).filter(|_| serves) {
        return (command, PortContract::Env(name));
    }
    if PORT_ARGUMENT.is_match(text) {
        return (format!("{command} {{port}}"), PortContract::Argument);
    }
    if !serves {
        return (command, PortContract::Unknown);
    }
    let fixed = FIXED_PORT.captures(text).and_then(|found| found[1].parse().ok());
    (command, fixed.map_or(PortContract::Unknown, PortContract::Fixed))
}

static CONSOLE_SCRIPT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)([\w-]+)\s*=\s*([\w.]+:\w+)").expect("a constant pattern"));

/// The command that runs the package's console script `name`.
pub(super) fn console_script(project: &Project, tree: &Tree<'_>, name: &str) -> Option<String> {
    let tables = [&["project", "scripts"][..], &["tool", "poetry", "scripts"]];
    let declared = tables
        .iter()
        .find_map(|keys| super::table(&project.pyproject, keys)?.get(name)?.as_str());
    if let Some(target) = declared {
        return entry_point(project, target);
    }
    let texts = ["setup.py", "setup.cfg"].into_iter().filter_map(|path| tree.read(path));
    texts.filter(|text| text.contains("console_scripts")).find_map(|text| {
        let target = CONSOLE_SCRIPT.captures_iter(&text).find(|found| &found[1] == name)?[2].to_owned();
        entry_point(project, &target)
    })
}

/// `package.module:function` as a command: the script itself names the directory in which it was installed.
fn entry_point(project: &Project, target: &str) -> Option<String> {
    let (module, function) = target.split_once(':')?;
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    (plain(module) && plain(function)).then(|| {
        format!(
            "{} -c 'import sys, {module}; sys.exit({module}.{function}())'",
            project.python()
        )
    })
}

/// Console scripts of the package: `package.module:function`.
fn entry_points(project: &Project, guess: &mut ProjectGuess) {
    let tables = [
        (&["project", "scripts"][..], "project.scripts"),
        (&["tool", "poetry", "scripts"][..], "tool.poetry.scripts"),
    ];
    for (keys, why) in tables {
        for (name, target) in super::table(&project.pyproject, keys).into_iter().flatten().take(4) {
            if let Some(command) = target.as_str().and_then(|target| entry_point(project, target)) {
                let start = StartCommand {
                    command,
                    env: project.env(),
                    port: PortContract::Unknown,
                };
                guess
                    .start
                    .add(start, Confidence::Low, format!("found in pyproject.toml {why}, {name}"));
            }
        }
    }
}
