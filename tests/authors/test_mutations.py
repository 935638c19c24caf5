"""The mutation table: an adapter broken in one way each, and the promise that turns red for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from harness import depot

from crossdock.testing import AdapterContract, Workbench
from crossdock.testing.example import read_examples
from crossdock.testing.trial import Trial

PLAIN_LIST = """async def list_crates(call: Call, context: Context) -> Outcome:
    return await rest(call, context)
"""
PLAIN_GET = """async def get_crate(call: Call, context: Context) -> Outcome:
    return await rest(call, context)
"""
PLAIN_CREATE = """async def create_crate(call: Call, context: Context) -> Outcome:
    return await rest(call, context)
"""
FIELDS = '{"name": "New", "note": "Fragile"}'


class Mutation(NamedTuple):
    """What is wrong, which promise is broken, and the edits: file, old text, new text."""

    what: str
    broken: str
    edits: tuple[tuple[str, str, str], ...]


def edited(what: str, broken: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(what, broken, ((file, old, new),))


def listed(what: str, broken: str, body: str) -> Mutation:
    """A list by a mapper of its own."""
    made = "async def list_crates(call: Call, context: Context) -> Outcome:\n" + body
    return edited(what, broken, "__init__.py", PLAIN_LIST, made)


def read(what: str, broken: str, body: str) -> Mutation:
    made = "async def get_crate(call: Call, context: Context) -> Outcome:\n" + body
    return edited(what, broken, "__init__.py", PLAIN_GET, made)


def made(what: str, broken: str, body: str) -> Mutation:
    changed = "async def create_crate(call: Call, context: Context) -> Outcome:\n" + body
    return edited(what, broken, "__init__.py", PLAIN_CREATE, changed)


def swallowing(kind: str, broken: str) -> Mutation:
    return read(
        f"answers nothing where the provider is {kind}",
        broken,
        f"""    try:
        return await rest(call, context)
    except UpstreamFailure as failure:
        if failure.kind == "{kind}":
            return Outcome(data={{}})
        raise
""",
    )


PAGER = """    start = int(call.page.cursor or 0)
    limit = call.limit or 10
    query = [("from", str(start)), ("size", "100")]
    query += [(name, str(value)) for name, value in call.query.items()]
    reply = await context.send(UpstreamRequest(verb="GET", path="/crates", query=tuple(query)))
    found = decode(reply.body)["crates"]
"""

MUTATIONS = [
    # --- what it is
    edited(
        "a section for a tool that there is not",
        "test_check_finds_nothing",
        "docs/crates.md",
        "## depot_crates_seal",
        "## depot_crates_zeal",
    ),
    edited(
        "a tool without an example",
        "test_every_tool_has_an_example",
        "examples.toml",
        "[depot_crates_seal]\n",
        "[depot_crates_zeal]\n",
    ),
    made(
        "a field that nobody asked for",
        "test_every_example_sends_exactly_this",
        "    return await rest(call.with_body(source='mcp'), context)\n",
    ),
    read(
        "a request more than needed",
        "test_every_example_sends_exactly_this",
        "    await context.fetch('/crates')\n    return await rest(call, context)\n",
    ),
    edited(
        "another path",
        "test_every_example_sends_exactly_this",
        "adapter.toml",
        'seal = "POST /crates/{id}/seal"',
        'seal = "PUT /crates/{id}/seal"',
    ),
    made(
        "an answer of its own",
        "test_every_example_is_answered",
        "    await rest(call, context)\n    return Outcome(data={'ok': True})\n",
    ),
    edited(
        "a removal that calls itself a write",
        "test_what_removes_is_destructive",
        "adapter.toml",
        'delete = "DELETE /crates/{id}"',
        'delete = { http = "DELETE /crates/{id}", effect = "write" }',
    ),
    edited(
        "a write that calls itself a read",
        "test_a_read_changes_nothing",
        "adapter.toml",
        'seal = "POST /crates/{id}/seal"',
        'seal = { http = "POST /crates/{id}/seal", effect = "read" }',
    ),
    # --- arguments
    made(
        "an argument that is dropped",
        "test_every_argument_reaches_the_wire",
        "    return await rest(call.without_body('note'), context)\n",
    ),
    listed(
        "a filter that is forgotten",
        "test_every_argument_reaches_the_wire",
        PAGER.replace("call.query.items()", "()") + "    return Outcome(data=found[:limit])\n",
    ),
    edited(
        "an argument without an example",
        "test_every_argument_reaches_the_wire",
        "examples.toml",
        ', note = "Fragile"',
        "",
    ),
    edited(
        "an id that becomes a path",
        "test_a_path_value_is_one_segment",
        "__init__.py",
        "{one_segment(call.path['id'])}\"\n    reply",
        "{call.path['id']}\"\n    reply",
    ),
    # --- lists
    edited(
        "a list that nobody counted",
        "test_the_example_of_a_list_says_how_many_there_are",
        "examples.toml",
        "records = 40\n",
        "",
    ),
    listed(
        "a pager that loses a record at each page",
        "test_a_list_gives_every_record_once",
        PAGER
        + """    more = len(found) > limit
    following = Page(cursor=start + limit + 1) if more else None
    return Outcome(data=found[:limit], next_page=following)
""",
    ),
    listed(
        "a pager that repeats a record at each page",
        "test_a_list_gives_every_record_once",
        PAGER
        + """    more = len(found) > limit
    following = Page(cursor=start + max(1, limit - 1)) if more else None
    return Outcome(data=found[:limit], next_page=following)
""",
    ),
    listed(
        "a pager that never ends",
        "test_a_list_gives_every_record_once",
        PAGER + "    return Outcome(data=found[:limit], next_page=Page(cursor=0))\n",
    ),
    listed(
        "a pager that stops after a page",
        "test_a_list_gives_every_record_once",
        PAGER + "    return Outcome(data=found[:limit])\n",
    ),
    listed(
        "a page turned round",
        "test_a_list_has_one_order_at_any_limit",
        PAGER
        + """    following = Page(cursor=start + limit) if len(found) > limit else None
    return Outcome(data=found[:limit][::-1], next_page=following)
""",
    ),
    # --- failures
    swallowing("unauthenticated", "test_a_401_is_unauthenticated"),
    swallowing("forbidden", "test_a_403_is_forbidden"),
    swallowing("not_found", "test_a_404_is_not_found"),
    swallowing("upstream_rejected", "test_a_422_is_rejected"),
    swallowing("rate_limited", "test_a_429_is_passed_on_after_one_request"),
    swallowing("upstream_error", "test_a_500_is_an_upstream_error"),
    swallowing("upstream_malformed", "test_html_is_malformed"),
    swallowing("upstream_malformed", "test_an_empty_answer_is_malformed"),
    read(
        "answers nothing where an answer breaks off",
        "test_a_truncated_answer_is_malformed",
        """    try:
        return Outcome(data=await context.fetch(f"/crates/{one_segment(call.path['id'])}"))
    except UpstreamFailure:
        return Outcome(data={})
""",
    ),
    swallowing("upstream_too_large", "test_a_huge_answer_is_too_large"),
    swallowing("upstream_redirect", "test_a_redirect_is_not_followed"),
    swallowing("upstream_timeout", "test_a_slow_provider_is_a_timeout"),
    swallowing("upstream_unreachable", "test_a_cut_connection_is_unreachable"),
    read(
        "a second try after a 429",
        "test_a_429_is_passed_on_after_one_request",
        """    try:
        return await rest(call, context)
    except UpstreamFailure:
        return await rest(call, context)
""",
    ),
    read(
        "a 429 without its seconds",
        "test_a_429_is_passed_on_after_one_request",
        """    try:
        return await rest(call, context)
    except UpstreamFailure as failure:
        raise UpstreamFailure(failure.kind, "Too many") from None
""",
    ),
    read(
        "a raw exception for an answer that breaks off",
        "test_a_truncated_answer_is_malformed",
        """    import json

    from crossdock.adapter import one_segment
    path = f"/crates/{one_segment(call.path['id'])}"
    reply = await context.send(UpstreamRequest(verb="GET", path=path))
    return Outcome(data=json.loads(reply.body))
""",
    ),
    # --- writes
    made(
        "a write that is tried again",
        "test_no_write_is_sent_twice",
        """    try:
        return await rest(call, context)
    except UpstreamFailure:
        return await rest(call, context)
""",
    ),
    made(
        "a write without an answer that is a success",
        "test_a_write_that_may_have_happened_is_in_doubt",
        f"""    try:
        return await rest(call, context)
    except UpstreamFailure:
        return Outcome(data={FIELDS})
""",
    ),
    edited(
        "a read-back that looks at nothing",
        "test_a_read_back_finds_a_lie",
        "__init__.py",
        "    if seen != wanted:\n        raise WriteNotVerified",
        "    if False:\n        raise WriteNotVerified",
    ),
    edited(
        "a guard that sends only what was given",
        "test_guards_keep_the_rest",
        "__init__.py",
        "wanted = {**stored, **call.body}",
        "wanted = {'id': stored['id'], **call.body}",
    ),
    # --- conduct
    edited(
        "credentials on the console",
        "test_no_credential_shows",
        "__init__.py",
        """        sandbox=".sandbox",
    )
""",
        """        sandbox=".sandbox",
        auth=Loud(),
    )


class Loud:
    renews = False

    def sign(self, credentials, settings, token):
        print("signing with", dict(credentials))
        return (("X-Depot-Key", credentials["api_key"]),), ()

    async def renew(self, credentials, settings, http):
        raise NotImplementedError
""",
    ),
    Mutation(
        "a credential kept in the settings, and printed",
        "test_no_credential_shows",
        (
            (
                "sandbox.py",
                'credentials={"api_key": "depot-key-5d1f"}',
                'settings={"note": "k-5d1f"}, credentials={"api_key": "k-5d1f"}',
            ),
            ("adapter.toml", "[auth]", '[settings.note]\nabout = "A note."\n\n[auth]'),
            (
                "__init__.py",
                PLAIN_GET,
                PLAIN_GET.replace("return", "print(context.settings['note'])\n    return"),
            ),
        ),
    ),
    read(
        "a look elsewhere",
        "test_credentials_go_to_no_other_host",
        """    import asyncio

    try:
        await asyncio.open_connection("127.0.0.1", 9)
    except OSError:
        pass
    return await rest(call, context)
""",
    ),
    edited(
        "a look-up of a name while it is loaded",
        "test_loading_touches_no_network",
        "__init__.py",
        "@hookimpl",
        """import socket

try:
    socket.getaddrinfo("updates.depot.invalid", 443)
except OSError:
    pass


@hookimpl""",
    ),
    read(
        "a mapper that sleeps",
        "test_nothing_stalls_the_loop",
        "    import time\n\n    time.sleep(0.4)\n    return await rest(call, context)\n",
    ),
    edited(
        "a verification that anybody passes",
        "test_verify_knows_good_credentials_from_bad",
        "sandbox.py",
        'format": "{api_key}"},',
        'format": "{api_key}"} if False else None,',
    ),
    edited(
        "a verification that nobody passes",
        "test_verify_knows_good_credentials_from_bad",
        "adapter.toml",
        'get = "/crates"',
        'get = "/nowhere"',
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[one.what for one in MUTATIONS])
def test_a_broken_adapter_is_found_by_the_promise_that_it_breaks(
    mutation: Mutation, tmp_path: Path
) -> None:
    files = dict(depot.FILES)
    for file, old, new in mutation.edits:
        assert old in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old, new)
    files["__init__.py"] = files["__init__.py"].replace(
        "    Outcome,\n", "    Outcome,\n    Page,\n"
    )
    place = depot.write(tmp_path, files)
    with Workbench(place) as bench:
        trial = Trial(bench, read_examples(place / "examples.toml"))
        with pytest.raises(AssertionError) as found:
            getattr(AdapterContract(), mutation.broken)(trial)
    assert str(found.value).strip(), "a failure says what is wrong"


def test_the_table_covers_every_promise() -> None:
    from crossdock.testing.contract import promises

    # The gateway itself cuts a page that is too long and refuses strangers, whatever an adapter does.
    kept_anyway = {"test_no_page_is_longer_than_its_limit", "test_unknown_arguments_send_nothing"}
    assert {one.broken for one in MUTATIONS} == set(promises()) - kept_anyway
    assert len({one.what + one.broken for one in MUTATIONS}) == len(MUTATIONS) >= 25
