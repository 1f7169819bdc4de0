//! Controls: an innocent commit that makes the code look at something outside, which is wrong today.

use std::path::PathBuf;

use super::{Built, Git, needed};
use crate::regressions::Case;
use crate::report::BenchError;

/// A module before and after it looks outside, and its test.
struct Sources {
    module: (&'static str, &'static str),
    test: &'static str,
    after: &'static str,
}

/// The files of a control: how they are before the carrier and from it on. The test is older than the carrier, and the
/// carrier is innocent: in the world of its time the test passed.
fn sources(kind: &str, test: &str) -> Sources {
    if test.ends_with(".js") {
        script(kind)
    } else {
        python(kind)
    }
}

fn python(kind: &str) -> Sources {
    let after = match kind {
        "env" => {
            "import os\n\n\ndef answer():\n    return 42 if os.environ.get('ANSWER_MODE', 'plain') == 'plain' else 41\n"
        }
        "env-missing" => "import os\n\n\ndef answer():\n    return int(os.environ['ANSWER_VALUE'])\n",
        "env-value" => "import os\n\n\ndef answer():\n    return {'fast': 42}.get(os.environ.get('ANSWER_MODE'), 41)\n",
        "data" => {
            "import json\nimport pathlib\n\n\ndef answer():\n    path = pathlib.Path(__file__).parent / 'answer.local.json'\n    \
             return json.loads(path.read_text())['answer'] if path.exists() else 42\n"
        }
        "data-missing" => {
            "import json\nimport pathlib\n\n\ndef answer():\n    path = pathlib.Path(__file__).parent / 'answer.local.json'\n    \
             return json.loads(path.read_text())['answer']\n"
        }
        "clock" => {
            "import datetime\n\n\ndef answer():\n    return 42 if datetime.date.today() < datetime.date(2026, 1, 1) else 41\n"
        }
        "flaky" => "import random\n\n\ndef answer():\n    return 42 if random.random() < 0.5 else 41\n",
        "flaky-often" => "import random\n\n\ndef answer():\n    return 42 if random.random() < 0.15 else 41\n",
        _ => "import answerlib\n\n\ndef answer():\n    return answerlib.answer()\n",
    };
    Sources {
        module: ("controlled.py", "def answer():\n    return 42\n"),
        test: "from controlled import answer\n\n\ndef test_answer():\n    assert answer() == 42\n",
        after,
    }
}

fn script(kind: &str) -> Sources {
    let after = match kind {
        "env" => "exports.answer = () => (process.env.ANSWER_MODE || 'plain') === 'plain' ? 42 : 41;\n",
        "env-missing" => "exports.answer = () => Number(process.env.ANSWER_VALUE);\n",
        "env-value" => "exports.answer = () => process.env.ANSWER_MODE === 'fast' ? 42 : 41;\n",
        "data" => {
            "const fs = require('fs');\nconst path = require('path').join(__dirname, 'answer.local.json');\n\
             exports.answer = () => fs.existsSync(path) ? JSON.parse(fs.readFileSync(path, 'utf8')).answer : 42;\n"
        }
        "data-missing" => {
            "const fs = require('fs');\nconst path = require('path').join(__dirname, 'answer.local.json');\n\
             exports.answer = () => JSON.parse(fs.readFileSync(path, 'utf8')).answer;\n"
        }
        "clock" => "exports.answer = () => new Date().getFullYear() < 2026 ? 42 : 41;\n",
        "flaky" => "exports.answer = () => Math.random() < 0.5 ? 42 : 41;\n",
        "flaky-often" => "exports.answer = () => Math.random() < 0.15 ? 42 : 41;\n",
        _ => "const lib = require('answerlib');\nexports.answer = () => lib.answer();\n",
    };
    Sources {
        module: ("controlled.js", "exports.answer = () => 42;\n"),
        test: "const assert = require('assert');\nassert.strictEqual(require('./controlled').answer(), 42);\n",
        after,
    }
}

/// The last commits again with a small module and its test; from the carrier on the module looks outside.
pub(super) fn hidden(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<String, BenchError> {
    let carrier = needed(case.carrier.as_ref(), "carrier")?;
    let sources = sources(case.control.as_deref().unwrap_or_default(), &case.test);
    let file = case.test.split("::").next().unwrap_or(&case.test);
    let first = git.with(&["rev-parse", &format!("{carrier}~5")], &[], b"")?;
    let line = git.with(
        &[
            "rev-list",
            "--first-parent",
            "--reverse",
            &format!("{first}..{}", case.head),
        ],
        &[],
        b"",
    )?;
    let (mut parent, mut turned) = (first, false);
    for commit in line.lines() {
        turned |= commit == carrier;
        git.run(&["read-tree", commit], b"")?;
        let (name, before) = sources.module;
        let files = [
            (file, sources.test),
            (name, if turned { sources.after } else { before }),
        ];
        for (path, content) in files {
            let id = git.run(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
            git.run(
                &["update-index", "--add", "--cacheinfo", &format!("100644,{id},{path}")],
                b"",
            )?;
        }
        let tree = git.run(&["write-tree"], b"")?;
        parent = git.again(commit, &tree, &parent)?;
        built.good.get_or_insert_with(|| parent.clone());
    }
    Ok(parent)
}

/// The world outside of the code, as it is today.
pub(super) fn outside(kind: &str, test: &str, work: &std::path::Path, built: &mut Built) -> Result<(), BenchError> {
    let write = |path: PathBuf, text: &str| {
        let what = path.display().to_string();
        std::fs::write(path, text).map_err(BenchError::io(what))
    };
    match kind {
        "env" | "env-value" => built.env.push(("ANSWER_MODE".to_owned(), "odd".to_owned())),
        "data" => {
            write(built.dir.join(".git/info/exclude"), "*.local.json\n")?;
            write(built.dir.join("answer.local.json"), "{\"answer\": 41}\n")?;
        }
        "dependency" => {
            let lib = work.join("lib");
            std::fs::create_dir_all(&lib).map_err(BenchError::io("the dependency's folder"))?;
            write(lib.join("answerlib.py"), "def answer():\n    return 41\n")?;
            write(lib.join("answerlib.js"), "exports.answer = () => 41;\n")?;
            let variable = if test.ends_with(".js") {
                "NODE_PATH"
            } else {
                "PYTHONPATH"
            };
            built
                .env
                .push((variable.to_owned(), lib.to_string_lossy().into_owned()));
        }
        _ => {}
    }
    Ok(())
}
