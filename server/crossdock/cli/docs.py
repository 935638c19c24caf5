"""`crossdock docs`: pages for people about the tools of an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossdock.cli.options import UsageError

if TYPE_CHECKING:
    from crossdock.lint.places import AdapterPlace
    from crossdock.reference.facts import Facts


def docs(
    path: Path,
    *,
    into: Annotated[
        Path | None, Parameter(help="Where the Markdown goes; by default PATH/reference.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="Write static HTML there instead.")] = None,
    check: Annotated[
        bool, Parameter(help="Write nothing; fail if a page is stale.", negative="")
    ] = False,
) -> int:
    """Write pages for people about an adapter's tools: an index, and a page for each tool.

    PATH is a folder with an adapter.toml, or a distribution. Markdown by default; with --out a
    site of static HTML with one file of CSS.
    Example: `crossdock docs ./adapters/mine --into ./adapters/mine/reference --check`
    """
    from crossdock.errors import CrossdockError
    from crossdock.lint.places import places_in
    from crossdock.reference import markdown, site

    if into is not None and out is not None:
        raise UsageError("--into writes Markdown and --out HTML; give one of them")
    places = places_in(path)
    if len(places) != 1:
        raise UsageError(f"{path} holds {len(places)} adapters; name the folder of one")
    title, facts = _told(places[0])
    target = out or into or path / "reference"
    wanted = site.files(title, facts) if out else markdown.pages(title, facts)
    lying = _lying(target, site.MARK if out else markdown.MARK)
    for name in wanted:
        if lying.get(name) == "" and not check:
            raise CrossdockError(f"{target / name} was not written by this command; move it away")
    stale = [name for name, text in wanted.items() if lying.get(name) != text]
    stale += sorted(name for name, text in lying.items() if text and name not in wanted)
    if check:
        if stale:
            raise CrossdockError(
                f"{target}: {', '.join(stale[:5])} {'is' if len(stale) == 1 else 'are'} stale; "
                f"run `crossdock docs {path}`"
            )
        return 0
    target.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (target / name).write_text(wanted[name], encoding="utf-8", newline="\n")
        else:
            (target / name).unlink()
    print(f"{target}: {len(wanted)} pages, {len(stale)} of them written or removed")
    return 0


def _lying(target: Path, mark: str) -> dict[str, str]:
    """Return the files of a folder; of those that are not ours no text."""
    found = {}
    for path in target.iterdir() if target.is_dir() else ():
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            found[path.name] = text if mark in text else ""
    return found


def _told(place: AdapterPlace) -> tuple[str, list[Facts]]:
    """Return an adapter's title and its tools. Raises CrossdockError for one with an error."""
    from crossdock.errors import CrossdockError
    from crossdock.lint.report import judged
    from crossdock.reference.facts import facts_of

    found = judged(place)
    for one in found.findings:
        if one.severity == "error":
            raise CrossdockError(f"{one.text(place.folder.name)} (`crossdock check` tells all)")
    statuses = found.head.at("failures", "status") or {}
    return str(found.head.at("title")), [
        facts_of(binding, found.examples.get(name, ""), statuses)
        for name, binding in found.bindings.items()
    ]
