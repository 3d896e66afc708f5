"""A document can neither reach out, nor read, nor stay for ever, nor take the machine with it."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.documents import renderer, sandbox
from core.documents.frames import Closed, Job
from core.documents.pdf import PdfFailed, PdfPool, PdfUnavailable, PdfWorker
from core.documents.sheet import document_page
from tests.core.documents.sheets import document, pages_of

STATIC = Path(renderer.__file__).parents[1] / "web/static"
PAGE = "<html><head>{head}</head><body>{body}</body></html>"


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """A web server of this machine, and every request that it gets."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"body { color: red }")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", requests
    server.shutdown()
    server.server_close()


def ways(url: str) -> dict[str, str]:
    """Every way that a page can name an address by."""
    return {
        "picture": PAGE.format(head="", body=f'<img src="{url}">'),
        "srcset": PAGE.format(head="", body=f'<img src="{url}" srcset="{url} 2x">'),
        "background": PAGE.format(head=f"<style>body {{ background: url({url}) }}</style>", body="x"),
        "list mark": PAGE.format(head=f"<style>li {{ list-style-image: url({url}) }}</style>", body="<li>x</li>"),
        "content": PAGE.format(head=f"<style>p::before {{ content: url({url}) }}</style>", body="<p>x</p>"),
        "border": PAGE.format(head=f"<style>p {{ border-image: url({url}) 1 }}</style>", body="<p>x</p>"),
        "import": PAGE.format(head=f'<style>@import "{url}";</style>', body="x"),
        "font": PAGE.format(
            head=f"<style>@font-face {{ font-family: X; src: url({url}) }} p {{ font-family: X }}</style>",
            body="<p>x</p>",
        ),
        "style sheet": PAGE.format(head=f'<link rel="stylesheet" href="{url}">', body="x"),
        "attachment": PAGE.format(head=f'<link rel="attachment" href="{url}">', body="x"),
        "attached link": PAGE.format(head="", body=f'<a rel="attachment" href="{url}">x</a>'),
        "object": PAGE.format(head="", body=f'<object data="{url}"></object>'),
        "embed": PAGE.format(head="", body=f'<embed src="{url}">'),
        "drawing": PAGE.format(
            head="", body=f'<svg width="9" height="9"><image href="{url}" width="9" height="9"/></svg>'
        ),
        "drawing's use": PAGE.format(head="", body=f'<svg width="9" height="9"><use href="{url}#x"/></svg>'),
        "base": PAGE.format(head=f'<base href="{url}">', body='<img src="x.png">'),
        "style attribute": PAGE.format(head="", body=f'<p style="background: url({url})">x</p>'),
        "color profile": PAGE.format(
            head=f"<style>@color-profile --x {{ src: url({url}) }} p {{ color: color(--x 1 0 0) }}</style>",
            body="<p>x</p>",
        ),
    }


WAYS = tuple(ways(""))


def outcome(pool: PdfPool, job: Job) -> tuple[bytes, PdfFailed | None]:
    """The PDF, or why there is none."""
    try:
        return pool.make(job), None
    except PdfFailed as failed:
        return b"", failed


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_server(pool: PdfPool, heard: tuple[str, list[str]], way: str) -> None:
    address, requests = heard

    _, failed = outcome(pool, Job(ways(address + "x")[way]))

    time.sleep(0.05)
    assert requests == []
    if failed is not None:
        assert failed.reason == "asset"
        assert address in failed.message


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_file(pool: PdfPool, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Zyxwvut in plain sight")

    pdf, failed = outcome(pool, Job(ways(secret.as_uri())[way]))

    if failed is not None:
        assert failed.reason == "asset"
    else:
        assert b"Zyxwvut" not in pdf
        assert "Zyxwvut" not in "".join(pages_of(pdf))


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/css,p{}", "//example.com/x", "missing.png", "/etc/passwd"],
)
def test_what_is_not_part_of_the_document_fails_it_by_name(pool: PdfPool, url: str) -> None:
    with pytest.raises(PdfFailed) as failed:
        pool.make(Job(PAGE.format(head="", body=f'<img src="{url}">')))

    assert failed.value.reason == "asset"
    assert url.strip("/").split("/")[-1].split(",")[0] in failed.value.message


def test_a_document_s_own_style_cannot_bring_a_font_that_the_next_one_would_be_set_in(pool: PdfPool) -> None:
    before = pool.make(Job(document_page(document())))
    font = STATIC / "vendor/inter-static/files/inter-latin-700-normal.woff2"

    for name in ("evil.woff2", "evil.png"):
        poisoned = f'@font-face {{ font-family: "Inter Document"; font-weight: 400; src: url({name}) }}'
        _, failed = outcome(pool, Job(document_page(document()), css=poisoned, assets={name: font.read_bytes()}))

        assert failed is not None
        assert pool.make(Job(document_page(document()))) == before


def test_a_document_s_own_style_is_gone_with_it(pool: PdfPool) -> None:
    before = pool.make(Job(document_page(document())))

    red = pool.make(Job(document_page(document()), css="* { color: red !important } @page { size: A5 }"))

    assert red != before
    assert pool.make(Job(document_page(document()))) == before


def test_style_that_never_ends_is_ended_and_the_next_document_is_made() -> None:
    pool = PdfPool(1, seconds=3, patience=2)
    hostile = "<style>" + "div { width: calc(1px + 1px) }" * 5 + "</style>" + "<div>" * 300 + "x " * 200_000
    try:
        pool.warm_up()
        began = time.monotonic()
        with pytest.raises((PdfFailed, PdfUnavailable)) as failed:  # the latter where others take the processor
            pool.make(Job(hostile))
        took = time.monotonic() - began

        assert getattr(failed.value, "reason", "time") in {"time", "crash", "markup", "memory"}
        assert took < 8
        assert b"%PDF" in pool.make(Job(document_page(document())))[:10]
    finally:
        pool.close()


def test_a_page_that_is_too_slow_says_that_it_took_too_long() -> None:
    pool = PdfPool(1, seconds=1, patience=30)
    slow = PAGE.format(head="<style>td { border: 1px solid }</style>", body="<table>" + "<tr><td>x<td>y" * 20_000)
    try:
        pool.warm_up()
        with pytest.raises(PdfFailed, match="more than 1 second") as failed:
            pool.make(Job(slow))
    finally:
        pool.close()

    assert failed.value.reason == "time"


def test_a_document_that_is_slow_because_the_machine_is_busy_is_tried_again_later() -> None:
    pool = PdfPool(1, seconds=0.4)
    try:
        pool.warm_up()
        os.kill(only_worker(pool).pid, signal.SIGSTOP)
        with pytest.raises(PdfUnavailable, match="too busy") as failed:
            pool.make(Job(document_page(document())))

        assert failed.value.retry_after == 30
        pool.warm_up()
        assert only_worker(pool).ask(Job(document_page(document())), 20.0)
    finally:
        pool.close()


def test_a_document_on_a_busy_machine_has_more_time_by_the_clock_than_of_the_processor() -> None:
    pool = PdfPool(1, seconds=1, patience=60)
    try:
        pool.warm_up()
        pid = only_worker(pool).pid
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(2.5, os.kill, (pid, signal.SIGCONT)).start()

        assert b"%PDF" in pool.make(Job(document_page(document())))[:10]
    finally:
        pool.close()


def only_worker(pool: PdfPool) -> PdfWorker:
    """The one that waits for work."""
    worker = pool._idle.get_nowait()
    pool._idle.put(worker)
    return worker


def picture(width: int, height: int) -> bytes:
    """A PNG of so many clear dots, in a few hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(1), b"\0" * (width * 4 + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_document_that_takes_all_memory_is_ended_and_the_machine_is_not() -> None:
    pool = PdfPool(1)
    bomb = picture(11_000, 11_000)
    try:
        pool.warm_up()
        _, failed = outcome(pool, Job(PAGE.format(head="", body='<img src="a.png">'), assets={"a.png": bomb}))
        assert failed is not None
        assert failed.reason in {"memory", "crash", "asset"}
        assert b"%PDF" in pool.make(Job(document_page(document())))[:10]
    finally:
        pool.close()


@pytest.mark.parametrize("broken", [b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_picture_that_cannot_be_read_fails_the_document(pool: PdfPool, broken: bytes) -> None:
    page = PAGE.format(head="", body='<img src="logo.png">')

    _, failed = outcome(pool, Job(page, assets={"logo.png": broken}))

    assert failed is not None
    assert (failed.reason, failed.message) == ("asset", "The picture “logo.png” cannot be read.")
    assert pool.make(Job(page, assets={"logo.png": picture(40, 40)}))


def test_a_worker_that_is_killed_costs_one_document_and_no_more() -> None:
    pool = PdfPool(1)
    try:
        pool.warm_up()
        worker = pool._idle.queue[0]
        threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL)).start()
        with pytest.raises(PdfFailed) as failed:
            pool.make(Job(document_page(document()) * 60))
        assert failed.value.reason == "crash"
        assert b"%PDF" in pool.make(Job(document_page(document())))[:10]
    finally:
        pool.close()


def test_a_worker_that_left_while_idle_is_replaced_without_a_word() -> None:
    pool = PdfPool(1)
    try:
        pool.warm_up()
        worker = pool._idle.queue[0]
        os.close(os.dup(worker._jobs))
        worker._process.stdin.close()
        worker._process.wait(timeout=10)
        pool._idle.queue[0] = worker

        assert worker.left_by_itself()
        worker.end()
        pool._idle.get_nowait()
        assert b"%PDF" in pool.make(Job(document_page(document())))[:10]
    finally:
        pool.close()


def test_a_worker_of_a_big_server_is_no_more_worn_out_than_another() -> None:
    script = (
        "from core.documents import sandbox\n"
        "from core.documents.frames import Job\n"
        "from core.documents.pdf import PdfWorker\n"
        "held = b'x' * sandbox.MEMORY\n"
        "del held\n"
        "worker = PdfWorker()\n"
        "print([worker.ask(Job('<p>x</p>'), 20).last for _ in range(3)])\n"
        "worker.end()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ran.stdout == "[False, False, False]\n", ran.stderr


def test_a_worker_ends_with_its_folder() -> None:
    worker = PdfWorker()
    folder = Path(worker._folder)
    assert folder.is_dir()

    worker.end()

    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_a_missing_font_says_which_and_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "document.css").write_bytes((STATIC / "document.css").read_bytes())

    with pytest.raises(PdfUnavailable, match=r"inter-latin-400-normal\.woff2 is missing; \./run puts it there"):
        PdfWorker(tmp_path)


def test_workers_know_nothing_of_the_server_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY__DATABASE__MAIN__APP_DSN", "postgresql://secret")
    worker = PdfWorker()
    try:
        environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
    finally:
        worker.end()

    assert b"secret" not in environment


def test_the_system_holds_the_worker_where_it_can() -> None:
    worker = PdfWorker()
    try:
        assert "audit" in worker.protections
        status = Path(f"/proc/{worker.pid}/status").read_text()
        limits = Path(f"/proc/{worker.pid}/limits").read_text()
        priority = os.getpriority(os.PRIO_PROCESS, worker.pid)
    finally:
        worker.end()

    assert "NoNewPrivs:\t1" in status
    assert str(sandbox.MEMORY) in limits
    assert "Max core file size        0" in limits
    assert priority >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + renderer.NICE)


@pytest.mark.parametrize(
    "deed",
    [
        "open('/etc/passwd').read()",
        "open('/tmp/tenantry-test', 'w')",
        "__import__('socket').socket()",
        "__import__('socket').create_connection(('127.0.0.1', 1))",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
        "__import__('os').fork()",
        "__import__('os').listdir('/root')",
        "__import__('os').remove('/etc/passwd')",
        "__import__('os').open('/etc/passwd', 0)",
        "__import__('ctypes').CDLL('libc.so.6')",
    ],
)
def test_what_gets_past_the_library_is_still_shut_in(deed: str) -> None:
    """The same doors, shut in a process of its own, in which the deed is then tried."""
    import subprocess
    import sys

    program = (
        "import ctypes, os, socket, subprocess, sys\n"
        "from pathlib import Path\n"
        "from core.documents import sandbox\n"
        "sandbox.shut_in([Path(os.__file__).parent])\n"
        f"try:\n    {deed}\nexcept (PermissionError, OSError) as error:\n    sys.stdout.write('refused')\n"
        "else:\n    sys.stdout.write('done')\n"
    )
    root = str(Path(renderer.__file__).parents[2])

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": root}, check=False
    )

    assert ran.stdout == "refused", ran.stderr


def test_a_frame_that_is_cut_is_no_answer(tmp_path: Path) -> None:
    from core.documents.frames import Done, Failed, receive

    reading, writing = os.pipe()
    os.write(writing, (1000).to_bytes(4, "big") + b"x")
    os.close(writing)

    with pytest.raises(Closed):
        receive(reading, Done | Failed, 1)  # type: ignore[arg-type]  # msgspec takes unions
    os.close(reading)
