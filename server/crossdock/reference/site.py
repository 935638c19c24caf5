"""Tools as static HTML: an index, a page for each, and one file of CSS. No script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from crossdock.reference.facts import Facts, ToolParameter

STYLE = "style.css"
MARK = "written by `crossdock docs`"
_CSS = (
    f"/* {MARK} */\n"
    """body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; \
padding: 0 1rem; color: #1b1f24; background: #fff; }
a { color: #0b57d0; }
code, pre { font: 0.9em ui-monospace, monospace; background: #f3f4f6; border-radius: 4px; }
code { padding: 0.1em 0.3em; }
pre { padding: 0.8rem; overflow-x: auto; }
.prose { white-space: pre-line; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid #d8dce1; padding: 0.4rem 0.6rem 0.4rem 0; text-align: left; \
vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e8eb; background: #15181c; }
  a { color: #8ab4f8; }
  code, pre { background: #22262b; }
  th, td { border-color: #333a41; }
}
"""
)


def files(title: str, tools: Sequence[Facts]) -> dict[str, str]:
    """Return every file of the site by its name."""
    return {
        "index.html": _index(title, tools),
        STYLE: _CSS,
        **{f"{one.name}.html": _page(title, one) for one in tools},
    }


def _index(title: str, tools: Sequence[Facts]) -> str:
    rows = [
        (f'<a href="{escape(one.name)}.html">{escape(one.name)}</a>', escape(one.title), one.effect)
        for one in tools
    ]
    return _document(f"{title}: tools", "".join(_table(("tool", "what", "effect"), rows)))


def _page(title: str, one: Facts) -> str:
    tags = f" Tags: {escape(', '.join(one.tags))}." if one.tags else ""
    parts = [
        f'<p><a href="index.html">{escape(title)}</a></p>',
        f'<p class="prose">{escape(one.prose)}</p>',
        f"<p>{one.effect} Endpoint: <code>{escape(one.endpoint)}</code>.{tags}</p>",
        "<h2>Arguments</h2>",
        *_arguments(one.parameters),
        f"<h2>Example</h2><pre>{escape(one.example)}</pre>",
        "<h2>When it fails</h2>",
        *_table(("kind", "when"), [(f"<code>{k}</code>", escape(w)) for k, w in one.failures]),
    ]
    return _document(one.name, "\n".join(parts))


def _arguments(parameters: Sequence[ToolParameter]) -> Iterator[str]:
    if not parameters:
        yield "<p>None.</p>"
        return
    rows = [
        (
            f"<code>{escape(one.name)}</code>{', required' if one.required else ''}",
            escape(one.type),
            escape(one.sent.replace("`", "")),
            escape(one.about),
        )
        for one in parameters
    ]
    yield from _table(("argument", "type", "sent as", ""), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table; its cells are HTML already."""
    yield f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</table>"


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<!-- {MARK} -->\n"
        f'<title>{escape(title)}</title>\n<link rel="stylesheet" href="{STYLE}">\n</head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
