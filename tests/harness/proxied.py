"""A real nginx with the configuration that is shipped, in front of a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness.engines import program
from harness.parts import Part
from harness.ports import accepts, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_GATEWAY = "server 127.0.0.1:8787 max_fails=0;"
SHIPPED = Path(__file__).resolve().parents[2] / "server" / "deploy" / "nginx.conf"
_AROUND = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {errors};
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/crossdock.conf;
}}
"""


class Nginx:
    """nginx on this machine: where it listens, and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        self.plain_url = f"http://localhost:{self.plain_port}"
        self.certificate = folder / "fullchain.pem"
        _make_certificate(self.certificate, folder / "privkey.pem")

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client must trust."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def logs(self) -> str:
        """Everything that nginx has logged."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(self.folder.glob("*.log"))
        )

    @contextlib.asynccontextmanager
    async def in_front_of(self, gateway_url: str) -> AsyncIterator[None]:
        """Run in front of a gateway."""
        _write(
            self.folder,
            {
                _GATEWAY: _GATEWAY.replace("127.0.0.1:8787", gateway_url.removeprefix("http://")),
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
                "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
                "/etc/ssl/crossdock/": f"{self.folder}/",
            },
            errors=f"{self.folder}/start.log emerg",
        )
        process = await asyncio.create_subprocess_exec(
            program("nginx"),
            "-p",
            str(self.folder),
            "-c",
            "nginx.conf",
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await self._ready(process)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.communicate()

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        listening = asyncio.create_task(accepts(self.port))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((listening, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if process.returncode is not None:
            listening.cancel()
            _, complaint = await process.communicate()
            raise AssertionError(f"nginx did not start: {complaint.decode()}")
        await listening


class Front(Part):
    """nginx in front of several gateways, each request to the next one; over plain http."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        nodes = (_GATEWAY.replace("8787", str(port)) for port in ports)
        _write(
            folder,
            {
                _GATEWAY: "\n    ".join(nodes),
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port};",
                "listen 80;": f"listen 127.0.0.1:{free_port()};",
                "    ssl_": "    # ssl_",
            },
            errors="stderr notice",
        )
        super().__init__(
            "nginx",
            [program("nginx"), "-p", str(folder), "-c", "nginx.conf"],
            ready="start worker process ",
            folder=folder,
        )

    @property
    def passed(self) -> list[str]:
        """What it wrote into its access log."""
        return (self.folder / "crossdock-access.log").read_text(encoding="utf-8").splitlines()


def _write(folder: Path, changes: Mapping[str, str], *, errors: str) -> None:
    """Write the shipped configuration with what is different here, and what goes around it."""
    text = SHIPPED.read_text(encoding="utf-8")
    common = {"gateway.example.com": "localhost", "/var/log/nginx/": f"{folder}/"}
    for shipped, here in {**changes, **common}.items():
        assert shipped in text, f"{SHIPPED.name} has no {shipped!r} any more"
        text = text.replace(shipped, here)
    user = "user root;" if os.geteuid() == 0 else ""
    around = _AROUND.format(folder=folder, user=user, errors=errors)
    (folder / "crossdock.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(around, encoding="utf-8")


def _make_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
