"""How documents look: logo, colour, columns and texts; what was issued keeps the look that it had."""

from __future__ import annotations

import io
import re
import warnings

import pytest
from PIL import Image, ImageOps

from core.billing import actions
from core.billing import layout as layouts
from core.billing.layout import LayoutFields, LayoutTexts, contrast, load_layout, save_layout, set_logo
from core.billing.mailing import document_file
from core.billing.schemas import NewDraft, NewLine, SellerFields
from core.billing.sheets import document_of
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value
from core.documents.files import read_file
from core.documents.logos import logo_of
from core.errors import Invalid, Stale
from core.testing import TestTenant
from tests.core.documents.sheets import pages_of

pytestmark = pytest.mark.anyio

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 10"
 onload="x()">
<style>@import url(https://evil.example/x.css);</style><script>alert(1)</script>
<defs><linearGradient id="g"><stop offset="0" stop-color="#0b6b60"/></linearGradient></defs>
<a href="https://evil.example"><rect width="9" height="9"/></a><image xlink:href="https://evil.example/p.png"/>
<foreignObject><div xmlns="http://www.w3.org/1999/xhtml">x</div></foreignObject>
<rect width="40" height="10" fill="url(#g)" style="stroke: #000; filter: url(https://evil.example/f)" onclick="x()"/>
<circle r="3" fill="url(https://evil.example/f)"/></svg>"""


def a_picture(kind: str = "PNG", size: tuple[int, int] = (60, 20)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#0b6b60").save(out, kind)
    return out.getvalue()


async def an_invoice(tenant: TestTenant, language: str = "en") -> int:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    await execute("UPDATE customer SET language = :language WHERE id = :id", language=language, id=customer_id)
    lines = [NewLine(description="Visit", unit_price_e6=100_000_000)]
    made = await actions.create_draft(scope, NewDraft(payer_id=customer_id, lines=lines))
    await actions.issue(scope, made)
    return made


async def the_text(tenant: TestTenant, invoice: int) -> str:
    file = await document_file(tenant.scope(), invoice)
    return "\n".join(pages_of(await read_file(tenant.scope(), file)))


# -- logos ------------------------------------------------------------------------------------------------------------


async def test_B11_a_drawing_keeps_its_shapes_and_loses_all_that_could_act() -> None:
    logo = await logo_of(SVG)
    text = logo.data.decode()

    assert (logo.suffix, logo.media_type) == (".svg", "image/svg+xml")
    for gone in ("evil", "script", "onload", "onclick", "style", "import", "<a", "image", "foreignObject", "xlink"):
        assert gone not in text
    assert text.count("<rect") == 1
    assert 'fill="url(#g)"' in text
    assert 'stroke="#000"' in text


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>',
        b"<html><body>no</body></html>",
        b"<svg",
        b"GIF89a whatever",
        b"",
        b"\x89PNG\r\n\x1a\nbroken",
        b'<svg xmlns="http://www.w3.org/2000/svg">%s<path d="M0 0"/>%s</svg>' % (b"<g>" * 20_000, b"</g>" * 20_000),
        a_picture("PNG", (5000, 4001)),
    ],
    ids=["entities", "nothing left", "no drawing", "cut off", "another kind", "empty", "broken", "deep", "many pixels"],
)
async def test_B11_what_is_no_logo_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        await logo_of(data)

    assert refused.value.errors[0].field == "logo"


async def test_drawing_a_picture_leaves_the_warnings_of_the_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    known, upright, same = warnings.filters, ImageOps.exif_transpose, []

    def watched(picture: Image.Image) -> Image.Image:
        same.append(warnings.filters is known)
        return upright(picture)

    monkeypatch.setattr(ImageOps, "exif_transpose", watched)
    await logo_of(a_picture())

    assert same == [True]


async def test_B11_a_picture_is_drawn_anew_and_a_large_file_refused() -> None:
    big = await logo_of(a_picture("PNG", (3000, 300)))
    photo = await logo_of(a_picture("JPEG"))

    with Image.open(io.BytesIO(big.data)) as drawn:
        assert drawn.size == (1200, 120)
    assert photo.suffix == ".jpg"
    with pytest.raises(Invalid, match="2 MB"):
        await logo_of(b"x" * ((2 << 20) + 1))


# -- the look ---------------------------------------------------------------------------------------------------------


async def test_B11_what_was_issued_keeps_its_look_in_its_language_and_pdf(tenant: TestTenant) -> None:
    scope = tenant.scope()
    plain = await an_invoice(tenant)
    await set_logo(scope, SVG)
    texts = {
        "en": LayoutTexts(intro="Thank you.", payment="Please name the number.", closing="See you", legal="Limited"),
        "de": LayoutTexts(intro="Vielen Dank.", legal="Haftung beschränkt"),
    }
    first = await save_layout(
        scope, LayoutFields(colour="#7a1f5c", columns=["price"], texts=texts, show_name=False), version=1
    )
    english, german = await an_invoice(tenant), await an_invoice(tenant, "de")
    await save_layout(scope, LayoutFields(), version=first.version)
    await set_logo(scope, a_picture())
    later = await an_invoice(tenant)

    looks = {each: await document_of(scope, each) for each in (plain, english, german, later)}
    assert looks[plain].look.colour == looks[plain].seller.logo == ""
    assert (looks[english].look.colour, looks[english].look.columns) == ("#7a1f5c", ("price",))
    assert looks[english].seller.logo.endswith(".svg")
    assert looks[later].seller.logo.endswith(".png")
    printed = await the_text(tenant, english)
    assert "Thank you." in printed
    assert "Limited" in printed
    assert "Quantity" not in printed
    assert "Vielen Dank." in await the_text(tenant, german)
    assert "Thank you." not in await the_text(tenant, later)


async def test_of_two_who_change_the_look_at_once_the_second_is_told(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = tenant.scope()

    async def before(sql: str, **values: object) -> str | None:
        return read

    read = None
    first = await save_layout(scope, LayoutFields(colour="#0b6b60"), version=0)
    monkeypatch.setattr(layouts, "value", before)
    with pytest.raises(Stale):
        await save_layout(scope, LayoutFields(colour="#000000"), version=0)
    monkeypatch.undo()
    read = await value("SELECT value FROM setting WHERE key = :key", key=layouts.KEY)
    kept = await set_logo(scope, a_picture())
    monkeypatch.setattr(layouts, "value", before)
    with pytest.raises(Stale):
        await save_layout(scope, LayoutFields(colour="#000000"), version=first.version)
    with pytest.raises(Stale):
        await layouts.remove_logo(scope)
    monkeypatch.undo()

    assert await load_layout() == kept
    assert (kept.colour, kept.logo_name[-4:]) == ("#0b6b60", ".png")


async def test_B11_the_code_for_a_transfer_can_be_left_out(tenant: TestTenant) -> None:
    scope = tenant.scope()
    seller = await actions.default_seller(scope)
    await actions.change_seller(
        scope, seller.id, SellerFields(name="Demo", country="IE", iban="IE29AIBK93115212345678"), version=seller.version
    )
    page = await tenant.browser()
    with_code = await an_invoice(tenant)
    await save_layout(scope, LayoutFields(code=False), version=0)
    without = await an_invoice(tenant)

    shown = [(await page.get(f"/invoices/{each}/sheet")).text for each in (with_code, without)]

    assert ["d-qr" in each for each in shown] == [True, False]
    assert all("IE29 AIBK" in each for each in shown)


async def test_B11_a_look_that_cannot_be_read_is_refused_and_the_second_of_two_told(tenant: TestTenant) -> None:
    scope = tenant.scope()

    for fields in (
        LayoutFields(colour="red"),
        LayoutFields(colour="#ffee88"),
        LayoutFields(columns=["tax"]),
        LayoutFields(texts={"xx": LayoutTexts(intro="x")}),
    ):
        with pytest.raises(Invalid):
            await save_layout(scope, fields, version=0)
    await save_layout(scope, LayoutFields(colour="#0b6b60"), version=0)
    with pytest.raises(Stale):
        await save_layout(scope, LayoutFields(colour="#000000"), version=0)

    assert contrast("#ffffff") == pytest.approx(1)
    assert contrast("#000000") == pytest.approx(21)


# -- pages and JSON ---------------------------------------------------------------------------------------------------


async def test_B11_the_look_is_edited_with_its_preview_beside_it(tenant: TestTenant) -> None:
    page = await tenant.browser()
    shown = await page.get("/settings/documents")
    typed = {
        "version": "0",
        "colour": "#7A1F5C",
        "price": "yes",
        "code": "yes",
        "show_name": "yes",
        "intro_de": "Vielen Dank.",
    }

    frame = await page.get("/settings/documents/preview", params={**typed, "language": "de"})
    source = re.search(r'src="([^"]+)"', frame.text)
    assert source is not None
    sheet = await page.get(source[1].replace("&amp;", "&"))
    colour = await page.get("/documents/colours/7a1f5c.css")
    wrong = await page.post("/settings/documents", data={**typed, "colour": "#ffee88"})
    saved = await page.post("/settings/documents", data=typed)
    stale = await page.post("/settings/documents", data=typed)

    assert "frame-src 'self'" in shown.headers["content-security-policy"]
    assert "Vielen Dank." in sheet.text
    assert "23" in sheet.text.split("194,00", 1)[0]
    assert "238,62" in sheet.text
    assert "Rechnung" in sheet.text
    assert "/documents/colours/7a1f5c.css" in sheet.text
    assert sheet.headers["x-frame-options"] == "SAMEORIGIN"
    assert "--brand: #7a1f5c" in colour.text
    assert wrong.status_code == 422
    assert "too pale" in wrong.text
    assert 'value="#ffee88"' in wrong.text
    assert saved.status_code == 303
    assert stale.status_code == 409
    layout = await load_layout()
    assert (layout.colour, layout.columns, layout.texts["de"].intro) == ("#7a1f5c", ["price"], "Vielen Dank.")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"colour": "#12"}, "Write a colour like #0b6b60. The preview leaves it out."),
        ({"colour": "#ffee88"}, "too pale to be read on white paper. The preview leaves it out."),
        ({"colour": "#7a1f5c", "intro_en": "x" * 601}, "Use at most 600 characters. The preview leaves it out."),
        ({"colour": "#7a1f5c"}, ""),
    ],
)
async def test_B11_the_preview_says_what_is_not_right_yet(tenant: TestTenant, typed: dict[str, str], said: str) -> None:
    page = await tenant.browser()

    frame = await page.get("/settings/documents/preview", params={"version": "0", "language": "en", **typed})
    source = re.search(r'src="([^"]+)"', frame.text)
    assert source is not None
    sheet = await page.get(source[1].replace("&amp;", "&"))

    assert said in frame.text
    assert ("The preview leaves it out" in frame.text) == bool(said)
    assert sheet.status_code == 200
    assert ("/documents/colours/" in sheet.text) == (not said)


async def test_B11_a_logo_is_uploaded_served_harmlessly_and_removed(tenant: TestTenant) -> None:
    page = await tenant.browser()

    none = await page.post("/settings/documents/logo", data={})
    bad = await page.post("/settings/documents/logo", files={"logo": ("x.svg", b"<svg", "image/svg+xml")})
    done = await page.post("/settings/documents/logo", files={"logo": ("x.svg", SVG, "image/svg+xml")})
    name = (await load_layout()).logo_name
    served = await page.get(f"/documents/logos/{name}")
    unknown = await page.get("/documents/logos/logo-000000000000.svg")
    removed = await page.post("/settings/documents/logo/removal")

    assert (none.status_code, bad.status_code, done.status_code) == (422, 422, 303)
    assert "sandbox" in served.headers["content-security-policy"]
    assert served.headers["content-type"].startswith("image/svg+xml")
    assert b"script" not in served.content
    assert unknown.status_code == 404
    assert removed.status_code == 303
    assert (await load_layout()).logo_name == ""


async def test_B11_the_look_over_json(tenant: TestTenant) -> None:
    api = await tenant.api()

    before = (await api.get("/api/v1/document-layout")).json()
    changed = await api.put("/api/v1/document-layout", json={"version": before["version"], "colour": "#0b6b60"})
    stale = await api.put("/api/v1/document-layout", json={"version": before["version"], "colour": "#000000"})
    logo = await api.put("/api/v1/document-layout/logo", files={"logo": ("x.png", a_picture(), "image/png")})
    preview = await api.get("/api/v1/document-layout/preview", params={"language": "de", "kind": "proforma"})
    gone = await api.delete("/api/v1/document-layout/logo")

    assert changed.json()["colour"] == "#0b6b60"
    assert stale.status_code == 409
    assert logo.json()["logo_name"].endswith(".png")
    assert preview.content.startswith(b"%PDF")
    assert "Proforma-Rechnung" in pages_of(preview.content)[0]
    assert gone.json()["logo_name"] == ""
