"""`crossdock new-adapter`: a folder that is green at once, or drafts of an OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from crossdock.cli.options import UsageError
from crossdock.cli.output import Json, print_json


def new_adapter(
    name: Annotated[str, Parameter(help="The provider, as [a-z][a-z0-9_]*.")],
    *,
    from_openapi: Annotated[
        Path | None,
        Parameter(help="Draft its tools from this OpenAPI 3.0 or 3.1 document, JSON or YAML."),
    ] = None,
    into: Annotated[Path, Parameter(help="The folder in which crossdock-NAME/ is made.")] = Path(),
    json: Json = False,
) -> int:
    """Make a new adapter: declaration, page, sandbox, tests and CI, all green at once.

    With --from-openapi every operation of a document is drafted or withheld, and IMPORT.md says
    which and why; nothing is fetched. An existing folder is refused. Example:
    `crossdock new-adapter tidewater`
    """
    from crossdock import log
    from crossdock.adapter.naming import is_identifier
    from crossdock.errors import CrossdockError
    from crossdock.scaffold.conversion import imported
    from crossdock.scaffold.project import files_of, plain_parts, told, write_project

    if not is_identifier(name):
        raise UsageError(f"{name!r} is no name of an adapter; write [a-z][a-z0-9_]*")
    log.configure("error")
    folder = into / f"crossdock-{name}"
    if folder.exists():
        raise CrossdockError(f"{folder} exists; nothing was changed. Take another name or --into")
    more: dict[str, Any] = {"tools": [], "withheld": []}
    parts = plain_parts(name)
    if from_openapi is not None:
        made = imported(name, from_openapi)
        parts, more = made.parts, made.told()
    files = files_of(name, parts)
    write_project(folder, files)
    if json:
        print_json({**told(folder, name, files), **more})
        return 0
    print(f"{folder} has {len(files)} files.")
    if from_openapi is not None:
        drafted, withheld = len(more["tools"]), len(more["withheld"])
        print(f"{drafted} tools are drafted, {withheld} are withheld: IMPORT.md says why.")
    print(f"Next: cd {folder} && pip install -e '.[test]' && crossdock check . && pytest")
    return 0
