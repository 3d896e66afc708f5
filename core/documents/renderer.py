"""The PDF worker: a process of its own that lays out one document after another and can reach nothing else.

Started by `core.documents.pdf` as `python -m core.documents.renderer STATIC`; jobs come on standard input, answers go
to standard output. It is warm before it answers the first job: WeasyPrint imported, fonts unpacked, our style sheet
parsed, all shared by every document it makes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.documents import sandbox
from core.documents.frames import Broken, Closed, Done, Failed, Job, Ready, TooLate, receive, send

BASE: Final = "https://bundled.invalid/"
"""Address of the bundled assets: nobody can own a host below .invalid."""
IDLE_SECONDS: Final = 300
NICE: Final = 5
"""Papers give way to pages: thousands of them, after a billing run, leave the processors to whoever waits."""
DOCUMENTS: Final = 500
"""A worker ends after so many, or when it has grown to half of what it may use."""
FONT_FOLDERS: Final = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/var/cache/fontconfig",
)
VARIANT: Final = "pdf/a-3b"
"""To be kept for ever: fonts and colours inside, nothing from elsewhere (ISO 19005-3)."""
MEDIA: Final = {
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}


def main() -> None:
    """Warms up, shuts itself in, works until nobody asks any more."""
    jobs, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.nice(NICE)
    sandbox.limit_memory()
    try:
        engine = Engine(Path(sys.argv[1]))
    except (ImportError, OSError) as error:
        send(answers, Broken(f"PDFs cannot be made on this machine: {error}"))
        return
    held = sandbox.shut_in([*map(Path, FONT_FOLDERS), Path(tempfile.gettempdir()), *_library()])
    send(answers, Ready(held))
    try:
        while True:
            answer = engine.answer(receive(jobs, Job, IDLE_SECONDS))
            send(answers, answer)
            if answer.last:
                return
    except (Closed, TooLate):
        return


class Engine:
    """WeasyPrint with fonts and style sheet, kept warm."""

    def __init__(self, static: Path) -> None:
        from weasyprint import CSS, HTML
        from weasyprint.text.fonts import FontConfiguration
        from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

        for name in ("weasyprint.progress", "fontTools"):
            logging.getLogger(name).disabled = True
        self._faults = Faults()
        self._faults.listen_to(logging.getLogger("weasyprint"))

        class Assets(URLFetcher):  # type: ignore[misc]  # WeasyPrint has no types
            """Answers from what was given; any other address ends the document. Never opens a file or a connection."""

            def __init__(self, given: Mapping[str, bytes]) -> None:
                super().__init__(allowed_protocols=(), allow_redirects=False, fail_on_errors=True)
                self._given = given

            def fetch(self, url: str, headers: object = None) -> Any:
                name = url.removeprefix(BASE)
                if not url.startswith(BASE) or name not in self._given:
                    raise FatalURLFetchingError(name[:300])
                media = MEDIA.get(Path(name).suffix, "text/plain")
                return URLFetcherResponse(url, self._given[name], {"Content-Type": media})

        self._html, self._css, self._assets, self._missing = HTML, CSS, Assets, FatalURLFetchingError
        self._fonts = FontConfiguration()
        fonts = Fonts(static)
        try:
            source = fonts["document.css"].decode()
            self._sheet = CSS(string=source, base_url=BASE, font_config=self._fonts, url_fetcher=Assets(fonts))
        except (FatalURLFetchingError, KeyError) as missing:
            raise OSError(f"{static / str(missing).strip(chr(39))} is missing; ./run puts it there") from None
        self._made = 0
        self._status = os.open("/proc/self/status", os.O_RDONLY)  # now: later no file can be opened any more
        self._write(Job(html=WARM_UP, assets={"dot.png": DOT}))

    def answer(self, job: Job) -> Done | Failed:
        """The PDF, or why there is none. Whatever a document does, it ends in one of the two or ends this process."""
        sandbox.limit_processor(job.cpu_seconds)
        self._made += 1
        try:
            return Done(self._write(job), self._worn_out())
        except self._missing as missing:
            return Failed("asset", f"The document asks for “{missing}”, which is not part of it.", self._worn_out())
        except BrokenPicture as picture:
            return Failed("asset", f"The picture “{picture}” cannot be read.", self._worn_out())
        except MemoryError:
            return Failed("memory", "The document needs more memory than one may.", last=True)
        except RecursionError:
            return Failed("markup", "The document is nested too deeply.", last=True)
        except Exception as error:
            return Failed("markup", f"The document could not be laid out ({type(error).__name__}: {error}).", last=True)

    def _write(self, job: Job) -> bytes:
        self._faults.pictures.clear()
        fetcher = self._assets(job.assets)
        sheets = [self._sheet]
        if job.css:
            sheets.append(self._css(string=job.css, base_url=BASE, font_config=self._fonts, url_fetcher=fetcher))
        document = self._html(string=job.html, base_url=BASE, url_fetcher=fetcher)
        mark = hashlib.sha256(job.html.encode()).digest()[:16]
        pdf: bytes = document.write_pdf(
            stylesheets=sheets, font_config=self._fonts, pdf_identifier=mark, pdf_variant=VARIANT
        )
        if self._faults.pictures:
            raise BrokenPicture(self._faults.pictures[0])
        return pdf

    def _worn_out(self) -> bool:
        return self._made >= DOCUMENTS or self._most_held() > sandbox.MEMORY // 2

    def _most_held(self) -> int:
        """Bytes. Not `ru_maxrss`, which begins with what the server held that started this process."""
        return int(os.pread(self._status, 4096, 0).split(b"VmHWM:")[1].split()[0]) << 10


class BrokenPicture(Exception):
    """A picture of the document is none."""


class Faults(logging.Handler):
    """What WeasyPrint says of pictures that it left out: it would print the page without them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.pictures: list[str] = []

    def listen_to(self, logger: logging.Logger) -> None:
        logger.handlers = [self]
        logger.propagate = False
        logger.setLevel(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith("Failed to load image"):
            self.pictures.append(str((record.args or ("",))[0]).removeprefix(BASE)[:300])  # type: ignore[index]  # a tuple


class Fonts(Mapping[str, bytes]):
    """Our style sheet and its fonts, read while warming up. Documents get none: a font would stay for the next one."""

    def __init__(self, static: Path) -> None:
        self._static = static

    def __getitem__(self, name: str) -> bytes:
        try:
            return (self._static / name).read_bytes()
        except OSError:
            raise KeyError(name) from None

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def _library() -> list[Path]:
    """Where Python finds what it imports late."""
    return [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")] + [*map(Path, site.getsitepackages())]


WARM_UP: Final = (
    '<html lang="en"><title>.</title><body data-page="Page" data-of="of"><main><h1>Ąę 1,257.29</h1><img src="dot.png">'
    '<table class="d-lines"><tr><th>a<td class="num"><b>b</b></table></main>'
)
DOT: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff56c72f0d00000000"
    "49454e44ae426082"
)

if __name__ == "__main__":
    main()
