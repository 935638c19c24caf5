"""Fixtures for tests of adapters. Everything is imported when a test first asks for one.

A test's adapter is `adapter` of its class, or of its module; else the one that the project's
pyproject.toml names in `[project.entry-points.crossdock]`.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crossdock.testing.trial import Trial
    from crossdock.testing.workbench import Clock, Provider, Served, Workbench

_CONTRACT = "crossdock.testing.contract"
_Open = Callable[[pytest.FixtureRequest], "Workbench"]


@pytest.fixture(scope="session")
def _crossdock_workbenches() -> Iterator[_Open]:
    from crossdock.testing.workbench import Workbench

    with ExitStack() as stack:
        opened: dict[str, Workbench] = {}

        def bench(request: pytest.FixtureRequest) -> Workbench:
            adapter, near = _adapter_of(request), request.path
            given = {name: _told(request, name) for name in ("settings", "switches")}
            key = repr((adapter, near.parent, given))
            if key not in opened:
                made = Workbench(adapter, near=near, **given)
                opened[key] = stack.enter_context(made)
            return opened[key]

        yield bench


def _told(request: pytest.FixtureRequest, name: str) -> Any:
    own = getattr(request.cls, name, None) if request.cls is not None else None
    return own if own is not None else getattr(request.module, name, None)


def _adapter_of(request: pytest.FixtureRequest) -> str | Path:
    named = _told(request, "adapter")
    if isinstance(named, str | Path) and named:
        return named
    for folder in request.path.parents:
        project = folder / "pyproject.toml"
        if project.is_file():
            declared = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
            points = [*declared.get("entry-points", {}).get("crossdock", {}).values()]
            if len(points) == 1:
                return str(points[0])
        if folder == request.config.rootpath:
            break
    raise pytest.UsageError(
        f'{request.path.name}: which adapter? Say `adapter = "crossdock_x"` in the test\'s class '
        "or module, or name one in [project.entry-points.crossdock] of pyproject.toml"
    )


@pytest.fixture
def workbench(request: pytest.FixtureRequest, _crossdock_workbenches: _Open) -> Iterator[Workbench]:
    """The adapter on its sandbox, restored; all other fixtures are parts of it."""
    bench = _crossdock_workbenches(request)
    bench.provider.reset()
    yield bench
    bench.clock.reset()


@pytest.fixture
def gateway(workbench: Workbench) -> Served:
    """The running gateway: `url` of its MCP server, `origin`, `admin_token`."""
    return workbench.served


@pytest.fixture
def tools(workbench: Workbench) -> Any:
    """The adapter's tools: `await tools.call(name, **arguments)`."""
    return workbench.tools


@pytest.fixture
def provider(workbench: Workbench) -> Provider:
    """The sandbox, recorded: `.requests()`, `.fault(kind, …)`, `.reset()`."""
    return workbench.provider


@pytest.fixture
def clock(workbench: Workbench) -> Clock:
    """The gateway's time: `clock.advance(minutes=5)`."""
    return workbench.clock


@pytest.fixture
def contract_trial(request: pytest.FixtureRequest, workbench: Workbench) -> Trial:
    """The adapter with the examples that lie beside the test."""
    from crossdock.testing.example import read_examples
    from crossdock.testing.trial import Trial

    known: dict[str, Trial] = workbench.trials
    place = request.path.parent / request.cls.examples
    if str(place) not in known:
        known[str(place)] = Trial(workbench, read_examples(place))
    return known[str(place)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect an exempt check to fail: one that does not is not needed, and fails itself."""
    if _CONTRACT not in sys.modules:
        return
    for item in items:
        reason = _exemption(item)
        if reason:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


def _exemption(item: pytest.Item) -> str:
    cls = getattr(item, "cls", None)
    exempt = getattr(cls, "exempt", {}) if hasattr(cls, "_is_contract") else {}
    return str(exempt.get(getattr(item, "originalname", item.name), ""))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every exemption with its reason."""
    if _CONTRACT not in sys.modules:
        return
    reports = [
        one
        for outcome in ("xfailed", "failed")
        for one in terminalreporter.stats.get(outcome, ())
        if getattr(one, "crossdock_exempt", "")
    ]
    if reports:
        terminalreporter.section("exempt from the adapter contract")
        for report in reports:
            terminalreporter.write_line(f"{report.nodeid}: {report.crossdock_exempt}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Give each report the exemption that it stands under."""
    report = yield
    if call.when == "call" and _CONTRACT in sys.modules:
        report.crossdock_exempt = _exemption(item)
    return report
