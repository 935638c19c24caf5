"""The commands, in this process: what they print, how they end, and never a traceback."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import acme

from crossdock.cli import main

COMMANDS = ("demo", "serve", "check", "tools", "plugins", "call", "server")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(restored: None, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: str | Path) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, told.out, told.err)

    return ran


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with the test adapter, Malomo, and an account of each."""
    acme.write(tmp_path / "plugins")
    path = tmp_path / "config.toml"
    path.write_text(
        '[plugins]\nonly = ["acme", "malomo"]\n'
        '[accounts.shop]\nintegration = "acme"\ncredentials = { api_key = "file:key" }\n'
        '[accounts.second]\nintegration = "malomo"\ncredentials = { api_key = "file:key" }\n',
        encoding="utf-8",
    )
    (tmp_path / "key").write_text("the-key-19c2\n", encoding="utf-8")
    return path


def _one_sentence(ended: Ended) -> str:
    """Errors are one sentence on stderr."""
    lines = [line for line in ended.err.splitlines() if line.startswith("crossdock: ")]
    assert len(lines) == 1, ended.err
    assert ended.out == ""
    return lines[0]


# --- help and usage --------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert f"crossdock {command}" in " ".join(ended.out.split())


@pytest.mark.parametrize("verb", ["create", "list", "revoke"])
def test_the_verbs_of_server_have_help_with_an_example(run: Run, verb: str) -> None:
    ended = run("server", verb, "--help")
    assert f"crossdock server {verb}" in " ".join(ended.out.split())


def test_the_version_is_told(run: Run) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\s*", run("--version").out)


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("serve", "--nonsense"),
        ("serve", "--port", "many"),
        ("serve", "--port", "65536"),
        ("serve", "--port", "-1"),
        ("serve", "--workers", "0"),
        ("demo", "--port", "65536"),
        ("audit", "--limit", "0"),
        ("audit", "--since", "yesterday"),
        ("call", "not-a-url", "list_all_acme_things"),
        ("call", "http://127.0.0.1:1/mcp/x", "tool", "--header", "A B: c"),
        ("connect", "not-a-url"),
        ("connect", "http://127.0.0.1:9/mcp/x", "--header", "no colon"),
        ("account", "add", "malomo", "--name", "A", "--set", "base_url"),
        ("server", "create", "shop", "--name", "A", "--expires-at", "soon"),
        ("server", "rotate", "mcp_srv_1", "--overlap", "soon"),
        ("tools",),
        ("call",),
        ("server", "nonsense"),
        ("server", "create", "shop"),
        ("server", "revoke"),
        ("demo", "--port"),
        ("check", "--json", "--json=maybe"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_way_to_help(
    run: Run, words: tuple[str, ...]
) -> None:
    ended = run(*words)
    assert ended.code == 2
    assert "--help" in _one_sentence(ended)


# --- configuration ---------------------------------------------------------------------------

EACH_WITH_CONFIG = [
    ("serve",),
    ("check",),
    ("plugins",),
    ("tools", "malomo"),
    ("server", "list"),
    ("server", "create", "shop", "--name", "A"),
]


@pytest.mark.parametrize("words", EACH_WITH_CONFIG, ids=" ".join)
def test_a_missing_configuration_ends_with_78_and_names_the_file(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ended = run(*words, "--config", tmp_path / "none.toml")
    assert ended.code == 78
    assert f"{tmp_path / 'none.toml'}: no such file" in _one_sentence(ended)


@pytest.mark.parametrize("words", EACH_WITH_CONFIG, ids=" ".join)
def test_a_broken_configuration_ends_with_78_and_names_the_key(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\nprot = 1", encoding="utf-8")
    ended = run(*words, "--config", path)
    assert ended.code == 78
    assert "unknown key `server.prot`; did you mean `port`?" in _one_sentence(ended)


def test_a_literal_secret_ends_with_78_and_is_not_repeated(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[admin]\ntoken = "sk_canary"', encoding="utf-8")
    ended = run("serve", "--config", path)
    assert ended.code == 78
    assert "literal secret" in _one_sentence(ended)
    assert "sk_canary" not in ended.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[accounts.a]\nintegration = "malomo"', "accounts.a.credentials.api_key"),
        (
            '[accounts.a]\nintegration = "malomo"\ncredentials = { api_key = "env:CROSSDOCK_NOT_SET" }',
            "CROSSDOCK_NOT_SET is not set",
        ),
        (
            '[accounts.a]\nintegration = "malomo"\ncredentials = { api_key = "file:none" }',
            "does not exist",
        ),
        (
            '[accounts.a]\nintegration = "malomo"\ncredentials = { key = "file:none" }',
            "accounts.a.credentials.key",
        ),
        (
            (
                '[accounts.a]\nintegration = "malomo"\nsettings = { url = "x" }\n'
                'credentials = { api_key = "file:key" }'
            ),
            "accounts.a.settings.url",
        ),
        (
            (
                '[accounts.a]\nintegration = "malomo"\nsettings = { base_url = 7 }\n'
                'credentials = { api_key = "file:key" }'
            ),
            "accounts.a.settings.base_url",
        ),
        ('[store]\nurl = "mysql://x"', "[store]"),
        ('[secrets]\nkey = "env:CROSSDOCK_NOT_SET"', "[secrets] key"),
        ("[server]\nport = 1\nworkers = 3", "workers"),
    ],
)
def test_what_cannot_serve_is_told_before_serving(
    run: Run, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "config.toml"
    (tmp_path / "key").write_text("k", encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    ended = run("serve", "--config", path, "--port", "0")
    assert ended.code == 78
    assert words in _one_sentence(ended)


def test_a_taken_port_ends_with_78_and_names_another_way(run: Run, config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run("serve", "--config", config, "--port", str(taken.getsockname()[1]))
    assert ended.code == 78
    assert "--port" in ended.err


def test_a_second_gateway_on_one_state_is_refused_with_words(
    run: Run, config: Path, tmp_path: Path
) -> None:
    import asyncio

    from crossdock.config import load_settings
    from crossdock.gateway import Gateway

    settings = load_settings(config)

    async def held() -> Ended:
        gateway = await Gateway.open(settings, serving=True)
        try:
            return await asyncio.to_thread(run, "serve", "--config", config, "--port", "0")
        finally:
            await gateway.close()

    ended = asyncio.run(held())
    assert ended.code == 78
    assert str(tmp_path / "state") in ended.err


# --- check, tools, plugins -------------------------------------------------------------------


@pytest.mark.requirement("tools:documented:only")
def test_check_says_what_is_withheld_and_ends_well(run: Run, config: Path) -> None:
    ended = run("check", "--config", config)
    assert ended.code == 0
    assert "acme  10 tools, 1 withheld" in ended.out
    line = acme.TOML.splitlines().index('methods.list = "GET /secrets"') + 1
    assert re.search(
        rf"withheld +list_all_acme_secrets_of_state +declared in \S*adapter\.toml:{line}", ended.out
    )
    assert "malomo  21 tools, 0 withheld" in ended.out


def test_check_names_mistakes_with_file_and_line_and_fails(
    run: Run, config: Path, tmp_path: Path
) -> None:
    page = tmp_path / "plugins" / "acme" / "docs" / "items.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace('type = "boolean"', 'type = "bool"', 1), encoding="utf-8")
    ended = run("check", "acme", "--config", config)
    assert ended.code == 1
    assert re.search(
        r"error +acme/docs/items\.md:\d+: .*JSON Schema.*\[argument-schema\]", ended.out
    )
    assert "malomo" not in ended.out
    page.write_text(text.replace("[path.id]", "[path.id", 1), encoding="utf-8")
    ended = run("check", "--json", "--config", config)
    assert ended.code == 1
    shown = json.loads(ended.out)
    assert shown["ok"] is False
    assert [one["name"] for one in shown["adapters"]] == ["acme", "malomo"]
    (error,) = [one for one in shown["findings"] if one["severity"] == "error"]
    assert (error["rule"], error["file"]) == ("page-block", "docs/items.md")
    assert sorted(error) == sorted(
        ["rule", "severity", "adapter", "file", "line", "key", "message", "remedy", "link"]
    )


def test_check_reads_a_folder_that_is_neither_installed_nor_configured(
    run: Run, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "plugins" / "acme"
    config.write_text("[plugins]\nonly = ['malomo']\n", encoding="utf-8")
    for path in (f"{folder}/", f"{tmp_path}/plugins", f"{tmp_path}/", f"{folder}/adapter.toml"):
        ended = run("check", path, "--json")
        assert ended.code == 0, ended.err
        shown = json.loads(ended.out)
        assert shown["ok"] is True
        (report,) = shown["adapters"]
        assert (report["name"], len(report["tools"])) == ("acme", len(acme.TOOLS))
        assert Path(report["path"]) == folder
        assert report["tokens"] > 100
        (withheld,) = report["withheld"]
        assert withheld["tool"] == "list_all_acme_secrets_of_state"
        assert (withheld["file"], withheld["reason"]) == ("adapter.toml", "no section in docs/")
    both = run("check", "malomo", f"{folder}/", "--config", config)
    assert "malomo  21 tools" in both.out
    assert f"acme  {len(acme.TOOLS)} tools" in both.out


def test_check_fails_on_a_warning_only_if_it_is_strict(run: Run, tmp_path: Path) -> None:
    acme.write(tmp_path)
    folder = f"{tmp_path}/acme"
    assert run("check", folder).code == 0
    strict = run("check", folder, "--strict", "--json")
    assert strict.code == 1
    shown = json.loads(strict.out)
    assert shown["ok"] is False
    assert {one["severity"] for one in shown["findings"]} == {"warning", "note"}


def test_check_of_a_folder_keeps_its_prints_out_of_the_report(run: Run, tmp_path: Path) -> None:
    acme.write(tmp_path)
    module = tmp_path / "acme" / "__init__.py"
    module.write_text("print('loading')\n" + module.read_text(encoding="utf-8"), encoding="utf-8")
    ended = run("check", f"{tmp_path}/acme", "--json")
    assert "python-print" in {one["rule"] for one in json.loads(ended.out)["findings"]}
    assert "loading" in ended.err
    (tmp_path / "acme" / "adapter.toml").write_text("format =", encoding="utf-8")
    broken = run("check", f"{tmp_path}/acme")
    assert broken.code == 1
    assert "acme/adapter.toml:1: " in broken.out


def test_check_fails_for_an_adapter_above_the_tokens_that_are_allowed(
    run: Run, config: Path
) -> None:
    (report,) = json.loads(run("check", "acme", "--json", "--config", config).out)["adapters"]
    fits = run("check", "acme", "--max-tokens", str(report["tokens"]), "--config", config)
    assert fits.code == 0
    over = run("check", "acme", "--max-tokens", str(report["tokens"] - 1), "--config", config)
    assert over.code == 1
    assert f"above --max-tokens {report['tokens'] - 1:,}" in over.out
    assert "[tokens]" in over.out


def test_check_of_a_folder_without_an_adapter_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        ended = run("check", f"{path}/")
        assert ended.code == 2
        assert "holds no adapter.toml" in _one_sentence(ended)


def test_check_names_a_plugin_that_does_not_load(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "acme" / "adapter.toml").write_text("format =", encoding="utf-8")
    (tmp_path / "plugins" / "bad.py").write_text("import nothing_of_the_kind", encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace('"malomo"]', '"malomo", "bad"]')
    config.write_text(text, encoding="utf-8")
    ended = run("check", "--config", config)
    assert ended.code == 1
    assert "acme/adapter.toml:1: " in ended.out
    assert "bad  failed to load" in ended.out
    assert "nothing_of_the_kind" in ended.out
    assert "malomo  21 tools" in ended.out


def test_an_unknown_adapter_is_answered_with_those_that_there_are(run: Run, config: Path) -> None:
    for words in (("check", "nothing"), ("tools", "nothing")):
        ended = run(*words, "--config", config)
        assert ended.code == 1
        assert "acme" in _one_sentence(ended)
        assert "malomo" in ended.err


def test_tools_shows_effect_tags_and_size(run: Run, config: Path) -> None:
    ended = run("tools", "shop", "--config", config, "--methods", "read", "--tags", "names")
    assert ended.code == 0
    heading, *rows, total = ended.out.splitlines()
    assert heading.split("\t") == ["tool", "effect", "tags", "tokens"]
    assert [row.split("\t")[0] for row in rows] == [
        "get_single_acme_label_by_id",
        "get_single_acme_code_by_id",
    ]
    assert total.startswith("2 tools, about ")
    listed = json.loads(run("tools", "acme", "--config", config, "--json").out)
    assert [tool["name"] for tool in listed] == list(acme.TOOLS)
    assert all(tool["tokens"] > 10 for tool in listed)


def test_tools_fails_above_the_tokens_that_are_allowed(run: Run, config: Path) -> None:
    listed = json.loads(run("tools", "acme", "--config", config, "--json").out)
    cost = sum(tool["tokens"] for tool in listed)
    assert run("tools", "acme", "--config", config, "--max", str(cost)).code == 0
    over = run("tools", "acme", "--config", config, "--max", str(cost - 1))
    assert over.code == 1
    assert over.out.count("\n") > 10
    assert f"above --max {cost - 1:,}" in over.err


def test_what_a_tool_costs_counts_all_that_a_client_gets(run: Run, config: Path) -> None:
    (tool,) = json.loads(
        run("tools", "acme", "--config", config, "--methods", "count", "--json").out
    )
    bare = len(tool["description"]) + len(tool["name"])
    assert tool["tokens"] > bare / 4 + 30  # the title, the schema and the four hints


@pytest.mark.parametrize("subject", ["acme", "shop"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--methods", "reed"), ("methods[0]: 'reed' is unknown", "did you mean read?")),
        (("--methods", "read,zzz"), ("methods[1]: 'zzz' is unknown", "read")),
        (("--tags", "name"), ("tags[0]: 'name' is unknown", "did you mean names?")),
        (("--tags", "names,zzz"), ("tags[1]: 'zzz' is unknown", "goods")),
        (("--methods", ","), ("methods: is empty",)),
    ],
)
def test_filters_that_no_tool_knows_are_refused_by_name(
    run: Run, config: Path, subject: str, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    for as_json in ((), ("--json",)):
        ended = run("tools", subject, *words, *as_json, "--config", config)
        assert ended.code == 1
        sentence = _one_sentence(ended)
        assert all(part in sentence for part in said), sentence


def test_plugins_shows_what_loaded_and_what_failed(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "bad.py").write_text("import nothing_of_the_kind", encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace('"malomo"]', '"malomo", "bad"]')
    config.write_text(text, encoding="utf-8")
    ended = run("plugins", "--config", config)
    rows = {row.split("\t")[0]: row.split("\t") for row in ended.out.splitlines()}
    assert rows["acme"][3:] == ["ok", "crossdock_adapters"]
    assert rows["malomo"][2] == "crossdock-malomo"
    assert ended.code == 1
    assert rows["bad"][3] == "broken"
    assert "nothing_of_the_kind" in rows["bad"][4]
    assert "(bad.py:1)" in rows["bad"][4]
    told = run("plugins", "--config", config, "--json")
    assert told.code == 1
    records = {record["name"]: record for record in json.loads(told.out)}
    assert set(records) >= {"acme", "malomo", "bad"}
    assert {name: one["state"] for name, one in records.items() if one["state"] != "ok"} == {
        "bad": "broken"
    }
    assert "nothing_of_the_kind" in records["bad"]["error"]
    assert (records["acme"]["error"], records["acme"]["since"]) == ("", None)
    (tmp_path / "plugins" / "bad.py").unlink()
    assert run("plugins", "--config", config, "--json").code == 0


def test_strict_plugins_end_with_78(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "acme" / "adapter.toml").write_text("format =", encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace("[plugins]", "[plugins]\nstrict = true")
    config.write_text(text, encoding="utf-8")
    ended = run("serve", "--config", config, "--port", "0")
    assert ended.code == 78
    assert "acme" in ended.err
    assert "adapter.toml:1: " in ended.err


# --- server ----------------------------------------------------------------------------------


@pytest.mark.requirement("server:create:answer", "server:token:hashed")
def test_servers_are_made_listed_and_revoked_without_a_running_gateway(
    run: Run, config: Path, tmp_path: Path
) -> None:
    made = run("server", "create", "shop", "--name", "Agent", "--methods", "read,create",
               "--tags", "goods", "--expires-at", "2199-01-01T00:00:00Z", "--json",
               "--config", config)  # fmt: skip
    assert made.code == 0
    created = json.loads(made.out)
    assert created["config"]["methods"] == ["read", "create"]
    assert created["url"] == f"http://127.0.0.1:8787/mcp/{created['token']}"
    second = run("server", "create", "second", "--name", "Other", "--config", config)
    assert "/mcp/cdm_" in second.out
    listed = run("server", "list", "--config", config)
    assert created["id"] in listed.out
    assert created["token"] not in listed.out + made.err
    of_one = json.loads(run("server", "list", "shop", "--json", "--config", config).out)
    assert [server["id"] for server in of_one] == [created["id"]]
    assert run("server", "revoke", created["id"], "--config", config).code == 0
    again = run("server", "revoke", created["id"], "--config", config)
    assert again.code == 1
    assert created["id"] in _one_sentence(again)
    for path in (tmp_path / "state").iterdir():
        assert created["token"].encode() not in path.read_bytes()


@pytest.mark.requirement("server:create:filters-checked", "server:create:documented-only")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "--name", "A"), "nowhere"),
        (("shop", "--name", "A", "--methods", "reed"), "config.methods[0]"),
        (("shop", "--name", "A", "--tags", "hidden"), "No documented tool"),
        (("shop", "--name", "A", "--expires-at", "soon"), "2027-01-31T00:00:00Z"),
        (("shop", "--name", "A", "--expires-at", "2020-01-01T00:00:00Z"), "not in the future"),
        (("shop", "--name", "A", "--expires-at", "2199-01-01"), "2027-01-31T00:00:00Z"),
        (("shop", "--name", ""), "name"),
    ],
)
def test_a_server_that_cannot_be_is_refused_with_words(
    run: Run, config: Path, words: tuple[str, ...], said: str
) -> None:
    ended = run("server", "create", *words, "--config", config)
    assert ended.code in (1, 2)
    assert said in _one_sentence(ended)


# --- call ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("http://127.0.0.1:1/mcp/x", "tool"), "o answer from the gateway"),
        (("http://127.0.0.1:1/mcp/x", "tool", "--header", "A: ${NOT_SET_19C2}"), "NOT_SET_19C2"),
    ],
)
def test_a_call_that_cannot_be_made_fails_with_words(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    ended = run("call", *words)
    assert ended.code == 1
    assert said in _one_sentence(ended)


@pytest.mark.parametrize("words", [("call", "{url}", "echo"), ("connect", "{url}", "--check")])
def test_variables_in_headers_come_from_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TOKEN_19C2", "the value")
    seen: list[str] = []

    class Gateway(BaseHTTPRequestHandler):
        """Answers every message with an empty list, and keeps the header in question."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(self.headers["X-Given"])
            result = {"tools": [], "content": []}
            answer = json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": result}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/mcp/x"
        ended = run(
            *(word.format(url=url) for word in words), "--header", "X-Given: a ${TOKEN_19C2}"
        )
        server.shutdown()
    assert ended.code == 0, ended.err
    assert set(seen) == {"a the value"}
