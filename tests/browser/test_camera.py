"""Scanning by camera in a real browser, whose camera plays a film that is made of our own labels."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import Final

import pypdfium2
import pytest
import segno
from barcode.ean import EAN13
from PIL import Image
from playwright.async_api import Browser, Page, Request, expect

from tenants.registry import REMEMBERED
from tests.browser.browser import PHONE, Seen, axe, chromium, overflow, settled, shot, window
from tests.browser.server import ROOT, Served, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WIDTH: Final = 1280
HEIGHT: Final = 720
BUTTON: Final = "Scan with the camera"
LOOKS: Final = "Hold a barcode or a QR code into the frame."


GREY: Final = 168
DATA_MATRIX: Final = """
101010101010 101110001011 100010010010 111101011001 100100111100 110000110111
100010101100 111100010101 110110000100 100011001101 110110110010 111111111111
"""
"""PF-0815."""


def film(file: Path, paper: Image.Image | None = None) -> None:
    """A film without sound or movement (YUV4MPEG2): a grey table, and a paper that lies on it."""
    table = Image.new("L", (WIDTH, HEIGHT), GREY)
    if paper is not None:
        table.paste(paper, ((WIDTH - paper.width) // 2, (HEIGHT - paper.height) // 2))
    frame = b"FRAME\n" + table.tobytes() + bytes([128]) * (WIDTH * HEIGHT // 2)
    file.write_bytes(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420mpeg2\n" % (WIDTH, HEIGHT) + frame * 4)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as one:
        enable = [sys.executable, "-m", "tenants.cli", "plugin", "enable", "inventory", "--tenant", "demo"]
        subprocess.run(enable, cwd=ROOT, env=one.environment, check=True, capture_output=True)
        sleep(REMEMBERED)  # what another process changes is seen then
        yield one


@pytest.fixture(scope="module")
def seen_by_camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film that the camera plays from when it is switched on the next time."""
    return tmp_path_factory.mktemp("camera") / "film.y4m"


@pytest.fixture(scope="module")
async def browser(seen_by_camera: Path) -> AsyncIterator[Browser]:
    film(seen_by_camera)
    camera = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={seen_by_camera}")
    async with chromium(*camera) as one:
        yield one


async def add_item(page: Page, served: Served, serial: str) -> int:
    """An item in stock; gives its id."""
    await page.goto(f"{served.base}/inventory/items/new")
    await page.get_by_label("Model").fill("Kestra R6")
    await page.get_by_label("Serial number", exact=True).fill(serial)
    await page.get_by_role("button", name="Add item").click()
    await page.wait_for_url(re.compile(r"/inventory/items/\d+$"))
    return int(page.url.rsplit("/", 1)[1])


async def label_of(page: Page, item_id: int, width: int = 860) -> Image.Image:
    """What the label printer prints."""
    address = f"/inventory/labels.pdf?id.from={item_id}&id.to={item_id}&kind=roll&used=0"
    get = "async address => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]"
    printed = pypdfium2.PdfDocument(bytes(await page.evaluate(get, address)))[0]
    label: Image.Image = printed.render(scale=width / printed.get_width()).to_pil().convert("L")
    return label


def drawn(rows: Sequence[str], size: int, height: int = 0) -> Image.Image:
    """A code of rows of points, 1 for black, each of this size (or as high as said), with white around it."""
    code = Image.new("1", (len(rows[0]), len(rows)))
    code.putdata([one == "0" for row in rows for one in row])
    code = code.resize((code.width * size, height or code.height * size))
    paper = Image.new("L", (code.width + 24 * size, code.height + 24 * size), 255)
    paper.paste(code, (12 * size, 12 * size))
    return paper


async def test_G2_a_label_before_the_camera_opens_its_item_and_is_assigned_and_taken_back_at_a_customer(
    page: Page, seen: Seen, served: Served, seen_by_camera: Path
) -> None:
    await page.context.grant_permissions(["camera"])
    item_id = await add_item(page, served, "KF-21-004417")
    label = (await label_of(page, item_id)).rotate(2, expand=True, fillcolor=GREY)
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.context.on("request", note)
    film(seen_by_camera)
    await page.goto(f"{served.base}/inventory/items")
    await settled(page)
    assert not [address for address in asked if "zxing" in address or "reader.js" in address]

    opens, dialog = page.get_by_role("button", name=BUTTON), page.get_by_role("dialog", name=BUTTON)
    await opens.click()
    await expect(dialog.get_by_role("status")).to_have_text(LOOKS)
    await expect(dialog.get_by_role("heading", name=BUTTON)).to_be_focused()
    assert await axe(page) == []
    await shot(page, "camera-looks")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(opens).to_be_focused()
    assert await page.evaluate("document.querySelector('#camera video').srcObject.active") is False

    film(seen_by_camera, label)
    await opens.click()
    await expect(dialog.get_by_role("status")).to_have_text("Read: KF-21-004417")
    await shot(page, "camera-read")
    await page.wait_for_url(f"{served.base}/inventory/items/{item_id}")
    assert len([address for address in asked if "zxing" in address]) == 1

    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill("Ann Other")
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await page.get_by_role("link", name="Hardware").click()  # the tab is swapped in: the page itself may not use it
    await opens.click()
    plan = page.locator("#plan")
    await plan.get_by_role("button", name="Assign item").click()
    await expect(page.locator("main")).to_contain_text("KF-21-004417")
    await expect(dialog.get_by_role("status")).to_contain_text("Read already")
    await expect(plan).to_be_hidden()
    film(seen_by_camera)
    await page.keyboard.press("Escape")
    await opens.click()
    await expect(dialog.get_by_role("status")).to_have_text(LOOKS)
    await page.keyboard.press("Escape")
    film(seen_by_camera, label)
    await opens.click()
    await expect(plan).to_contain_text("Assigned")
    await expect(plan.get_by_role("button", name="Take back")).to_be_visible()
    assert seen.faults == []


async def test_G2_a_label_held_upright_fills_the_field_it_was_asked_for_on_a_phone(
    browser: Browser, page: Page, served: Served, seen_by_camera: Path
) -> None:
    item_id = await add_item(page, served, "PHONE-7")
    film(seen_by_camera, (await label_of(page, item_id, 360)).rotate(90, expand=True))
    async with window(browser, PHONE, "dark", served.state) as phone:
        seen = Seen(phone)
        await phone.context.grant_permissions(["camera"])
        await phone.goto(f"{served.base}/inventory/items/new")
        await phone.get_by_role("button", name=f"{BUTTON}: Barcode").click()
        await expect(phone.get_by_role("dialog").get_by_role("status")).to_contain_text("Read: PHONE-7")
        await shot(phone, "camera-phone")
        await expect(phone.get_by_label("Barcode", exact=True)).to_have_value("PHONE-7")
        await expect(phone.get_by_label("Barcode", exact=True)).to_be_focused()
        await expect(phone.get_by_label("Serial number", exact=True)).to_have_value("")
        assert await overflow(phone) == []
        assert seen.faults == []


async def test_G2_codes_of_makers_and_of_other_systems_are_read_too(
    page: Page, seen: Seen, served: Served, seen_by_camera: Path
) -> None:
    qr = segno.make_qr("https://kestra.example/KF-21")
    codes = {
        "4006381333931": drawn(EAN13("4006381333931").build(), 4, 200),
        "https://kestra.example/KF-21": drawn(["".join(map(str, row)) for row in qr.matrix], 8),
        "PF-0815": drawn(DATA_MATRIX.split(), 14),
    }
    await page.context.grant_permissions(["camera"])
    await page.goto(f"{served.base}/inventory/items/new")
    field = page.get_by_label("Barcode", exact=True)

    for code, paper in codes.items():
        film(seen_by_camera, paper)
        await page.get_by_role("button", name=f"{BUTTON}: Barcode").click()
        await expect(field).to_have_value(code)
        await expect(page.get_by_role("dialog")).to_be_hidden()

    assert seen.faults == []


async def test_G2_where_the_browser_reads_codes_itself_nothing_else_is_loaded_for_it(
    page: Page, served: Served
) -> None:
    item_id = await add_item(page, served, "OWN-1")
    await page.context.grant_permissions(["camera"])
    await page.add_init_script(
        """window.BarcodeDetector = class {
            static async getSupportedFormats() {
                return ["code_128", "ean_13", "ean_8", "upc_a", "qr_code", "data_matrix", "itf"];
            }
            async detect() { return [{ rawValue: "own-1\\n" }]; }
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{served.base}/inventory/items")
    await page.get_by_role("button", name=BUTTON).click()

    await page.wait_for_url(f"{served.base}/inventory/items/{item_id}")
    assert not [address for address in asked if "zxing" in address]


async def test_G2_a_code_that_stays_in_the_picture_is_not_read_again_however_slowly_pictures_are_read(
    page: Page, served: Served
) -> None:
    await add_item(page, served, "SLOW-1")
    await page.context.grant_permissions(["camera"])
    await page.add_init_script(
        """let pictures = 0;
        window.BarcodeDetector = class {
            static async getSupportedFormats() {
                return ["code_128", "ean_13", "ean_8", "upc_a", "qr_code", "data_matrix"];
            }
            async detect() {
                await new Promise(done => setTimeout(done, 1200));
                return pictures++ < 2 ? [] : [{ rawValue: "SLOW-1" }];
            }
        };
        sessionStorage["inventory-camera"] = '{"at": "/inventory/items", "field": "scan", "held": "SLOW-1"}'"""
    )

    await page.goto(f"{served.base}/inventory/items")

    await expect(page.get_by_role("dialog", name=BUTTON).get_by_role("status")).to_contain_text("Read already")


FAILS: Final = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'))"


@pytest.mark.parametrize(
    ("why", "told", "again"),
    [
        ("", "The camera is not allowed for this page", True),
        (FAILS.format("NotFoundError"), "This device has no camera", False),
        (FAILS.format("NotReadableError"), "The camera gives no picture", True),
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "over https", False),
    ],
    ids=["refused", "none", "busy", "insecure"],
)
async def test_G2_without_a_camera_one_is_told_why_and_types_the_code(
    page: Page, served: Served, why: str, told: str, again: bool
) -> None:
    item_id = await add_item(page, served, f"T-{len(told)}")
    await page.context.grant_permissions(["camera"] if why else [])
    if why:
        await page.add_init_script(why)
    await page.goto(f"{served.base}/inventory/items")
    dialog = page.get_by_role("dialog", name=BUTTON)

    await page.get_by_role("button", name=BUTTON).click()

    await expect(dialog.get_by_role("alert")).to_contain_text(told)
    await expect(dialog.get_by_role("button", name="Try again")).to_be_visible(visible=again)
    assert await axe(page) == []
    await shot(page, f"camera-{len(told)}")
    await dialog.get_by_role("button", name="Type the code").click()
    field = page.get_by_label("Scan a barcode, serial number or MAC address")
    await expect(field).to_be_focused()
    await field.fill(f"t-{len(told)}")
    await field.press("Enter")
    await page.wait_for_url(f"{served.base}/inventory/items/{item_id}")
