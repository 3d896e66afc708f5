"""Pictures of pages of a running server, with what is wrong on them.

    python -m tests.browser.shots http://demo.localhost:8000/customers … \\
        [--login EMAIL:PASSWORD] [--sizes 1360,390] [--themes light,dark] [--whole] [--ready SELECTOR]

Pictures go to TENANTRY_SHOTS (default var/shots), named by path, width and theme. Ends with 1 where axe, the console or
the width of a page has something to say.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.browser import (
    SIZES,
    THEMES,
    Seen,
    chromium,
    faults_of,
    log_in,
    settled,
    shot,
    show_theme,
    window,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.shots", description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--login", metavar="EMAIL:PASSWORD", default="")
    parser.add_argument("--sizes", default="1360,390", help="widths, of " + ", ".join(SIZES))
    parser.add_argument("--themes", default=",".join(THEMES))
    parser.add_argument("--whole", action="store_true", help="the whole page, not the window")
    parser.add_argument("--ready", default="", metavar="SELECTOR", help="what must be there before the picture")
    return asyncio.run(_take(parser.parse_args()))


async def _take(wanted: argparse.Namespace) -> int:
    bad = 0
    async with chromium() as browser:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state.json" if wanted.login else None
            if state is not None:
                first = urlsplit(wanted.urls[0])
                async with window(browser) as page:
                    await log_in(page, f"{first.scheme}://{first.netloc}", *wanted.login.split(":", 1))
                    await page.context.storage_state(path=state)
            for url in wanted.urls:
                for size in wanted.sizes.split(","):
                    for theme in wanted.themes.split(","):
                        async with window(browser, SIZES[size], theme, state) as page:
                            seen = Seen(page)
                            await page.goto(url)
                            await show_theme(page, theme)
                            await settled(page)
                            if wanted.ready:
                                await page.wait_for_selector(wanted.ready)
                            file = await shot(page, f"{name_of(url)}-{size}-{theme}", whole=wanted.whole)
                            faults = await faults_of(page, seen)
                        print(file)
                        for fault in faults:
                            print("   ", fault)
                        bad += bool(faults)
    return 1 if bad else 0


def name_of(url: str) -> str:
    """A file's name from an address: customers-10477-sections-main."""
    parts = urlsplit(url)
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{parts.path}-{parts.query}").strip("-") or "start"


if __name__ == "__main__":
    sys.exit(main())
