"""What operators do: accounts, servers, tokens. One implementation for admin API and CLI."""

from __future__ import annotations

from crossdock.control.accounts import AccountVerbs
from crossdock.control.keys import KeyVerbs
from crossdock.control.requests import (
    AcceptTools,
    AccountChange,
    NewAccount,
    NewServer,
    NewToken,
    Rotate,
    ServerChange,
    convert,
    field_error,
    invalid,
)
from crossdock.control.responses import issued_server, shown_server
from crossdock.control.servers import Issued, ServerVerbs
from crossdock.control.tokens import TokenVerbs

__all__ = [
    "AcceptTools",
    "AccountChange",
    "Control",
    "Issued",
    "NewAccount",
    "NewServer",
    "NewToken",
    "Rotate",
    "ServerChange",
    "convert",
    "field_error",
    "invalid",
    "issued_server",
    "shown_server",
]


class Control(AccountVerbs, ServerVerbs, TokenVerbs, KeyVerbs):
    """The verbs of the control plane, on the store, with the door kept up to date."""
