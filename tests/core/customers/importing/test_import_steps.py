"""What is made of an import once its customers are here: in the browser, over JSON, by command, and by a plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from types import ModuleType

import httpx
import msgspec
import pytest
from rich.console import Console

from core import hookspecs
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.cli import import_step_command, show_step
from core.customers.importing import steps
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.customers.importing.profiles import Mapping as Mapping_
from core.database import value, values
from core.errors import Conflict, Invalid, NotFound
from core.hooks import Hooks, ImportedRows, ImportPreview, ImportRefusal, ImportStep, hookimpl
from core.scope import Scope
from core.testing import TestTenant
from tests.core.customers.importing.test_import_pages import upload, work

FILE = b"login,name,balance,notes\na,Ada,20.00,likes tea\nb,Bo,-50.00,\nc,Cy,,\n"


async def imported(tenant: TestTenant, page: httpx.AsyncClient, content: bytes = FILE) -> str:
    """The address of an import whose customers are here."""
    address = (await upload(page, "old system.csv", content)).headers["location"]
    await work(tenant)
    await page.post(f"{address}/start", data={"mode": "all"})
    await work(tenant)
    return str(address)


def seen(page: str) -> str:
    return page.partition('name="seen" value="')[2].partition('"')[0]


async def test_L7_opening_balances_are_looked_at_and_booked_in_the_browser(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = await imported(tenant, page)
    done = await page.get(address)
    assert "Book opening balances…" in done.text

    shown = await page.get(f"{address}/steps/openings")
    assert "20.00" in shown.text
    assert "50.00" in shown.text
    days = {"booked_on": "2026-11-01", "due_on": "2026-12-01"}
    unseen = await page.post(f"{address}/steps/openings", data={**days, "go": "yes", "seen": seen(shown.text)})
    assert unseen.status_code == 409
    assert await value("SELECT count(*) FROM posting") == 0
    started = await page.post(f"{address}/steps/openings", data={**days, "go": "yes", "seen": seen(unseen.text)})
    assert started.status_code == 303, started.text
    waiting = await page.get(f"{address}/steps/openings")
    assert "Going on with an import" in waiting.text
    await work(tenant)

    booked = await page.get(f"{address}/steps/openings")
    assert "2 records done" in booked.text
    assert await values("SELECT CAST(due_on AS text) FROM document_state") == ["2026-12-01"]
    document = await value("SELECT id FROM document")
    opening = await page.get(f"/invoices/{document}")
    assert opening.status_code == 200
    assert "Taken over" in opening.text
    assert await verify(tenant.scope()) == []


async def test_a_date_that_is_wrong_is_told_beside_its_field_and_kept_as_typed(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = await imported(tenant, page)

    refused = await page.post(f"{address}/steps/openings", data={"booked_on": "2030-01-01", "due_on": "2026-12-01"})

    assert refused.status_code == 422
    assert "Choose today or a day before" in refused.text
    assert 'value="2030-01-01"' in refused.text


async def test_customers_that_stay_when_an_import_is_undone_are_told_with_the_reason(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = await imported(tenant, page)
    shown = await page.get(f"{address}/steps/openings")
    await page.post(f"{address}/steps/openings", data={"go": "yes", "seen": seen(shown.text)})
    await work(tenant)

    await page.post(f"{address}/undo")
    await work(tenant)

    undone = await page.get(address)
    assert "2 customers stay" in undone.text
    assert "was reversed. The books keep it" in undone.text
    listed = await page.get(f"{address}/steps/undo/refused.csv")
    assert listed.text.count("was reversed") == 2
    assert await values("SELECT full_name FROM customer ORDER BY id") == ["Ada", "Bo"]
    assert await verify(tenant.scope()) == []


async def test_who_may_not_credit_sees_why_and_cannot_book(tenant: TestTenant) -> None:
    address = await imported(tenant, await tenant.browser())
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "customers.create"}))

    shown = await page.get(f"{address}/steps/openings")
    refused = await page.post(f"{address}/steps/openings", data={"go": "yes", "seen": seen(shown.text)})

    assert "This needs the permission documents.credit" in shown.text
    assert refused.status_code == 403
    assert await value("SELECT count(*) FROM posting") == 0


async def test_G10_services_become_subscriptions_in_the_browser(tenant: TestTenant) -> None:
    page = await tenant.browser()
    price = NewPrice(cycle_unit="month", amount_minor=9000, valid_from=date(2000, 1, 1))
    await create_product(tenant.scope(), NewProduct(code="fibre-50", name="Fibre 50", kind="plan", prices=[price]))
    address = await imported(
        tenant, page, b"login,name,plan,price,start\na,Ada,Old_50,75.00,2024-05-10\nb,Bo,Gold,10.00,2024-05-10\n"
    )
    path = f"{address}/steps/subscriptions"

    shown = await page.get(path)
    assert "2 would be refused" in shown.text
    assert 'name="go"' not in shown.text
    matched = await page.post(path, data={"plan:Old_50": "fibre-50", "plan:Gold": "", "billed_from": ""})
    assert "Make the subscriptions: 1" in matched.text
    assert await value("SELECT count(*) FROM subscription") == 0
    assert 'value="fibre-50" selected' in (await page.get(path)).text, "what is matched is remembered"
    chosen = {"plan:Old_50": "fibre-50", "plan:Gold": "", "billed_from": "", "go": "yes"}
    started = await page.post(path, data={**chosen, "seen": seen(matched.text)})
    assert started.status_code == 303, started.text
    await work(tenant)

    done = await page.get(path)
    assert "1 records done, 1 refused" in done.text
    assert await value("SELECT amount_minor FROM subscription_term") == 7500
    listed = await page.get(f"{path}/refused.csv")
    assert "No product was chosen for this plan." in listed.text
    assert "Gold" in listed.text
    assert await verify(tenant.scope()) == []


async def test_opening_balances_are_booked_over_json(tenant: TestTenant) -> None:
    batch = (await imported(tenant, await tenant.browser())).rpartition("/")[2]
    api = await tenant.api()
    path = f"/api/v1/customer-imports/{batch}/steps"

    (listed,) = (await api.get(path)).json()
    assert (listed["key"], listed["state"], listed["left"]) == ("openings", "open", 2)
    kept = (await api.put(f"{path}/openings", json={"choices": {"due_on": "2026-12-01"}})).json()
    assert kept["preview"]["ready"] == 2
    assert kept["preview"]["lines"][1]["amount_minor"] == 5000
    wrong = await api.post(f"{path}/openings/start", json={"choices": {"due_on": "soon"}})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "due_on")
    started = await api.post(f"{path}/openings/start", json={})
    assert (started.status_code, started.json()["work"]["state"]) == (202, "waiting")
    await work(tenant)

    done = (await api.get(f"{path}/openings")).json()
    assert (done["state"], done["taken"], done["left"], done["choices"]) == ("done", 2, 0, {"due_on": "2026-12-01"})
    assert (await api.get(f"{path}/nothing")).status_code == 404


async def brought(scope: Scope, folder: Path, content: bytes = FILE) -> int:
    path = folder / "file.csv"
    path.write_bytes(content)
    staged = await stage_import(scope, path)
    assert staged.batch is not None
    await take_over(scope, staged.batch)
    return staged.batch


async def test_opening_balances_are_booked_by_command(
    tenant: TestTenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = tenant.scope()
    batch = await brought(scope, tmp_path)

    told = await import_step_command(scope, batch, "openings", ["due_on=2026-12-01"], preview=True, as_json=True)
    assert told.preview is not None
    assert await value("SELECT count(*) FROM posting") == 0
    with pytest.raises(Invalid, match="no choice"):
        await import_step_command(scope, batch, "openings", ["due_on"])
    with pytest.raises(Invalid, match="This import has: ") as unknown:
        await import_step_command(scope, batch, "opening", [])
    assert unknown.value.errors[0].field == "step"
    assert "openings" in str(unknown.value.errors[0].message)
    capsys.readouterr()
    done = await import_step_command(scope, batch, "openings", ["due_on=2026-12-01"], as_json=True)

    assert (done.taken, done.refused, done.state) == (2, 0, "done")
    assert msgspec.json.decode(capsys.readouterr().out)["taken"] == 2
    screen = StringIO()
    show_step(told, "Opening balances", Console(file=screen, width=160))
    show_step(done, "Opening balances", Console(file=screen, width=160))
    assert "2 records are ready, 0 would be refused. Nothing was written." in screen.getvalue()
    assert "50.00 EUR" in screen.getvalue()
    assert "2 records done, 0 refused." in screen.getvalue()


async def test_a_step_that_nobody_has_and_an_import_that_is_not_done_are_refused(
    tenant: TestTenant, tmp_path: Path
) -> None:
    scope = tenant.scope()
    batch = await brought(scope, tmp_path)
    other = tmp_path / "other.csv"
    other.write_bytes(b"name\nEd\n")
    staged = await stage_import(scope, other)
    assert staged.batch is not None

    with pytest.raises(NotFound):
        await steps.preview_step(scope, batch, "devices")
    with pytest.raises(Conflict, match="customers are made first"):
        await steps.preview_step(scope, staged.batch, "openings")


def a_plugin(told: list[int], *, undo: bool) -> ModuleType:
    """A plugin that takes over notes, and refuses that of record 3."""

    async def preview(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> ImportPreview:
        return ImportPreview(
            ready=int(await value(f"SELECT count(*) FROM ({wanted.select}) AS q", **wanted.values)), lines=()
        )

    async def take(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> Sequence[ImportRefusal]:
        records = await values(f"SELECT q.record FROM ({wanted.select}) AS q ORDER BY q.record", **wanted.values)
        told.extend(records)
        return [ImportRefusal(record=3, message="Not this one.", field="name")] if 3 in records else []

    async def back(scope: Scope, wanted: ImportedRows) -> Sequence[ImportRefusal]:
        records = await values(f"SELECT q.record FROM ({wanted.select}) AS q ORDER BY q.record", **wanted.values)
        for each in records:
            told.remove(each)
        return []

    @hookimpl
    async def plan_import(scope: Scope, batch_id: int) -> Sequence[ImportStep]:
        return [
            ImportStep(
                key="diary.notes",
                label="Diary",
                verb="Write the diary",
                text="Each customer has a page.",
                permission="customers.edit",
                where="r.is_customer",
                preview=preview,
                take=take,
                undo=back if undo else None,
            )
        ]

    module = ModuleType("diary")
    plan_import.__module__ = "diary"
    module.plan_import = plan_import  # type: ignore[attr-defined]  # a module made by hand
    return module


async def test_a_plugin_takes_over_what_it_wants_each_record_once(tenant: TestTenant, tmp_path: Path) -> None:
    told: list[int] = []
    scope = replace(tenant.scope(), hooks=Hooks(hookspecs, [("diary", a_plugin(told, undo=True))]))
    batch = await brought(scope, tmp_path)

    await steps.begin_step(scope, batch, "diary.notes")
    first = await steps.take_step(scope, batch, "diary.notes")
    await steps.begin_step(scope, batch, "diary.notes")
    second = await steps.take_step(scope, batch, "diary.notes")

    assert told == [1, 2, 3, 3]
    assert [(each.taken, each.refused) for each in (first, second)] == [(2, 1), (2, 1)]
    (refused,) = await steps.list_refused(scope, batch, "diary.notes")
    assert (refused.record, refused.name, refused.findings()[0].message) == (3, "Cy", "Not this one.")
    assert await undo_import(scope, batch) == 0
    assert told == [3, 3]


async def test_what_no_plugin_takes_back_keeps_an_import_from_being_undone(tenant: TestTenant, tmp_path: Path) -> None:
    scope = replace(tenant.scope(), hooks=Hooks(hookspecs, [("diary", a_plugin([], undo=False))]))
    batch = await brought(scope, tmp_path)
    await steps.begin_step(scope, batch, "diary.notes")
    await steps.take_step(scope, batch, "diary.notes")

    with pytest.raises(Conflict, match="“Diary” has made something of its records that stays"):
        await undo_import(scope, batch)
    with pytest.raises(Conflict, match=r"“diary\.notes”"):  # switched off meanwhile
        await undo_import(replace(scope, hooks=Hooks(hookspecs, ())), batch)


async def test_a_plugin_gets_the_texts_of_its_own_columns(tenant: TestTenant, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"name,Serial,MAC\nAda,KS-1,\nBo,,aa:bb\n")
    scope = tenant.scope()
    mapping = Mapping_(columns={"Serial": "inventory.serial", "MAC": "inventory.mac"})
    staged = await stage_import(scope, path, mapping)
    assert staged.batch is not None
    await take_over(scope, staged.batch)

    assert [column.field for column in staged.columns] == ["full_name", "inventory.serial", "inventory.mac"]
    assert await values("SELECT more FROM import_row ORDER BY record") == [
        '{"inventory.serial":"KS-1"}', '{"inventory.mac":"aa:bb"}',
    ]  # fmt: skip
