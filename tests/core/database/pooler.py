"""A pooler between clients and PostgreSQL, as small as can be: by transaction (dangerous) or by session (harmless)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Mode = Literal["transaction", "session"]


@asynccontextmanager
async def pooler(folder: Path, server: Path, user: str, database: str, *, mode: Mode) -> AsyncIterator[str]:
    """Listens in `folder`, forwards to the server's socket; the address that clients use."""
    made = Pooler(server, user, database, mode)
    listener = await asyncio.start_unix_server(made.serve, folder / ".s.PGSQL.5432")
    try:
        yield f"postgresql://{user}@/{database}?host={folder}&port=5432"
    finally:
        listener.close()
        made.close()


class Pooler:
    def __init__(self, server: Path, user: str, database: str, mode: Mode) -> None:
        self.server = server
        self.user = user
        self.database = database
        self.mode = mode
        self.idle: list[Streams] = []
        self.opened: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await _startup(reader)
            writer.write(b"R" + struct.pack("!ii", 8, 0))
            writer.write(_message(b"S", b"server_version\x0015.0\0") + _message(b"S", b"client_encoding\0UTF8\0"))
            writer.write(_message(b"K", struct.pack("!ii", 1, 1)) + _message(b"Z", b"I"))
            held: Streams | None = None
            while True:
                kind, body = await _read(reader)
                if kind == b"X":
                    break
                held = held or (self.idle.pop() if self.idle else await self._connect())
                held[1].write(_message(kind, body))
                if kind == b"H":  # the answer to Parse and Describe, which asyncpg waits for before it goes on
                    await _answer(held[0], writer, until={b"T", b"n", b"E"})
                if kind not in {b"Q", b"S"}:
                    continue
                state = await _answer(held[0], writer, until={b"Z"})
                if self.mode == "transaction" and state == b"I":
                    self.idle.append(held)
                    held = None
        writer.close()

    async def _connect(self) -> Streams:
        reader, writer = await asyncio.open_unix_connection(self.server)
        self.opened.append(writer)
        body = struct.pack("!i", 196608) + f"user\0{self.user}\0database\0{self.database}\0\0".encode()
        writer.write(struct.pack("!i", len(body) + 4) + body)
        while (await _read(reader))[0] != b"Z":
            pass
        return reader, writer

    def close(self) -> None:
        for writer in self.opened:
            writer.close()


async def _startup(reader: asyncio.StreamReader) -> None:
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    await reader.readexactly(length - 4)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: set[bytes]) -> bytes:
    while True:
        kind, body = await _read(reader)
        writer.write(_message(kind, body))
        if kind in until:
            await writer.drain()
            return body


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], await reader.readexactly(length - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
