"""`crossdock docs`: a page for each tool, in Markdown or as a site; nothing else is touched."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import yard

from crossdock.cli import main

pytestmark = pytest.mark.requirement("authors:docs")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return ran


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return yard.write(tmp_path)


def test_each_tool_has_a_page_with_all_there_is_to_know(run: Run, project: Path) -> None:
    code, out, _ = run("docs", project)
    assert code == 0
    folder = project / "reference"
    assert str(folder) in out
    names = {path.stem for path in folder.iterdir()}
    tools = set(re.findall(r"\[(\w+)\]\(\1\.md\)", (folder / "index.md").read_text("utf-8")))
    assert names == {"index", *tools}
    assert len(tools) == 8
    page = (folder / "create_a_yard_gate.md").read_text("utf-8")
    for part in (
        "Open a gate. Its doors are shut at first.", "| `name`, required | string | body `name` |",
        "Writes.", "`POST /gates`", '"number": 1', "write_outcome_unknown", "conflict", "Tags: yard.",
    ):  # fmt: skip
        assert part in page
    assert "Also: gate_id." in (folder / "update_a_yard_gate_by_id.md").read_text("utf-8")


def test_stale_pages_fail_the_check_and_are_written_again(run: Run, project: Path) -> None:
    into = project / "pages"
    assert run("docs", project, "--into", into, "--check")[0] == 1
    assert not into.exists()
    run("docs", project, "--into", into)
    assert run("docs", project, "--into", into, "--check")[0] == 0
    page = project / yard.FOLDER / "docs" / "gates.md"
    text = page.read_text("utf-8")
    page.write_text(
        text[: text.index("## delete_a")].replace("Open a gate.", "Build a gate."), "utf-8"
    )
    code, _, err = run("docs", project, "--into", into, "--check")
    assert code == 1
    assert "create_a_yard_gate.md" in err
    (into / "mine.md").write_text("Mine.", "utf-8")
    run("docs", project, "--into", into)
    assert not (into / "delete_a_yard_gate_by_id.md").exists()
    assert (into / "mine.md").read_text("utf-8") == "Mine."
    assert run("docs", project, "--into", into, "--check")[0] == 0


def test_a_file_that_is_not_ours_is_not_overwritten(run: Run, project: Path) -> None:
    (project / "index.md").write_text("Mine.", "utf-8")
    code, _, err = run("docs", project, "--into", project)
    assert code == 1
    assert "index.md was not written by this command" in err
    assert (project / "index.md").read_text("utf-8") == "Mine."


def test_a_site_has_one_style_no_script_and_nothing_unescaped(run: Run, project: Path) -> None:
    page = project / yard.FOLDER / "docs" / "gates.md"
    text = page.read_text("utf-8")
    page.write_text(text.replace("Open a gate.", "Open <script>alert(1)</script> a gate."), "utf-8")
    out = project / "site"
    assert run("docs", project, "--out", out)[0] == 0
    assert sorted(path.suffix for path in out.iterdir()) == [".css", *[".html"] * 9]
    for path in out.glob("*.html"):
        told = path.read_text("utf-8")
        assert "<script" not in told
        assert 'href="style.css"' in told
        for target in re.findall(r'href="([^"]+)"', told):
            assert (out / target).is_file()
    assert "&lt;script&gt;" in (out / "create_a_yard_gate.html").read_text("utf-8")


def test_an_adapter_with_an_error_has_no_pages(run: Run, project: Path) -> None:
    page = project / yard.FOLDER / "docs" / "gates.md"
    page.write_text(page.read_text("utf-8").replace("[path.id]", "[pth.id]", 1), "utf-8")
    code, _, err = run("docs", project)
    assert code == 1
    assert "docs/gates.md:" in err
    assert not (project / "reference").exists()


def test_a_path_without_an_adapter_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("docs", tmp_path)[0] == 2
