"""An OpenAPI document → the parts of a project: declaration, draft pages, sandbox, examples.

Whatever was drafted is loaded once before it is written, so that `check` has nothing to find.
"""

from __future__ import annotations

import keyword
import pprint
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from crossdock.adapter import InvalidArguments
from crossdock.errors import AdapterError
from crossdock.plugins import load_folders
from crossdock.scaffold.document import Document, Unfit, read_document, without_null
from crossdock.scaffold.drafting import Draft, Drafted, Dropped, drafts_of
from crossdock.scaffold.project import (
    INIT,
    Parts,
    package_of,
    supported_range,
    values_of,
    write_files,
)
from crossdock.scaffold.sample import value_of
from crossdock.scaffold.toml_text import inline, key_text, lines
from crossdock.scaffold.wording import identifier, words

_NO_VERIFY = "The document names no read without arguments, so adapter.toml has no [verify] yet."
_SECRET = "sandbox-secret-value"


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """How an API is entered, as it was read from `securitySchemes`."""

    auth: dict[str, Any] = {}
    credentials: dict[str, str] = {}
    token_url: str = ""
    said: str = ""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a document: the parts of a project, what was drafted and what was not."""

    parts: Parts
    drafts: list[Draft]
    dropped: list[Dropped]

    def told(self) -> dict[str, Any]:
        """Return the tables of `new-adapter --json`."""
        return {
            "tools": [{"endpoint": one.endpoint, "tool": one.tool} for one in self.drafts],
            "withheld": [msgspec.to_builtins(one) for one in self.dropped],
        }


def imported(name: str, path: Path) -> Import:
    """Draft an adapter from a file. Raises CrossdockError for one that is no OpenAPI 3 document."""
    document = Document(read_document(path))
    found = [*drafts_of(document, name)]
    order = [one.endpoint for one in found]
    drafts = [one for one in found if isinstance(one, Draft)]
    dropped = [one for one in found if isinstance(one, Dropped)]
    while True:
        parts = _parts(name, document, drafts, dropped)
        refused = _refused(name, parts, drafts)
        if not refused:
            break
        drafts = [one for one in drafts if one.tool not in refused]
        dropped += [
            Dropped(endpoint=endpoint, reason=reason) for endpoint, reason in refused.values()
        ]
    dropped.sort(key=lambda one: order.index(one.endpoint))
    parts = _parts(name, document, drafts, dropped)
    return Import(parts=parts, drafts=drafts, dropped=dropped)


def _refused(name: str, parts: Parts, drafts: Sequence[Draft]) -> dict[str, tuple[str, str]]:
    """Load what was drafted; return tools that are not served, with endpoint and reason."""
    if not drafts:
        return {}
    with tempfile.TemporaryDirectory(prefix="crossdock-import-") as folder:
        place = Path(folder) / package_of(name)
        write_files(place, parts.package)
        plugins = load_folders([place])
        adapter = plugins.adapters.get(name)
        if adapter is None:
            why = "; ".join(record.error for record in plugins.records() if record.error)
            raise AdapterError(f"what was drafted does not load: {why}")
        toolset = adapter.toolset(adapter.defaults())
    refused = {}
    for one in drafts:
        binding = toolset.bindings.get(one.tool)
        if binding is None:
            why = next((p for p in toolset.problems if one.tool in p), "its section has an error")
            refused[one.tool] = one.endpoint, str(why)
            continue
        try:
            binding.validate(arguments_of(one))
        except (InvalidArguments, AdapterError) as error:
            why = f"no call that fits its schema could be made up: {error}"
            refused[one.tool] = one.endpoint, " ".join(why.split())
    return refused


def arguments_of(draft: Draft) -> dict[str, Any]:
    """Return a call of a drafted tool with every argument."""
    return {one.key: without_null(value_of(one.schema, one.key)) for one in draft.arguments}


def _parts(
    name: str, document: Document, drafts: Sequence[Draft], dropped: Sequence[Dropped]
) -> Parts:
    title = words((document.root.get("info") or {}).get("title")) or name.title()
    entry, (base_url, told) = _entry(document), _base_url(document, name)
    verify = _verified(drafts)
    resources = _resources(drafts)
    pages = {f"docs/{resource}.md": _page(resource, some) for resource, some in resources.items()}
    remarks = [one for one in (told, entry.said, "" if verify else _NO_VERIFY) if one]
    return Parts(
        title=_safe(title),
        package={
            "__init__.py": INIT.substitute(values_of(name, _safe(title))),
            "adapter.toml": _declared(name, title, base_url, entry, verify=verify, drafts=drafts),
            "sandbox.py": _sandbox(title, base_url, entry, drafts),
            **(pages or {"docs/index.md": f"# {title}\n\nNothing could be drafted.\n"}),
        },
        examples=_examples(drafts),
        exempt={} if verify else {"test_verify_knows_good_credentials_from_bad": _NO_VERIFY},
        beside={"IMPORT.md": _told(drafts, dropped, remarks)},
    )


def _resources(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    found: dict[str, list[Draft]] = defaultdict(list)
    for one in drafts:
        found[one.resource].append(one)
    return dict(found)


def _verified(drafts: Sequence[Draft]) -> str:
    for one in drafts:
        plain = one.verb == "GET" and "{" not in one.path and not one.receive
        if plain and not any(argument.required for argument in one.arguments):
            return one.path
    return ""


# --- address and auth ------------------------------------------------------------------------


def _base_url(document: Document, name: str) -> tuple[str, str]:
    servers = document.root.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = str(first.get("url", "")) if isinstance(first, dict) else ""
    for variable, about in (first.get("variables") or {}).items() if url else ():
        url = url.replace(f"{{{variable}}}", str((about or {}).get("default", variable)))
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.netloc and not parts.query and "{" not in url:
        return url.rstrip("/"), ""
    made = f"https://api.{name.replace('_', '-')}.example{parts.path.rstrip('/')}"
    return made, f"The document names no server of its own: base_url is made up ({made})."


def _entry(document: Document) -> _Entry:
    schemes = (document.root.get("components") or {}).get("securitySchemes") or {}
    wanted = document.root.get("security")
    named = [key for one in wanted or () if isinstance(one, dict) for key in one]
    for key in [*named, *(key for key in schemes if key not in named)]:
        if key not in schemes:
            continue
        try:
            found = _scheme(document.followed(schemes[key]))
        except Unfit:
            continue
        if found is not None:
            return found
    if schemes:
        return _Entry(said=f"No scheme of {', '.join(schemes)} could be declared: write [auth].")
    return _Entry()


def _scheme(scheme: Mapping[str, Any]) -> _Entry | None:
    kind, about = scheme.get("type"), words(scheme.get("description")) or "Where a person finds it."
    if kind == "apiKey" and scheme.get("in") in ("header", "query"):
        place = {str(scheme["in"]): str(scheme.get("name", ""))}
        auth = {"scheme": "api_key", **place, "format": "{api_key}"}
        return _Entry(auth=auth, credentials={"api_key": about})
    if kind == "http" and str(scheme.get("scheme", "")).lower() == "basic":
        auth = {"scheme": "basic"}
        return _Entry(auth=auth, credentials={"username": about, "password": about})
    if kind == "http" and str(scheme.get("scheme", "")).lower() == "bearer":
        return _Entry(auth={"scheme": "bearer"}, credentials={"token": about})
    flows = scheme.get("flows") or {}
    flow = flows.get("clientCredentials") if kind == "oauth2" else None
    if isinstance(flow, dict) and str(flow.get("tokenUrl", "")).startswith("https://"):
        auth = {"scheme": "oauth2_client_credentials", "token_url": flow["tokenUrl"]}
        credentials = {"client_id": about, "client_secret": about}
        return _Entry(auth=auth, credentials=credentials, token_url=flow["tokenUrl"])
    return None


# --- adapter.toml ----------------------------------------------------------------------------


def _declared(
    name: str,
    title: str,
    base_url: str,
    entry: _Entry,
    *,
    verify: str,
    drafts: Sequence[Draft],
) -> str:
    head = {"format": 1, "crossdock": supported_range(), "name": name, "title": title}
    made = lines({**head, "base_url": base_url})
    for credential, about in entry.credentials.items():
        made += ["", f"[credentials.{credential}]", f"about = {inline(about)}"]
    if entry.token_url:
        made += ["", "[settings.token_url]", 'about = "Where tokens come from."']
        made += [f"default = {inline(entry.token_url)}"]
    if entry.auth:
        made += ["", "[auth]", *lines(entry.auth)]
    if verify:
        made += ["", "[verify]", f"get = {inline(verify)}"]
    for resource, some in _resources(drafts).items():
        made += ["", f"[resources.{resource}]", f"tags = [{inline(resource)}]"]
        made += [f"[resources.{resource}.methods]"]
        made += [f"{one.method} = {_method(one)}" for one in some]
    if not drafts:
        made += ["", "[resources]"]
    return "\n".join(made) + "\n"


def _method(draft: Draft) -> str:
    http = f"{draft.verb} {draft.path}"
    more: dict[str, Any] = {}
    if draft.effect:
        more["effect"] = draft.effect
    if draft.method == "list":
        more["paged"] = False  # until somebody declares how the provider pages
    if draft.send:
        more["send"] = draft.send
    if draft.receive:
        more["receive"] = draft.receive
    return inline({"http": http, **more} if more else http)


# --- pages -----------------------------------------------------------------------------------


def _page(resource: str, drafts: Sequence[Draft]) -> str:
    title = resource.replace("_", " ").capitalize()
    made = [
        f"# {title}",
        "",
        "Drafted from an OpenAPI document: read every word before an agent does.",
    ]
    for one in drafts:
        made += ["", f"## {one.tool}", "", one.prose]
        if one.arguments:
            made += ["", "```toml", "\n\n".join(map(_argument, one.arguments)), "```"]
    return "\n".join(made) + "\n"


def _argument(argument: Drafted) -> str:
    table = without_null(dict(argument.schema))
    about = table.pop("description")
    if argument.name:
        table["name"] = argument.name
    if argument.required and argument.where != "path":
        required = table.pop("required", None)
        if required is not None:  # a list of names is JSON Schema's, for objects
            table = {"allOf": [{**table, "required": required}]}
        table["required"] = True
    if argument.comma:
        table["style"] = "comma"
    heading = f"[{argument.where}.{key_text(argument.key)}]"
    return "\n".join([heading, *lines({**table, "description": about})])


def _examples(drafts: Sequence[Draft]) -> str:
    made = ["# One call of each tool. Add what it sends (`sends`), and what comes back (`answer`)."]
    for one in drafts:
        made += ["", f"[{one.tool}]"]
        if given := arguments_of(one):
            made += [f"arguments = {inline(given)}"]
    return "\n".join(made) + "\n"


def _told(drafts: Sequence[Draft], dropped: Sequence[Dropped], remarks: Sequence[str]) -> str:
    made = ["# What became of each operation", ""]
    made += [f"- {one}" for one in remarks]
    made += [""] if remarks else []
    made += ["| endpoint | tool, or why there is none |", "|---|---|"]
    made += [
        f"| `{_cell(one.endpoint)}` | `{one.tool}`{''.join(f', {_cell(s)}' for s in one.said)} |"
        for one in drafts
    ]
    made += [f"| `{_cell(one.endpoint)}` | withheld: {_cell(one.reason)} |" for one in dropped]
    return "\n".join(made) + "\n"


def _safe(title: str) -> str:
    """Return a title that may stand in any string of TOML or Python."""
    return title.replace('"', "'").replace("\\", "/")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- the sandbox -----------------------------------------------------------------------------


def _sandbox(title: str, base_url: str, entry: _Entry, drafts: Sequence[Draft]) -> str:
    auth = {name: one for name, one in entry.auth.items() if name != "token_url"}
    given: dict[str, Any] = {"name": f"{title} sandbox"}
    if base := urlsplit(base_url).path.rstrip("/"):
        given["base"] = base
    if auth:
        given["auth"] = auth
        given["credentials"] = {name: f"{_SECRET}-{name}" for name in entry.credentials}
    if entry.token_url:
        given["settings"] = {"token_url": "{origin}/oauth/token"}
    made = [
        f'"""{_safe(title)}, as its document has it: every route answers one example."""'.replace(
            "\\", "/"
        ),
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any",
        "",
        "from aiohttp import web",
        "",
        "from crossdock.testing.sandbox import Sandbox",
        "",
        "sandbox = Sandbox(",
        *(f"    {name}={one!r}," for name, one in given.items()),
        ")",
    ]
    taken: set[str] = set()
    for one in drafts:
        function = _function_name(f"{one.method}_{one.resource}", taken)
        made += ["", "", f"@sandbox.route({f'{one.verb} {one.path}'!r})"]
        made += [f"def {function}(request: web.Request) -> Any:", f"    return {_answer(one)}"]
    made += ["", "", "create_app, accounts = sandbox.create_app, sandbox.accounts"]
    return "\n".join(made) + "\n"


def _function_name(text: str, taken: set[str]) -> str:
    first = name = identifier(text)
    number = 2
    while name in taken or keyword.iskeyword(name) or name in ("sandbox", "create_app", "accounts"):
        name = f"{first}_{number}"
        number += 1
    taken.add(name)
    return name


def _answer(draft: Draft) -> str:
    if draft.receive.get("as") == "text":
        return 'web.Response(text="text", content_type="text/plain")'
    if draft.receive.get("as") == "binary":
        return f'web.Response(body=b"binary", content_type={draft.receive["types"][0]!r})'
    if draft.answer is None:
        return "{}" if draft.verb == "GET" else "web.Response(status=204)"
    return pprint.pformat(draft.answer, width=90, sort_dicts=False).replace("\n", "\n    ")
