"""What goes to a provider as a body, whichever way it wants it written."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec
import pytest

from crossdock.adapter.sending import body_of
from crossdock.authoring import Argument, Call, Endpoint, Send, Tool
from crossdock.errors import InvalidArguments

FILE = Argument(
    key="plan", where="body", name="plan", file='pl"an.pdf', schema={"contentMediaType": "a/pdf"}
)
FILES = Argument(key="all", where="body", name="all", file="x", schema={"items": {}})
PART = "Content-Disposition: form-data"
NAME = Argument(key="name", where="body", name="name", schema={})


def _call(send: Send, body: dict[str, Any], verb: Any = "POST", *arguments: Argument) -> Call:
    tool = Tool(
        name="t",
        title="",
        description="",
        adapter="x",
        resource="ys",
        method="create",
        effect="write",
        tags=(),
        endpoint=Endpoint(verb=verb, path="/ys", send=send),
        arguments=arguments or (NAME,),
        input_schema={},
        idempotent=True,
        source="",
    )
    return Call(tool=tool, body=body)


def _json(send: Send, body: dict[str, Any], verb: str = "POST") -> Any:
    data, kind = body_of(_call(send, body, verb))
    assert kind == ""
    return None if data is None else msgspec.json.decode(data)


@pytest.mark.parametrize(
    ("send", "body", "sent"),
    [
        (Send(), {"a": 1}, {"a": 1}),
        (Send(), {}, {}),
        (Send(as_="none"), {"a": 1}, None),
        (Send(wrap="/gate"), {"a": 1}, {"gate": {"a": 1}}),
        (Send(wrap="/a~1b/c"), {"a": 1}, {"a/b": {"c": {"a": 1}}}),
        (Send(wrap="/gate"), {}, {"gate": {}}),
        (Send(constants={"a": 2, "b": 3}), {"a": 1, "c": 4}, {"a": 2, "b": 3, "c": 4}),
        (
            Send(wrap="/data/attributes", constants={"data": {"type": "gates"}}),
            {"a": 1},
            {"data": {"attributes": {"a": 1}, "type": "gates"}},
        ),
        (Send(whole="ids"), {"ids": [3, 1]}, [3, 1]),
        (Send(whole="ids", wrap="/ids", constants={"k": 1}), {"ids": [3]}, {"ids": [3], "k": 1}),
    ],
)
def test_json_bodies_are_wrapped_completed_or_one_argument(
    send: Send, body: Any, sent: Any
) -> None:
    assert _json(send, body) == sent


def test_a_get_has_no_body_unless_it_says_so() -> None:
    assert _json(Send(), {}, "GET") is None
    assert _json(Send(constants={"a": 1}), {}, "DELETE") == {"a": 1}


def test_forms_are_nested_in_brackets() -> None:
    body = {
        "a": {"b": {"c": "x y"}, "d": True},
        "ids": [1, 2.5],
        "rows": [{"n": 1}, {"n": None}],
        "&": "=é",
    }
    data, kind = body_of(_call(Send(as_="form", wrap="/s"), body))
    assert kind == "application/x-www-form-urlencoded"
    assert (data or b"").decode().split("&") == [
        "s%5Ba%5D%5Bb%5D%5Bc%5D=x+y",
        "s%5Ba%5D%5Bd%5D=true",
        "s%5Bids%5D%5B%5D=1",
        "s%5Bids%5D%5B%5D=2.5",
        "s%5Brows%5D%5B0%5D%5Bn%5D=1",
        "s%5Brows%5D%5B1%5D%5Bn%5D=",
        "s%5B%26%5D=%3D%C3%A9",
    ]


def test_parts_hold_files_and_fields_and_no_header_of_their_own() -> None:
    octets = bytes(range(256))
    text = base64.b64encode(octets).decode()
    body = {"plan": f"{text[:9]}\n{text[9:]}", "all": ["AA==", "AQ=="], 'na"me\r\nX': "v", "n": 3}
    data, kind = body_of(_call(Send(as_="multipart"), body, "POST", FILE, FILES, NAME))
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w{32})", kind)
    assert boundary and data
    parts = data.split(f"--{boundary[1]}".encode())
    assert parts[0] == b"" and parts[-1] == b"--\r\n"
    heads = [part.partition(b"\r\n\r\n")[0].strip().decode() for part in parts[1:-1]]
    assert heads == [
        'Content-Disposition: form-data; name="plan"; filename="pl%22an.pdf"\r\nContent-Type: a/pdf',
        *[f'{PART}; name="all"; filename="x"\r\nContent-Type: application/octet-stream'] * 2,
        'Content-Disposition: form-data; name="na%22me%0D%0AX"',
        'Content-Disposition: form-data; name="n"',
    ]
    assert parts[1].endswith(b"\r\n\r\n" + octets + b"\r\n")
    assert parts[5].endswith(b"\r\n\r\n3\r\n")


def test_a_file_that_is_not_base64_is_named() -> None:
    with pytest.raises(InvalidArguments) as raised:
        body_of(_call(Send(as_="multipart"), {"plan": "%%%"}, "POST", FILE))
    assert raised.value.argument == "plan"
