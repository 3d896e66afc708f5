"""The list of imports: found, sorted, filtered and taken away, below the form for the next file."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.activity.unit import unit_of_work
from core.customers.importing.listing import IMPORTS, import_choices
from core.customers.importing.status import BatchState
from core.database import Everything, Partitions, execute, value
from core.errors import Invalid
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant

HTMX = {"hx-request-type": "partial"}


async def brought(tenant: TestTenant, name: str, state: BatchState = BatchState.DONE, made: int = 0) -> int:
    """A file that somebody brought, as if it had come so far."""
    scope = tenant.scope()
    async with unit_of_work(scope):
        return int(
            await value(
                "INSERT INTO import_batch (state, file_name, file_sha256, mapping, report, made, made_by, created_at,"
                " finished_at) VALUES (:state, :name, :name, '{}', 'a long report', :made, 'Ada', :now, :over)"
                " RETURNING id",
                state=state,
                name=name,
                made=made,
                now=scope.now(),
                over=scope.now() if state in {BatchState.DONE, BatchState.UNDONE} else None,
            )
        )


async def names(scope: Scope, **address: str) -> list[str]:
    given = {name.replace("__", "."): text for name, text in address.items()}
    found = await IMPORTS.read(scope, given, choices=await import_choices(scope, given))
    return [one.file_name for one in found.rows]


async def test_L2_imports_are_filtered_by_name_state_customers_and_days_and_sorted(tenant: TestTenant) -> None:
    await brought(tenant, "may_1%.csv", BatchState.DONE, made=7)
    await brought(tenant, "june.xlsx", BatchState.CHECKED)
    tenant.clock.move(timedelta(days=2))
    await brought(tenant, "July.csv", BatchState.UNDONE, made=3)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE import_batch SET made_by = 'Bo' WHERE made = 3")
    scope = tenant.scope()
    today = scope.today()

    assert await names(scope) == ["July.csv", "june.xlsx", "may_1%.csv"]
    assert await names(scope, q="JU") == ["July.csv", "june.xlsx"]
    assert await names(scope, q="_1%") == ["may_1%.csv"]
    assert await names(scope, state="undone,checked") == ["July.csv", "june.xlsx"]
    assert await names(scope, by__has="bo") == ["July.csv"]
    assert await names(scope, made__from="4") == ["may_1%.csv"]
    assert await names(scope, begun=today.isoformat()) == ["July.csv"]
    assert await names(scope, ended__empty="yes") == ["june.xlsx"]
    assert await names(scope, sort="-made") == ["may_1%.csv", "July.csv", "june.xlsx"]
    assert await names(scope, sort="-begun,made") == ["July.csv", "june.xlsx", "may_1%.csv"]
    assert await names(scope, sort="ended") == ["june.xlsx", "may_1%.csv", "July.csv"]
    with pytest.raises(Invalid):
        await names(scope, state="gone")


async def test_L2_only_staff_who_see_all_customers_list_imports(tenant: TestTenant) -> None:
    await brought(tenant, "may.csv")
    reseller = tenant.scope(actor=Actor("staff", 99, "Eve", Partitions((1, 2)), ALL_PERMISSIONS))

    assert await names(tenant.scope(actor=Actor("staff", 99, "Eve", Everything(), ALL_PERMISSIONS))) == ["may.csv"]
    assert await names(reseller) == []
    assert await names(reseller, q="may", sort="made") == []
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "lists.export"}))
    assert (await page.get("/lists/imports/export")).status_code == 403


async def test_L3_imports_stand_below_the_form_with_views_filters_and_exports(tenant: TestTenant) -> None:
    await brought(tenant, "may.csv", BatchState.DONE, made=7)
    gone = await brought(tenant, "june.csv", BatchState.UNDONE)
    page = await tenant.browser()

    shown = (await page.get("/customers/import")).text
    part = (await page.get("/customers/import?state=undone", headers=HTMX)).text
    written = (await page.get("/lists/imports/export?format=csv&sort=file")).text
    saved = await page.post("/lists/imports/views", data={"name": "Taken back", "state": "state=undone"})
    opened = (await page.get(saved.headers["location"])).text

    assert 'name="file"' in shown
    assert "may.csv" in shown
    assert "<html" not in part
    assert f'href="/customers/import/{gone}"' in part
    assert "may.csv" not in part
    told = [line.replace(";", ",").split(",") for line in written.lstrip("\ufeff").splitlines()]
    assert [[cell.strip('"') for cell in (line[0], *line[-2:])] for line in told] == [
        ["File", "Customers", "State"],
        ["june.csv", "0", "Undone"],
        ["may.csv", "7", "Imported"],
    ]
    assert "a long report" not in shown + written
    assert 'name="file"' in opened
    assert "june.csv" in opened
    assert "may.csv" not in opened


async def test_a_file_that_is_refused_keeps_the_list_below_the_form(tenant: TestTenant) -> None:
    page = await tenant.browser()

    empty = (await page.get("/customers/import")).text
    await brought(tenant, "may.csv")
    refused = await page.post("/customers/import", files={"file": ("x.csv", b"", "text/csv")})

    assert "No imports yet" in empty
    assert refused.status_code == 422
    assert "is-invalid" in refused.text
    assert "may.csv" in refused.text


async def test_L2_imports_over_json_are_filtered_as_the_page_is(tenant: TestTenant) -> None:
    made = [await brought(tenant, f"{at}.csv", made=at) for at in range(3)]
    await brought(tenant, "later.csv", BatchState.CHECKED)
    api = await tenant.api(["customers.create"])

    first = (await api.get("/api/v1/customer-imports?state=done&sort=made&limit=2")).json()
    rest = (await api.get(f"/api/v1/customer-imports?state=done&sort=made&limit=2&cursor={first['next']}")).json()

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made
    assert rest["next"] is None
    assert "report" not in first["items"][0]
