"""Each wheel holds its own package, whole, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [
    Path(),
    *sorted(p.parent.relative_to(ROOT) for p in ROOT.glob("adapters/*/pyproject.toml")),
]


@pytest.fixture(params=PROJECTS, ids=lambda path: path.name or "core")
def project(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def wheel(project: Path, tmp_path: Path) -> set[str]:
    """Build the project with its pinned backend and list the wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT / project, check=True, capture_output=True, timeout=60)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


@pytest.mark.e2e
def test_a_wheel_holds_its_package_and_nothing_else(
    project: Path, wheel: set[str], files: list[Path]
) -> None:
    home = Path("server") if project == Path() else project
    package = "crossdock" if project == Path() else f"crossdock_{project.name}"
    expected = {
        path.relative_to(home).as_posix() for path in files if home / package in path.parents
    }
    shipped = {name for name in wheel if ".dist-info/" not in name}
    assert shipped == expected
    assert f"{package}/py.typed" in shipped
    assert any(name.endswith("licenses/LICENSE") for name in wheel) or project != Path()


@pytest.mark.parametrize("project", [path for path in PROJECTS if path != Path()], indirect=True)
def test_an_adapter_is_declared_as_a_stranger_would_declare_it(root: Path, project: Path) -> None:
    declared = tomllib.loads((root / project / "pyproject.toml").read_text(encoding="utf-8"))
    name = project.name
    assert declared["project"]["name"] == f"crossdock-{name}"
    assert declared["project"]["entry-points"] == {"crossdock": {name: f"crossdock_{name}"}}
    assert any(one.startswith("crossdock>=") for one in declared["project"]["dependencies"])


def test_python_and_licence_are_the_same_everywhere(root: Path) -> None:
    declared = [
        tomllib.loads((root / project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for project in PROJECTS
    ]
    assert {one["requires-python"] for one in declared} == {">=3.11"}
    assert {one["license"] for one in declared} == {"Apache-2.0"}
