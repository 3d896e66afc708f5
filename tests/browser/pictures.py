"""The pictures of README.md, made anew: `./run docs --pictures` writes them to docs/shots.

A server with its own data is started and its tenant filled with invented customers, so that the same pictures come out
wherever they are made.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.browser.browser import SIZES, chromium, settled, show_theme, window
from tests.browser.server import ROOT, Served, serving

CUSTOMERS: Final = 300
PICTURES: Final = {
    "customers": "/customers",
    "customer": "/customers/5",
    "subscriptions": "/customers/5/subscriptions",
    "invoice": "/invoices/20",
    "billing-runs": "/billing/runs",
}
FOLDER: Final = ROOT / "docs" / "shots"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        subprocess.run(
            [sys.executable, "-m", "tenants.cli", "demo", "--tenant", "demo", "--customers", str(CUSTOMERS)],
            cwd=ROOT,
            env=served.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        asyncio.run(_take(served))
    return 0


async def _take(served: Served) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for theme in ("light", "dark"):
            async with window(browser, SIZES["1360"], theme, served.state) as page:
                for name, path in PICTURES.items():
                    await page.goto(served.base + path)
                    await show_theme(page, theme)
                    await settled(page)
                    file = FOLDER / f"{name}-{theme}.png"
                    await page.screenshot(path=file)
                    print(file.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
