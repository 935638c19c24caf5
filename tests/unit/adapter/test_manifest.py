"""adapter.toml: what is wrong is said with file:line and the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import acme

from crossdock.adapter.assembly import Declared, declare
from crossdock.adapter.given import Files, Given
from crossdock.adapter.manifest import Manifest, placeholders

GOOD = acme.TOML


def _declared(text: str) -> Declared:
    files = Files(folder=Path("acme"), toml=text.encode(), pages=(), docs=True)
    return declare(files, Given(mappers={}))


def _manifest(text: str) -> Manifest:
    manifest = _declared(text).manifest
    assert manifest is not None
    return manifest


def _line(text: str, needle: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if needle in line)


# what is replaced, by what, where the error must point (a part of the new text), what it must say
WRONG: dict[str, tuple[str, str, str | None, str]] = {
    "no TOML": ("format = 1", "format = = 1", "format = = 1", "Invalid value"),
    "a key twice": ('title = "Acme"', 'title = "A"\ntitle = "B"', 'title = "B"', "overwrite"),
    "unknown key": ('title = "Acme"', 'title = "A"\ntitel = "A"', "titel", "unknown key `titel`"),
    "missing key": ('title = "Acme"', "", None, "title"),
    "wrong type": ('title = "Acme"', "title = 7", "title = 7", "title"),
    "format of tomorrow": ("format = 1", "format = 2", "format = 2", "format 2 is unknown"),
    "name in capitals": ('name = "acme"', 'name = "Acme"', 'name = "Acme"', "[a-z]"),
    "name with a dash": ('name = "acme"', 'name = "ac-me"', 'name = "ac-me"', "[a-z]"),
    "no about": ('about = "The key."', "", "[credentials.api_key]", "about"),
    "unknown in auth": ('scheme = "api_key"', 'scheme = "api_key"\nrealm = "x"', "realm =", "unknown key"),
    "unknown in paging": ('style = "link"', 'style = "link"\npages = 1', "pages = 1", "unknown key"),
    "unknown style": ('style = "link"', 'style = "scroll"', 'style = "scroll"', "style"),
    "unknown in limit": ("{ default = 3, max = 50 }", "{ defalt = 3 }", "limit = {", "defalt"),
    "no endpoint": ('"GET /items"', '"FETCH /items"', "FETCH", "not an endpoint"),
    "no path": ('"GET /items"', '"GET items"', '"GET items"', "not an endpoint"),
    "blank in the path": ('"GET /items"', '"GET /it ems"', "it ems", "not an endpoint"),
    "unknown in a method": (
        'count = { http = "POST /items/count", effect = "read" }',
        'count = { http = "POST /items/count", efect = "read" }', "efect", "unknown key `efect`"),
    "unknown effect": ('effect = "read"', 'effect = "reads"', 'effect = "reads"', "effect"),
    "method in capitals": ("archive = ", "Archive = ", "Archive = ", "'Archive'"),
    "resource in capitals": ("[resources.codes]", "[resources.Codes]", "Codes", "'Codes'"),
    "a credential that is not there": (
        'format = "{api_key}"', 'format = "{api_ke}"', 'format = "{api_ke}"', "[credentials.api_ke]"),
    "a format without end": (
        'format = "{api_key}"', 'format = "{api_key"', 'format = "{api_key"', "auth.format"),
    "basic without its pair": (
        'scheme = "api_key"\nheader = "X-Api-Key"\nformat = "{api_key}"',
        'scheme = "basic"\nusername = "{api_key}"', "[auth]", "[credentials.password]"),
    "no cursor to ask with": ('ask = { cursor = "page" }', "", "[paging]", "needs ask"),
    "a question of another style": (
        '{ cursor = "page" }', '{ cursor = "page", offset = "o" }', "offset =", "`offset`"),
    "a default above the maximum": ("default = 3,", "default = 51,", "default = 51,", "between"),
    "a status that is none": (
        'partial = "/warnings"', 'status = { 42 = "forbidden" }', "status = {", "'42' is no HTTP"),
    "a kind that is none": (
        'partial = "/warnings"', 'status = { 422 = "rejected" }', "status = {", "upstream_rejected"),
    "a placeholder in capitals": ('"GET /items/{id}"', '"GET /items/{ID}"', "{ID}", "placeholder"),
    "a placeholder without end": ('"GET /items/{id}"', '"GET /items/{id"', '/{id"', "placeholder"),
    "unknown in a credential": (
        'about = "The key."', 'about = "The key."\nsecrt = true', "secrt", "credentials.api_key.secrt"),
    "unknown in a resource": ('tags = ["hidden"]', 'tags = ["hidden"]\nurl = "x"', 'url = "x"', "unknown key"),
    "tags are text": ('tags = ["hidden"]', 'tags = "hidden"', 'tags = "hidden"', "tags"),
    "no methods": ('methods.list = "GET /secrets"', "", "[resources.secrets_of_state]", "methods"),
    "one name for two tools": (
        'tags = ["hidden"]', 'singular = "code"\nmethods.get = "GET /codes/{id}"',
        'methods.get = "GET /codes/{id}"', "declared twice"),
    "base_url as a setting": (
        "[auth]", '[settings.base_url]\nabout = "x"\n\n[auth]', "[settings.base_url]", "exists by itself"),
    "default of another type": (
        "[auth]", '[settings.fast]\nabout = "x"\ntype = "boolean"\ndefault = "yes"\n\n[auth]',
        'default = "yes"', "not a boolean"),
    "type of a setting": (
        "[auth]", '[settings.fast]\nabout = "x"\ntype = "bool"\n\n[auth]', "type = \"bool\"", "type"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_file_line_and_key(case: str) -> None:
    old, new, at, words = WRONG[case]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = [one for one in _declared(text).findings if one.severity == "error"]
    assert [one.file for one in found] == ["adapter.toml"], found
    assert words in found[0].text("acme")
    if at is not None:
        assert found[0].line == _line(text, at), found


def test_without_resources_there_is_no_adapter() -> None:
    text = GOOD.partition("[resources.items]")[0]
    declared = _declared(text)
    assert declared.manifest is None
    assert declared.fatal[0].text("acme").startswith("acme/adapter.toml:1: resources")


def test_what_is_right_is_read_whole() -> None:
    manifest = _manifest(GOOD)
    methods = {method.tool: method for method in manifest.methods}
    assert [method.method for method in manifest.methods][:7] == [
        "list", "get", "create", "update", "delete", "archive", "count",
    ]  # fmt: skip
    assert methods["acme_items_count"].effect == "read"
    assert methods["acme_items_archive"].effect == "write"
    assert methods["delete_a_acme_item_by_id"].effect == "destructive"
    assert methods["update_a_acme_item_by_id"].idempotent
    assert not methods["acme_items_archive"].idempotent
    assert methods["list_all_acme_items"].source == f"acme/adapter.toml:{_line(GOOD, 'list = ')}"
    code = methods["get_single_acme_code_by_id"].endpoint
    assert (code.path, code.query, code.one) == ("/codes/", (("code", "{id}"),), True)
    assert placeholders(code) == ("id",)
    assert manifest.paging.limit.max == 50


def test_a_slash_at_the_end_of_base_url_does_not_count() -> None:
    manifest = _manifest(GOOD.replace("example/v1", "example/v1/"))
    assert manifest.base_url == "https://api.acme.example/v1"
