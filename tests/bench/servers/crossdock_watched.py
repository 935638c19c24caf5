"""`crossdock serve`, with time planted into every call or with its call stack sampled.

    python crossdock_watched.py [--plant MICROSECONDS] [--sample FILE] serve …

The first shows that `compare` notices; the second is where the profile by layer comes from: each
millisecond of CPU the innermost function of the event loop's thread is counted.
"""

from __future__ import annotations

import argparse
import atexit
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

EVERY = 0.001


def plant(microseconds: int) -> None:
    from crossdock.calls.calls import Calls

    original = Calls.call

    async def slower(*arguments: Any, **named: Any) -> Any:
        until = time.perf_counter() + microseconds / 1e6
        while time.perf_counter() < until:
            pass
        return await original(*arguments, **named)

    Calls.call = slower  # type: ignore[method-assign]


def sample(into: Path) -> None:
    seen: Counter[tuple[str, str]] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[frame.f_code.co_filename, frame.f_code.co_qualname] += 1

    def keep() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        loop, every = time.thread_time(), time.process_time()
        found = [[*place, count] for place, count in seen.most_common()]
        into.write_text(json.dumps({"threads": every - loop, "all": every, "seen": found}))

    def clear(*_: object) -> None:
        seen.clear()

    signal.signal(signal.SIGPROF, note)
    signal.signal(signal.SIGUSR1, clear)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    atexit.register(keep)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--plant", type=int)
    parser.add_argument("--sample", type=Path)
    given, rest = parser.parse_known_args()
    if given.plant:
        plant(given.plant)
    if given.sample:
        sample(given.sample)
    from crossdock.__main__ import main

    sys.argv[1:] = rest
    main()
