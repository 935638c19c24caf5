"""Asking the human: requests of ours in older revisions, input_required in the newest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.patience import until
from harness.running import Clock, Running, Server
from harness.speaking import LEGACY, META, MODERN, Called
from harness.streaming import Talk

CAN = {META + "clientCapabilities": {"elicitation": {}}}
ASK = "talker_things_ask"
WRITE = "talker_things_ask_and_write"
ACCEPT = {"action": "accept", "content": {"name": "Ann"}}


async def _call(
    server: Server,
    tool: str,
    arguments: Any = None,
    *,
    can: Any = None,
    state: Any = None,
    answers: Any = None,
) -> Any:
    params: dict[str, Any] = {"name": tool, "arguments": arguments or {}}
    params["_meta"] = CAN if can is None else {META + "clientCapabilities": can}
    if state is not None:
        params["requestState"] = state
    if answers is not None:
        params["inputResponses"] = answers
    return await server.send("tools/call", params)


def _asked(response: Any) -> tuple[dict[str, Any], str]:
    result = response.result
    assert result["resultType"] == "input_required"
    assert "ttlMs" not in result
    return result["inputRequests"], result["requestState"]


def _data(response: Any) -> Any:
    assert response.result["resultType"] == "complete"
    return Called(response, response.result).data


# --- the newest revision ---------------------------------------------------------------------


@pytest.mark.requirement("mcp2026:ask:input-required")
async def test_the_question_is_the_result_and_the_call_comes_again_with_the_answer(
    server: Server,
) -> None:
    questions, state = _asked(await _call(server, ASK))
    assert questions == {
        "name": {
            "method": "elicitation/create",
            "params": {
                "message": "Who are you?",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"],
                },
            },
        }
    }
    answered = await _call(server, ASK, state=state, answers={"name": ACCEPT})
    assert _data(answered) == {"action": "accept", "name": "Ann"}


@pytest.mark.requirement("mcp2026:ask:input-required")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_human_may_say_no(server: Server, action: str) -> None:
    _, state = _asked(await _call(server, ASK))
    answered = await _call(server, ASK, state=state, answers={"name": {"action": action}})
    assert _data(answered) == {"action": action}


@pytest.mark.requirement("mcp2026:ask:input-required")
@pytest.mark.parametrize(
    "answers",
    [
        None,
        {},
        {"other": ACCEPT},
        {"name": None},
        {"name": "yes"},
        {"name": {"action": "maybe"}},
        {"name": {"content": {"name": "Ann"}}},
        {"name": {"action": "accept", "content": "Ann"}},
    ],
)
async def test_without_a_proper_answer_it_is_asked_again(server: Server, answers: Any) -> None:
    _, state = _asked(await _call(server, ASK))
    questions, again = _asked(await _call(server, ASK, state=state, answers=answers))
    assert set(questions) == {"name"}
    assert again != state
    answered = await _call(server, ASK, state=again, answers={"name": ACCEPT, "more": 1})
    assert _data(answered)["name"] == "Ann"


@pytest.mark.requirement("mcp2026:ask:input-required")
@pytest.mark.parametrize("answers", [[], "x", 3])
async def test_answers_that_are_no_object_are_refused(server: Server, answers: Any) -> None:
    _, state = _asked(await _call(server, ASK))
    response = await _call(server, ASK, state=state, answers=answers)
    assert response.error["code"] == -32602


@pytest.mark.requirement("mcp2026:ask:input-required")
async def test_an_answer_that_does_not_fit_the_form_is_named(server: Server) -> None:
    _, state = _asked(await _call(server, ASK))
    wrong = {"name": {"action": "accept", "content": {"name": 3}}}
    response = await _call(server, ASK, state=state, answers=wrong)
    assert Called(response, response.result).error["kind"] == "invalid_arguments"


@pytest.mark.requirement("mcp2026:ask:input-required")
async def test_two_rounds_keep_the_first_answer(server: Server) -> None:
    tool = "talker_things_ask_twice"
    questions, first = _asked(await _call(server, tool))
    assert set(questions) == {"first"}
    questions, second = _asked(await _call(server, tool, state=first, answers={"first": ACCEPT}))
    assert set(questions) == {"second"}
    bob = {"action": "accept", "content": {"name": "Bob"}}
    assert _data(await _call(server, tool, state=second, answers={"second": bob})) == ["Ann", "Bob"]


@pytest.mark.requirement("mcp2026:ask:input-required")
async def test_several_things_are_asked_at_once_and_only_what_is_missing_again(
    server: Server,
) -> None:
    can = {"elicitation": {"form": {}}, "roots": {}}
    tool = "talker_things_ask_all"
    questions, state = _asked(await _call(server, tool, can=can))
    assert {key: one["method"] for key, one in questions.items()} == {
        "who": "elicitation/create",
        "roots": "roots/list",
    }
    roots = {"roots": [{"uri": "file:///a"}]}
    answers = {"roots": roots}
    questions, state = _asked(await _call(server, tool, can=can, state=state, answers=answers))
    assert set(questions) == {"who"}
    answered = await _call(server, tool, can=can, state=state, answers={"who": ACCEPT})
    assert _data(answered) == {"who": ACCEPT, "roots": roots}


@pytest.mark.requirement("mcp2026:ask:state")
@pytest.mark.parametrize("change", ["first", "last", "cut", "more", "empty", "number", "null"])
async def test_a_state_that_was_changed_is_refused(server: Server, change: str) -> None:
    _, state = _asked(await _call(server, ASK))
    changed: dict[str, Any] = {
        "first": ("B" if state[0] == "A" else "A") + state[1:],
        "last": state[:-1] + ("B" if state[-1] == "A" else "A"),
        "cut": state[:-4],
        "more": state + "AAAA",
        "empty": "",
        "number": 7,
        "null": None,
    }
    params = {
        "name": ASK,
        "arguments": {},
        "requestState": changed[change],
        "inputResponses": {"name": ACCEPT},
        "_meta": CAN,
    }
    response = await server.send("tools/call", params)
    assert response.error["code"] == -32602
    assert "requestState" in response.error["message"]


@pytest.mark.requirement("mcp2026:ask:state")
async def test_a_state_is_of_one_server_one_tool_and_one_set_of_arguments(
    talking: Running, server: Server, provider: Any
) -> None:
    update = "update_a_talker_thing_by_id"
    asking = await talking.server(confirm="destructive")
    other = await talking.server(confirm="destructive")
    given = {"id": "a", "name": "x", "wipe": True}
    _, state = _asked(await _call(asking, update, given))
    agreed = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    for place, tool, arguments in (
        (other, update, given),
        (asking, "delete_a_talker_thing_by_id", {"id": "a"}),
        (asking, update, {**given, "id": "b"}),
        (asking, update, {"id": "a", "wipe": True}),
    ):
        response = await _call(place, tool, arguments, state=state, answers=agreed)
        assert response.error["code"] == -32602
    assert provider.requests == []
    reordered = {"wipe": True, "name": "x", "id": "a"}
    await _call(asking, update, reordered, state=state, answers=agreed)
    assert [one.method for one in provider.requests] == ["PUT"]


@pytest.mark.requirement("mcp2026:ask:state")
async def test_an_answer_counts_once(server: Server, provider: Any) -> None:
    _, state = _asked(await _call(server, WRITE))
    first = await _call(server, WRITE, state=state, answers={"name": ACCEPT})
    assert _data(first)["name"] == "Ann"
    again = await _call(server, WRITE, state=state, answers={"name": ACCEPT})
    assert again.error["code"] == -32602
    assert len(provider.requests) == 1


@pytest.mark.requirement("mcp2026:ask:state")
async def test_a_write_takes_no_answer_to_a_question_that_was_not_put(
    server: Server, provider: Any
) -> None:
    _asked(await _call(server, WRITE, answers={"name": ACCEPT}))
    assert provider.requests == []


@pytest.mark.requirement("mcp2026:ask:state")
async def test_a_question_does_not_wait_for_ever(
    gateway: Callable[..., Any], pages: Any, clock: Clock, provider: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"ask_seconds": 60.0}},
        clock=clock,
    )
    server = await running.server()
    _, state = _asked(await _call(server, ASK))
    clock.advance(seconds=61)
    response = await _call(server, ASK, state=state, answers={"name": ACCEPT})
    assert response.error["code"] == -32602


@pytest.mark.requirement("mcp:ask:cannot")
@pytest.mark.parametrize("can", [{}, {"sampling": {}}, {"elicitation": {"url": {}}}])
async def test_who_cannot_be_asked_is_told_which_capability_it_takes(
    server: Server, can: Any
) -> None:
    response = await _call(server, ASK, can=can)
    assert (response.status, response.error["code"]) == (400, -32021)
    assert response.error["data"] == {"requiredCapabilities": {"elicitation": {"form": {}}}}


@pytest.mark.requirement("mcp:ask:cannot")
async def test_an_answer_does_not_make_up_for_a_capability(server: Server) -> None:
    _, state = _asked(await _call(server, ASK))
    response = await _call(server, ASK, can={}, state=state, answers={"name": ACCEPT})
    assert (response.status, response.error["code"]) == (400, -32021)


@pytest.mark.requirement("mcp2026:ask:input-required")
async def test_a_mapper_that_asks_after_it_wrote_is_stopped(server: Server) -> None:
    response = await _call(server, "talker_things_write_and_ask")
    error = Called(response, response.result).error
    assert (error["kind"], error["cause"]) == ("write_outcome_unknown", "bad_tool_output")


# --- older revisions -------------------------------------------------------------------------


async def _answered(client: Talk, tool: str, reply: Any, arguments: Any = None) -> Any:
    async with client.call(tool, arguments, id="call") as stream:
        question = await stream.message()
        assert question["method"] == "elicitation/create"
        assert "id" in question
        assert await client.answer(question["id"], reply) == 202
        (answer,) = await stream.rest()
    assert answer["id"] == "call"
    return question["params"], json.loads(answer["result"]["content"][0]["text"])


@pytest.mark.requirement("mcp:ask:elicitation")
@pytest.mark.parametrize("revision", ["2025-11-25", "2025-06-18"])
@pytest.mark.parametrize("reply", [ACCEPT, {"action": "decline"}, {"action": "cancel"}])
async def test_an_older_client_is_asked_on_the_stream_of_its_call(
    talk: Callable[..., Any], revision: str, reply: Any
) -> None:
    client = await talk(revision, elicitation={})
    asked, data = await _answered(client, ASK, reply)
    assert asked["message"] == "Who are you?"
    assert asked["requestedSchema"]["required"] == ["name"]
    assert data == {"action": reply["action"], **reply.get("content", {})}


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_a_mapper_is_run_but_once_where_it_can_wait(
    talk: Callable[..., Any], provider: Any
) -> None:
    client = await talk("2025-11-25", elicitation={})
    _, data = await _answered(client, WRITE, ACCEPT)
    assert data["name"] == "Ann"
    assert len(provider.requests) == 1


@pytest.mark.requirement("mcp:ask:elicitation")
@pytest.mark.parametrize(
    "reply", [{"action": "maybe"}, "yes", None, {"action": "accept", "content": 3}]
)
async def test_an_older_answer_of_the_wrong_shape_is_named(
    talk: Callable[..., Any], reply: Any
) -> None:
    client = await talk("2025-11-25", elicitation={})
    _, data = await _answered(client, ASK, reply)
    assert data["error"]["kind"] == "invalid_arguments"


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_a_client_that_refuses_the_question_refuses_the_call(
    talk: Callable[..., Any], provider: Any
) -> None:
    client = await talk("2025-11-25", elicitation={})
    async with client.call(WRITE) as stream:
        question = await stream.message()
        error = {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no"}}
        await client.server.post(json.dumps(error).encode(), client.headers)
        (answer,) = await stream.rest()
    assert json.loads(answer["result"]["content"][0]["text"])["error"]["kind"] == "forbidden"
    assert provider.requests == []


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_only_the_client_that_was_asked_can_answer(talk: Callable[..., Any]) -> None:
    client, stranger = await talk("2025-11-25", elicitation={}), await talk("2025-11-25")
    async with client.call(ASK) as stream:
        question = await stream.message()
        assert await stranger.answer(question["id"], {"action": "decline"}) == 202
        await client.answer(question["id"], ACCEPT)
        (answer,) = await stream.rest()
    assert "Ann" in answer["result"]["content"][0]["text"]


@pytest.mark.requirement("mcp:ask:cannot")
@pytest.mark.parametrize(
    ("revision", "capabilities"),
    [
        ("2025-11-25", {}),
        ("2025-06-18", {"roots": {}}),
        ("2025-11-25", {"elicitation": {"url": {}}}),
        ("2025-03-26", {"elicitation": {}}),
        ("2024-11-05", {"elicitation": {}}),
    ],
)
async def test_an_older_client_that_cannot_be_asked_is_told_so_in_the_result(
    talk: Callable[..., Any], provider: Any, revision: str, capabilities: Any
) -> None:
    client = await talk(revision, **capabilities)
    async with client.call(WRITE) as stream:
        result = (await stream.response.json())["result"]
    error = json.loads(result["content"][0]["text"])["error"]
    assert result["isError"] is True
    assert error["kind"] == "forbidden"
    assert error["required_capabilities"] == {"elicitation": {"form": {}}}
    assert provider.requests == []


@pytest.mark.requirement("mcp:ask:cannot")
async def test_without_a_session_or_a_stream_nobody_can_be_asked(
    talk: Callable[..., Any], server: Server
) -> None:
    called = await server.call(ASK, {}, revision="2025-11-25")
    assert called.error["kind"] == "forbidden"
    client = await talk("2025-11-25", elicitation={})
    async with client.call(ASK, accept="application/json") as stream:
        assert (await stream.response.json())["result"]["isError"] is True


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_a_human_may_take_longer_than_a_call(
    gateway: Callable[..., Any], pages: Any, provider: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"read_seconds": 0.2, "ask_seconds": 0.6}},
    )
    server = await running.server()
    client = await Talk(running, server, "2025-11-25").initialize(elicitation={})
    async with client.call(ASK) as stream:
        question = await stream.message()
        (answer,) = await stream.rest()
    assert "0.6" in json.loads(answer["result"]["content"][0]["text"])["error"]["message"]
    assert await client.answer(question["id"], ACCEPT) == 202


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_the_question_waits_for_a_client_that_comes_back(talk: Callable[..., Any]) -> None:
    client = await talk("2025-11-25", elicitation={})
    async with client.call(ASK, id=3) as stream:
        while not (event := await stream.next()).data:
            pass
        stream.response.close()
    async with client.listen(event.id) as stream:
        await client.answer(event.message["id"], ACCEPT)
        (answer,) = await stream.rest()
    assert answer["id"] == 3


@pytest.mark.requirement("mcp:ask:elicitation")
async def test_a_session_that_ends_answers_nothing_any_more(
    talk: Callable[..., Any], talking: Running, provider: Any
) -> None:
    client = await talk("2025-06-18", elicitation={})
    async with client.call(WRITE) as stream:
        await stream.message()
        await client.server.request("DELETE", client.server.url, headers=client.headers)
        await stream.rest()
    await until(lambda: talking.gateway.calls.running == 0)
    assert provider.requests == []


# --- before something is destroyed -----------------------------------------------------------

ASKED = [
    ("delete_a_talker_thing_by_id", {"id": "a"}, True),
    ("talker_things_purge", {}, True),
    ("talker_things_touch", {}, True),
    ("talker_things_reset", {}, False),
    ("update_a_talker_thing_by_id", {"id": "a", "name": "x"}, False),
    ("update_a_talker_thing_by_id", {"id": "a", "erase": []}, False),
    ("update_a_talker_thing_by_id", {"id": "a", "wipe": False}, False),
    ("update_a_talker_thing_by_id", {"id": "a", "erase": ["b"]}, True),
    ("update_a_talker_thing_by_id", {"id": "a", "wipe": True}, True),
    ("talker_things_hold", {}, False),
]


@pytest.mark.requirement("server:confirm:destructive")
@pytest.mark.parametrize(("tool", "arguments", "asked"), ASKED)
async def test_a_server_may_ask_before_something_is_destroyed(
    talking: Running, provider: Any, tool: str, arguments: Any, asked: bool
) -> None:
    plain, careful = await talking.server(), await talking.server(confirm="destructive")
    assert _data(await _call(plain, tool, arguments)) is not None
    sent = len(provider.requests)
    assert sent == 1
    first = await _call(careful, tool, arguments)
    if not asked:
        assert _data(first) is not None
        return
    assert len(provider.requests) == sent
    questions, state = _asked(first)
    message = questions["confirm"]["params"]["message"]
    assert all(str(value) in message for value in arguments.values() if isinstance(value, str))
    agreed = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    assert _data(await _call(careful, tool, arguments, state=state, answers=agreed)) is not None
    assert len(provider.requests) == sent + 1


@pytest.mark.requirement("server:confirm:destructive")
@pytest.mark.parametrize(
    "reply",
    [
        {"action": "decline"},
        {"action": "cancel"},
        {"action": "accept"},
        {"action": "accept", "content": {"confirm": False}},
        {"action": "accept", "content": {"confirm": "true"}},
    ],
)
async def test_whatever_is_not_agreement_is_none(
    talking: Running, provider: Any, reply: Any, talk: Callable[..., Any]
) -> None:
    careful = await talking.server(confirm="destructive")
    tool, arguments = "delete_a_talker_thing_by_id", {"id": "a"}
    _, state = _asked(await _call(careful, tool, arguments))
    response = await _call(careful, tool, arguments, state=state, answers={"confirm": reply})
    assert Called(response, response.result).error["kind"] == "forbidden"
    old = await Talk(talking, careful, "2025-11-25").initialize(elicitation={})
    _, data = await _answered(old, tool, reply, arguments)
    assert data["error"]["kind"] == "forbidden"
    assert provider.requests == []


@pytest.mark.requirement("server:confirm:destructive", "mcp:ask:cannot")
@pytest.mark.parametrize("revision", [MODERN, *LEGACY])
async def test_where_nobody_can_be_asked_nothing_is_destroyed(
    talking: Running, provider: Any, revision: str
) -> None:
    careful = await talking.server(confirm="destructive")
    called = await careful.call("delete_a_talker_thing_by_id", {"id": "a"}, revision=revision)
    assert called.error["kind"] == "forbidden"
    assert "elicitation" in called.error["message"]
    assert provider.requests == []


@pytest.mark.requirement("server:confirm:destructive")
async def test_a_wrong_argument_is_named_before_a_human_is_bothered(talking: Running) -> None:
    careful = await talking.server(confirm="destructive")
    called = await careful.call("delete_a_talker_thing_by_id", {"id": "a/b"})
    assert called.error["kind"] == "invalid_arguments"
