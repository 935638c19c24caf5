"""Promises about conduct: secrets stay, nobody else is spoken to, and nobody is kept waiting."""

from __future__ import annotations

from crossdock.access.gate import Caller
from crossdock.testing.trial import Trial, refuse
from crossdock.testing.workbench import written

_SHORTEST = 4  # shorter values stand in words by chance
_REPEATS = 3


async def no_credential_shows(trial: Trial) -> None:
    seen: list[tuple[str, str]] = []
    with written() as log:
        for tool, example in trial.firsts():
            true = await trial.true(tool, example)
            secrets = trial.bench.secrets
            told = {"id": "1", "name": "1", "said": [*secrets.values()]}
            seen.append((tool.name, true.seen))
            for place in range(len(true.requests)):
                for fault in (
                    {"kind": "echo"},
                    {"kind": "status", "status": 500, "body": {"message": str(told)}},
                    {"kind": "status", "status": 200, "body": told},
                ):
                    played = await trial.play(tool, example.arguments, {**fault, "skip": place})
                    seen.append((tool.name, played.seen))
        secrets = trial.bench.secrets
    seen.append(("the log", log.getvalue()))
    refuse(
        dict.fromkeys(
            f"{place} shows {name}"
            for place, text in seen
            for name, secret in secrets.items()
            if len(secret) >= _SHORTEST and secret in text
        )
    )


async def credentials_go_to_no_other_host(trial: Trial) -> None:
    for tool, number, example in trial.each():
        await trial.true(tool, example, number)
        await trial.play(tool, example.arguments, {"kind": "unauthorized"})
        away = {"kind": "redirect", "location": "http://127.0.0.1:9/elsewhere"}
        await trial.play(tool, example.arguments, away)
    others = trial.bench.outgoing.others(*trial.bench.own)
    refuse(f"a connection to {one}; an adapter speaks to its provider alone" for one in others)


async def loading_touches_no_network(trial: Trial) -> None:
    others = trial.bench.at_load.others()
    refuse(f"a connection to {one} while it was loaded" for one in others)


async def nothing_stalls_the_loop(trial: Trial) -> None:
    stalled = []
    for tool, number, example in trial.each():
        await trial.true(tool, example, number)
        if await _stalls(trial, tool.name, example.arguments):
            stalled.append(f"{tool.name} keeps everybody waiting: use await, or unhurried()")
    refuse(stalled)


async def _stalls(trial: Trial, name: str, arguments: dict[str, object]) -> bool:
    """A tool that stalls does so each time; a busy machine does not."""
    tool = trial.tools[name]
    for _ in range(_REPEATS):
        trial.bench.stalls.clear()
        await trial.play(tool, arguments)
        if name not in trial.bench.stalls:
            return False
    return True


async def verify_knows_good_credentials_from_bad(trial: Trial) -> None:
    bench, actor = trial.bench, Caller(id="kit", name="kit", role="owner")
    if bench.adapter.manifest.verify is None:
        refuse(["adapter.toml has no [verify]"])
    await bench.restore()
    verified = bench.served.core.control.accounts.verify
    bench.put_account(bench.served.core, "good", bench.given["credentials"])
    good = await verified("good", actor)
    problems = [] if good.ok else [f"good credentials: {good.kind}: {good.message}"]
    declared = bench.adapter.manifest.credentials
    for name, value in bench.given["credentials"].items():
        if name not in declared or declared[name].secret:
            wrong = {**bench.given["credentials"], name: f"wrong-{value}"}
            bench.put_account(bench.served.core, f"bad-{name}", wrong)
            if (await verified(f"bad-{name}", actor)).ok:
                problems.append(f"a wrong {name} is good enough for [verify]")
    refuse(problems)
