"""PostgreSQL and Redis of our own: on free ports of this machine, killed and started at will."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness.parts import Part
from harness.ports import free_port

_POSTGRES = {
    "fsync": "off",  # a killed process leaves its pages with the kernel; a commit stays a commit
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "16MB",
}


class Postgres(Part):
    """A PostgreSQL cluster in a folder of its own; what was committed survives `kill`."""

    def __init__(self, **settings: str) -> None:
        self._binaries = postgres_binaries()
        self._home = Path(tempfile.mkdtemp(prefix="crossdock-pg-"))
        self.port = free_port()
        if os.getuid() == 0:  # neither initdb nor postgres runs as root
            shutil.chown(self._home, "postgres", "postgres")
        given = {
            **_POSTGRES,
            "port": str(self.port),
            "unix_socket_directories": str(self._home),
            **settings,
        }
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        super().__init__(
            "postgres",
            [str(self._binaries / "postgres"), "-D", str(self._home / "data"), *options],
            ready="database system is ready to accept connections",
            folder=self._home,
            user="postgres",
            env={"LC_ALL": "C"},
        )
        self._run("initdb", "-D", f"{self._home}/data", "-U", "postgres", "-A", "trust", "-N")

    def url(self, database: str, port: int = 0) -> str:
        """Return a `[store] url`; `port` is that of somebody who passes on to this server."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, and return its URL."""
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.url(database)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run a statement; return its rows as lines of values with | in between."""
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        return self._run("psql", *words, "-XAtqc", statement).strip()

    def program(self, name: str, *options: str) -> list[str]:
        """Return the words that run one of its own programs against it, as pg_dump."""
        here = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        return [str(self._binaries / name), *here, *options]

    def remove(self) -> None:
        """Kill it and leave nothing behind."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> str:
        user = "postgres" if os.getuid() == 0 else None
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


class Redis(Part):
    """A Redis without a disk: what it held is gone when it is killed."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="crossdock-redis-"))
        self.port = free_port()
        words = ["--bind", "127.0.0.1", "--port", str(self.port), "--daemonize", "no"]
        super().__init__(
            "redis",
            [program("redis-server"), *words, "--save", "", "--appendonly", "no"],
            ready="Ready to accept connections",
            folder=self._home,
        )

    def url(self, port: int = 0) -> str:
        """Return a `[bus] url`; `port` is that of somebody who passes on to this server."""
        return f"redis://127.0.0.1:{port or self.port}/0"

    def remove(self) -> None:
        """Kill it and leave nothing behind."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)


def program(name: str) -> str:
    """Return the path of a program; where there is none the test is skipped, and in CI it fails."""
    if found := shutil.which(name) or shutil.which(name, path="/usr/sbin"):
        return found
    raise absent(f"{name} is not installed")


def postgres_binaries() -> Path:
    """Return the folder of PostgreSQL's programs; without them see `program`."""
    found = [Path(shutil.which("postgres") or "/nowhere").resolve().parent]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if all((folder / name).exists() for name in ("postgres", "initdb", "psql")):
            return folder
    raise absent("PostgreSQL's programs (postgres, initdb, psql) are not installed")


def absent(words: str) -> BaseException:
    """Return what skips the test for want of a program; in CI it fails it."""
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(words, pytrace=False)
    return pytest.skip.Exception(words)
