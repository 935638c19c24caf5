"""`crossdock new-adapter`: from an empty folder to green, and from an OpenAPI document to drafts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ENVIRONMENT = {key: one for key, one in os.environ.items() if not key.startswith("CROSSDOCK_")}
OPERATION = {"summary": "Do something that is useful.", "responses": {"200": {"description": "ok"}}}


def crossdock(*words: str, cwd: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "crossdock", *words],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def pytest_in(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def drafted(folder: Path, document: Any, name: str = "pets") -> dict[str, Any]:
    source = folder / "api.json"
    source.write_text(
        document if isinstance(document, str) else json.dumps(document), encoding="utf-8"
    )
    code, said, complaint = crossdock(
        "new-adapter", name, "--from-openapi", str(source), "--json", cwd=folder
    )
    assert code == 0, complaint
    made: dict[str, Any] = json.loads(said)
    return made


def api(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {
        "openapi": version,
        "info": {"title": "Pets", "version": "1"},
        "servers": [{"url": "https://api.pets.example/v2"}],
        "paths": paths,
        **more,
    }


def body(media: str, schema: Any) -> dict[str, Any]:
    return {**OPERATION, "requestBody": {"content": {media: {"schema": schema}}}}


@pytest.mark.e2e
def test_from_an_empty_folder_to_green(tmp_path: Path) -> None:
    code, said, _ = crossdock("new-adapter", "tide_water", "--json", cwd=tmp_path)
    assert code == 0
    made = json.loads(said)
    folder = tmp_path / made["folder"]
    assert (folder.name, made["package"]) == ("crossdock-tide_water", "crossdock_tide_water")
    assert {
        "pyproject.toml", "README.md", ".github/workflows/ci.yml", "tests/test_contract.py",
        "tests/examples.toml", "crossdock_tide_water/__init__.py",
        "crossdock_tide_water/adapter.toml", "crossdock_tide_water/sandbox.py",
    } <= set(made["files"])  # fmt: skip
    assert all((folder / file).is_file() for file in made["files"])
    code, said, complaint = crossdock("check", ".", cwd=folder)
    assert code == 0, said + complaint
    assert "passed" in pytest_in(folder)


def test_the_ci_file_runs_both_ends_of_the_range_and_publishes_only_the_tagged_version(
    tmp_path: Path,
) -> None:
    assert crossdock("new-adapter", "tidewater", cwd=tmp_path)[0] == 0
    folder = tmp_path / "crossdock-tidewater"
    jobs = yaml.safe_load((folder / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    supported = SpecifierSet(project["dependencies"][0].removeprefix("crossdock"))
    (lowest,) = (one.version for one in supported if one.operator == ">=")
    (border,) = (one.version for one in supported if one.operator == "<")
    released = ["0.0.1", f"{lowest}.0", f"{lowest}.3", f"{lowest}.11", border]
    ends = [
        [*(supported & SpecifierSet(one)).filter(released)][-1]
        for one in jobs["test"]["strategy"]["matrix"]["crossdock"]
    ]
    assert ends == [f"{lowest}.0", f"{lowest}.11"]
    publish = jobs["publish"]
    assert (publish["needs"], publish["permissions"]) == ("test", {"id-token": "write"})
    guards = [one["run"] for one in publish["steps"] if one.get("run", "").startswith("grep")]
    for guard in guards:
        codes = [
            subprocess.run(
                ["sh", "-c", guard],
                check=False,
                cwd=folder,
                capture_output=True,
                env={**ENVIRONMENT, "GITHUB_REF_NAME": tag},
            ).returncode
            for tag in (f"v{project['version']}", "v0.1.1")
        ]
        assert codes == [0, 1], guard
    assert len(guards) == 2


def test_an_existing_folder_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "crossdock-tidewater").mkdir()
    code, _, complaint = crossdock("new-adapter", "tidewater", cwd=tmp_path)
    assert code == 1
    assert "crossdock-tidewater exists" in complaint
    assert [*(tmp_path / "crossdock-tidewater").iterdir()] == []
    code, _, complaint = crossdock("new-adapter", "Tide-Water", cwd=tmp_path)
    assert code == 2
    assert "[a-z][a-z0-9_]*" in complaint
    code, _, _ = crossdock("new-adapter", "tidewater", "--into", "else/where", cwd=tmp_path)
    assert code == 0
    assert (tmp_path / "else/where/crossdock-tidewater/pyproject.toml").is_file()


DOCUMENT = """
openapi: 3.0.3
info: {title: 'Pet "Shop"', version: "1"}
servers: [{url: "https://api.pets.example/v2"}]
security: [{key: []}]
paths:
  /pets:
    parameters:
      - {name: X-Trace, in: header, schema: {type: string}}
    get:
      summary: List pets
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
        - {name: petTypes, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: "filter[bornAfter]", in: query, schema: {type: string, format: date}, example: 2020-01-01}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}
    post:
      summary: Add a pet to the shop.
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
      responses: {"201": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
  /pets/{petId}:
    parameters:
      - $ref: "#/components/parameters/PetId"
    get:
      description: Read one pet by its id.
      responses: {200: {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    put:
      description: Change one pet by its id.
      requestBody: {content: {application/json: {schema: {type: object, properties: {petId: {type: string}, name: {type: string, nullable: true}}}}}}
      responses: {200: {description: ok}}
    delete: {responses: {204: {description: gone}}}
  /pets/{petId}/label:
    get:
      summary: The label of a pet as a PDF.
      parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
      responses: {200: {description: ok, content: {application/pdf: {schema: {type: string, format: binary}}}}}
  /pets/{petId}/treat:
    post:
      summary: Treat a pet with something nice.
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: {type: object, required: [kind], properties: {kind: {type: string}, grams: {type: integer, minimum: 0, exclusiveMinimum: true}}}
      responses: {200: {description: ok}}
components:
  parameters:
    PetId: {name: petId, in: path, required: true, description: "The pet's id.", schema: {type: string}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
  schemas:
    NewPet:
      allOf:
        - {type: object, required: [name], properties: {name: {type: string, minLength: 1}, id: {type: string, readOnly: true}}}
        - {type: object, properties: {birthDate: {type: string, format: date}, tags: {type: array, items: {type: string}}}}
    Pet: {allOf: [{$ref: "#/components/schemas/NewPet"}, {type: object, properties: {id: {type: string}}}]}
"""


@pytest.mark.e2e
def test_a_document_becomes_drafts_that_are_green_at_once(tmp_path: Path) -> None:
    made = drafted(tmp_path, DOCUMENT)
    assert {one["endpoint"]: one["tool"] for one in made["tools"]} == {
        "GET /pets": "list_all_pets_pets",
        "POST /pets": "create_a_pets_pet",
        "GET /pets/{petId}": "get_single_pets_pet_by_id",
        "PUT /pets/{petId}": "update_a_pets_pet_by_id",
        "GET /pets/{petId}/label": "pets_pets_label_show",
        "POST /pets/{petId}/treat": "pets_pets_treat",
    }
    (lost,) = made["withheld"]
    assert lost["endpoint"] == "DELETE /pets/{petId}"
    folder = tmp_path / made["folder"]
    told = (folder / "IMPORT.md").read_text(encoding="utf-8")
    for one in [*made["tools"], *made["withheld"]]:
        assert f"| `{one['endpoint']}` |" in told
    declared = tomllib.loads((folder / "crossdock_pets" / "adapter.toml").read_text("utf-8"))
    assert declared["auth"] == {"scheme": "api_key", "header": "X-Key", "format": "{api_key}"}
    page = (folder / "crossdock_pets" / "docs" / "pets.md").read_text(encoding="utf-8")
    assert 'name = "filter[bornAfter]"' in page
    assert 'description = "Birth date."' in page
    assert 'examples = ["2020-01-01"]' in page
    assert "readOnly" not in page
    code, said, complaint = crossdock("check", ".", cwd=folder)
    assert code == 0, said + complaint
    assert "passed" in pytest_in(folder)


NODE = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}},
}
WITHHELD: dict[str, tuple[dict[str, Any], str]] = {
    "no text": ({"get": {"responses": {}}}, "no text"),
    "XML": ({"post": body("application/xml", {"type": "object"})}, "application/xml"),
    "cookie": ({"get": {**OPERATION, "parameters": [{"name": "sid", "in": "cookie"}]}}, "cookie"),
    "HEAD": ({"head": OPERATION}, "HEAD"),
    "recursive": ({"post": body("application/json", {"$ref": "#/components/schemas/Node"})}, "recursive"),
    "choice": ({"post": body("application/json", {"oneOf": [{"type": "object"}, {"type": "array"}]})}, "oneOf"),
    "remote": ({"post": body("application/json", {"$ref": "other.yaml#/Pet"})}, "remote $ref"),
    "remote path": ({"$ref": "https://example.com/api.yaml#/x"}, "remote $ref"),
    "nowhere": ({"post": body("application/json", {"$ref": "#/components/schemas/None"})}, "nothing"),
    "header": (
        {"get": {**OPERATION, "parameters": [{"name": "X-Must", "in": "header", "required": True, "schema": {"type": "string"}}]}},
        "header",
    ),
    "deep": (
        {"get": {**OPERATION, "parameters": [{"name": "f", "in": "query", "style": "deepObject", "schema": {"type": "object"}}]}},
        "deepObject",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WITHHELD)
def test_what_cannot_be_drafted_is_withheld_with_the_reason(tmp_path: Path, case: str) -> None:
    item, reason = WITHHELD[case]
    paths = {"/pets": {"get": OPERATION}, "/odd": item}
    made = drafted(tmp_path, api(paths, components={"schemas": {"Node": NODE}}))
    assert [one["endpoint"] for one in made["tools"]] == ["GET /pets"]
    (lost,) = made["withheld"]
    assert lost["endpoint"].endswith("/odd")
    assert reason in lost["reason"]


def test_names_that_are_too_long_are_withheld_and_none_comes_twice(tmp_path: Path) -> None:
    long = "/" + "/".join(["segment"] * 9)
    paths = {
        long: {"get": OPERATION},
        "/pets/{petId}": {"get": OPERATION, "put": OPERATION, "patch": OPERATION},
        "/pets/{pet-id}": {"get": OPERATION},
        "/Pets/{id}": {"get": OPERATION},
        "/größe/{größe}": {"get": OPERATION},
    }
    made = drafted(tmp_path, api(paths))
    (lost,) = made["withheld"]
    assert lost["endpoint"] == f"GET {long}"
    names = [one["tool"] for one in made["tools"]]
    assert len(names) == len(set(names)) == 6
    code, said, complaint = crossdock("check", made["folder"] + "/", cwd=tmp_path)
    assert code == 0, said + complaint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"swagger": "2.0", "paths": {}}', "Swagger 2.0"),
        ("[1, 2", "neither JSON nor YAML"),
        ("just words", "no OpenAPI 3"),
        ('{"openapi": "4.0.0", "paths": {}}', "no OpenAPI 3"),
    ],
)
def test_what_is_no_openapi_3_leaves_nothing_behind(tmp_path: Path, text: str, why: str) -> None:
    source = tmp_path / "api.yaml"
    source.write_text(text, encoding="utf-8")
    code, said, complaint = crossdock(
        "new-adapter", "pets", "--from-openapi", str(source), cwd=tmp_path
    )
    assert (code, said) == (1, "")
    assert why in complaint
    assert [one.name for one in tmp_path.iterdir()] == ["api.yaml"]
