"""What a message is about, in words."""

from typing import Any, get_args

from pbft.messages import Proposal, Signed, WireMessage

MESSAGES = tuple((get_args(kind) or (kind,))[0].__name__ for kind in get_args(WireMessage))
"""The names of all that is sent, as `kind_of` says them."""


def kind_of(message: WireMessage) -> str:
    """The name of what is said: `Commit`, `Proposal`, …"""
    return type(message.message if isinstance(message, Signed) else message).__name__


def slot_of(message: WireMessage) -> int | None:
    """The sequence number that a message is about, if it is about one."""
    inner: Any = message.message if isinstance(message, Signed) else message
    if isinstance(inner, Proposal):
        inner = inner.pre_prepare.message
    return getattr(inner, "sequence_number", None)


def view_of(message: WireMessage) -> int | None:
    inner: Any = message.message if isinstance(message, Signed) else message
    if isinstance(inner, Proposal):
        inner = inner.pre_prepare.message
    return getattr(inner, "view", None)
