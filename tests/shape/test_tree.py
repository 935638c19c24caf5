"""The repository holds what its readers expect, where they expect it, and nothing of a machine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

AT_THE_ROOT = {
    "LICENSE",
    "README.md",
    "adapters",
    "config.toml",
    "dev.py",
    "plugins",
    "pyproject.toml",
    "server",
    "tests",
}
VAGUE = {"base", "common", "helpers", "manager", "misc", "shared", "util", "utils"}

# The hosts of package registries, as SHA-256 so that this file does not name them either.
REGISTRIES = {
    "a4aa2ac280bb8d1a0ce7a1be5a7bfb10292b49fe9435ad5cff19f421f3c70e41",
    "8b5bb5eb9d758455b8635855cf8aaf05b68775e3f83f0291e800ef338fb9783c",
    "8743857e3ea00fd1c64bbc68b8af241954ad2c285e7a60340eec7ea5dcb200db",
    "e680c440a2e92079ab1bf7a927e8d3920f1bcd173c0487e28e020110b2e59efc",
    "2e97613f5a81eaa4f8a58f552a005713c0c8f333e026efb7771ad28429532374",
}
HOST = re.compile(r"(?<![\w.@-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?![\w-])", re.IGNORECASE)
A_HOME = re.compile(r"(?<![\w.])/(?:root|work)/")


def test_the_root_holds_nothing_but_what_was_agreed(files: list[Path]) -> None:
    shown = {path.parts[0] for path in files if not path.parts[0].startswith(".")}
    assert shown == AT_THE_ROOT


def test_no_module_has_a_name_that_says_nothing(files: list[Path]) -> None:
    vague = [str(path) for path in files if path.suffix == ".py" and path.stem in VAGUE]
    assert vague == []


def test_test_folders_are_no_packages(files: list[Path]) -> None:
    # The suite's fixture plugin is a package because plugins are.
    tests = [p for p in files if "tests" in p.parts and p.parent.name != "fixture"]
    packages = [str(p) for p in tests if p.name == "__init__.py"]
    assert packages == []


def test_source_roots_are_no_packages(files: list[Path]) -> None:
    roots = {Path("server"), Path("adapters"), Path("plugins")}
    assert [p for p in files if p.name == "__init__.py" and p.parent in roots] == []


def test_no_file_names_the_host_of_a_package_registry(texts: dict[Path, str]) -> None:
    named = {
        f"{path}: {host}"
        for path, text in texts.items()
        for host in set(HOST.findall(text))
        if _digests(host) & REGISTRIES
    }
    assert named == set()


def _digests(host: str) -> set[str]:
    """Digest the host and every domain it lies in."""
    labels = host.lower().split(".")
    domains = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return {hashlib.sha256(domain.encode()).hexdigest() for domain in domains}


def test_no_file_names_a_path_of_the_machine_it_was_made_on(
    root: Path, texts: dict[Path, str]
) -> None:
    here = [f"{place}/" for place in (root, Path.home()) if len(place.parts) > 1]
    named = [
        f"{path}:{number}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if A_HOME.search(line) or any(place in line for place in here)
    ]
    assert named == []


def test_links_between_documents_lead_somewhere(root: Path, texts: dict[Path, str]) -> None:
    link = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
    broken = [
        f"{path}: {target}"
        for path, text in texts.items()
        if path.suffix == ".md"
        for target in link.findall(text)
        if not (root / path.parent / target).exists()
    ]
    assert broken == []
