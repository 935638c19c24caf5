#!/usr/bin/env python3
"""Set up this working copy and run it: all that a fresh clone needs is Python 3.11 and git.

Everything lands in `.venv/`, from locks that name versions and hashes; deleting that folder undoes
it. Uses the standard library only, and changes nothing outside the working copy.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs it with less is owed a sentence
    sys.exit("dev.py needs Python 3.11 or newer; this is {}.{}.".format(*sys.version_info[:2]))

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".venv"
ENV = HOME / "env"
STAMP = ENV / "installed"
BOOTSTRAP = HOME / "bootstrap"
BOOTSTRAP_LOCK = ROOT / "server" / "bootstrap.lock"
LOCK = ROOT / "server" / "requirements.lock"
CLIENTS = ROOT / "tests" / "clients"
BUILT_IN = ("malomo", "roserocket")
VULNERABILITIES = "https://api.osv.dev/v1/querybatch"
_ABOUT = ("name", "version", "description")
WINDOWS = sys.platform == "win32"

USAGE = """\
usage: python3 dev.py COMMAND [ARGUMENTS…]

  demo            start the gateway with a sandbox of every provider, and print its URLs
  test            run the tests; arguments go to pytest, as in `dev.py test -k shipments`
  run COMMAND     run any other crossdock command, as in `dev.py run serve`
  lint            check style, format and types, and the lock against known vulnerabilities
  lock            resolve every lock again; `--upgrade` takes newer versions
  sbom            print what server/requirements.lock holds, as CycloneDX JSON
  setup           install only

Everything is installed into .venv/ on first use; delete that folder to start afresh."""

NO_INSTALLER = """\
Neither uv nor pip nor venv is here, and one of them is needed to install crossdock's libraries.
On Debian or Ubuntu:  sudo apt install python3-pip
Elsewhere:            install uv or pip, then run this command again."""


def main(arguments: list[str]) -> int:
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help", "help"):
        print(USAGE)
    elif command == "lock":
        lock(rest)
    elif command == "sbom":
        print(json.dumps(sbom(), indent=2))
    elif command in ("demo", "test", "run", "lint", "setup"):
        set_up()
        return start(command, rest)
    else:
        say(f"dev.py knows no command `{command}`.\n\n{USAGE}")
        return 2
    return 0


def start(command: str, arguments: list[str]) -> int:
    if command == "lint":
        return lint()
    if command == "test":
        os.chdir(ROOT)
        # The whole suite goes faster on all cores; a part of it is easier to follow on one.
        become("pytest", *(arguments or ("--numprocesses=auto", "--dist=loadfile")))
    if command == "demo":
        become("crossdock", "demo", *arguments)
    if command == "run":
        become("crossdock", *arguments)
    return 0


# --- setting up ------------------------------------------------------------------------------


def set_up() -> None:
    """Install what the locks say, unless the stamp says that it is there already."""
    if stamped() == wanted():
        return
    with alone(HOME / "lock"):
        if stamped() != wanted():
            install()


def install() -> None:
    say("Installing into .venv …")
    uv = find_uv()
    same_interpreter = stamped()[:1] == wanted()[:1]
    STAMP.unlink(missing_ok=True)
    if not same_interpreter:
        call(uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENV)
    into = ("--quiet", "--python", program("python"))
    call(uv, "pip", "sync", *into, "--require-hashes", LOCK)
    # The build backend comes from the lock as well, so nothing unpinned ever runs.
    editable = [part for member in installed() for part in ("--editable", member)]
    call(uv, "pip", "install", *into, "--no-deps", "--no-build-isolation", *editable)
    STAMP.write_text("\n".join(wanted()), encoding="utf-8")


def stamped() -> list[str]:
    """Return what the last complete installation was made from; empty if there is none."""
    try:
        return STAMP.read_text(encoding="utf-8").splitlines() if program("python").exists() else []
    except OSError:
        return []


def wanted() -> list[str]:
    """Digest what an installation depends on: first interpreter and place, then the projects."""
    place = hashlib.sha256(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
    content = hashlib.sha256()
    for path in (LOCK, *(member / "pyproject.toml" for member in installed())):
        content.update(path.read_bytes())
    return [place.hexdigest(), content.hexdigest()]


def members() -> list[Path]:
    """Return the folders of the distributions made here: the core and each adapter."""
    return [ROOT, *sorted(path.parent for path in ROOT.glob("adapters/*/pyproject.toml"))]


def installed() -> list[Path]:
    """Return those that the environment has. The other adapters are tested from their folders."""
    return [ROOT, *(ROOT / "adapters" / name for name in BUILT_IN)]


def find_uv() -> str:
    """Return uv: the user's, else our own, fetched once by whatever installer there is."""
    places = os.pathsep.join(str(BOOTSTRAP / folder) for folder in ("bin", "Scripts"))
    if found := shutil.which("uv") or shutil.which("uv", path=places):
        return found
    pip = [sys.executable, "-m", "pip"]
    if not answers(*pip, "--version"):
        helper = BOOTSTRAP / "venv"
        if not answers(sys.executable, "-m", "venv", helper):
            shutil.rmtree(helper, ignore_errors=True)
            sys.exit(NO_INSTALLER)
        pip = [str(script(helper, "python")), "-m", "pip"]
    # `--target` leaves the system's packages alone, so a Python marked by PEP 668 allows it.
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    pinned = ("--no-deps", "--require-hashes", "--requirement", BOOTSTRAP_LOCK)
    call(*pip, "install", *quiet, "--upgrade", "--target", BOOTSTRAP, *pinned)
    if found := shutil.which("uv", path=places):
        return found
    sys.exit("pip installed uv into .venv/bootstrap, but no program came of it. Delete .venv.")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold off other runs of dev.py in this working copy while one installs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- checking and locking --------------------------------------------------------------------


def lint() -> int:
    """Run every check, also after one has failed, and say which did."""
    checks = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
    failed = [
        " ".join(check)
        for check in checks
        if subprocess.run([program(check[0]), *check[1:]], cwd=ROOT, check=False).returncode
    ]
    if vulnerable():
        failed.append("known vulnerabilities")
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def locked() -> dict[str, tuple[str, list[str]]]:
    """Return the version and the SHA-256 of each library in the gateway's lock."""
    found: dict[str, tuple[str, list[str]]] = {}
    hashes: list[str] = []
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if pinned := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            hashes = []
            found[pinned[1]] = (pinned[2], hashes)
        elif digest := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            hashes.append(digest[1])
    return found


def vulnerable() -> bool:
    """Ask a database of vulnerabilities about the lock. Where none answers, that is said."""
    libraries = [(name, version) for name, (version, _) in locked().items()]
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in libraries
    ]
    body = json.dumps({"queries": queries}).encode()
    address = os.environ.get("CROSSDOCK_VULNERABILITIES", VULNERABILITIES)
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            results = json.loads(reply.read())["results"]
        known = [[one["id"] for one in result.get("vulns") or ()] for result in results]
        told = zip(libraries, known, strict=True)
        bad = [f"{name} {version}: {', '.join(ids)}" for (name, version), ids in told if ids]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"Vulnerabilities: not checked ({type(error).__name__} at {address}).")
        return False
    say("\n".join(bad) or f"Vulnerabilities: none known in {len(libraries)} libraries.")
    return bool(bad)


def sbom() -> dict[str, object]:
    """Return the bill of materials: what an installation from the lock consists of."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name.lower()}@{version}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
        }
        for name, (version, hashes) in locked().items()
    ]
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    itself = {"type": "application", "bom-ref": own["name"], **{k: own[k] for k in _ABOUT}}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"component": itself},
        "components": components,
        "dependencies": [{"ref": own["name"], "dependsOn": [one["bom-ref"] for one in components]}],
    }


def lock(options: list[str]) -> None:
    """Resolve every lock again, and refuse one that names an address."""
    uv = find_uv()
    projects = [member / "pyproject.toml" for member in members()]
    resolve(uv, LOCK, *projects, "--group", "dev", "--all-extras", *options)
    resolve(uv, BOOTSTRAP_LOCK, BOOTSTRAP_LOCK.with_suffix(".in"), *options)
    for wish in sorted(CLIENTS.glob("*.in")):
        resolve(uv, wish.with_suffix(".lock"), wish, *options)
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to resolve tests/clients/node; the other locks are done.")
    verb = "update" if "--upgrade" in options else "install"
    offline = ("--no-audit", "--no-fund", "--ignore-scripts", "--omit-lockfile-registry-resolved")
    call(npm, verb, "--package-lock-only", *offline, cwd=CLIENTS / "node")
    if '"resolved"' in (CLIENTS / "node" / "package-lock.json").read_text(encoding="utf-8"):
        sys.exit("tests/clients/node/package-lock.json names addresses; npm is too old.")


def resolve(uv: str, target: Path, *arguments: str | Path) -> None:
    ours = [tomllib.loads((member / "pyproject.toml").read_text("utf-8")) for member in members()]
    skip = [part for own in ours for part in ("--no-emit-package", own["project"]["name"])]
    bare = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    wide = ("--universal", "--python-version", "3.11", "--generate-hashes")
    call(uv, "pip", "compile", "--quiet", *bare, *wide, *skip, *arguments, "-o", target)
    if "://" in target.read_text(encoding="utf-8"):
        sys.exit(f"{target.name} names an address; a lock holds versions and hashes only.")


# --- running ---------------------------------------------------------------------------------


def become(name: str, *arguments: str) -> NoReturn:
    """Turn into a program of the environment, so that signals and exit codes are its own."""
    command = [str(program(name)), *arguments]
    if not WINDOWS:
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child by itself
    sys.exit(subprocess.run(command, check=False).returncode)


def program(name: str) -> Path:
    return script(ENV, name)


def script(environment: Path, name: str) -> Path:
    return environment / ("Scripts" if WINDOWS else "bin") / (f"{name}.exe" if WINDOWS else name)


def call(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a step of the installation; where it fails, stop behind its own words."""
    words = [str(part) for part in command]
    quiet = {"UV_PYTHON_DOWNLOADS": "never", "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(words, cwd=cwd, env={**os.environ, **quiet}, check=False).returncode:
        sys.exit(f"Setting up failed at `{' '.join(words[:4])} …`; the reason stands above.")


def answers(*command: str | Path) -> bool:
    words = [str(part) for part in command]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(130)
