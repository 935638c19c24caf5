"""Tools as Markdown: an index, and a page for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossdock.reference.facts import Facts, ToolParameter

INDEX = "index.md"
MARK = "<!-- written by `crossdock docs`; edit the adapter's pages -->"


def pages(title: str, tools: Sequence[Facts]) -> dict[str, str]:
    """Return every page by the name of its file."""
    return {INDEX: _index(title, tools)} | {f"{one.name}.md": _page(one) for one in tools}


def _index(title: str, tools: Sequence[Facts]) -> str:
    rows = [
        f"| [{one.name}]({one.name}.md) | {_cell(one.title)} | {_cell(one.effect)} |"
        for one in tools
    ]
    return _joined(
        [
            f"# {title}: tools",
            "",
            MARK,
            "",
            "| tool | what | effect |",
            "|---|---|---|",
            *rows,
        ]
    )


def _page(one: Facts) -> str:
    lines = [
        f"# {one.name}",
        "",
        MARK,
        "",
        one.prose,
        "",
        f"{one.effect} Endpoint: `{one.endpoint}`.",
    ]
    if one.tags:
        lines.append(f"Tags: {', '.join(one.tags)}.")
    lines += ["", "## Arguments", "", *_arguments(one.parameters)]
    lines += ["", "## Example", "", "```json", *one.example.split("\n"), "```"]
    lines += ["", "## When it fails", "", "| kind | when |", "|---|---|"]
    lines += [f"| `{kind}` | {_cell(when)} |" for kind, when in one.failures]
    return _joined(lines)


def _arguments(parameters: Sequence[ToolParameter]) -> Iterator[str]:
    if not parameters:
        yield "None."
        return
    yield from ("| argument | type | sent as | |", "|---|---|---|---|")
    for one in parameters:
        name = f"`{one.name}`{', required' if one.required else ''}"
        yield f"| {name} | {one.type} | {_cell(one.sent)} | {_cell(one.about)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
