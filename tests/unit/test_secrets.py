"""References, the master key and sealing."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pluggy import PluginManager

from crossdock import hookspecs
from crossdock.errors import ConfigError
from crossdock.model import Secret
from crossdock.secrets import BuiltinSecrets, Reference, parse_reference, resolve_secret
from crossdock.store.master_key import MasterKey
from crossdock.store.sealing import (
    KeyRing,
    SealBroken,
    UnknownKey,
    fingerprint,
    key_id_of,
    new_key,
    random_id,
    unwrap,
    wrap,
)

# --- references


@pytest.mark.parametrize(
    ("value", "scheme", "reference"),
    [
        ("env:MALOMO_KEY", "env", "MALOMO_KEY"),
        ("file:state/key", "file", "state/key"),
        ("file:/run/secrets/key", "file", "/run/secrets/key"),
        ("vault:kv/data/malomo#key", "vault", "kv/data/malomo#key"),
        ("aws-sm:a:b", "aws-sm", "a:b"),
    ],
)
def test_a_reference_is_taken_apart(value: str, scheme: str, reference: str) -> None:
    assert parse_reference(value) == Reference(scheme=scheme, reference=reference)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sk_live_abc",
        "sk_live:abc",
        "env:",
        "env: X",
        ":x",
        "https://a.example/x",
        "AKIA:x",
        "é:x",
    ],
)
def test_what_names_no_secret_is_no_reference(value: str) -> None:
    assert parse_reference(value) is None


def test_an_environment_secret_is_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", "sk_1")
    resolve = BuiltinSecrets(tmp_path).crossdock_resolve_secret
    assert resolve_secret("env:CROSSDOCK_TEST_KEY", "x", resolve) == Secret("sk_1")


def test_a_file_secret_counts_from_the_folder_and_loses_its_final_newline(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" sk 1 \r\n")
    resolve = BuiltinSecrets(tmp_path).crossdock_resolve_secret
    assert resolve_secret("file:key", "x", resolve).reveal() == " sk 1 "
    assert resolve_secret(f"file:{tmp_path / 'key'}", "x", resolve).reveal() == " sk 1 "


def test_the_builtin_secrets_are_a_plugin_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_1")
    plugins = PluginManager("crossdock")
    plugins.add_hookspecs(hookspecs)
    plugins.register(BuiltinSecrets(tmp_path))
    ask = plugins.hook.crossdock_resolve_secret
    assert ask(scheme="file", reference="key") == "sk_1"
    assert ask(scheme="vault", reference="key") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("env:CROSSDOCK_UNSET", "CROSSDOCK_UNSET is not set"),
        ("file:missing", "missing does not exist"),
        ("file:empty", "empty is empty"),
        ("file:binary", "is not UTF-8 text"),
        ("file:folder", "cannot be read"),
    ],
)
def test_what_cannot_be_resolved_is_named_with_its_key_and_remedy(
    tmp_path: Path, value: str, words: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "folder").mkdir()
    resolve = BuiltinSecrets(tmp_path).crossdock_resolve_secret
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_secret(value, "[accounts.acme] credentials.api_key", resolve)
    assert str(caught.value).startswith("[accounts.acme] credentials.api_key: the ")


@pytest.mark.parametrize(
    "value", ["sk_live_hunter2", "env:sk-live-hunter2", "env:sk_hunter2", "user:hunter2"]
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(
    tmp_path: Path, value: str
) -> None:
    resolve = BuiltinSecrets(tmp_path).crossdock_resolve_secret
    with pytest.raises(ConfigError) as caught:
        resolve_secret(value, "[admin] token", resolve)
    assert "hunter2" not in str(caught.value)
    assert "[admin] token" in str(caught.value)
    assert "env" in str(caught.value)


# --- the master key


def test_the_master_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    master = MasterKey("file:state/master.key", tmp_path)
    assert master.read() is None
    key = master.read_or_create()
    path = tmp_path / "state" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(key) == 32
    assert master.read_or_create() == master.read() == key
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_a_master_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    master = MasterKey("file:master.key", tmp_path)
    master.read_or_create()
    path = tmp_path / "master.key"
    path.chmod(0o604)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        master.read()
    path.chmod(0o640)
    assert master.read()


@pytest.mark.parametrize("text", ["", "short", "A" * 42, "A" * 44, "ä" * 43, "A" * 42 + "B"])
def test_what_is_no_master_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "master.key").write_text(text)
    (tmp_path / "master.key").chmod(0o600)
    with pytest.raises(ConfigError, match=r"master\.key"):
        MasterKey("file:master.key", tmp_path).read()


def test_a_master_key_may_come_from_openssl_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = bytes([0xFB, 0xEF, 0xBE]) * 10 + b"\xff\xff"
    monkeypatch.setenv("CROSSDOCK_KEY", base64.b64encode(key).decode() + "\n")
    assert MasterKey("env:CROSSDOCK_KEY", tmp_path).read() == key


def test_a_missing_environment_key_is_never_made_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CROSSDOCK_NO_KEY is not set"):
        MasterKey("env:CROSSDOCK_NO_KEY", tmp_path).read_or_create()


def test_a_plugin_can_hold_the_master_key(tmp_path: Path) -> None:
    key = new_key()
    asked = []

    def resolve(scheme: str, reference: str) -> str | None:
        asked.append((scheme, reference))
        return base64.urlsafe_b64encode(key).decode()

    assert MasterKey("vault:kv/master", tmp_path, resolve).read() == key
    assert asked == [("vault", "kv/master")]


def test_the_master_key_itself_does_not_belong_into_the_configuration(tmp_path: Path) -> None:
    literal = base64.urlsafe_b64encode(new_key()).decode()
    with pytest.raises(ConfigError) as caught:
        MasterKey(literal, tmp_path)
    assert literal not in str(caught.value)


def test_a_key_for_this_process_stays_the_same(tmp_path: Path) -> None:
    master = MasterKey.for_this_process()
    assert master.read() == master.read_or_create()
    assert MasterKey.for_this_process().read() != master.read()


# --- sealing


def a_ring(*names: str) -> KeyRing:
    return KeyRing(
        pepper=new_key(),
        cursor_key=new_key(),
        state_key=new_key(),
        data={name: new_key() for name in names or ("k1",)},
    )


RING = a_ring()
PLACE = ("accounts", "credentials.api_key", "acc_1")


@given(plain=st.text(), table=st.text(), column=st.text(), row=st.text())
def test_what_was_sealed_opens_in_its_place(plain: str, table: str, column: str, row: str) -> None:
    sealed = RING.seal("k1", table, column, row, plain)
    assert RING.open(table, column, row, sealed) == plain
    assert key_id_of(sealed) == "k1"


@given(
    one=st.tuples(st.text("a|:1", max_size=3), st.text("a|:1", max_size=3), st.text("a|:1")),
    other=st.tuples(st.text("a|:1", max_size=3), st.text("a|:1", max_size=3), st.text("a|:1")),
)
def test_what_was_sealed_opens_nowhere_else(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    sealed = RING.seal("k1", *one, "plain")
    if one == other:
        assert RING.open(*other, sealed) == "plain"
    else:
        with pytest.raises(SealBroken):
            RING.open(*other, sealed)


def test_names_that_only_together_spell_the_same_are_two_places() -> None:
    sealed = RING.seal("k1", "a|b", "c", "d", "plain")
    with pytest.raises(SealBroken):
        RING.open("a", "b|c", "d", sealed)


def test_every_flipped_bit_is_refused() -> None:
    sealed = RING.seal("k1", *PLACE, "sk_live_hunter2").encode()
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(SealBroken):
                RING.open(*PLACE, changed.decode("latin-1"))


@given(st.data())
def test_any_other_text_is_refused(data: st.DataObject) -> None:
    sealed = RING.seal("k1", *PLACE, "plain")
    cut = data.draw(st.integers(0, len(sealed)))
    put = data.draw(st.text(max_size=4))
    changed = sealed[:cut] + put + sealed[cut + data.draw(st.integers(0, 4)) :]
    if changed != sealed:
        with pytest.raises(SealBroken):
            RING.open(*PLACE, changed)


def test_a_seal_names_its_key_and_no_other_even_if_both_are_the_same() -> None:
    key = new_key()
    ring = KeyRing(pepper=key, cursor_key=key, state_key=key, data={"k1": key, "k2": key})
    sealed = ring.seal("k1", *PLACE, "plain")
    with pytest.raises(SealBroken):
        ring.open(*PLACE, sealed.replace(".k1.", ".k2."))


def test_a_key_that_is_not_at_hand_is_told_from_a_broken_seal() -> None:
    sealed = a_ring("k2").seal("k2", *PLACE, "plain")
    with pytest.raises(UnknownKey):
        RING.open(*PLACE, sealed)
    with pytest.raises(UnknownKey):
        RING.seal("k2", *PLACE, "plain")
    with pytest.raises(SealBroken) as caught:
        a_ring("k2").open(*PLACE, sealed)
    assert not isinstance(caught.value, UnknownKey)


def test_the_same_value_is_never_sealed_to_the_same_text() -> None:
    texts = {RING.seal("k1", *PLACE, "plain") for _ in range(100)}
    assert len(texts) == 100
    assert len({text.split(".")[2] for text in texts}) == 100
    assert all("plain" not in text for text in texts)


def test_a_ring_shows_no_key() -> None:
    assert repr(RING) == "KeyRing(k1)"


def test_a_key_is_wrapped_for_its_id_and_purpose_by_one_master_key() -> None:
    master, key = new_key(), new_key()
    wrapped = wrap(master, "k1", "data", key)
    assert unwrap(master, "k1", "data", wrapped) == key
    for key_id, purpose in (("k2", "data"), ("k1", "pepper")):
        with pytest.raises(SealBroken):
            unwrap(master, key_id, purpose, wrapped)  # type: ignore[arg-type]
    with pytest.raises(UnknownKey) as caught:
        unwrap(new_key(), "k1", "data", wrapped)
    assert caught.value.key_id == fingerprint(master)


def test_random_ids_have_their_prefix_and_differ() -> None:
    ids = {random_id("mcp_srv_") for _ in range(100)}
    assert len(ids) == 100
    assert all(one.startswith("mcp_srv_") and len(one) == 40 for one in ids)
