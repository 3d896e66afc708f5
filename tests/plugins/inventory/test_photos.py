"""Photos of products: small, upright, without what a camera tells, and gone with their product."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from core.database import Partitions, value
from core.documents.pictures import small_picture
from core.errors import Invalid
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import TestTenant
from plugins.inventory import actions, queries
from plugins.inventory.schemas import ProductFields

pytestmark = pytest.mark.plugins("inventory")

ORIENTATION, MAKE = 0x0112, 0x010F


def photo(width: int = 1600, height: int = 800, kind: str = "JPEG") -> bytes:
    """As a phone takes it: lying on its side, with the maker's name."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Kestra Mobile"
    out = io.BytesIO()
    Image.new("RGBA" if kind == "PNG" else "RGB", (width, height), (200, 30, 30)).save(out, kind, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_is_made_small_and_upright_and_says_nothing_of_the_camera(kind: str) -> None:
    made = await small_picture(photo(kind=kind), field="photo")

    with Image.open(io.BytesIO(made)) as seen:
        assert (seen.format, seen.size, dict(seen.getexif())) == ("JPEG", (512, 1024), {})
    assert b"Kestra" not in made


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg onload=alert(1)>", b"GIF89a" + bytes(40), photo()[:200], photo(kind="PNG")[:-60], bytes(16 << 20)],
    ids=["empty", "svg", "gif", "cut", "cut png", "too large"],
)
async def test_what_is_no_picture_is_refused_by_the_field_name(data: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        await small_picture(data, field="photo")

    assert refused.value.errors[0].field == "photo"


async def test_a_picture_that_would_unfold_to_too_much_is_not_unfolded() -> None:
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")

    with pytest.raises(Invalid):
        await small_picture(out.getvalue(), field="photo")


async def test_G2_a_product_has_a_photo_that_is_shown_replaced_and_removed(tenant: TestTenant) -> None:
    product_id = await actions.add_product(tenant.scope(), ProductFields(vendor="Kestra", name="R6"))
    page, at = await tenant.browser(), f"/inventory/products/{product_id}"

    none = await page.post(f"{at}/photo", files={})
    refused = await page.post(f"{at}/photo", files={"photo": ("x.jpg", b"no picture", "image/jpeg")})
    await page.post(f"{at}/photo", files={"photo": ("x.jpg", photo(), "image/jpeg")})
    first = (await queries.get_product(product_id)).photo_file_id
    await page.post(f"{at}/photo", files={"photo": ("y.png", photo(kind="PNG"), "image/png")})
    second = (await queries.get_product(product_id)).photo_file_id
    shown, seen = await page.get(at), await page.get(f"{at}/photo")

    assert (none.status_code, refused.status_code) == (422, 422)
    assert "Use a JPEG, PNG or WebP file." in refused.text
    assert first != second
    assert await value("SELECT count(*) FROM stored_file") == 1
    assert f"{at}/photo?{second}" in shown.text
    assert (seen.headers["content-type"], seen.content[:2]) == ("image/jpeg", b"\xff\xd8")

    await page.delete(f"{at}/photo")
    assert (await page.get(f"{at}/photo")).status_code == 404
    assert await value("SELECT count(*) FROM stored_file") == 0


async def test_the_photo_goes_with_the_product(tenant: TestTenant) -> None:
    scope = tenant.scope()
    product_id = await actions.add_product(scope, ProductFields(name="R6"))
    await actions.set_photo(scope, product_id, photo())

    await actions.remove_product(scope, product_id)

    assert await value("SELECT count(*) FROM stored_file") == 0


async def test_staff_with_a_part_of_the_customers_see_photos_too(tenant: TestTenant) -> None:
    product_id = await actions.add_product(tenant.scope(), ProductFields(name="R6"))
    await actions.set_photo(tenant.scope(), product_id, photo())
    reseller = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((1,)), ALL_PERMISSIONS))

    assert (await queries.read_photo(reseller, product_id))[:2] == b"\xff\xd8"


async def test_the_photo_over_json(tenant: TestTenant) -> None:
    product_id = await actions.add_product(tenant.scope(), ProductFields(name="R6"))
    api, at = await tenant.api(), f"/api/v1/inventory/products/{product_id}/photo"

    sent = await api.put(at, files={"photo": ("x.webp", photo(kind="WEBP"), "image/webp")})
    refused = await api.put(at, files={"photo": ("x.webp", b"RIFF", "image/webp")})
    seen = await api.get(at)
    gone = await api.delete(at)

    assert (sent.status_code, refused.status_code, seen.status_code) == (200, 422, 200)
    assert refused.json()["errors"][0]["field"] == "photo"
    assert seen.content[:2] == b"\xff\xd8"
    assert gone.json()["photo_file_id"] is None
