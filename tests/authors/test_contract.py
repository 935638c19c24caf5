"""The contract turns red for every adapter that breaks a promise, and stays green for a good one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import depot

from crossdock.testing import AdapterContract, Workbench
from crossdock.testing.contract import promises
from crossdock.testing.example import read_examples
from crossdock.testing.trial import Trial


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    place = depot.write(tmp_path_factory.mktemp("sound"))
    with Workbench(place) as bench:
        yield Trial(bench, read_examples(place / "examples.toml"))


@pytest.mark.parametrize("promise", promises())
def test_a_sound_adapter_keeps_every_promise(sound: Trial, promise: str) -> None:
    getattr(AdapterContract(), promise)(sound)


def test_there_are_promises_enough() -> None:
    assert len(promises()) >= 20
