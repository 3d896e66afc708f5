"""PDFs, made in worker processes that have no network and no files, each in 512 MiB and 20 seconds of processor.

That a machine is busy is no fault of a document: it has three times as long by the clock, then it is tried again later.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from core.activity.unit import refuse_inside_unit
from core.documents.frames import Answer, Broken, Closed, Done, Failed, Job, Ready, TooLate, receive, send
from core.errors import DomainError, Unavailable
from core.texts import _

SECONDS: Final = 20.0
"""Of processor."""
PATIENCE: Final = 3.0
"""So many times as long by the clock."""
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
START_SECONDS: Final = 60.0
ROOT: Final = Path(__file__).resolve().parents[2]
STATIC: Final = ROOT / "core/web/static"
log = logging.getLogger(__name__)


class PdfFailed(DomainError):
    """No PDF of this document. `reason`: asset, time, memory, markup, crash."""

    status = 422

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PdfUnavailable(Unavailable):
    """No PDF can be made on this machine, for now: a library or a font is missing, or it is too busy. The message says
    which."""


async def render_pdf(html: str, *, css: str = "", assets: Mapping[str, bytes] | None = None) -> bytes:
    """The PDF of a page.

    `css` is added to the documents' own style sheet; `assets` are the pictures it may show, by name.
    The same arguments give the same bytes. PdfFailed says why there is none. Not inside a unit of work: others would
    wait for it.
    """
    refuse_inside_unit("a PDF")
    return await pdf_pool().render(Job(html, css, dict(assets or {})))


class PdfPool:
    """Warm workers, at most `size`, started as they are needed. For any thread and any event loop."""

    def __init__(
        self,
        size: int | None = None,
        *,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
        static: Path = STATIC,
    ) -> None:
        self.size = size or max(1, min(4, os.cpu_count() or 1))
        self._seconds, self._patience = seconds, patience
        self._static = static
        self._idle: queue.LifoQueue[PdfWorker] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="pdf")

    async def render(self, job: Job) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.make, job)

    def make(self, job: Job) -> bytes:
        """As `render`, in the thread that calls."""
        worker = self._take()
        try:
            answer = worker.ask(job, self._seconds, self._patience)
        except Closed:
            left, said = worker.left_by_itself(), worker.end()
            if not left:
                raise PdfFailed("crash", _("The document could not be laid out: %(said)s", said=said)) from None
            return self.make(job)
        except TooLate:
            busy = worker.used() < self._seconds
            worker.end()
            if busy:
                raise PdfUnavailable(
                    _("The machine is too busy to lay the document out now. Try again in a moment."), retry_after=30
                ) from None
            raise PdfFailed(
                "time", _("The document took more than %(seconds)s seconds to lay out.", seconds=f"{self._seconds:.0f}")
            ) from None
        except BaseException:
            worker.end()
            raise
        if answer.last:
            worker.end()
        else:
            self._idle.put(worker)
        if isinstance(answer, Failed):
            raise PdfFailed(answer.reason, answer.message)
        return answer.pdf

    def _take(self) -> PdfWorker:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return PdfWorker(self._static)

    def warm_up(self) -> None:
        """Starts all workers now, so that the first documents need not wait."""
        started = list(self._threads.map(PdfWorker, [self._static] * (self.size - self._idle.qsize())))
        for worker in started:
            self._idle.put(worker)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        while not self._idle.empty():
            self._idle.get_nowait().end()


class PdfWorker:
    """One worker process."""

    def __init__(self, static: Path = STATIC) -> None:
        self._used_before = 0.0
        self._folder = tempfile.mkdtemp(prefix="tenantry-pdf-")
        self._errors = Path(self._folder, "stderr").open("wb")  # noqa: SIM115  (open as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.documents.renderer", str(static)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder,
            env=self._environment(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._jobs, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        self.protections = self._started()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, job: Job, seconds: float, patience: float = PATIENCE) -> Done | Failed:
        """Waits while the worker has not used so many seconds of processor; TooLate after `patience` times as many by
        the clock."""
        self._used_before = self._used_ever()
        began = time.monotonic()
        send(self._jobs, job)
        wait = seconds
        while not select.select([self._answers], [], [], wait)[0]:
            if self.used() >= seconds or time.monotonic() - began >= seconds * patience:
                raise TooLate
            wait = min(0.25, seconds)
        answer: Answer = receive(self._answers, Done | Failed, seconds)  # type: ignore[arg-type]  # msgspec takes unions
        assert isinstance(answer, Done | Failed)
        return answer

    def used(self) -> float:
        """Seconds of processor that it has used for this job."""
        return self._used_ever() - self._used_before

    def _used_ever(self) -> float:
        try:
            said = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self._used_before
        return (int(said[11]) + int(said[12])) * TICK

    def left_by_itself(self) -> bool:
        """It ended in peace, before it took the job: it had been idle too long."""
        try:
            return self._process.wait(timeout=5) == 0
        except subprocess.TimeoutExpired:
            return False

    def end(self) -> str:
        """Ends the process and clears up after it; gives the last line of what it complained of."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._errors.close()
        said = Path(self._folder, "stderr").read_bytes()[-2000:].decode(errors="replace").strip()
        if code not in (0, -9):
            log.warning("A PDF worker ended with %s: %s", code, said)
        shutil.rmtree(self._folder, ignore_errors=True)
        return said.splitlines()[-1][:300] if said else f"the worker ended with {code}."

    def _started(self) -> tuple[str, ...]:
        try:
            answer: Answer = receive(self._answers, Ready | Broken, START_SECONDS)  # type: ignore[arg-type]  # msgspec takes unions
        except (Closed, TooLate):
            raise PdfUnavailable(f"The PDF worker did not start: {self.end()}") from None
        if not isinstance(answer, Ready):
            self.end()
            raise PdfUnavailable(answer.message if isinstance(answer, Broken) else "The PDF worker did not start.")
        return answer.protections

    def _environment(self) -> dict[str, str]:
        """Nothing of the server's: its environment may hold secrets."""
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "HOME": self._folder,
            "TMPDIR": self._folder,
            "MALLOC_ARENA_MAX": "1",
        }


_pool: PdfPool | None = None
_starting = threading.Lock()


def pdf_pool() -> PdfPool:
    """The workers of this process, made when first asked for."""
    global _pool
    with _starting:
        if _pool is None:
            _pool = PdfPool()
        return _pool


def close_pdf_pool() -> None:
    """Ends the workers; called when the server stops."""
    global _pool
    with _starting:
        if _pool is not None:
            _pool.close()
            _pool = None


atexit.register(close_pdf_pool)
