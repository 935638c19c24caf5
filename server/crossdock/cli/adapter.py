"""`crossdock check`, `tools` and `plugins`: what adapters offer, and what is wrong with them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.opening import missing_store
from crossdock.cli.options import UsageError, words
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.adapter.binding import Toolset
    from crossdock.adapter.findings import Finding
    from crossdock.authoring import Tool
    from crossdock.config import AccountSettings, Settings
    from crossdock.control.responses import ShownAccount
    from crossdock.lint.places import AdapterPlace
    from crossdock.lint.report import Report
    from crossdock.model import Scope
    from crossdock.plugins import PluginRecord, Plugins
    from crossdock.store import AdapterState


def _load(config: Any) -> tuple[Settings, Plugins]:
    from crossdock import log
    from crossdock.config import load_settings
    from crossdock.plugins import load_plugins

    settings = load_settings(config)
    log.configure("error", settings.log.format)
    return settings, load_plugins(settings)


def check(
    *adapters: str,
    max_tokens: Annotated[
        int | None,
        Parameter(
            help="It is an error when an adapter's tools take more of them.",
            validator=Number(gte=1),
        ),
    ] = None,
    strict: Annotated[bool, Parameter(help="Fail on a warning, too.", negative="")] = False,
    level: Annotated[
        Literal["bronze", "silver", "gold"] | None,
        Parameter(help="Prove this level of quality; from silver on the contract is run."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Lint adapters: everything that is wrong with them at once, with file, line and remedy.

    Each is named, or a path: a folder with an adapter.toml, a distribution, or a folder of such.
    Nothing need be installed or configured for a path. Without any, all that are installed are
    checked. Exits 1 on an error.
    Example: `crossdock check malomo ./adapters/mine --strict`
    """
    from crossdock import log
    from crossdock.lint.report import report

    paths = [word for word in adapters if _is_path(word)]
    names = [word for word in adapters if not _is_path(word)]
    places, found = _named(names, config) if names or not paths else ([], [])
    places += [place for path in paths for place in _in_path(Path(path))]
    log.configure("error")
    reports = []
    for place in places:
        one, findings = report(place, max_tokens, level)
        reports.append(one)
        found += findings
    grave = ("error", "warning") if strict else ("error",)
    ok = not any(one.severity in grave for one in found)
    if json:
        shown = {"ok": ok, "adapters": reports, "findings": found}
        print_json(msgspec.to_builtins(shown))
    else:
        _print_reports(reports, found)
    return int(not ok)


def _is_path(word: str) -> bool:
    return "/" in word or os.sep in word or word in (".", "..")


def _in_path(path: Path) -> list[AdapterPlace]:
    from crossdock.lint.places import places_in

    found = places_in(path)
    if not found:
        raise UsageError(f"{path} holds no adapter.toml; name a folder that has one, or an adapter")
    return found


def _named(names: list[str], config: Path | None) -> tuple[list[AdapterPlace], list[Finding]]:
    """Return where the adapters of these names lie, or all; and what is wrong with plugins that
    are none."""
    from crossdock.errors import CrossdockError
    from crossdock.lint.installed import place_of, unloaded

    _, plugins = _load(config)
    broken = [record for record in plugins.records() if record.error and not record.adapters]
    known = {*plugins.adapters, *(record.name for record in broken)}
    for name in names:
        if name not in known:
            near = f"; the folder is ./{name}" if Path(name).is_dir() else ""
            listed = ", ".join(sorted(plugins.adapters)) or "none"
            raise CrossdockError(f"no adapter {name!r} is loaded; loaded: {listed}{near}")
    loaded = sorted(plugins.adapters.items())
    places = [place_of(one) for name, one in loaded if not names or name in names]
    found = []
    for record in broken:
        if not names or record.name in names:
            place, finding = unloaded(record)
            places += [place] if place else []
            found += [finding] if finding else []
    return places, found


def _print_reports(reports: list[Report], found: list[Finding]) -> None:
    for one in reports:
        print(f"{one.name}  {len(one.tools)} tools, {len(one.withheld)} withheld")
        folder = Path(one.path).resolve().name
        for kept in one.withheld:
            place = f"{folder}/{kept.file}:{kept.line}"
            print(f"  withheld  {kept.tool}   declared in {place}, {kept.reason}")
        for finding in found:
            if finding.adapter == one.name and finding.rule != "withheld":
                print(f"  {finding.severity:9} {finding.text(folder)}  [{finding.rule}]")
    names = {one.name for one in reports}
    for finding in found:
        if finding.adapter not in names:
            print(f"{finding.adapter}  failed to load\n  {finding.severity:9} {finding.message}")


def plugins(*, config: Config = None, json: Json = False) -> int:
    """Show what is loaded, from where, with which hooks; what failed or stalls, since when, why.

    Exits 1 if a plugin is not ok: broken, or stalled or quarantined where a gateway serves.
    Example: `crossdock plugins --json`
    """
    settings, loaded = _load(config)
    states = {one.adapter: one for one in asyncio.run(_states(settings))}
    shown = [_fare(record, states) for record in loaded.records()]
    if json:
        print_json(shown)
    else:
        rows = [
            (
                one["name"],
                one["version"],
                one["source"],
                one["state"],
                one["error"] or ", ".join(one["hooks"]),
            )
            for one in shown
        ]
        print_table(("plugin", "version", "from", "state", "hooks or error"), rows)
    return int(any(one["state"] != "ok" for one in shown))


def _fare(record: PluginRecord, states: Mapping[str, AdapterState]) -> dict[str, Any]:
    """Return a plugin as it is shown: what does not load comes before what does not run well."""
    bad = next((states[name] for name in record.adapters if name in states), None)
    state = "broken" if record.error else "ok"
    told: dict[str, Any] = {"name": record.name, "state": state, "since": None}
    told |= msgspec.to_builtins(record)
    if bad is not None and not record.error:
        told |= {"state": bad.state, "error": bad.error, "since": bad.since}
    return told


async def _states(settings: Settings) -> tuple[AdapterState, ...]:
    """Return what the gateways that serve have written down; none where no store is to be had."""
    from crossdock.errors import ConfigError, StoreError
    from crossdock.store import Store

    if missing_store(settings) is not None:
        return ()
    try:
        async with await Store.open(settings.store.url, folder=settings.folder) as store:
            return await store.adapter_states.all()
    except (ConfigError, StoreError) as error:
        print(f"crossdock: how plugins fare while serving is not known: {error}", file=sys.stderr)
        return ()


def tools(
    account_or_adapter: str,
    *,
    methods: Annotated[
        str, Parameter(help="Comma-separated, as in a server's config. Absent or `all`: all.")
    ] = "",
    tags: Annotated[str, Parameter(help="Comma-separated. Absent or `all`: all.")] = "",
    max: Annotated[int | None, Parameter(help="Fail above so many tokens in all.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show the tools of an account or an adapter, and what they cost a model.

    Example: `crossdock tools malomo --methods read --tags orders --max 2000`
    """
    from crossdock.calls.catalog import method_words, permits, tags_of
    from crossdock.calls.sizes import tokens_of
    from crossdock.model import Scope

    chosen = _toolset(account_or_adapter, *_load(config))
    scope: Scope = Scope(
        methods=_filter("methods", methods, method_words(chosen)),
        tags=_filter("tags", tags, tags_of(chosen)),
    )
    shown = [b.tool for b in chosen.bindings.values() if permits(scope, b.tool)]
    for problem in chosen.problems:
        print(f"crossdock: {problem}", file=sys.stderr)
    costs = {tool.name: tokens_of(tool) for tool in shown}
    if json:
        print_json([{**_summary(tool), "tokens": costs[tool.name]} for tool in shown])
        return _over(sum(costs.values()), max)
    rows = [(_marked(tool), tool.effect, ", ".join(tool.tags), costs[tool.name]) for tool in shown]
    print_table(("tool", "effect", "tags", "tokens"), rows)
    print(f"{len(shown)} tools, about {sum(costs.values()):,} tokens in a model's context")
    return _over(sum(costs.values()), max)


def _marked(tool: Tool) -> str:
    return f"{tool.name} (overlay)" if tool.overlaid else tool.name


def _toolset(name: str, settings: Settings, loaded: Plugins) -> Toolset:
    """Return the tools of an account of config.toml, of an adapter or of a stored account."""
    from crossdock.config import AccountSettings
    from crossdock.errors import CrossdockError

    account: AccountSettings | ShownAccount | None = settings.accounts.get(name)
    if account is None and name not in loaded.adapters:
        account = asyncio.run(_stored(name, settings, loaded))
    adapter = loaded.adapters.get(account.integration if account else name)
    if adapter is None:
        known = ", ".join([*settings.accounts, *sorted(loaded.adapters)])
        raise CrossdockError(
            f"{name!r} is no account and no adapter; known: {known}, and the accounts that "
            "`crossdock account list` shows"
        )
    overlay = None
    if isinstance(account, AccountSettings) and account.overlay:
        overlay = Path(account.overlay)
        adapter.watch(overlay)
    return adapter.toolset(adapter.complete(account.settings if account else {}), overlay)


async def _stored(name: str, settings: Settings, loaded: Plugins) -> ShownAccount | None:
    from crossdock.errors import Rejected
    from crossdock.gateway import Gateway

    if missing_store(settings) is not None:
        return None
    gateway = await Gateway.open(settings, plugins=loaded)
    try:
        return await gateway.control.accounts.show(name)
    except Rejected:
        return None
    finally:
        await gateway.close()


def _over(tokens: int, most: int | None) -> int:
    if most is None or tokens <= most:
        return 0
    from crossdock.errors import CrossdockError

    raise CrossdockError(
        f"the tools take about {tokens:,} tokens, which is above --max {most:,}; shorten their "
        "texts, or let out fewer by --methods and --tags"
    )


def _filter(field: str, text: str, known: Collection[str]) -> tuple[str, ...] | None:
    from crossdock.calls.catalog import unknown_word
    from crossdock.errors import CrossdockError

    if text in ("", "all"):
        return None
    found = words(text)
    if not found:
        raise CrossdockError(f"{field}: is empty; leave it out to allow all")
    for index, word in enumerate(found):
        if word not in known:
            raise CrossdockError(f"{field}[{index}]: {unknown_word(word, known)}")
    return found


def _summary(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "effect": tool.effect,
        "tags": tool.tags,
        "endpoint": f"{tool.endpoint.verb} {tool.endpoint.path}",
        "inputSchema": tool.input_schema,
        "source": tool.source,
        "overlay": tool.overlaid,
    }
