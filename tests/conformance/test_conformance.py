"""The official conformance suite, all scenarios of every revision that it knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from clients import environments
from conformance import suite

pytestmark = pytest.mark.e2e

LEAST = {"2025-03-26": 3, "2025-06-18": 44, "2025-11-25": 71, "2026-07-28": 133}
MISSING = ("resources", "prompts", "completion", "sampling")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A gateway that serves the fixture plugin."""
    await asyncio.to_thread(environments.npm_folder)
    async with suite.gateway(tmp_path_factory.mktemp("conformance")) as served:
        yield served


@pytest.mark.requirement("mcp:peers:conformance")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("revision", suite.REVISIONS)
async def test_the_suite_finds_what_is_expected_and_nothing_else(
    url: str, tmp_path: Path, revision: str
) -> None:
    report = await suite.run(url, revision, tmp_path)
    assert report.as_expected, report.text
    assert report.passed >= LEAST[revision], report.text


@pytest.mark.requirement("mcp:peers:conformance")
@pytest.mark.parametrize("revision", suite.REVISIONS)
def test_only_what_is_not_declared_is_expected_to_fail(revision: str) -> None:
    lines = suite.expected_failures(revision).read_text(encoding="utf-8").splitlines()
    reason = ""
    for line in lines:
        if line.strip().startswith("#"):
            reason = line
        elif line.strip().startswith("- "):
            assert any(f"no {kind}" in reason for kind in MISSING), line
