"""Starts gateways that are meant to be killed, as a program: `python forking.py CONFIG`.

Everything is imported once; each line on standard input forks a process that opens the store, as
`crossdock serve` does, and tells its id and origin on standard output. So fifty starts take
seconds, and a kill -9 is a real one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from crossdock import log
from crossdock.config import Settings, load_settings
from crossdock.gateway import Gateway
from crossdock.web.runner import WebRunner, signals


async def serve(settings: Settings) -> None:
    """Serve until told to stop, which never comes."""
    with signals() as told:
        gateway = await Gateway.open(settings, serving=True)
        listener = WebRunner(gateway)
        url = await listener.start("127.0.0.1", 0)
        sys.stdout.write(json.dumps({"pid": os.getpid(), "url": url}) + "\n")
        sys.stdout.flush()
        await told.wait()
        await listener.close()


def main() -> None:
    """Fork a gateway for every line."""
    settings = load_settings(Path(sys.argv[1]))
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            log.configure("error", "json")
            asyncio.run(serve(settings))
            return
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
