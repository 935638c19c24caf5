"""`crossdock check`, `tools` and `plugins`: what adapters offer, and what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from crossdock.cli.options import words
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.adapter import Adapter
    from crossdock.authoring import Tool
    from crossdock.config import Settings
    from crossdock.model import Scope
    from crossdock.plugins import Plugins


def _load(config: Any) -> tuple[Settings, Plugins]:
    from crossdock import log
    from crossdock.config import load_settings
    from crossdock.plugins import load_plugins

    settings = load_settings(config)
    log.configure("error", settings.log.format)
    return settings, load_plugins(settings)


def check(*adapters: str, config: Config = None, json: Json = False) -> int:
    """Lint adapters: endpoints withheld for want of documentation, errors with file:line.

    Exits 1 on an error. Example: `crossdock check malomo`
    """
    from crossdock.errors import CrossdockError

    _, plugins = _load(config)
    broken = [record for record in plugins.records() if record.error]
    unknown = [name for name in adapters if name not in plugins.adapters]
    if unknown and not any(name == record.name for name in unknown for record in broken):
        known = ", ".join(sorted(plugins.adapters)) or "none"
        raise CrossdockError(f"no adapter {unknown[0]!r} is loaded; loaded: {known}")
    reports = [
        _report(adapter)
        for name, adapter in sorted(plugins.adapters.items())
        if not adapters or name in adapters
    ]
    failures = [r for r in broken if not adapters or r.name in adapters]
    if json:
        print_json({"adapters": reports, "plugins": [msgspec.to_builtins(r) for r in failures]})
    else:
        for report in reports:
            _print_report(report)
        for record in failures:
            print(f"{record.name}  failed to load from {record.source}\n  error     {record.error}")
    return int(bool(failures) or any(report["errors"] for report in reports))


def _report(adapter: Adapter) -> dict[str, Any]:
    from crossdock.adapter.hosts import unfit
    from crossdock.adapter.schema import compile_schema
    from crossdock.client.setups import LONGEST_NAME
    from crossdock.errors import AdapterError

    toolset = adapter.toolset(adapter.defaults())
    errors = list(toolset.problems)
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
    """Show the tools of an account (of config.toml) or an adapter, and what they cost a model.

    Example: `crossdock tools malomo --methods read --tags orders --max 2000`
    """
    from crossdock.calls.catalog import method_words, permits, tags_of
    from crossdock.calls.sizes import tokens_of
    from crossdock.errors import CrossdockError
    from crossdock.model import Scope

    settings, loaded = _load(config)
    account = settings.accounts.get(account_or_adapter)
    adapter = loaded.adapters.get(account.integration if account else account_or_adapter)
    if adapter is None:
        known = ", ".join([*settings.accounts, *sorted(loaded.adapters)])
        raise CrossdockError(f"{account_or_adapter!r} is no account and no adapter; known: {known}")
    chosen = adapter.toolset(adapter.complete(account.settings if account else {}))
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
