#!/usr/bin/env python3
"""Proves what README.md claims about the demo: imports history.fi, runs the suites, serves each release, sends traffic.

Needs git and python3, writes only below a temporary folder, takes about half a minute.
"""
import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "traffic.json")) as source:
    TRAFFIC = json.load(source)
SERVING = ["good", "guilty", "innocent", "slow", "crash"]
GUILTY_LINE = "eligible = 0"


def run(*command, cwd, **more):
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, universal_newlines=True, **more).stdout


def checkout(top, tag):
    folder = os.path.join(top, tag)
    run("git", "worktree", "add", "-q", "--detach", folder, tag, cwd=os.path.join(top, "repo"))
    return folder


def suite(folder):
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."],
        cwd=folder,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert done.returncode == 0, done.stderr
    return int(re.search(r"Ran (\d+) tests", done.stderr).group(1))


@contextlib.contextmanager
def served(folder, database, ready=200):
    """The port of a running release that answers /healthz with `ready`, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = open(folder + ".log", "w")
    env = dict(os.environ, PORT=str(port), SHOP_DB=database)
    process = subprocess.Popen([sys.executable, "-m", "shop"], cwd=folder, env=env, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while send(port, "GET", "/healthz") != ready:
            assert time.monotonic() < deadline and process.poll() is None, open(log.name).read()
            time.sleep(0.01)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def send(port, method, target, body=None):
    """The status, None when there was no answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request(method, target, body)
        return client.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        client.close()


def fill(request, choose):
    target, body = request["path"], json.dumps(request["body"]) if "body" in request else None
    for name, chosen in request.get("params", {}).items():
        value = str(choose(members(chosen)))
        target = target.replace("{%s}" % name, value)
        body = body and body.replace("{%s}" % name, value)
    return request["method"], target, body


def members(name):
    value = TRAFFIC["sets"][name]
    return value if isinstance(value, list) else range(value["from"], value["to"] + 1)


def failing(port, names, samples=20):
    """The names of the requests that were answered with anything but what they expect, with their share."""
    choose, failed = random.Random(1).choice, {}
    for request in TRAFFIC["requests"]:
        if request["name"] in names:
            bad = sum(send(port, *fill(request, choose)) not in request["expect"] for _ in range(samples))
            if bad:
                failed[request["name"]] = bad / samples
    return failed


def without_guilty_hunk(folder):
    """Takes the guilty hunk, and nothing else, out of the newest release."""
    diff = run("git", "diff", "good", "guilty", "--", "shop/pricing.py", cwd=folder)
    head, *hunks = re.split(r"(?m)^(?=@@ )", diff)
    (hunk,) = [hunk for hunk in hunks if GUILTY_LINE in hunk]
    run("git", "apply", "-R", "-", cwd=folder, input=head + hunk)


def main():
    with tempfile.TemporaryDirectory(prefix="demo-check-") as top:
        repo, database = os.path.join(top, "repo"), os.path.join(top, "shop.db")
        run("git", "init", "-q", repo, cwd=top)
        with open(os.path.join(HERE, "history.fi")) as stream:
            run("git", "fast-import", "--quiet", cwd=repo, stdin=stream)
        commits = int(run("git", "rev-list", "--count", "innocent", cwd=repo))
        assert commits >= 34, commits
        folders = {tag: checkout(top, tag) for tag in run("git", "tag", cwd=repo).split()}
        for tag, folder in folders.items():
            print("%-12s %d tests pass" % (tag, suite(folder)))
        run(sys.executable, "-m", "shop.seed", database, cwd=folders["good"])

        phases = {phase["name"]: phase["weights"] for phase in TRAFFIC["phases"]}
        for name, weights in phases.items():
            assert sum(weights.values()) == 100, name
        for tag in SERVING:
            with served(folders[tag], database) as (port, process):
                healthy, campaign = failing(port, phases["healthy"]), failing(port, phases["campaign"])
                print("%-12s healthy: %s, campaign: %s" % (tag, healthy or "no failure", campaign or "no failure"))
                assert not healthy
                assert campaign == ({} if tag == "good" else {"campaign-no-tea": 1.0})
                if tag == "crash":
                    assert send(port, "GET", "/search?q=+") is None and process.wait(10) == 70
                    print("crash        exit 70 on a blank search")

        with served(folders["stuck"], database, ready=503) as (port, process):
            time.sleep(1)
            assert send(port, "GET", "/healthz") == 503
            print("stuck        still 503 after a second")
        broken = subprocess.run(
            [sys.executable, "-m", "shop"], cwd=folders["crash-start"], stderr=subprocess.PIPE, universal_newlines=True
        )
        assert broken.returncode == 1 and "KeyError: 'SHOP_CURRENCY'" in broken.stderr
        print("crash-start  exit 1")

        without_guilty_hunk(folders["innocent"])
        tests = suite(folders["innocent"])
        with served(folders["innocent"], database) as (port, _):
            assert not failing(port, phases["campaign"])
        print("innocent without the guilty hunk: %d tests pass, campaign: no failure" % tests)


if __name__ == "__main__":
    main()
