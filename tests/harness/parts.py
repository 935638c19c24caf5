"""Programs that tests start and treat badly: killed, frozen and started again, with what they say.

Nothing here needs an event loop, so one part can serve the tests of a whole file. In a test, what
waits goes through `asyncio.to_thread`, where the test itself has to answer meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE = 60.0


class Part:
    """A program on this machine. `start` it; afterwards it can be killed, frozen and ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.command = [*command]
        self._ready = ready
        self._folder = folder
        self._env = {**os.environ, **(env or {})}
        self._user = user if os.getuid() == 0 else None
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._said: list[str] = []
        self._news = threading.Condition()

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs, or is frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def text(self) -> str:
        """Everything that it has said, in all its lives."""
        return "".join(self._said)

    def start(self, *, times: int = 1) -> None:
        """Start it, and wait until it has said so often that it is ready."""
        begun = self.launch()
        self.wait_for(self._ready, since=begun, times=times)

    def launch(self) -> int:
        """Start it without waiting; return from which line on it speaks."""
        assert not self.running, f"{self.name} runs already"
        begun = len(self._said)
        self._process = subprocess.Popen(
            self.command,
            cwd=self._folder,
            env=self._env,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return begun

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._news:
                    self._said.append(line)
                    self._news.notify_all()
        process.wait()
        with self._news:
            self._news.notify_all()

    def wait_for(
        self, words: str, *, since: int = 0, times: int = 1, patience: float = PATIENCE
    ) -> str:
        """Wait until so many lines from `since` on hold these words; return the last of them."""
        with self._news:

            def found() -> list[str] | None:
                lines = [line for line in self._said[since:] if words in line]
                return lines if len(lines) >= times or not self.running else None

            said = self._news.wait_for(found, patience) or []
            if len(said) < times:
                raise AssertionError(f"{self.name} never said {words!r}:\n{self.text[-3000:]}")
            return said[times - 1]

    def tell(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """Stop it and its children in the middle of whatever they do."""
        self._each(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._each(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it and its children with -9, as a machine does that loses power."""
        if self.running:
            ends = [os.pidfd_open(child) for child in self.children()]
            self._each(signal.SIGKILL)
            self.wait()
            for end in ends:  # readable once that process is gone
                select.select([end], [], [], PATIENCE)
                os.close(end)

    def stop(self, number: int = signal.SIGTERM, patience: float = PATIENCE) -> int:
        """Tell it to end; return its exit code."""
        if self.running:
            self.tell(number)
        return self.wait(patience)

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait until it has ended; return its exit code."""
        assert self._process is not None
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._each(signal.SIGKILL)
            raise AssertionError(f"{self.name} does not end:\n{self.text[-3000:]}") from None
        if self._reader is not None:
            self._reader.join(patience)
        return code

    def children(self) -> list[int]:
        """Return the processes that it started, and those that these did."""
        return _below(self.pid)

    def _each(self, number: int) -> None:
        for pid in (self.pid, *self.children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _below(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold anything; behind it stand state and parent.
            parent = stat.read_text().rpartition(")")[2].split()[1]
            parents.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, ())
    return found[1:]
