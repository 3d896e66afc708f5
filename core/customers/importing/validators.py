"""Processes that validate records, since reading names, phones and dates is most of the work of an import."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

import msgspec

from core.customers.importing import validator
from core.customers.importing.records import Row
from core.customers.importing.validating import Slice, unpack_rows, validate
from core.customers.importing.validator import LENGTH
from core.database import spawn

ROOT: Final = Path(__file__).resolve().parents[3]
MOST: Final = 2


class Validators:
    """Used as `async with`; `ask` gives an answer to be awaited, so that several slices are worked on at once."""

    def __init__(self, *, many: bool) -> None:
        self._size = min(MOST, len(os.sched_getaffinity(0))) if many else 0
        self._work: asyncio.Queue[tuple[Slice, asyncio.Future[list[Row]]]] = asyncio.Queue()
        self._turns: list[asyncio.Task[None]] = []
        self._processes: list[Process] = []

    async def __aenter__(self) -> Validators:
        for _ in range(self._size):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                validator.__name__,
                stdin=PIPE,
                stdout=PIPE,
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
            )
            self._processes.append(process)
        self._turns = [spawn(self._take_turns(process)) for process in self._processes]
        if not self._processes:
            self._turns = [spawn(self._take_turns(None))]
        return self

    async def __aexit__(self, *_: object) -> None:
        for turn in self._turns:
            turn.cancel()
        if self._turns:
            await asyncio.wait(self._turns)
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def ask(self, piece: Slice) -> asyncio.Future[list[Row]]:
        """Hand a slice over; await what is given for its rows."""
        answer: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self._work.put_nowait((piece, answer))
        return answer

    async def _take_turns(self, process: Process | None) -> None:
        while True:
            piece, answer = await self._work.get()
            try:
                rows = await (_here(piece) if process is None else _there(process, piece))
            except Exception as fault:
                if not answer.done():
                    answer.set_exception(fault)
            else:
                if not answer.done():
                    answer.set_result(rows)


async def _here(piece: Slice) -> list[Row]:
    return await asyncio.to_thread(validate, piece.layout, piece.context, piece.records)


async def _there(process: Process, piece: Slice) -> list[Row]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process was started without pipes")
    packed = msgspec.msgpack.encode(piece)
    try:
        process.stdin.write(len(packed).to_bytes(LENGTH, "big") + packed)
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(LENGTH), "big")
        return unpack_rows(await process.stdout.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as gone:
        raise RuntimeError("a process that validates records has ended; what it said stands in the log") from gone
