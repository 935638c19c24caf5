"""What an adapter declares and does not code: schemes, hosts, bodies, answers, pages, on the wire."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from harness.guide import write
from harness.provider import Provider, raw, reply
from harness.running import MakeGateway, Running, Server
from harness.speaking import Called

pytestmark = pytest.mark.requirement("authors:declared")

PYTHON = """from crossdock.adapter import Outcome, UpstreamRequest, hookimpl, load_adapter


async def elsewhere(call, context):
    await context.send(UpstreamRequest(verb="GET", path="/x", host=call.mapper["host"]))
    return Outcome(data={})


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers={"plans.elsewhere": elsewhere})
"""
HEAD = """format = 1
name = "yard"
title = "Yard"
base_url = "https://api.yard.example/v2"
"""
KEY = """credentials.api_key = { about = "The key." }
[auth]
scheme = "bearer"
token = "{api_key}"
"""
HOSTS = """[hosts.files]
url = "https://files.yard.example"
[hosts.trusted]
url = "https://trusted.yard.example/deep"
sign = true
"""
SECRET = "yard-key-55c01fd2"
ID = '[path.id]\ntype = "string"\ndescription = "Its id."\n'
BODY = '[body.name]\ntype = "string"\ndescription = "Its name."\n'
TEXTS = "Do what this test wants it to do."


def _page(**blocks: str) -> str:
    return "\n".join(
        f"## {name}\n\n{TEXTS} {name}.\n\n```toml\n{b}```\n" for name, b in blocks.items()
    )


@pytest.fixture
def made(gateway: MakeGateway, tmp_path: Path, provider: Provider) -> Any:
    """Make an adapter of a part of adapter.toml and sections, with an account on the provider."""

    async def make(
        toml: str,
        *,
        head: str = HEAD + KEY,
        credentials: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
        **sections: str,
    ) -> tuple[Server, Running]:
        folder = tmp_path / "gateway-1" / "plugins" / "yard"
        write(
            folder,
            head + toml,
            {"plans.md": _page(**sections)},
            PYTHON
            if "elsewhere" in toml
            else PYTHON.replace('mappers={"plans.elsewhere": elsewhere}', ""),
        )
        account = {
            "integration": "yard",
            "settings": {"base_url": f"{provider.url}/v2", **(settings or {})},
            "credentials": {"api_key": SECRET} if credentials is None else credentials,
        }
        running = await gateway(adapters=["yard"], accounts={"shop": account})
        return await running.server(), running

    return make


# --- schemes ---------------------------------------------------------------------------------

GET = '[resources.plans.methods]\nget = "GET /plans/{id}"\n'
PLAN = "get_single_yard_plan_by_id"


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("auth", "credentials", "sent"),
    [
        ('scheme = "bearer"\ntoken = "v1.{api_key}"', {"api_key": SECRET}, f"Bearer v1.{SECRET}"),
        ('scheme = "bearer"\ntoken = "{other}"', {}, None),
        (
            'scheme = "basic"\nusername = "{api_key}"\npassword = ""',
            {"api_key": SECRET},
            _basic(f"{SECRET}:"),
        ),
        (
            'scheme = "basic"\nusername = "api"\npassword = "{api_key}"',
            {"api_key": SECRET},
            _basic(f"api:{SECRET}"),
        ),
        (
            'scheme = "basic"\nusername = "{api_key}"\npassword = "{other}"',
            {"api_key": SECRET},
            _basic(f"{SECRET}:"),
        ),
        (
            'scheme = "basic"\nusername = "{api_key}"\npassword = "{other}"',
            {"api_key": SECRET, "other": "other-8f31ab"},
            _basic(f"{SECRET}:other-8f31ab"),
        ),
    ],
)
async def test_a_scheme_is_filled_from_credentials_constants_and_nothing(
    made: Any, provider: Provider, auth: str, credentials: dict[str, str], sent: str | None
) -> None:
    head = HEAD + (
        "".join(
            f'credentials.{name} = {{ about = "It.", required = false }}\n'
            for name in ("api_key", "other")
            if f"{{{name}}}" in auth
        )
        + f"[auth]\n{auth}\n"
    )
    server, _ = await made(GET, head=head, credentials=credentials, **{PLAN: ID})
    await server.call(PLAN, {"id": "p1"})
    assert provider.requests[0].headers.get("authorization") == sent


@pytest.mark.parametrize("client", ["post", "basic"])
async def test_a_client_is_named_in_the_form_or_in_the_header(
    made: Any, provider: Provider, client: str
) -> None:
    head = HEAD + (
        'credentials.client_id = { about = "Id." }\n'
        'credentials.client_secret = { about = "Secret." }\n'
        'settings.token_url = { about = "Where tokens come from." }\n'
        '[auth]\nscheme = "oauth2_client_credentials"\ntoken_url = "https://login.example/t"\n'
        f'client = "{client}"\n'
    )
    provider.plays(reply({"access_token": "token-1f9c2b", "expires_in": 600}), reply({"id": 1}))
    server, _ = await made(
        GET,
        head=head,
        credentials={"client_id": "id:1", "client_secret": "secret é/90ab"},
        settings={"token_url": f"{provider.url}/token"},
        **{PLAN: ID},
    )
    await server.call(PLAN, {"id": "p1"})
    token, call = provider.requests
    fields = "client_id=id%3A1&client_secret=secret%20%C3%A9%2F90ab"
    header = token.headers.get("authorization")
    assert (fields in token.body.decode()) is (client == "post")
    assert header == (_basic("id%3A1:secret+%C3%A9%2F90ab") if client == "basic" else None)
    assert call.headers["authorization"] == "Bearer token-1f9c2b"


# --- hosts -----------------------------------------------------------------------------------

FILES = """[resources.plans.methods]
get = "GET files:/plans/{id}"
signed = { http = "GET trusted:/plans/{id}", effect = "read" }
elsewhere = { http = "POST /plans/elsewhere", effect = "read" }
"""
ELSEWHERE = '[mapper.host]\ntype = "string"\ndescription = "Which."\n'


async def test_another_host_gets_credentials_only_where_it_says_so(
    made: Any, provider: Provider
) -> None:
    settings = {"files_url": f"{provider.url}/f", "trusted_url": f"{provider.url}/t/"}
    server, _ = await made(
        FILES.join(["", HOSTS]),
        settings=settings,
        **{PLAN: ID, "yard_plans_signed": ID, "yard_plans_elsewhere": ELSEWHERE},
    )
    provider.plays(reply({}, 401), reply({}))
    refused = await server.call(PLAN, {"id": "p1"})
    assert refused.error["kind"] == "unauthenticated"
    await server.call("yard_plans_signed", {"id": "p1"})
    await server.call("yard_plans_elsewhere", {"host": "files"})
    plain, signed, mapped = provider.requests
    assert [one.path for one in provider.requests] == ["/f/plans/p1", "/t/plans/p1", "/f/x"]
    assert "authorization" not in plain.headers and SECRET not in str(plain)
    assert signed.headers["authorization"] == f"Bearer {SECRET}"
    assert "authorization" not in mapped.headers


async def test_an_undeclared_host_is_never_asked(made: Any, provider: Provider) -> None:
    server, running = await made(
        FILES.join(["", HOSTS]), **{PLAN: ID, "yard_plans_elsewhere": ELSEWHERE}
    )
    called = await server.call("yard_plans_elsewhere", {"host": "evil"})
    assert called.error["kind"] == "internal"
    assert "'evil' is not declared in [hosts]" in running.canaries.log_text()
    assert provider.requests == []


async def test_another_host_obeys_the_rules_for_addresses(made: Any, provider: Provider) -> None:
    settings = {"files_url": "http://169.254.169.254/latest"}
    server, _ = await made(FILES.join(["", HOSTS]), settings=settings, **{PLAN: ID})
    called = await server.call(PLAN, {"id": "p1"})
    assert called.error["kind"] == "upstream_unreachable"
    assert "is not inside [upstream] allow_private" in called.error["message"]


# --- bodies ----------------------------------------------------------------------------------


async def test_bodies_go_out_as_they_are_declared(made: Any, provider: Provider) -> None:
    toml = """[resources.plans.methods]
create = { http = "POST /plans", send = { wrap = "/plan", constants = { source = "api" } } }
form = { http = "POST /plans/form", send = { as = "form", wrap = "/plan" } }
upload = { http = "POST /plans/upload", send = { as = "multipart" } }
order = { http = "PUT /plans", send = { whole = "ids" } }
touch = { http = "POST /plans/touch", send = { as = "none" } }
"""
    file = '[body.file]\ntype = "string"\nfile = "p.pdf"\ncontentMediaType = "application/pdf"\n'
    ids = '[body.ids]\ntype = "array"\nitems = { type = "integer" }\ndescription = "Ids."\n'
    server, _ = await made(
        toml,
        create_a_yard_plan=BODY,
        yard_plans_form=BODY,
        yard_plans_upload=f'{BODY}{file}description = "It."\n',
        yard_plans_order=ids,
        yard_plans_touch=BODY,
    )
    await server.call("create_a_yard_plan", {"name": "n"})
    await server.call("yard_plans_form", {"name": "n"})
    await server.call("yard_plans_upload", {"name": "n", "file": "JVBERg=="})
    await server.call("yard_plans_order", {"ids": [3, 1]})
    await server.call("yard_plans_touch", {"name": "n"})
    refused = await server.call("yard_plans_upload", {"file": "not base64!"})
    assert refused.error["argument"] == "file"
    create, form, upload, order, touch = provider.requests
    assert create.json == {"plan": {"name": "n"}, "source": "api"}
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert form.body == b"plan%5Bname%5D=n"
    assert upload.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert (
        b'name="file"; filename="p.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF' in upload.body
    )
    assert order.json == [3, 1]
    assert touch.body == b""


# --- answers ---------------------------------------------------------------------------------

PDF = b"%PDF-1.7 \x00\xff"
BINARY = """[resources.plans.methods]
get = { http = "GET /plans/{id}", receive = { as = "binary", types = ["application/pdf", "image/*"] } }
any = { http = "GET /plans/{id}/any", effect = "read", receive = { as = "auto" } }
text = { http = "GET /plans/{id}/text", effect = "read", receive = { as = "text" } }
buy = { http = "POST /plans/{id}/buy", receive = { at = "/label/data", types = ["application/pdf"] } }
"""
ANY, TEXT, BUY = (f"yard_plans_{name}" for name in ("any", "text", "buy"))
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")


@pytest.fixture
async def plans(made: Any) -> Server:
    server, _ = await made(BINARY, **{PLAN: ID, ANY: ID, TEXT: ID, BUY: ID})
    return server


def _blocks(called: Called) -> list[Any]:
    assert not called.is_error, called.text
    return called.result["content"]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_pdf_arrives_as_a_resource_in_every_revision(
    plans: Server, provider: Provider, revision: str
) -> None:
    provider.plays(raw(PDF, kind="application/PDF; v=1"))
    (block,) = _blocks(await plans.call(PLAN, {"id": "p1"}, revision=revision))
    assert block == {
        "type": "resource",
        "resource": {
            "uri": "crossdock://yard/plans/p1",
            "mimeType": "application/pdf",
            "blob": base64.b64encode(PDF).decode(),
        },
    }
    assert provider.requests[0].headers["accept"] == "application/pdf, image/*"


@pytest.mark.parametrize("format", ["text", "structured", "both"])
async def test_bytes_stand_in_the_content_whatever_the_result_format(
    made: Any, provider: Provider, format: str
) -> None:
    _, running = await made(BINARY, **{PLAN: ID})
    server = await running.server(result_format=format)
    provider.plays(raw(b"\x89PNG", kind="image/png"))
    called = await server.call(PLAN, {"id": "p1"})
    assert _blocks(called) == [
        {"type": "image", "data": base64.b64encode(b"\x89PNG").decode(), "mimeType": "image/png"}
    ]
    assert "structuredContent" not in called.result


@pytest.mark.parametrize("revision", REVISIONS)
async def test_audio_arrives_in_every_revision(
    plans: Server, provider: Provider, revision: str
) -> None:
    provider.plays(raw(b"RIFF", kind="audio/wav"))
    (block,) = _blocks(await plans.call(ANY, {"id": "p1"}, revision=revision))
    told = block if block["type"] == "audio" else block["resource"]
    assert told["mimeType"] == "audio/wav"
    assert (told.get("data") or told.get("blob")) == base64.b64encode(b"RIFF").decode()


@pytest.mark.parametrize("kind", ["application/json", "application/zip", "text/plain", "text/html"])
async def test_another_type_than_was_declared_is_malformed(
    plans: Server, provider: Provider, kind: str
) -> None:
    provider.plays(raw(b"{}", kind=kind))
    called = await plans.call(PLAN, {"id": "p1"})
    assert called.error["kind"] == "upstream_malformed"


async def test_auto_goes_by_the_answers_type(plans: Server, provider: Provider) -> None:
    provider.plays(reply({"n": 10**20}), raw(b"a;b", kind="text/csv"), raw(b"x", kind="x/y"))
    assert (await plans.call(ANY, {"id": "p1"})).text == '{"n":100000000000000000000}'
    assert _blocks(await plans.call(ANY, {"id": "p1"})) == [{"type": "text", "text": "a;b"}]
    assert _blocks(await plans.call(ANY, {"id": "p1"}))[0]["resource"]["mimeType"] == "x/y"


async def test_text_is_read_in_its_charset_and_cut_to_the_budget(
    made: Any, provider: Provider
) -> None:
    _, running = await made(BINARY, **{TEXT: ID})
    server = await running.server(answer_tokens=500)
    provider.plays(
        raw("é".encode("latin-1"), kind="text/plain; charset=latin-1"),
        raw(b"\xff", kind="text/plain"),
        raw(b"x" * 5000, kind="text/plain"),
    )
    assert _blocks(await server.call(TEXT, {"id": "p1"})) == [{"type": "text", "text": "é"}]
    assert (await server.call(TEXT, {"id": "p1"})).error["kind"] == "upstream_malformed"
    long = await server.call(TEXT, {"id": "p1"})
    assert _blocks(long)[0]["text"] == "x" * 2000
    assert long.notes == ["These are the first 2,000 of 5,000 characters."]


async def test_base64_inside_json_becomes_a_block_beside_the_rest(
    plans: Server, provider: Provider
) -> None:
    label = base64.b64encode(PDF).decode()
    rest = {"n": 10**20, "label": {"kind": "pdf"}}
    provider.plays(
        reply({**rest, "label": {"data": label, "kind": "pdf"}}),
        reply({**rest, "label": {"data": f"data:application/pdf;base64,{label}", "kind": "pdf"}}),
        reply({**rest, "label": {"data": None}}),
        reply({**rest, "label": {"data": 1234}}),
    )
    for _ in range(2):
        text, block = _blocks(await plans.call(BUY, {"id": "p1"}))
        assert text["text"] == '{"n":100000000000000000000,"label":{"kind":"pdf"}}'
        assert block["resource"]["blob"] == label
        assert block["resource"]["mimeType"] == "application/pdf"
    assert (await plans.call(BUY, {"id": "p1"})).data["label"] == {"data": None}
    lost = await plans.call(BUY, {"id": "p1"})
    assert lost.error["kind"] == "write_outcome_unknown"


async def test_a_credential_in_a_text_answer_is_hidden(plans: Server, provider: Provider) -> None:
    provider.plays(raw(f"key={SECRET}".encode(), kind="text/plain"))
    assert SECRET not in (await plans.call(TEXT, {"id": "p1"})).text


# --- answers that come later -----------------------------------------------------------------

JOBS = """[resources.jobs.methods]
plain = { http = "POST /jobs" }
create = { http = "POST /jobs", receive = { poll = { state = "/state", done = ["done", "true"], failed = ["error"], every = 0.01, seconds = 0.3 } } }
"""
JOB, PLAIN = "create_a_yard_job", "yard_jobs_plain"


@pytest.fixture
async def jobs(made: Any) -> Server:
    server, _ = await made(JOBS + HOSTS, **{JOB: BODY, PLAIN: BODY})
    return server


def _accepted(location: str, body: Any = None) -> Any:
    return reply({"id": 7} if body is None else body, 202, Location=location)


@pytest.mark.parametrize("location", ["/jobs/7?x=1", "jobs/7?x=1", "{url}/jobs/7?x=1"])
async def test_what_was_accepted_is_read_until_it_is_done(
    jobs: Server, provider: Provider, location: str
) -> None:
    provider.plays(
        _accepted(location.format(url=provider.url)),
        reply({"state": "busy"}),
        reply({"state": "busy"}),
        reply({"state": "done", "n": 10**20}),
    )
    called = await jobs.call(JOB, {"name": "n"})
    assert called.text == '{"state":"done","n":100000000000000000000}'
    post, *reads = provider.requests
    assert [one.method for one in provider.requests] == ["POST", "GET", "GET", "GET"]
    prefix = "/v2" if location.startswith("jobs") else ""
    assert {one.target for one in reads} == {f"{prefix}/jobs/7?x=1"}
    assert reads[0].headers["authorization"] == post.headers["authorization"]


async def test_what_is_not_done_in_time_is_told_with_its_location(
    jobs: Server, provider: Provider
) -> None:
    provider.plays(_accepted("/jobs/7"), reply({"state": "busy"}))
    called = await jobs.call(JOB, {"name": "n"})
    assert called.data == {"location": "/jobs/7", "id": 7}
    assert "not done after 0.3 s (busy)" in called.notes[0]
    assert [one.method for one in provider.requests].count("POST") == 1


async def test_without_poll_the_location_is_the_answer(jobs: Server, provider: Provider) -> None:
    provider.plays(_accepted("/jobs/7"))
    called = await jobs.call(PLAIN, {"name": "n"})
    assert called.data == {"location": "/jobs/7", "id": 7}
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "location", ["https://evil.example/jobs/7", "https://[", "//evil.example/"]
)
async def test_a_location_on_a_foreign_host_is_told_and_never_read(
    jobs: Server, provider: Provider, location: str
) -> None:
    provider.plays(_accepted(location))
    called = await jobs.call(JOB, {"name": "n"})
    assert called.data["location"] == location
    assert "never asked" in called.notes[0]
    assert len(provider.requests) == 1


async def test_a_wait_that_fails_leaves_the_location(jobs: Server, provider: Provider) -> None:
    provider.plays(_accepted("/jobs/7"), reply({"message": "sorry"}, 500))
    called = await jobs.call(JOB, {"name": "n"})
    assert called.data["location"] == "/jobs/7"
    assert "sorry" in called.notes[0]
    assert [one.method for one in provider.requests] == ["POST", "GET"]


async def test_what_was_accepted_and_failed_is_no_success(jobs: Server, provider: Provider) -> None:
    provider.plays(_accepted("/jobs/7"), reply({"state": "error", "why": "no ink"}))
    called = await jobs.call(JOB, {"name": "n"})
    assert called.error["kind"] == "write_not_verified"
    assert called.error["seen"]["why"] == "no ink"


# --- pages -----------------------------------------------------------------------------------


async def test_a_list_by_next_url_keeps_its_filters(made: Any, provider: Provider) -> None:
    toml = """[paging]
style = "next_url"
items = "/rows"
ask = { limit = "n" }
tell = { next = "/next" }
[resources.plans.methods]
list = "GET /plans"
"""
    colour = '[query.colour]\ntype = "string"\ndescription = "Its colour."\n'
    server, _ = await made(toml, list_all_yard_plans=colour)
    rows = [{"id": n} for n in range(3)]
    provider.plays(reply({"rows": rows, "next": f"{provider.url}/v2/plans?at=3"}))
    first = (await server.call("list_all_yard_plans", {"colour": "red", "limit": 3})).data
    provider.plays(reply({"rows": rows[:1], "next": None}))
    again = {"colour": "red", "limit": 1, "next_cursor": first["next_cursor"]}
    second = (await server.call("list_all_yard_plans", again)).data
    assert second["next_cursor"] is None
    assert [one.target for one in provider.requests] == ["/v2/plans?colour=red&n=3&at=3"]
