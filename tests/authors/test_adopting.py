"""The contract is adopted in three lines; exemptions are printed, and unneeded ones fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import depot

from crossdock.testing.contract import promises

THREE_LINES = """from crossdock.testing import AdapterContract

class TestDepot(AdapterContract):
    adapter = "crossdock_depot"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = depot.write(tmp_path)
    tests = tmp_path / "tests"
    tests.mkdir()
    (place / "examples.toml").rename(tests / "examples.toml")
    (tests / "test_contract.py").write_text(THREE_LINES, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n",
        encoding="utf-8",
    )
    return tmp_path


def run(project: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            *words,
        ],
        check=False,
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_three_lines_are_enough(project: Path) -> None:
    code, said = run(project)
    assert code == 0, said
    assert f"{len(promises())} passed" in said, said


def test_exemptions_are_printed_and_one_that_is_not_needed_fails(project: Path) -> None:
    place = project / "crossdock_depot" / "__init__.py"
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace("**stored, **call.body", "'id': stored['id'], **call.body"))
    exempt = """    exempt = {
        "test_guards_keep_the_rest": "The depot keeps nothing, and says so on its page.",
        "test_a_401_is_unauthenticated": "It is not needed, and so it is one too many.",
    }
"""
    (project / "tests" / "test_contract.py").write_text(THREE_LINES + exempt, encoding="utf-8")
    code, said = run(project, "-k", "guards or 401")
    assert code == 1
    assert "1 failed, " in said
    assert "1 xfailed" in said
    assert "The depot keeps nothing, and says so on its page." in said
    assert "FAILED tests/test_contract.py::TestDepot::test_a_401_is_unauthenticated" in said


@pytest.mark.parametrize(
    ("exempt", "why"),
    [
        ('{"test_guards_keep_the_rest": "because"}', "in 20 characters or more"),
        ('{"test_no_such_thing": "There is no check of this name at all."}', "no check"),
    ],
)
def test_an_exemption_names_a_check_and_a_reason(project: Path, exempt: str, why: str) -> None:
    text = f"{THREE_LINES}    exempt = {exempt}\n"
    (project / "tests" / "test_contract.py").write_text(text, encoding="utf-8")
    code, said = run(project)
    assert code == 2
    assert why in said


def test_the_fixtures_find_the_adapter_and_drive_it(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "0"\n'
        '[project.entry-points.crossdock]\ndepot = "crossdock_depot"\n'
    )
    (project / "tests" / "test_own.py").write_text(
        """import pytest

from crossdock.testing import ToolError

pytestmark = pytest.mark.asyncio


async def test_it(tools, provider, gateway, clock):
    answer = await tools.call("get_single_depot_crate_by_id", id="c7")
    assert answer.data["name"] == "Crate 7"
    (sent,) = provider.requests()
    assert (sent["method"], sent["path_qs"]) == ("GET", "/v1/crates/c7")
    assert sent["headers"]["x-depot-key"] == "depot-key-5d1f"
    provider.fault("rate_limited", seconds=9, method="DELETE", path="/v1/crates/.*")
    with pytest.raises(ToolError) as failed:
        await tools.call("delete_a_depot_crate_by_id", id="c7")
    assert failed.value.kind == "rate_limited"
    assert failed.value.error["retry_after_seconds"] == 9
    provider.reset()
    await tools.call("delete_a_depot_crate_by_id", id="c7")
    assert len(await tools.walk("list_all_depot_crates", limit=7)) == 39
    assert gateway.url.startswith("http://127.0.0.1:")
    clock.advance(days=400)


async def test_each_test_begins_anew(tools, provider):
    assert provider.requests() == []
    assert len(await tools.walk("list_all_depot_crates")) == 40
""",
        encoding="utf-8",
    )
    code, said = run(project, "tests/test_own.py", "-o", "asyncio_mode=strict")
    assert code == 0, said


def test_a_run_without_adapters_imports_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        "    ours = {one for one in sys.modules if one.startswith('crossdock')}\n"
        "    known = {'crossdock', 'crossdock.testing', 'crossdock.testing.pytest_plugin'}\n"
        "    assert ours <= known\n"
        "    assert 'aiohttp' not in sys.modules\n",
        encoding="utf-8",
    )
    code, said = run(tmp_path, "-p", "no:aiohttp", "-p", "no:pytest_aiohttp")
    assert code == 0, said
