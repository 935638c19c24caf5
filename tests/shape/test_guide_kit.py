"""What the guide says of the kit is so: its example keeps the contract, and its tables are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

from harness.guide import BLOCKS, GUIDE, copy_example, example, table, words

from crossdock.testing.contract import promises
from crossdock.testing.example import Example
from crossdock.testing.fault import FaultKind, Profile


def test_the_guides_example_keeps_the_contract_and_its_test_passes(
    root: Path, tmp_path: Path
) -> None:
    copy_example(root, tmp_path)
    (examples,) = (block for block in BLOCKS if block.kind == "examples.toml of")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "examples.toml").write_text(examples.text, encoding="utf-8")
    (tests / "test_contract.py").write_text(example("the contract"), encoding="utf-8")
    own = f'adapter = "tidewater"\n{example("a test")}'
    (tests / "test_own.py").write_text(own, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(promises()) + 1} passed" in done.stdout


def test_the_tables_of_the_kit_are_whole(root: Path) -> None:
    guide = (root / GUIDE).read_text(encoding="utf-8")
    faults = {words(row[0])[0]: row[2] for row in table(guide, "fault")}
    assert set(faults) == set(get_args(FaultKind))
    assert set(get_args(Profile)) <= set(words(faults["rate_limited"]))
    keys = {words(row[0])[0] for row in table(guide, "key of an example")}
    assert keys == set(Example.__struct_fields__)
