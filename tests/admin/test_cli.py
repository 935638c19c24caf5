"""The operators' commands, on a store that a gateway may serve from at the same time."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from harness.canaries import Canaries

from crossdock.access.tokens import PATTERN
from crossdock.cli import main

KEY = "sk_sandbox_of_the_cli_7d2"
CONFIG = """
[upstream]
allow_private = ["127.0.0.1/32"]

[plugins]
only = ["malomo"]

[accounts.shop]
integration = "malomo"
settings = { base_url = "http://127.0.0.1:9" }
credentials = { api_key = "env:SHOP_KEY" }
"""


class Done(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(
    tmp_path: Path,
    empty_store: Path,
    canaries: Canaries,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command in a folder with a configuration and an empty store."""
    (tmp_path / "state").mkdir(mode=0o700)
    shutil.copy(empty_store, tmp_path / "state")
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_KEY", "sk_sandbox_of_the_config_1a")
    monkeypatch.setenv("ACME_KEY", KEY)
    canaries.issue(KEY, "the key given to the command")
    canaries.issue("sk_sandbox_of_the_config_1a", "the key of config.toml")

    def command(*words: str, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as stopped:
            main([*words])
        out, err = capsys.readouterr()
        code = stopped.value.code
        shows = words[:2] in (("server", "create"), ("server", "rotate"), ("token", "create"))
        if not shows:
            canaries.saw(out, where=" ".join(words))
        canaries.saw(err, where=" ".join(words))
        for token in PATTERN.findall(out):
            canaries.issue(token, f"the token that {words[:2]} printed")
        return Done(code if isinstance(code, int) else 0, out, err)

    return command


def account(run: Run) -> str:
    added = run(
        "account", "add", "malomo", "--name", "Acme", "--credential", "api_key=env:ACME_KEY",
        "--json",
    )  # fmt: skip
    return str(added.json["id"])


# --- accounts --------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["env", "file", "stdin"])
def test_a_credential_comes_from_a_reference_or_standard_input(
    run: Run, tmp_path: Path, where: str
) -> None:
    secrets = tmp_path / "secrets"  # the one folder in which a secret may lie
    secrets.mkdir()
    (secrets / "key").write_text(KEY + "\n", encoding="utf-8")
    source = {"env": "env:ACME_KEY", "file": "file:secrets/key", "stdin": "-"}[where]
    added = run(
        "account", "add", "malomo", "--name", "Acme", "--credential", f"api_key={source}",
        "--set", "base_url=https://api.example.com", "--json", stdin=KEY + "\n",
    )  # fmt: skip
    assert added.json["credentials"] == {"api_key": {"set": True, "last4": KEY[-4:]}}
    assert added.json["settings"] == {"base_url": "https://api.example.com"}
    shown = run("account", "show", added.json["id"], "--json")
    assert shown.json == added.json


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(run: Run) -> None:
    done = run("account", "add", "malomo", "--name", "x", "--credential", f"api_key={KEY}")
    assert done.code == 1
    assert "api_key=env:NAME" in done.err
    assert run("account", "list", "--json").json[1:] == []


def test_a_missing_credential_is_named_with_what_it_is(run: Run) -> None:
    done = run("account", "add", "malomo", "--name", "x")
    assert done.code == 1
    assert "credentials.api_key is missing" in done.err
    assert "--credential api_key=" in done.err


def test_accounts_are_listed_changed_and_removed(run: Run) -> None:
    id = account(run)
    listed = run("account", "list", "--json").json
    assert [one["id"] for one in listed] == ["shop", id]
    changed = run("account", "update", id, "--name", "New", "--set", "base_url=https://x.example",
                  "--credential", "api_key=-", "--json", stdin=KEY + "\n").json  # fmt: skip
    assert (changed["name"], changed["settings"]) == ("New", {"base_url": "https://x.example"})
    alone = run("account", "update", id, "--unset", "base_url")
    assert (alone.code, "credentials.api_key again" in alone.err) == (1, True)
    unset = run("account", "update", id, "--unset", "base_url", "--credential", "api_key=-",
                "--json", stdin=KEY + "\n").json  # fmt: skip
    assert unset["settings"] == {}
    assert run("server", "create", id, "--name", "Agent").code == 0
    refused = run("account", "remove", id)
    assert refused.code == 1
    assert "mcp_srv_" in refused.err
    assert run("account", "remove", id, "--cascade").code == 0
    assert run("account", "show", id).code == 1


def test_the_tools_of_a_stored_account_are_shown_as_those_of_config_toml(run: Run) -> None:
    stored = account(run)
    assert run("tools", stored, "--json").json == run("tools", "shop", "--json").json
    unknown = run("tools", "acc_1")
    assert unknown.code == 1
    assert "crossdock account list" in unknown.err


def test_accounts_of_config_toml_are_changed_only_there(run: Run) -> None:
    assert run("account", "show", "shop", "--json").json["source"] == "config"
    done = run("account", "update", "shop", "--name", "x")
    assert done.code == 1
    assert "config.toml" in done.err


def test_an_account_that_cannot_be_reached_fails_its_test(run: Run) -> None:
    done = run("account", "test", "shop")
    assert done.code == 1
    assert "upstream_unreachable" in done.err


# --- servers ---------------------------------------------------------------------------------


@pytest.mark.requirement("cli:verbs:complete")
def test_a_server_goes_its_way_from_create_to_revoke(run: Run) -> None:
    made = run(
        "server", "create", "shop", "--name", "Agent", "--methods", "read,create", "--tags",
        "orders", "--expires-at", "30d", "--require-api-token-auth", "--tool-exposure",
        "discovery", "--result-format", "both", "--confirm", "destructive", "--allowed-ips",
        "10.0.0.0/8,192.0.2.1", "--accept-new-tools", "--json",
    ).json  # fmt: skip
    assert made["url"] == f"http://127.0.0.1:8787/mcp/{made['token']}"
    assert made["created_by"] == "command line"
    assert made["config"] == {
        "methods": ["read", "create"],
        "tags": ["orders"],
        "tool_exposure": "discovery",
        "require_api_token_auth": True,
        "result_format": "both",
        "confirm": "destructive",
        "allowed_ips": ["10.0.0.0/8", "192.0.2.1"],
        "accept_new_tools": True,
    }
    ends = datetime.fromisoformat(made["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    id = made["id"]
    factors = [
        run("token", "create", "--name", name, "--role", "client", "--json").json["id"]
        for name in ("one", "two")
    ]
    named = run("server", "update", id, "--second-factor", *factors, "--json").json
    assert named["config"]["second_factors"] == factors
    unnamed = run("server", "update", id, "--second-factor", "all", "--json").json
    assert "second_factors" not in unnamed["config"]
    unknown = run("server", "update", id, "--second-factor", "tok_nobody")
    assert (unknown.code, "tok_nobody" in unknown.err) == (1, True)
    changed = run(
        "server", "update", id, "--name", "Renamed", "--methods", "all", "--allowed-ips", "all",
        "--expires-at", "never", "--no-require-api-token-auth", "--json",
    ).json  # fmt: skip
    assert changed["name"] == "Renamed"
    assert "methods" not in changed["config"]
    assert "allowed_ips" not in changed["config"]
    assert changed["config"]["tags"] == ["orders"]
    assert changed["config"]["require_api_token_auth"] is False
    assert changed["expires_at"] is None
    assert run("server", "show", id, "--json").json == changed
    assert [one["id"] for one in run("server", "list", "shop", "--json").json] == [id]
    rotated = run("server", "rotate", id, "--overlap", "1h", "--json").json
    assert rotated["token"] != made["token"]
    assert rotated["old_url_until"] is not None
    assert run("server", "accept-tools", id, "--json").json["pending_tools"] == []
    assert run("server", "revoke", id).code == 0
    assert run("server", "list", "--json").json == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("server", "create", "nobody", "--name", "x"), 1, "nobody"),
        (("server", "create", "shop"), 2, "--name"),
        (("server", "create", "shop", "--name", "x", "--methods", "reed"), 1, "reed"),
        (("server", "create", "shop", "--name", "x", "--tags", "nothing"), 1, "orders"),
        (("server", "create", "shop", "--name", "x", "--expires-at", "soon"), 2, "--expires-at"),
        (
            ("server", "create", "shop", "--name", "x", "--expires-at", "2027-01-31T00:00:00"),
            2,
            "--expires-at",
        ),
        (("server", "create", "shop", "--name", "x", "--allowed-ips", "x"), 1, "allowed_ips"),
        (("server", "create", "shop", "--name", ""), 1, "name"),
        (("server", "rotate", "mcp_srv_1", "--overlap", "soon"), 2, "--overlap"),
        (("server", "rotate", "mcp_srv_1", "--overlap", "8d"), 1, "overlap_seconds"),
        (("server", "revoke", "mcp_srv_1"), 1, "mcp_srv_1"),
        (("token", "create", "--name", "x", "--role", "king"), 2, "king"),
        (("token", "revoke", "tok_1"), 1, "tok_1"),
        (("account", "add", "nobody", "--name", "x"), 1, "malomo"),
        (("audit", "--since", "yesterday"), 2, "--since"),
        (("account", "list", "--config", "nowhere.toml"), 78, "nowhere.toml"),
        (("server", "lst"), 2, "lst"),
    ],
)
@pytest.mark.requirement("cli:verbs:complete")
def test_what_cannot_be_done_is_said_in_one_sentence_with_the_right_exit_code(
    run: Run, words: tuple[str, ...], code: int, told: str
) -> None:
    done = run(*words)
    assert done.code == code
    assert told in done.err
    assert done.err.startswith("crossdock: ")
    assert len(done.err.splitlines()) == 1
    assert "Traceback" not in done.err


# --- tokens, audit, keys, db, doctor ---------------------------------------------------------


def test_tokens_are_made_listed_and_revoked(run: Run) -> None:
    made = run("token", "create", "--name", "Anna", "--role", "viewer", "--json").json
    assert PATTERN.fullmatch(made["token"])
    listed = run("token", "list", "--json").json
    assert [one["id"] for one in listed] == [made["id"]]
    assert "token" not in listed[0]
    assert run("token", "revoke", made["id"]).code == 0
    assert run("token", "list", "--json").json == []


def test_the_audit_shows_what_commands_did_and_can_be_filtered(run: Run) -> None:
    id = account(run)
    server = run("server", "create", id, "--name", "Agent", "--json").json["id"]
    run("server", "create", id, "--name", "x", "--methods", "reed")

    def read(*words: str) -> list[tuple[str, str]]:
        lines = run("audit", "--json", *words).out.splitlines()
        return [(one["action"], one["outcome"]) for one in map(json.loads, lines)]

    assert read() == [
        ("server.create", "invalid_field"),
        ("server.create", "ok"),
        ("account.create", "ok"),
    ]
    assert read("--limit", "1") == [("server.create", "invalid_field")]
    assert read("--outcome", "ok", "--action", "server.create") == [("server.create", "ok")]
    assert read("--server", server) == [("server.create", "ok")]
    assert len(read("--account", id)) == 3
    assert read("--kind", "call") == []
    assert len(read("--actor", "cli", "--since", "1h")) == 3
    assert read("--until", "1h") == []
    table = run("audit").out
    assert server in table
    assert "server.create" in table


def test_keys_are_rotated_and_rewrapped_and_accounts_stay_readable(
    run: Run, tmp_path: Path
) -> None:
    id = account(run)
    before = {one["id"]: one["purpose"] for one in run("keys", "list", "--json").json}
    done = run("keys", "rotate", "--json").json
    assert done["resealed"] == 1
    after = {one["id"]: one["purpose"] for one in run("keys", "list", "--json").json}
    assert {k for k in before if before[k] != "data"} == {k for k in after if after[k] != "data"}
    assert {k for k in before if before[k] == "data"} != {k for k in after if after[k] == "data"}
    assert run("keys", "rewrap", "--to", "file:secrets/other.key").code == 0
    refused = run("account", "list")
    assert refused.code == 78
    assert "master key" in refused.err
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    moved = f'{text}\n[secrets]\nkey = "file:secrets/other.key"\n'
    (tmp_path / "config.toml").write_text(moved, encoding="utf-8")
    assert run("account", "show", id, "--json").json["problem"] is None


def test_the_tables_are_upgraded_and_their_version_is_shown(run: Run, tmp_path: Path) -> None:
    assert run("db", "current").code == 0
    assert "up to date" in run("db", "upgrade").out
    (tmp_path / "state" / "crossdock.db").unlink()
    for leftover in (tmp_path / "state").glob("crossdock.db-*"):
        leftover.unlink()
    missing = run("db", "current")
    assert missing.code == 1
    assert "crossdock db upgrade" in missing.err
    assert run("db", "upgrade", "--json").json["before"] is not None
    assert run("db", "current").code == 0


def findings(run: Run, *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = run("doctor", "--json", *words)
    return done.code, {one["what"]: (one["state"], one["message"]) for one in json.loads(done.out)}


@pytest.mark.requirement("cli:doctor:remedy")
def test_the_doctor_finds_what_is_wrong_and_names_the_remedy(run: Run, tmp_path: Path) -> None:
    code, found = findings(run)
    assert code == 1
    assert found["configuration"][0] == "ok"
    assert found["adapters"] == ("ok", "malomo")
    assert found["store"][0] == found["keys"][0] == "ok"
    assert found["admin API"][0] == "warn"
    assert "crossdock token create" in found["admin API"][1]
    assert found["shop"][0] == "fail"
    assert found["shop"][1].startswith("upstream_unreachable")
    run("token", "create", "--name", "me", "--role", "owner")
    code, found = findings(run, "--offline")
    assert code == 0
    assert found["admin API"][0] == found["shop"][0] == "ok"
    (tmp_path / "config.toml").write_text(CONFIG + "\n[server]\nprot = 1\n", encoding="utf-8")
    code, found = findings(run)
    assert code == 78
    assert found["configuration"][0] == "fail"
    assert "did you mean `port`" in found["configuration"][1]


def test_the_doctor_names_a_wrong_master_key_and_a_broken_plugin(run: Run, tmp_path: Path) -> None:
    account(run)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("raise RuntimeError('broken by hand')")
    text = CONFIG.replace('only = ["malomo"]', "")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    code, found = findings(run, "--offline")
    assert code == 1
    assert found["plugin bad"][0] == "fail"
    assert "broken by hand" in found["plugin bad"][1]
    (tmp_path / "state" / "master.key").unlink()
    code, found = findings(run, "--offline")
    assert found["store and keys"][0] == "fail"
    assert "master.key" in found["store and keys"][1]


def test_commands_do_without_secrets_that_only_the_gateway_needs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'{CONFIG}\n[admin]\ntoken = "env:ADMIN_TOKEN"\n'
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    monkeypatch.delenv("SHOP_KEY")
    assert run("token", "create", "--name", "me", "--role", "owner").code == 0
    assert run("audit").code == 0
    assert "SHOP_KEY is not set" in run("account", "show", "shop", "--json").json["problem"]
    _, found = findings(run)
    assert found["shop"][0] == found["admin.token"][0] == "fail"
    assert "ADMIN_TOKEN" in found["admin.token"][1]


def test_the_doctor_does_not_make_a_store(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state")
    code, found = findings(run)
    assert code == 0
    assert found["store"][0] == "warn"
    assert not (tmp_path / "state").exists()


def test_every_command_of_the_operators_has_a_help_with_an_example(run: Run) -> None:
    nouns = {
        "account": ["add", "list", "show", "update", "test", "remove"],
        "server": ["create", "list", "show", "update", "rotate", "accept-tools", "revoke"],
        "token": ["create", "list", "revoke"],
        "keys": ["rotate", "list", "rewrap"],
        "db": ["upgrade", "current"],
    }
    commands = [(noun, verb) for noun, verbs in nouns.items() for verb in verbs]
    for command in [*commands, ("audit",), ("doctor",)]:
        done = run(*command, "--help")
        assert done.code == 0
        words = re.sub(r"\s+", " ", done.out)
        assert f"Example: crossdock {' '.join(command)}" in words, command
