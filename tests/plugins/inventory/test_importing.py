"""Items from files: a dry run with what is wrong by row and column, then only what is right."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from core.activity.unit import unit_of_work
from core.database import value
from core.errors import Conflict, Invalid
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.writing import ExportColumn, XlsxWriter
from core.scope import Scope
from core.testing import TestTenant
from plugins.inventory import actions, importing, queries
from plugins.inventory.importing import TAKE_IMPORT
from plugins.inventory.schemas import ItemRow, LocationFields, NewItem

pytestmark = pytest.mark.plugins("inventory")

GOOD = b"""Vendor;Model;Serial No.;MAC;Asset tag;Warehouse;Condition;Purchase price;Purchase date;Colour
Kestra;R6;A1;00:1a:2b:3c:4d:5e;T-1;Store room;;12.50;2026-01-31;red
Kestra;R6;A2;;;;used;;31.1.2026;blue
"""


async def work(scope: Scope) -> None:
    """What the worker would do: the imports that are due."""
    for due in await claims.due_jobs([TAKE_IMPORT.name], scope.now()):
        claim = await claims.claim(TAKE_IMPORT, due.id, scope.now())
        assert claim is not None
        await attempt(scope, TAKE_IMPORT, claim)


async def item(scope: Scope, serial: str) -> ItemRow:
    (found,) = await queries.find_by_code(scope, serial)
    return found


async def test_a_file_is_looked_at_first_and_becomes_items_then(tenant: TestTenant) -> None:
    scope = tenant.scope()
    van = await actions.add_location(scope, LocationFields("Van"))

    import_id = await importing.check_file(scope, GOOD, name="stock.csv", location_id=van)
    report = (await importing.get_import(scope, import_id)).told()
    before = await value("SELECT count(*) FROM inventory_item")
    await importing.start_import(scope, import_id)
    await work(scope)

    assert (report.records, report.good, report.errors, before) == (2, 2, 0, 0)
    assert dict(report.columns)["Asset tag"] == "Barcode"
    assert dict(report.columns)["Colour"] == ""
    first, second = await item(scope, "A1"), await item(scope, "A2")
    assert (first.name, first.mac_text, first.barcode, first.location, first.cost_minor) == (
        "Kestra R6",
        "00:1A:2B:3C:4D:5E",
        "T-1",
        "Store room",
        1250,
    )
    assert (second.location, second.condition, str(second.bought_on)) == ("Van", "used", "2026-01-31")
    done = await importing.get_import(scope, import_id)
    assert (done.state, done.made, done.file_id) == ("done", 2, None)


async def test_a_german_file_is_known_by_its_headings_and_its_pages_name_them_in_german(tenant: TestTenant) -> None:
    content = (
        b"Hersteller;Modell;Seriennummer;MAC-Adresse;Inventar-Nr.;Lagerort;Zustand;Einkaufspreis;Gekauft am;Bemerkung\n"
        b"Kestra;R6;A1;00:1a:2b:3c:4d:5e;T-1;Lager;gebraucht;12,50;31.1.2026;rot\n"
    )
    scope = replace(tenant.scope(), locale="de")
    page = await tenant.browser()
    await page.post("/profile/preferences", data={"language": "de"})

    import_id = await importing.check_file(scope, content, name="lager.csv")
    upload = await page.get("/inventory/import")
    report = await page.get(f"/inventory/import/{import_id}")
    await importing.start_import(scope, import_id)
    await work(scope)

    taken = await item(tenant.scope(), "A1")
    assert (taken.condition, taken.location, taken.cost_minor, taken.note) == ("used", "Lager", 1250, "rot")
    assert "Produkt, Hersteller, Seriennummer" in upload.text
    assert "<td>Inventar-Nr.</td><td>Barcode</td>" in report.text
    assert "<td>Zustand</td><td>Zustand</td>" in report.text


async def test_what_is_wrong_is_named_by_row_and_column_and_left_out(tenant: TestTenant) -> None:
    scope = tenant.scope()
    there = await actions.add_item(scope, NewItem(product="R6", serial="A9", mac="00:1a:2b:3c:4d:5e"))
    content = "\n".join(
        [
            "Model,Serial,MAC,Condition,Cost,Bought on",
            "R6,A1,,,,",
            ",A2,,,,",
            "R6,,,,,",
            "R6,A3,nonsense,shiny,much,1/2/2026",
            "R6,a 1,,,,",
            "R6,A9,,,,",
            "R6,A5,001a.2b3c.4d5e,,,",
            "R6,A6",
            "R6,A7,,,,2026-02-30",
        ]
    )

    import_id = await importing.check_file(scope, content.encode(), name="stock.csv")
    report = (await importing.get_import(scope, import_id)).told()
    await importing.start_import(scope, import_id)
    await work(scope)

    assert [(one.line, one.column, one.message) for one in report.faults] == [
        (3, "Model", "This is missing."),
        (4, "Serial", "This is missing."),
        (5, "MAC", "A MAC address has twelve hexadecimal digits, like 00:1A:2B:3C:4D:5E."),
        (5, "Condition", "It is one of new, used and broken."),
        (5, "Cost", report.faults[4].message),
        (5, "Bought on", "Write a day as 2026-11-30."),
        (6, "Serial", "It is in line 2 already."),
        (7, "Serial", f"Item {there} has it already."),
        (8, "MAC", f"Item {there} has it already."),
        (9, "", "It has 2 fields, the header has 6."),
        (10, "Bought on", "Write a day as 2026-11-30."),
    ]
    assert (report.records, report.good) == (9, 1)
    assert (await importing.get_import(scope, import_id)).made == 1


async def test_a_workbook_is_read_as_a_csv_is(tenant: TestTenant) -> None:
    scope = tenant.scope()
    book = io.BytesIO()
    writer = XlsxWriter(book, [ExportColumn("p", "Product"), ExportColumn("s", "Serial number")])
    writer.write(["R6", "A1"])
    writer.write(["R6", ""])
    writer.close()

    import_id = await importing.check_file(scope, book.getvalue(), name="stock.xlsx")

    report = (await importing.get_import(scope, import_id)).told()
    assert (report.good, [(one.line, one.column) for one in report.faults]) == (1, [(3, "Serial number")])


async def test_a_file_without_the_columns_that_must_be_there_says_which(tenant: TestTenant) -> None:
    with pytest.raises(Invalid, match=r"no column for Serial number. The file has: Model, Weight") as refused:
        await importing.check_file(tenant.scope(), b"Model,Weight\nR6,2\n", name="stock.csv")

    assert refused.value.errors[0].field == "file"


async def test_an_import_broken_off_goes_on_where_it_was(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tenant.scope()
    monkeypatch.setattr(importing, "CHUNK", 2)
    content = "Model,Serial\n" + "".join(f"R6,A{number}\n" for number in range(5))
    import_id = await importing.check_file(scope, content.encode(), name="stock.csv")
    await importing.start_import(scope, import_id)
    async with unit_of_work(scope):  # what a first attempt had made when it was lost
        await actions.add_item(scope, NewItem(product="R6", serial="A0"), import_id=import_id)

    await work(scope)

    assert await value("SELECT count(*) FROM inventory_item") == 5
    assert (await importing.get_import(scope, import_id)).made == 5


async def test_what_became_an_items_after_the_dry_run_is_left_out(tenant: TestTenant) -> None:
    scope = tenant.scope()
    import_id = await importing.check_file(scope, GOOD, name="stock.csv")
    await importing.start_import(scope, import_id)
    await actions.add_item(scope, NewItem(product="R6", serial="A1"))

    await work(scope)

    assert (await importing.get_import(scope, import_id)).made == 1
    assert await value("SELECT count(*) FROM inventory_item") == 2


async def test_an_import_is_started_once_and_discarded_before_only(tenant: TestTenant) -> None:
    scope = tenant.scope()
    started = await importing.check_file(scope, GOOD, name="stock.csv")
    dropped = await importing.check_file(scope, GOOD, name="again.csv")
    await importing.start_import(scope, started)
    await importing.discard_import(scope, dropped)

    with pytest.raises(Conflict):
        await importing.start_import(scope, started)
    with pytest.raises(Conflict):
        await importing.discard_import(scope, started)

    assert [one.id for one in await importing.list_imports(scope)] == [started]
    assert await value("SELECT count(*) FROM stored_file") == 1


async def test_pages_of_an_import(tenant: TestTenant) -> None:
    page = await tenant.browser()

    none = await page.post("/inventory/import", files={})
    unreadable = await page.post("/inventory/import", files={"file": ("x.csv", b"%PDF-1.7", "text/csv")})
    sent = await page.post("/inventory/import", files={"file": ("stock.csv", GOOD + b"R6;;;;;;;;;\n", "text/csv")})
    report = await page.get(sent.headers["location"])
    started = await page.post(f"{sent.headers['location']}/start")
    waiting = await page.get(sent.headers["location"])
    await work(tenant.scope())
    done = await page.get(sent.headers["location"])

    assert (none.status_code, unreadable.status_code, sent.status_code, started.status_code) == (422, 422, 303, 303)
    assert "Import 2 items" in report.text
    assert "This is missing." in report.text
    assert "Import of hardware" in waiting.text
    assert "Items made" in done.text
    assert "stock.csv" in (await page.get("/inventory/import")).text


async def test_an_import_goes_on_in_sight_of_who_may_see_jobs_and_asks_for_no_others(tenant: TestTenant) -> None:
    clerk = await tenant.browser(staff_id=await tenant.staff_with({"inventory.edit", "inventory.view"}))
    import_id = await importing.check_file(tenant.scope(), GOOD, name="stock.csv")
    await importing.start_import(tenant.scope(), import_id)
    at = f"/inventory/import/{import_id}"

    own, whole = (await clerk.get(at)).text, (await (await tenant.browser()).get(at)).text

    assert ["/events" in one for one in (own, whole)] == [False, True]
    assert f"{at}/state" in own


async def test_an_import_over_the_api(tenant: TestTenant) -> None:
    api = await tenant.api(["inventory.view", "inventory.edit"])
    at = "/api/v1/inventory/imports"

    sent = await api.post(at, files={"file": ("stock.csv", GOOD, "text/csv")})
    wrong = await api.post(at, files={"file": ("s.csv", GOOD, "text/csv")}, data={"location_id": "99"})
    started = await api.post(f"{at}/{sent.json()['id']}/start")
    await work(tenant.scope())
    done = await api.get(f"{at}/{sent.json()['id']}")
    again = await api.post(f"{at}/{sent.json()['id']}/start")

    assert (sent.status_code, sent.json()["report"]["good"]) == (201, 2)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "location_id")
    assert (started.status_code, done.json()["state"], done.json()["made"]) == (202, "done", 2)
    assert again.status_code == 409
    assert len((await api.get(at)).json()["items"]) == 1
