"""What people copy passes a token by the environment or a file, or says that others can read it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from crossdock.client.setups import TOKEN_PLACE, Target, setup, setups

pytestmark = pytest.mark.requirement("clients:stdio:npx")
ROOT = Path(__file__).parents[2]
URL = "https://gw.example.com/mcp/cdm_" + "4" * 49
CLIENTS = [one.client for one in setups(Target(url=URL))]
WARNING = "others on this machine can read the URL"


def of_processes(value: object) -> list[list[str]]:
    """Return every command with its arguments in a settings file."""
    if isinstance(value, dict):
        own = [[value["command"], *value.get("args", [])]] if "command" in value else []
        return own + [one for inner in value.values() for one in of_processes(inner)]
    return []


def words_of(text: str) -> list[str]:
    """Return a shell's command line without what it puts into the environment."""
    words = shlex.split(text)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words


@pytest.mark.parametrize("second_factor", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_no_set_up_puts_a_token_on_a_command_line_in_silence(
    client: str, second_factor: bool
) -> None:
    made = setup(client, Target(url=URL, name="shop", second_factor=second_factor))
    secrets = (URL, TOKEN_PLACE)
    for snippet in made.snippets:
        if snippet.text.startswith("{"):
            for command in of_processes(json.loads(snippet.text)):
                assert not any(secret in word for secret in secrets for word in command)
        elif snippet.text != URL and not snippet.text.startswith("["):
            seen = [word for word in words_of(snippet.text) if any(one in word for one in secrets)]
            assert not seen or WARNING in snippet.where
            assert "npx" not in words_of(snippet.text) or not seen
    if made.link is not None:
        query = parse_qs(urlsplit(made.link[1]).query)
        assert not any(URL in word for word in query.get("arg", []))


def test_no_document_shows_npx_with_a_token_as_an_argument() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("server/**/*.md"), *ROOT.glob("adapters/*.md")]:
        for block in re.findall(r"(?:npx -y|\"npx\")[^`\n]*", path.read_text("utf-8")):
            arguments = re.sub(r'"env": *\{[^}]*\}', "", block)
            assert not re.search(r"\bURL\b|cdm_", arguments), f"{path.name}: {block}"
