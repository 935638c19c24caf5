"""config.toml: what is wrong is told by key, secrets are references."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossdock.config import Settings, load_settings
from crossdock.errors import ConfigError

PG = '[store]\nurl = "postgresql://127.0.0.1/crossdock"\n'
WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("[server", "Expected"),
    "unknown section": ("[servers]\nport = 1", "unknown key `servers`; did you mean `server`?"),
    "unknown key": ("[server]\nprot = 1", "unknown key `server.prot`; did you mean `port`?"),
    "far from any key": ("[server]\nzzz = 1", "unknown key `server.zzz`"),
    "unknown in limits": ("[limits]\nbody_byte = 1", "did you mean `body_bytes`?"),
    "wrong type": ('[server]\nport = "8787"', "`server.port`"),
    "out of bounds": ("[server]\nport = 70000", "`server.port`"),
    "a limit of nothing": ("[limits]\nbody_bytes = 0", "`limits.body_bytes`"),
    "no time at all": ("[limits]\nread_seconds = 0", "`limits.read_seconds`"),
    "a level of nobody": ('[log]\nlevel = "loud"', "`log.level`"),
    "unknown in an account": (
        '[accounts.one]\nintegration = "x"\n[accounts.shop]\nintegration = "x"\napikey = "y"',
        "unknown key `accounts.shop.apikey`"),
    "no integration": ('[accounts.shop]\nname = "x"', "accounts.shop"),
    "a credential that is a number": (
        '[accounts.shop]\nintegration = "x"\n[accounts.shop.credentials]\napi_key = 7',
        "accounts.shop"),
    "the folder": ('folder = "/"', "unknown key `folder`"),
    "no network": ('[upstream]\nallow_private = ["10.0.0.0/33"]', "upstream.allow_private"),
    "a network with a host": ('[upstream]\nallow_private = ["10.0.0.1/8"]', "upstream.allow_private"),
    "no proxy": ('[server]\ntrusted_proxies = ["proxy"]', "server.trusted_proxies"),
    "no origin": ('[server]\npublic_url = "gw.example.com"', "server.public_url"),
    "an origin with a query": ('[server]\npublic_url = "https://gw.example.com?x"', "server.public_url"),
    "several workers": ("[server]\nworkers = 2", "store.url to a postgresql:// database"),
    "workers without a bus": (
        '[server]\nworkers = 2\n[store]\nurl = "postgresql://u@h/d"',
        "set bus.url, as redis://",
    ),
    "a bus beside SQLite": ('[bus]\nurl = "redis://127.0.0.1/0"', "leave bus.url empty"),
    "a bus that is none": (PG + '[bus]\nurl = "amqp://127.0.0.1"', "bus.url must be redis:// or"),
    "a bus nowhere": (PG + '[bus]\nurl = "redis:///0"', "bus.url must be redis:// or"),
    "a bus at no port": (PG + '[bus]\nurl = "redis://h:port/0"', "bus.url must be redis:// or"),
    "a password in the bus": (PG + '[bus]\nurl = "redis://:hush@h/0"', "bus.url holds a password"),
    "a password behind it": (PG + '[bus]\nurl = "redis://h/0?password=hush"', "holds a password"),
    "a literal password": (PG + '[bus]\npassword = "hush"', "bus.password holds a literal secret"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, case: str) -> None:
    text, words = WRONG[case]
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load_settings(path)
    assert str(told.value).startswith(f"{path}: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


LITERAL = {
    "admin.token": '[admin]\ntoken = "{0}"',
    "secrets.key": '[secrets]\nkey = "{0}"',
    "accounts.my-shop.credentials.api_key": (
        '[accounts.my-shop]\nintegration = "malomo"\n'
        '[accounts.my-shop.credentials]\napi_key = "{0}"'
    ),
}


@pytest.mark.parametrize("key", LITERAL)
@pytest.mark.parametrize(
    "secret",
    [
        "sk_live_canary51c",
        "canary51c with blanks",
        "Bearer canary51c",
        "https://user:canary51c@vault.example/shop",
        "vault://canary51c",
        "env: canary51c",
    ],
)
def test_a_literal_secret_is_refused_with_the_remedy_and_not_repeated(
    tmp_path: Path, key: str, secret: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(LITERAL[key].format(secret), encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load_settings(path)
    message = str(told.value)
    assert key in message
    assert "env:" in message or "file:" in message
    assert "canary51c" not in message


def test_a_reference_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for key, text in LITERAL.items():
        for reference in ("env:NAME", "file:secrets/key", "vault:kv/shop#key"):
            path.write_text(text.format(reference), encoding="utf-8")
            assert load_settings(path), key


def test_without_a_file_the_defaults_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None) == Settings(folder=tmp_path)
    (tmp_path / "config.toml").write_text("[server]\nport = 9", encoding="utf-8")
    assert load_settings(None).server.port == 9


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        load_settings(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'x = "\xff"')
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "latin.toml")


def test_relative_paths_count_from_the_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("etc/config.toml")).folder == tmp_path / "etc"


def test_the_shipped_file_runs_as_it_is() -> None:
    root = Path(__file__).resolve().parents[2]
    settings = load_settings(root / "config.toml")
    assert settings.accounts == {}
    assert settings.server.host == "127.0.0.1"
    assert settings.plugins.disabled == ["tidewater"]
