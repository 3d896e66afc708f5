"""What the hardware has cost, and labels with its barcodes."""

from __future__ import annotations

import re
from dataclasses import replace

import pypdfium2
import pytest
from barcode.charsets import code128

from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import Partitions
from core.errors import Forbidden, Invalid
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant
from plugins.inventory import actions, labels, queries, routes
from plugins.inventory.labels import LabelSheet
from plugins.inventory.schemas import LocationFields, Move, NewItem, ProductFields
from plugins.inventory.valuation import valuation

pytestmark = pytest.mark.plugins("inventory")


async def stocked(scope: Scope) -> None:
    """Two routers at the product's 20.00, one at its own 15.00, a cable without a price; in a van, a store and out."""
    await actions.add_product(scope, ProductFields(name="R6", vendor="Kestra", cost_minor=2000))
    someone = await customers.create_customer(scope, NewCustomer(full_name="Ann Other"))
    lent = await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial="A1"))
    await actions.assign_item(scope, lent, someone)
    await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial="A2", location="Van"))
    await actions.add_item(
        scope, NewItem(vendor="Kestra", product="R6", serial="A3", location="Store", cost_minor=1500)
    )
    await actions.add_item(scope, NewItem(product="Cable", serial="C1", location="Van"))
    gone = await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial="A4", location="Van"))
    await actions.write_off_item(scope, gone)


async def test_what_is_owned_is_summed_by_location_product_and_state(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await stocked(scope)

    found = await valuation(scope)

    assert (found.currency, found.items, found.unpriced, found.cost_minor) == ("EUR", 4, 1, 5500)
    assert [(one.label, one.items, one.unpriced, one.cost_minor) for one in found.by_location] == [
        ("Van", 2, 1, 2000),
        ("With customers", 1, 0, 2000),
        ("Store", 1, 0, 1500),
    ]
    assert [(one.label, one.items, one.cost_minor) for one in found.by_product] == [
        ("Kestra R6", 3, 5500),
        ("Cable", 1, 0),
    ]
    assert [(one.label, one.items, one.cost_minor) for one in found.by_state] == [
        ("In stock", 3, 3500),
        ("Assigned", 1, 2000),
    ]


async def test_every_way_of_summing_comes_to_the_same(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await stocked(scope)
    place = await actions.add_location(scope, LocationFields("Site"))
    await actions.use_item(scope, (await queries.find_by_code(scope, "C1"))[0].id, Move(place))

    found = await valuation(scope)

    for part in (found.by_location, found.by_product, found.by_state):
        assert sum(one.items for one in part) == found.items
        assert sum(one.cost_minor for one in part) == found.cost_minor
        assert sum(one.unpriced for one in part) == found.unpriced


async def test_resellers_people_are_told_no_value_of_the_stock(tenant: TestTenant) -> None:
    scope = replace(tenant.scope(), actor=Actor("staff", 1, "x", Partitions((1,)), ALL_PERMISSIONS))

    with pytest.raises(Forbidden):
        await valuation(scope)


async def test_the_valuation_as_a_page_and_over_the_api(tenant: TestTenant) -> None:
    await stocked(tenant.scope())

    page = await (await tenant.browser()).get("/inventory/valuation")
    api = await (await tenant.api(["inventory.view"])).get("/api/v1/inventory/valuation")

    assert "€55.00" in page.text
    assert "With customers" in page.text
    assert api.json()["cost_minor"] == 5500


async def test_G2_a_valuation_of_many_products_shows_the_first_and_the_sum_of_the_others(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "VALUED", 2)
    scope = tenant.scope()
    for number in range(1, 6):
        await actions.add_item(scope, NewItem(product=f"R{number}", serial=f"S{number}", cost_minor=number * 1000))
    page = await tenant.browser()

    first = (await page.get("/inventory/valuation")).text
    every = (await page.get("/inventory/valuation?all=yes")).text
    api = (await (await tenant.api(["inventory.view"])).get("/api/v1/inventory/valuation")).json()

    assert [name for name in ("R5", "R4", "R3", "R2", "R1") if f">{name}<" in first] == ["R5", "R4"]
    assert re.search(r"3 other products</a>.*?60\.00", first, re.DOTALL)
    assert [name for name in ("R5", "R4", "R3", "R2", "R1") if f">{name}<" in every] == ["R5", "R4", "R3", "R2", "R1"]
    assert "other products" not in every
    assert len(api["by_product"]) == 5


# -- labels -----------------------------------------------------------------------------------------------------------


def read_back(svg: str) -> str:
    """What a scanner makes of the bars: the table of Code 128, turned round; sets B and C."""
    found = re.search(r'd="([^"]+)"', svg)
    assert found is not None
    bars = [(int(x), int(w)) for x, w in re.findall(r"M(\d+) 0h(\d+)", found[1])]
    end = bars[-1][0] + bars[-1][1]
    modules = ["0"] * end
    for x, width in bars:
        modules[x : x + width] = "1" * width
    text = "".join(modules[labels.QUIET :])
    values = [code128.CODES.index(text[at : at + 11]) for at in range(0, len(text) - 13, 11)]
    *kept, check = values
    assert sum(value * max(place, 1) for place, value in enumerate(kept)) % 103 == check
    read, in_c = "", kept[0] == 105
    for one in kept[1:]:
        if one == 99 and not in_c:
            in_c = True
        elif one == 100 and in_c:
            in_c = False
        else:
            read += f"{one:02}" if in_c else chr(one + 32)
    return read


@pytest.mark.parametrize("code", ["INV-1000", "KF-21-004417", "4006381333931", "A1 b~", "123456"])
def test_the_bars_of_a_label_read_back_as_the_code(code: str) -> None:
    assert read_back(str(labels.bars(code))) == code


def test_bars_are_made_of_ascii_only() -> None:
    with pytest.raises(Invalid):
        labels.bars("Grün")


async def test_a_label_holds_the_barcode_else_the_serial_number_else_our_own_number(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = [
        await actions.add_item(scope, NewItem(product="R6", serial="A1", barcode="T-1")),
        await actions.add_item(scope, NewItem(product="R6", serial="A2")),
        await actions.add_item(scope, NewItem(product="R6", serial="Übergröße")),
        await actions.add_item(scope, NewItem(product="R6", serial="X" * 60)),
    ]

    codes = [labels.code_of(await queries.item_after(one)) for one in ids]

    assert codes == ["T-1", "A2", f"ITEM-{ids[2]}", f"ITEM-{ids[3]}"]
    for code, item_id in zip(codes, ids, strict=True):
        assert [one.id for one in await queries.find_by_code(scope, code)] == [item_id]


async def test_labels_are_printed_on_sheets_or_a_roll(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for number in range(25):
        await actions.add_item(
            scope,
            NewItem(vendor="Kestra", product="R6 <b>", serial=f"S{number:03}", mac=f"00:1a:2b:00:00:{number:02x}"),
        )

    def pages(pdf: bytes) -> list[tuple[str, tuple[int, int]]]:
        document = pypdfium2.PdfDocument(pdf)
        return [
            (page.get_textpage().get_text_bounded(), (round(page.get_width()), round(page.get_height())))
            for page in document
        ]

    sheets = pages(await labels.labels_of(scope, {"sort": "id"}, LabelSheet()))
    begun = pages(await labels.labels_of(scope, {"sort": "id"}, LabelSheet(used=23)))
    roll = pages(await labels.labels_of(scope, {"q": "s00", "sort": "id"}, LabelSheet("roll")))

    assert [text.count("Kestra R6 <b>") for text, _ in sheets] == [24, 1]
    assert [text.count("Kestra R6 <b>") for text, _ in begun] == [1, 24]
    assert sheets[0][1] == (595, 842)
    assert len(roll) == 10
    assert roll[3][1] == (176, 82)
    assert all(word in roll[3][0] for word in ("S003", "00:1A:2B:00:00:03", "Test Net"))


async def test_labels_of_a_page_and_over_the_api(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    page, api = await tenant.browser(), await tenant.api(["inventory.view"])

    drawer = await page.get(f"/inventory/labels?id.from={item_id}&id.to={item_id}")
    pdf = await page.get(f"/inventory/labels.pdf?id.from={item_id}&id.to={item_id}&kind=roll&used=0")
    none = await page.get("/inventory/labels.pdf?q=nothing")
    wrong = await page.get("/inventory/labels.pdf?used=99")
    over = await api.get(f"/api/v1/inventory/labels?kind=roll&item={item_id}")

    assert "70 × 37 mm" in drawer.text
    assert f'name="id.from" value="{item_id}"' in drawer.text
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert (none.status_code, wrong.status_code) == (422, 422)
    assert over.content[:5] == b"%PDF-"
