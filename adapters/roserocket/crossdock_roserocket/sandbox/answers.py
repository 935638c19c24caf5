"""The envelope of Rose Rocket's refusals, raised where the sandbox says no."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web


class Refusal(Exception):
    """A refusal with the provider's status and words."""

    def __init__(
        self, status: int, message: str | list[str], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(str(message))
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """Return the refusal as the provider words it."""
        if self.status == 429:
            return answer({"statusCode": 429, "message": self.message}, 429, self.headers)
        body = {
            "statusCode": self.status,
            "message": self.message,
            "error": HTTPStatus(self.status).phrase,
        }
        return answer(body, self.status, self.headers)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        headers=headers,
        content_type="application/json",
    )
