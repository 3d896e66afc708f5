"""Debian's Chromium for tests and pictures: pages at desk and phone width, in light and dark, looked at by axe."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright

ROOT: Final = Path(__file__).resolve().parents[2]
CHROMIUM: Final = Path(os.environ.get("TENANTRY_CHROMIUM", "/usr/bin/chromium"))
AXE: Final = ROOT / "node_modules" / "axe-core" / "axe.min.js"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
THEMES: Final = ("light", "dark")


@dataclass(frozen=True)
class Size:
    """A window, and whether it is touched."""

    name: str
    width: int
    height: int
    touch: bool = False


DESK: Final = Size("1360", 1360, 900)
TABLET: Final = Size("820", 820, 1100, touch=True)
PHONE: Final = Size("390", 390, 844, touch=True)
SIZES: Final = {size.name: size for size in (DESK, TABLET, PHONE)}


class Seen:
    """What went wrong on a page while it was open: errors in the console, among them the CSP's, answers from 400 on."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text[:300]}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.request.method} {response.url}")


@asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    """A headless browser without any network of its own; `more` options as on its command line."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def window(
    browser: Browser, size: Size = DESK, theme: str = "light", state: Path | None = None
) -> AsyncIterator[Page]:
    """A page in a context of its own. `theme` is what the device asks for; `state` holds the cookies of a log-in."""
    context = await browser.new_context(
        viewport={"width": size.width, "height": size.height},
        has_touch=size.touch,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-IE",
        reduced_motion="reduce",
        storage_state=state,
    )
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def log_in(page: Page, base: str, email: str, password: str) -> None:
    """Through the log-in form, as a person does."""
    await page.goto(f"{base}/login")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(lambda address: not address.endswith("/login"))


async def show_theme(page: Page, theme: str) -> None:
    """The page in this theme, whatever its user has chosen."""
    await page.evaluate("theme => { document.documentElement.dataset.bsTheme = theme }", theme)


async def settled(page: Page) -> None:
    """Scripts have run, fonts are there, nothing is being fetched but streams that never end."""
    await page.wait_for_load_state("load")
    await page.evaluate("document.fonts.ready.then(() => new Promise(done => setTimeout(done, 250)))")


async def axe(page: Page, within: str = "") -> list[str]:
    """What axe finds on the page (or inside a selector), one line a rule; empty is what we want."""
    await page.evaluate(_axe())
    return [
        str(line)
        for line in await page.evaluate(
            """async within => {
                const found = await axe.run(within || document, { resultTypes: ["violations"] });
                const why = n => (n.any[0] ?? n.all[0] ?? n.none[0])?.message?.slice(0, 160);
                return found.violations.map(v => `${v.id} (${v.impact}) ${v.nodes.length}: ` +
                    v.nodes.slice(0, 3).map(n => `${n.html.slice(0, 160)} | ${why(n)}`).join(" || "));
            }""",
            within,
        )
    ]


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")


async def overflow(page: Page) -> list[str]:
    """Elements that make the page scroll sideways; empty is what we want."""
    return [
        str(name)
        for name in await page.evaluate(
            """() => {
                const wide = document.documentElement.scrollWidth;
                if (wide <= innerWidth) return [];
                const named = [...document.querySelectorAll("body *")].filter(
                    e => e.getBoundingClientRect().right > innerWidth + 1
                        && !e.closest(".t-scroll, .t-tabs, .t-chips, dialog, [popover]")).slice(0, 5);
                return named.length ? named.map(e => `${e.tagName.toLowerCase()}.${e.className}`)
                    : [`${wide} px: a text is wider than its own box`];
            }"""
        )
    ]


async def small_targets(page: Page, least: int = 24) -> list[str]:
    """Things to press that are smaller than a finger or a pointer needs, links in running text left out."""
    return [
        str(name)
        for name in await page.evaluate(
            """least => [...document.querySelectorAll("button, a[href], input, select")].filter(e => {
                if (!e.checkVisibility() || e.closest("label, p, dd, td, .t-feed, .visually-hidden")) return false;
                const box = e.getBoundingClientRect(), inText = getComputedStyle(e).display === "inline";
                return box.width && !inText && (box.width < least || box.height < least);
            }).map(e => `${e.tagName.toLowerCase()}.${e.className} ${e.textContent.trim().slice(0, 30)}`)""",
            least,
        )
    ]


def shots_folder() -> Path:
    """Where pictures go: TENANTRY_SHOTS, else a folder that git ignores."""
    folder = Path(os.environ.get("TENANTRY_SHOTS", ROOT / "var" / "shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def shot(page: Page, name: str, *, whole: bool = False) -> Path:
    """A picture; `whole` as high as the page, so that bars that stay in place lie where they belong."""
    file = shots_folder() / f"{name}.png"
    before = page.viewport_size
    if whole and before is not None:
        height = int(await page.evaluate("document.documentElement.scrollHeight"))
        await page.set_viewport_size({"width": before["width"], "height": max(height, before["height"])})
        await page.wait_for_timeout(150)
    await page.screenshot(path=file)
    if whole and before is not None:
        await page.set_viewport_size(before)
    return file


async def faults_of(page: Page, seen: Seen, *, ignore: Iterable[str] = ()) -> list[str]:
    """All that is wrong with what the page shows now."""
    found = [
        *seen.faults,
        *(f"too wide: {name}" for name in await overflow(page)),
        *(f"axe: {line}" for line in await axe(page)),
    ]
    return [fault for fault in found if not any(part in fault for part in ignore)]
