"""`crossdock check`, `tools` and `plugins`: what adapters offer, and what is wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.opening import missing_store
from crossdock.cli.options import UsageError, words
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.adapter import Adapter
    from crossdock.adapter.binding import Toolset
    from crossdock.authoring import Tool
    from crossdock.config import AccountSettings, Settings
    from crossdock.control.responses import ShownAccount
    from crossdock.model import Scope
    from crossdock.plugins import PluginRecord, Plugins


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
    config: Config = None,
    json: Json = False,
) -> int:
    """Lint adapters: endpoints withheld for want of documentation, errors with file:line.

    Each is named, or a path: a folder with an adapter.toml, or a distribution that holds one.
    Without any, all that are loaded are checked. Exits 1 on an error.
    Example: `crossdock check malomo ./adapters/mine`
    """
    paths = [Path(word) for word in adapters if _is_path(word)]
    names = [word for word in adapters if not _is_path(word)]
    found, failures = _named(names, config) if names or not paths else ([], [])
    for path in paths:
        loaded = _in_folder(path)
        found += loaded.adapters.values()
        failures += [record for record in loaded.records() if record.error]
    reports = [_report(adapter, max_tokens) for adapter in found]
    if json:
        print_json({"adapters": reports, "plugins": [msgspec.to_builtins(r) for r in failures]})
    else:
        for report in reports:
            _print_report(report)
        for record in failures:
            print(f"{record.name}  failed to load from {record.source}\n  error     {record.error}")
    return int(bool(failures) or any(report["errors"] for report in reports))


def _is_path(word: str) -> bool:
    return "/" in word or os.sep in word or word in (".", "..")


def _named(names: list[str], config: Path | None) -> tuple[list[Adapter], list[PluginRecord]]:
    """Return the loaded adapters of these names, or all; and the plugins that did not load."""
    from crossdock.errors import CrossdockError

    _, plugins = _load(config)
    broken = [record for record in plugins.records() if record.error]
    unknown = [name for name in names if name not in plugins.adapters]
    if unknown and not any(name == record.name for name in unknown for record in broken):
        known = ", ".join(sorted(plugins.adapters)) or "none"
        near = f"; the folder is ./{unknown[0]}" if Path(unknown[0]).is_dir() else ""
        raise CrossdockError(f"no adapter {unknown[0]!r} is loaded; loaded: {known}{near}")
    return (
        [one for name, one in sorted(plugins.adapters.items()) if not names or name in names],
        [record for record in broken if not names or record.name in names],
    )


def _in_folder(path: Path) -> Plugins:
    """Load what lies in a folder, whatever is installed or configured."""
    from crossdock import log
    from crossdock.plugins import load_folders

    searches = (path.glob(f"{depth}adapter.toml") for depth in ("", "*/", "*/*/"))
    manifests = next((found for search in searches if (found := sorted(search))), [])
    if not manifests:
        raise UsageError(f"{path} holds no adapter.toml; name a folder that has one, or an adapter")
    log.configure("error")
    with contextlib.redirect_stdout(sys.stderr):  # what an adapter prints is no part of the report
        return load_folders(manifest.parent.resolve() for manifest in manifests)


def _report(adapter: Adapter, max_tokens: int | None) -> dict[str, Any]:
    from crossdock.adapter.hosts import unfit
    from crossdock.adapter.schema import compile_schema
    from crossdock.calls.sizes import tokens_of
    from crossdock.client.setups import LONGEST_NAME
    from crossdock.errors import AdapterError

    toolset = adapter.toolset(adapter.defaults())
    errors = list(toolset.problems)
    tokens = sum(tokens_of(binding.tool) for binding in toolset.bindings.values())
    if max_tokens is not None and tokens > max_tokens:
        errors.append(
            f"the tools take about {tokens:,} tokens, which is above --max-tokens {max_tokens:,}; "
            "shorten their texts"
        )
    warnings = []
    for name, binding in toolset.bindings.items():
        try:
            compile_schema(binding.schema, binding.tool.source)
        except AdapterError as error:
            errors.append(str(error))
        warnings += [f"{name}: {why}" for why in unfit(binding.tool.input_schema)]
        if len(f"mcp____{name}") + LONGEST_NAME > 64:
            warnings.append(
                f"{name} has {len(name)} characters: some clients put mcp__<server>__ before it "
                "and refuse more than 64; keep server names short"
            )
    return {
        "adapter": adapter.name,
        "tools": len(toolset.bindings),
        "tokens": tokens,
        "withheld": [msgspec.to_builtins(one) for one in toolset.withheld],
        "errors": errors,
        "warnings": warnings,
    }


def _print_report(report: Mapping[str, Any]) -> None:
    withheld = len(report["withheld"])
    print(f"{report['adapter']}  {report['tools']} tools, {withheld} withheld")
    for one in report["withheld"]:
        print(f"  withheld  {one['name']}   declared in {one['source']}, {one['reason']}")
    for text in report["warnings"]:
        print(f"  warning   {text}")
    for text in report["errors"]:
        print(f"  error     {text}")


def plugins(*, config: Config = None, json: Json = False) -> int:
    """Show what is loaded, from where, with which hooks; and what failed and why.

    Example: `crossdock plugins`
    """
    _, loaded = _load(config)
    records = loaded.records()
    if json:
        print_json([msgspec.to_builtins(record) for record in records])
        return 0
    rows = [
        (
            record.name,
            record.version,
            record.source,
            "failed" if record.error else "ok",
            record.error or ", ".join(record.hooks),
        )
        for record in records
    ]
    print_table(("plugin", "version", "from", "state", "hooks or error"), rows)
    return 0


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
    rows = [(t.name, t.effect, ", ".join(t.tags), costs[t.name]) for t in shown]
    print_table(("tool", "effect", "tags", "tokens"), rows)
    print(f"{len(shown)} tools, about {sum(costs.values()):,} tokens in a model's context")
    return _over(sum(costs.values()), max)


def _toolset(name: str, settings: Settings, loaded: Plugins) -> Toolset:
    """Return the tools of an account of config.toml, of an adapter or of a stored account."""
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
    return adapter.toolset(adapter.complete(account.settings if account else {}))


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
    }
