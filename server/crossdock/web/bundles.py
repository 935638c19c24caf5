"""The bridge for hosts that only start programs, packed in memory from the files beside this one.

An npm tarball, so that `npx -y <origin>/connect.tgz` runs it, and an MCP bundle for Claude Desktop.
Both are the same for everyone and byte for byte reproducible: neither holds a URL or a token.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from crossdock import __version__
from crossdock.model import Struct

ASSETS = Path(__file__).parent / "assets"
_ABOUT = "Connects a local MCP host to a crossdock gateway: stdio to HTTP, both protocol eras."
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name
_README = f"""# crossdock-connect

{_ABOUT}

    CROSSDOCK_URL=https://<gateway>/mcp/<token> npx -y https://<gateway>/connect.tgz
"""


class Bundle(Struct, frozen=True, kw_only=True):
    """A file to hand out. `tag` changes when the content does; `digest` is its SHA-512, base64."""

    name: str
    kind: str
    content: bytes
    tag: str
    digest: str

    @property
    def integrity(self) -> str:
        """The digest as npm's locks hold it."""
        return f"sha512-{self.digest}"


@cache
def npm_tarball() -> Bundle:
    """Return the bridge as an npm package."""
    package = {
        "name": "crossdock-connect",
        "version": __version__,
        "description": _ABOUT,
        "license": "Apache-2.0",
        "type": "module",
        "bin": {"crossdock-connect": "connect.mjs"},
        "engines": {"node": ">=18"},
    }
    files = {"package.json": _json(package), "README.md": _README.encode(), **_sources()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            entry.mode = 0o755 if name == "connect.mjs" else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return _bundle("connect.tgz", "application/gzip", gzip.compress(packed.getvalue(), mtime=0))


@cache
def mcp_bundle() -> Bundle:
    """Return the bridge as a bundle that Claude Desktop installs, asking for the URL."""
    files = {"manifest.json": _json(_manifest())}
    files |= {f"server/{name}": content for name, content in _sources().items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return _bundle("connect.mcpb", "application/octet-stream", packed.getvalue())


def _manifest() -> dict[str, Any]:
    def secret(title: str, about: str, required: bool) -> dict[str, Any]:
        return {
            "type": "string",
            "title": title,
            "description": about,
            "sensitive": True,
            "required": required,
        }

    # By the environment, because arguments of a process are for everyone on the machine to see.
    environment = {
        "CROSSDOCK_URL": "${user_config.url}",
        "CROSSDOCK_API_TOKEN": "${user_config.api_token}",
    }
    return {
        "manifest_version": "0.3",
        "name": "crossdock-connect",
        "display_name": "crossdock",
        "version": __version__,
        "description": _ABOUT,
        "author": {"name": "crossdock"},
        "license": "Apache-2.0",
        "server": {
            "type": "node",
            "entry_point": "server/connect.mjs",
            "mcp_config": {
                "command": "node",
                "args": ["${__dirname}/server/connect.mjs"],
                "env": environment,
            },
        },
        "tools_generated": True,
        "user_config": {
            "url": secret("MCP URL", "https://<gateway>/mcp/<token>, as you were given it", True),
            "api_token": secret("API token", "Only if you were given one besides the URL", False),
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"node": ">=18"},
        },
    }


def _sources() -> dict[str, bytes]:
    names = ("connect.mjs", "bridge.mjs")
    texts = {name: (ASSETS / name).read_text(encoding="utf-8") for name in names}
    return {name: text.replace("@version@", __version__).encode() for name, text in texts.items()}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _bundle(name: str, kind: str, content: bytes) -> Bundle:
    return Bundle(
        name=name,
        kind=kind,
        content=content,
        tag=hashlib.sha256(content).hexdigest()[:32],
        digest=base64.b64encode(hashlib.sha512(content).digest()).decode(),
    )
