"""/openapi.json: a valid document, made of what is really there, and answers that keep to it."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from harness.running import Running

from crossdock.web.admin import ROUTES


@pytest.fixture
async def document(malomo_gateway: Running) -> dict[str, Any]:
    response = await malomo_gateway.request("GET", "/openapi.json", token=None)
    assert response.status == 200
    found: dict[str, Any] = response.json
    return found


@pytest.mark.requirement("admin:openapi:true")
async def test_every_route_of_the_table_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    described = {
        (verb.upper(), path)
        for path, operations in document["paths"].items()
        for verb in operations
    }
    assert described == {(route.verb, path) for route in ROUTES for path in route.paths}
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids))


async def test_every_reference_leads_somewhere_and_every_schema_is_valid(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                assert re.fullmatch(r"#/components/schemas/(.+)", part["$ref"])
                assert part["$ref"].rpartition("/")[2] in schemas
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(document)
    for schema in schemas.values():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )


async def test_bodies_refuse_what_they_do_not_know(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                name = schema["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name]["additionalProperties"] is False


async def test_credentials_are_described_as_write_only(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "Write-only" in schemas["NewAccount"]["properties"]["credentials"]["description"]
    shown = schemas["ShownCredential"]["properties"]
    assert set(shown) == {"set", "last4"}


async def test_answers_keep_to_the_document(
    malomo_gateway: Running, document: dict[str, Any]
) -> None:
    running = malomo_gateway
    server = await running.server(methods=["read"], allowed_ips=["127.0.0.1"])
    token = (await running.request("POST", "/api-token", {"name": "x", "role": "client"})).json
    running.canaries.issue(token["token"], "the client's token")
    for path, template, verb in (
        ("/integrated-account", "/integrated-account", "GET"),
        ("/integrated-account/shop", "/integrated-account/{id}", "GET"),
        ("/integrated-account/shop/tools", "/integrated-account/{id}/tools", "GET"),
        ("/integrated-account/shop/test", "/integrated-account/{id}/test", "POST"),
        ("/integrated-account/shop/mcp", "/integrated-account/{id}/mcp", "GET"),
        (
            f"/integrated-account/shop/mcp/{server.id}",
            "/integrated-account/{id}/mcp/{server_id}",
            "GET",
        ),
        ("/api-token", "/api-token", "GET"),
        (f"/api-token/{token['id']}", "/api-token/{id}", "GET"),
        ("/api-token/nobody", "/api-token/{id}", "GET"),
    ):
        response = await running.request(verb, path)
        described = document["paths"][template][verb.lower()]["responses"][str(response.status)]
        schema = described["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(response.json)
