//! Python repositories.

use super::*;

#[test]
fn a_script_of_the_standard_library_needs_no_build() {
    let found = guess(&[
        (
            "shop/app.py",
            "import os, sqlite3\nfrom http.server import ThreadingHTTPServer\nDB = os.environ.get('SHOP_DB', 'data/shop.db')\n\
             ROUTES = {'/healthz': 1}\nif __name__ == '__main__':\n    \
             ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n",
        ),
        (
            "tests/test_app.py",
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n",
        ),
    ]);
    assert_eq!(starts(&found), ["Medium: python3 shop/app.py [Env(\"PORT\")]"]);
    assert_eq!(best_build(&found), BuildGuess::default());
    assert_eq!(best_test(&found), "python3 -m unittest discover -v -s tests");
    assert_eq!(
        found.readiness.best().map(|guess| guess.value.as_str()),
        Some("/healthz")
    );
    assert_eq!(
        found.state.best().map(|guess| guess.value.as_str()),
        Some("data/shop.db")
    );
    assert_eq!(
        found
            .port_env
            .best()
            .map(|guess| (guess.value.as_str(), guess.confidence)),
        Some(("PORT", Confidence::High))
    );
}

#[test]
fn flask_with_requirements() {
    let found = guess(&[
        ("requirements.txt", "Flask==3.0\n# gunicorn\n-e .\n"),
        (
            "app.py",
            "from flask import Flask\napp = Flask(__name__)\nif __name__ == \"__main__\":\n    app.run(port=5000)\n",
        ),
        ("test_app.py", "def test_a():\n    pass\n"),
    ]);
    assert_eq!(
        starts(&found),
        [
            "Medium: .venv/bin/python -m flask --app app:app run -p {port}",
            "Medium: .venv/bin/python app.py [Fixed(5000)]",
        ]
    );
    let build = best_build(&found);
    assert_eq!(
        build.deps_command.as_deref(),
        Some("python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt pytest")
    );
    assert_eq!(
        (build.outputs, build.lockfiles),
        (vec![".venv".to_owned()], vec!["requirements.txt".to_owned()])
    );
    assert_eq!(best_test(&found), ".venv/bin/python -m pytest -v");
    assert_eq!(found.frameworks.best().map(|guess| guess.value.as_str()), Some("Flask"));
}

#[test]
fn a_factory_behind_gunicorn() {
    let found = guess(&[
        ("requirements.txt", "flask\ngunicorn\n"),
        ("shop/__init__.py", "def create_app(config=None):\n    pass\n"),
    ]);
    assert_eq!(
        starts(&found),
        [
            "Medium: .venv/bin/python -m gunicorn -b 127.0.0.1:{port} 'shop:create_app()'",
            "Low: .venv/bin/python -m flask --app shop:create_app run -p {port}",
        ]
    );
}

#[test]
fn fastapi_in_a_src_layout_with_uv() {
    let found = guess(&[
        (
            "pyproject.toml",
            "[project]\nname = \"shop-api\"\ndependencies = [\"fastapi>=0.100\", \"uvicorn[standard]\"]\n\
             [dependency-groups]\ndev = [\"pytest\"]\n[tool.pytest.ini_options]\naddopts = \"-q\"\n",
        ),
        ("uv.lock", ""),
        (
            "src/shop/main.py",
            "app: FastAPI = FastAPI()\n@app.get(\"/health\")\ndef health(): pass\n",
        ),
    ]);
    assert_eq!(
        starts(&found),
        ["Medium: PYTHONPATH=src .venv/bin/python -m uvicorn shop.main:app --host 127.0.0.1 --port {port}"]
    );
    assert_eq!(found.name.best().map(|guess| guess.value.as_str()), Some("shop-api"));
    assert_eq!(
        best_build(&found).deps_command.as_deref(),
        Some("uv sync --frozen --no-install-project")
    );
    let alternative = found.build.alternatives()[0].value.deps_command.as_deref();
    assert_eq!(
        alternative,
        Some(
            "python3 -m venv .venv && .venv/bin/python -m pip install 'pip>=25.1' && .venv/bin/python -m pip install . --group dev"
        )
    );
    assert_eq!(best_test(&found), ".venv/bin/python -m pytest -vv");
    assert_eq!(
        found.readiness.best().map(|guess| guess.value.as_str()),
        Some("/health")
    );
}

#[test]
fn poetry_and_pipenv_and_setup_py() {
    let poetry = guess(&[
        (
            "pyproject.toml",
            "[tool.poetry]\nname = \"p\"\n[tool.poetry.dependencies]\npython = \"^3.11\"\nflask = \"*\"\n",
        ),
        ("poetry.lock", ""),
        ("app.py", "app = Flask(__name__)\n"),
    ]);
    assert_eq!(
        best_build(&poetry).deps_command.as_deref(),
        Some("POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction")
    );
    let pipenv = guess(&[
        ("Pipfile", "[packages]\nflask = \"*\"\n"),
        ("Pipfile.lock", "{}"),
        ("app.py", "app = Flask(__name__)\n"),
    ]);
    assert_eq!(
        best_build(&pipenv).deps_command.as_deref(),
        Some("PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev")
    );
    let setup = guess(&[
        (
            "setup.py",
            "setup(\n  name='wsgithing',\n  install_requires=['bottle>=0.12', \"waitress\"],\n)\n",
        ),
        ("thing/__init__.py", "app = bottle.Bottle()\n"),
    ]);
    assert_eq!(setup.name.best().map(|guess| guess.value.as_str()), Some("wsgithing"));
    assert_eq!(
        starts(&setup),
        ["Medium: .venv/bin/python -m waitress --listen=127.0.0.1:{port} thing:app"]
    );
    assert_eq!(
        best_build(&setup).deps_command.as_deref(),
        Some("python3 -m venv .venv && .venv/bin/python -m pip install .")
    );
}

#[test]
fn django() {
    let found = guess(&[
        (
            "manage.py",
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
        ),
        ("requirements.txt", "Django>=5\ngunicorn\n"),
        ("shop/wsgi.py", ""),
        (
            "shop/settings.py",
            "DATABASES = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'db.sqlite3'}\n",
        ),
        ("shop/urls.py", "urlpatterns = [path('health/', v), path('cart', c)]\n"),
        ("shop/tests.py", "from django.test import TestCase\n"),
    ]);
    assert_eq!(
        starts(&found),
        [
            "Medium: .venv/bin/python -m gunicorn -b 127.0.0.1:{port} shop.wsgi:application",
            "Medium: .venv/bin/python manage.py runserver 127.0.0.1:{port} --noreload",
        ]
    );
    assert_eq!(best_test(&found), ".venv/bin/python manage.py test -v 2");
    assert_eq!(
        found.readiness.best().map(|guess| guess.value.as_str()),
        Some("/health")
    );
    assert_eq!(
        found
            .state
            .all()
            .iter()
            .map(|guess| guess.value.as_str())
            .collect::<Vec<_>>(),
        ["db.sqlite3"]
    );
}

#[test]
fn a_package_that_is_run_with_its_own_option() {
    let found = guess(&[
        (
            "pyproject.toml",
            "[project]\nname = \"d\"\ndependencies = [\"click\"]\n[project.scripts]\nd = \"d.cli:main\"\n",
        ),
        ("d/__main__.py", "from .cli import main\nmain()\n"),
        ("d/cli.py", "@click.option(\"-p\", \"--port\")\ndef main(): pass\n"),
    ]);
    assert_eq!(
        starts(&found),
        [
            "Medium: .venv/bin/python -m d --port {port}",
            "Low: .venv/bin/python -c 'import sys, d.cli; sys.exit(d.cli.main())' [Unknown]",
        ]
    );
}

#[test]
fn ports_of_other_services_are_not_its_own() {
    let found = guess(&[
        (
            "server.py",
            "import os\nDB = os.environ['DB_PORT']\nPORT = int(os.getenv('APP_PORT', 8000))\nif __name__ == '__main__':\n    \
             web.run_app(app, port=PORT)\n",
        ),
        ("requirements.txt", "aiohttp\n"),
    ]);
    assert_eq!(
        starts(&found),
        ["Medium: .venv/bin/python server.py [Env(\"APP_PORT\")]"]
    );
    assert_eq!(
        found.port_env.best().map(|guess| guess.value.as_str()),
        Some("APP_PORT")
    );
}

#[test]
fn extras_that_setuptools_files_declare() {
    let check = |file: &str, text: &str, expected: &str| {
        let app = ("thing/__init__.py", "app = bottle.Bottle()\n");
        let found = match file {
            "setup.py" => guess(&[(file, text), app]),
            _ => guess(&[
                ("setup.py", "setup(name='thing', install_requires=['bottle'])\n"),
                (file, text),
                app,
            ]),
        };
        let deps = best_build(&found).deps_command.unwrap_or_default();
        assert_eq!(
            deps.rsplit_once("install ").map(|(_, what)| what),
            Some(expected),
            "{text}"
        );
    };
    let python = |extras: &str| {
        format!("setup(\n    name='thing',\n    install_requires=['bottle'],\n    extras_require={{{extras}}},\n)\n")
    };
    check(
        "setup.py",
        &python("\"docs\": [], \"test\" : [\"pytest\"]"),
        "'.[test]'",
    );
    check("setup.py", &python("'dev': [], 'tests': []"), "'.[tests,dev]'");
    check("setup.py", &python("\"docs\": [\"test\"]"), ".");
    let cfg = "[metadata]\nname = thing\n[options.extras_require]\ntest =\n    coverage\n[flake8]\ndev = 1\n";
    check("setup.cfg", cfg, "'.[test]'");
}
