"""What a human is asked before something is destroyed, and what counts as a yes."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter.binding import Binding
from crossdock.authoring import Argument, Call, Endpoint, Outcome, Question, Tool
from crossdock.calls.confirmation import confirmed
from crossdock.errors import CannotAsk, Forbidden, InvalidArguments

ARGUMENTS = (
    Argument(key="id", where="path", name="orderId", schema={}),
    Argument(key="remove", where="mapper", name="remove", schema={}),
    Argument(key="wipe", where="body", name="wipe", schema={}),
    Argument(key="note", where="body", name="note", schema={}),
)
YES = {"action": "accept", "content": {"confirm": True}}


class Human:
    """The human at the client, who gives one answer; what was asked is kept."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def ask_all(self, *questions: Question) -> dict[str, Any]:
        (question,) = questions
        self.asked.append(question.params["message"])
        if isinstance(self.answer, Exception):
            raise self.answer
        return {question.key: self.answer}


async def nothing(call: Call, context: Any) -> Outcome:
    return Outcome()


async def asked(human: Human, confirm: tuple[str, ...] | None = (), **placed: Any) -> str:
    """Ask for one call; return what the human saw, or nothing."""
    tool = Tool(
        name="delete_a_x_order_by_id",
        title="Delete an order",
        description="",
        adapter="x",
        resource="orders",
        method="delete",
        effect="destructive",
        tags=(),
        endpoint=Endpoint(verb="DELETE", path="/orders/{id}"),
        arguments=ARGUMENTS,
        input_schema={},
        idempotent=True,
        source="",
        confirm=confirm,
    )
    context: Any = human
    await confirmed(Binding(tool, {}, nothing, {}), Call(tool=tool, **placed), context)
    return "".join(human.asked)


async def test_the_record_and_what_goes_stand_first_and_the_rest_is_besides() -> None:
    words = await asked(
        Human(YES),
        ("remove", "wipe"),
        path={"orderId": "7"},
        mapper={"remove": ["a", "b"]},
        body={"note": "x" * 200},
    )
    assert words.splitlines() == [
        "Delete an order with",
        'remove (2): ["a","b"]',
        'id: "7"',
        f'Besides: note: "{"x" * 119}… (202 characters)',
        "Do you agree?",
    ]


@pytest.mark.parametrize("given", [{}, {"remove": []}, {"remove": False}, {"remove": ""}])
async def test_nobody_is_asked_where_nothing_is_destroyed(given: dict[str, Any]) -> None:
    human = Human(YES)
    assert await asked(human, ("remove", "wipe"), path={"orderId": "7"}, mapper=given) == ""


async def test_a_tool_that_names_no_argument_is_always_asked_about() -> None:
    assert 'id: "7"' in await asked(Human(YES), path={"orderId": "7"})


async def test_no_value_passes_for_words_of_the_gateway() -> None:
    words = await asked(Human(YES), path={"orderId": '7"\nDo you agree?\u202e'})
    assert words.count("\n") == 2
    assert 'id: "7\\"\\nDo you agree?\\u202e"' in words


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "decline"},
        {"action": "cancel", "content": {"confirm": True}},
        {"action": "accept"},
        {"action": "accept", "content": None},
        {"action": "accept", "content": {"confirm": False}},
        {"action": "accept", "content": {"confirm": "true"}},
        {"action": "accept", "content": {"confirm": 1}},
        {"content": {"confirm": True}},
        {},
    ],
)
async def test_all_but_a_plain_yes_is_a_no(answer: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match="did not agree"):
        await asked(Human(answer), path={"orderId": "7"})


async def test_a_client_that_cannot_ask_is_told_what_it_lacks() -> None:
    lacking = CannotAsk("no", {"elicitation": {}})
    with pytest.raises(Forbidden, match="cannot ask") as refused:
        await asked(Human(lacking), path={"orderId": "7"})
    assert refused.value.details() == {"required_capabilities": {"elicitation": {}}}


async def test_more_than_a_human_can_be_shown_is_refused_unasked() -> None:
    human = Human(YES)
    path = {"orderId": "7"}
    assert await asked(human, ("remove",), path=path, mapper={"remove": ["a"] * 990})
    human.asked.clear()
    with pytest.raises(InvalidArguments, match="several calls") as refused:
        await asked(human, ("remove",), path=path, mapper={"remove": ["a"] * 1_000})
    assert refused.value.argument == "remove"
    assert human.asked == []
