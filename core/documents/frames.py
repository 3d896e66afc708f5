"""What the server and its PDF workers say to each other: length, then MessagePack, over a pair of pipes."""

from __future__ import annotations

import os
import select
import time
from typing import TypeVar

import msgspec
from msgspec import Struct

LARGEST = 64 << 20
"""Bytes of one frame: a longer one is a fault."""


class Job(Struct, frozen=True, tag="job"):
    """One document to make. `assets` are pictures it may show, by name, beside the bundled ones."""

    html: str
    css: str = ""
    assets: dict[str, bytes] = {}
    cpu_seconds: int = 20


class Ready(Struct, frozen=True, tag="ready"):
    """The worker is warm; `protections` names what the system holds it by."""

    protections: tuple[str, ...]


class Broken(Struct, frozen=True, tag="broken"):
    """The worker cannot start: a library or an asset is missing."""

    message: str


class Done(Struct, frozen=True, tag="done"):
    """`last`: the worker is worn out and ends now."""

    pdf: bytes
    last: bool


class Failed(Struct, frozen=True, tag="failed"):
    reason: str
    message: str
    last: bool


Answer = Ready | Broken | Done | Failed
A = TypeVar("A")


class Closed(Exception):
    """The other side is gone."""


class TooLate(Exception):
    """Nothing whole came in time."""


def send(pipe: int, message: Job | Answer) -> None:
    """Writes the whole message; Closed where nobody reads."""
    data = msgspec.msgpack.encode(message)
    if len(data) > LARGEST:
        raise ValueError(f"a document of {len(data)} bytes is too large")
    left = memoryview(len(data).to_bytes(4, "big") + data)
    try:
        while left:
            left = left[os.write(pipe, left) :]
    except BrokenPipeError:
        raise Closed from None


def receive(pipe: int, into: type[A], seconds: float) -> A:
    """The next message; Closed at the end, TooLate if it is not whole within `seconds`."""
    until = time.monotonic() + seconds
    size = int.from_bytes(_exactly(pipe, 4, until), "big")
    if size > LARGEST:
        raise Closed
    return msgspec.msgpack.decode(_exactly(pipe, size, until), type=into)


def _exactly(pipe: int, size: int, until: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        readable, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            raise TooLate
        piece = os.read(pipe, min(size - len(data), 1 << 20))
        if not piece:
            raise Closed
        data += piece
    return bytes(data)
