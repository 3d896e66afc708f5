"""Who sells, how documents are numbered and whether dunning is on, over JSON."""

from __future__ import annotations

import pytest

from core.activity.queries import timeline
from core.billing.dunning import DunningSettings
from core.database import Partitions
from core.settings.queries import load_settings
from core.staff import queries as staff_queries
from core.testing import TestTenant
from tests.core.billing.test_pages import a_customer, an_invoice

SELLER = {"name": "Marlbeck Net Ltd", "country": "IE", "city": "Cork"}


async def test_the_seller_is_made_read_and_changed_against_its_version(tenant: TestTenant) -> None:
    api = await tenant.api()

    none = await api.get("/api/v1/seller")
    too_early = await api.put("/api/v1/seller", json={**SELLER, "version": 1})
    made = (await api.post("/api/v1/seller/opening")).json()
    again = (await api.post("/api/v1/seller/opening")).json()
    read = await api.get("/api/v1/seller")
    saved = await api.put("/api/v1/seller", json=SELLER, headers={"If-Match": read.headers["etag"]})
    stale = await api.put("/api/v1/seller", json={**SELLER, "city": "Sligo", "version": 1})
    unsaid = await api.put("/api/v1/seller", json={**SELLER, "city": "Sligo"})
    wrong = await api.put("/api/v1/seller", json={**SELLER, "iban": "IE00", "version": saved.json()["version"]})

    assert (none.status_code, too_early.status_code) == (404, 404)
    assert made == again == read.json()
    assert (saved.status_code, saved.json()["city"], saved.json()["version"]) == (200, "Cork", 2), saved.text
    assert stale.status_code == 409
    assert stale.json()["details"]["fields"]["city"] == {"theirs": "Cork", "yours": "Sligo"}
    assert (unsaid.status_code, wrong.status_code) == (422, 422)
    assert [one["field"] for one in wrong.json()["errors"]] == ["iban"]
    last = (await timeline(tenant.scope(), limit=1))[0]
    assert (last.kind, last.actor.partition(":")[0]) == ("seller_changed", "token")


async def test_number_series_are_listed_and_changed_as_on_their_page(tenant: TestTenant) -> None:
    api = await tenant.api()

    before = (await api.get("/api/v1/number-series")).json()
    await api.post("/api/v1/seller/opening")
    listed = {one["kind"]: one for one in (await api.get("/api/v1/number-series")).json()}
    changed = await api.put("/api/v1/number-series/invoice", json={"pattern": "R{YY}-{seq:05}", "reset": "yearly"})
    key = {"Idempotency-Key": "numbers"}
    once = await api.put("/api/v1/number-series/proforma", json={"pattern": "P{seq}", "reset": "never"}, headers=key)
    twice = await api.put("/api/v1/number-series/proforma", json={"pattern": "P{seq}", "reset": "never"}, headers=key)
    lines = [one for one in await timeline(tenant.scope(), limit=20) if one.kind == "number_series_changed"]
    await an_invoice(tenant, await a_customer(tenant))
    one = (await api.get("/api/v1/number-series/invoice")).json()
    late = await api.put("/api/v1/number-series/invoice", json={"pattern": "R{seq}", "reset": "never"})

    assert before == []
    assert set(listed) == {"invoice", "credit_note", "proforma"}
    assert (listed["invoice"]["given"], listed["invoice"]["last_issued_on"]) == (False, None)
    assert (changed.json()["next"], once.json()["next"]) == ("R26-00001", "P1")
    assert twice.headers["idempotent-replay"] == "true"
    assert [{change.field for change in line.changes} for line in lines] == [{"pattern", "reset"}, {"pattern"}]
    assert (one["next"], one["given"], one["last_issued_on"]) == ("R26-00002", True, "2026-11-22")
    assert late.status_code == 409
    assert (await api.get("/api/v1/number-series/invoice")).json() == one


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"pattern": "{seq}", "reset": "yearly"}, "pattern"),
        ({"pattern": "{YYYY}", "reset": "never"}, "pattern"),
        ({"pattern": "{day}{seq}", "reset": "never"}, "pattern"),
        ({"pattern": "{seq}", "reset": "monthly"}, "reset"),
        ({"pattern": "{seq}", "reset": "never", "next": 7}, "next"),
    ],
)
async def test_a_pattern_that_cannot_be_is_refused_by_its_field(
    tenant: TestTenant, body: dict[str, object], field: str
) -> None:
    api = await tenant.api()
    await api.post("/api/v1/seller/opening")
    before = (await api.get("/api/v1/number-series")).json()

    answer = await api.put("/api/v1/number-series/invoice", json=body)
    unknown = await api.put("/api/v1/number-series/car", json={"pattern": "{seq}", "reset": "never"})

    assert answer.status_code == 422
    assert field in answer.text
    assert unknown.status_code == (await api.get("/api/v1/number-series/car")).status_code == 404
    assert (await api.get("/api/v1/number-series")).json() == before


async def test_dunning_is_switched_on_over_json(tenant: TestTenant) -> None:
    api = await tenant.api({"settings.view", "settings.edit"})
    reader = await tenant.api({"settings.view"})

    saved = await api.patch("/api/v1/settings/dunning", json={"values": {"enabled": True, "holidays": ["2027-01-01"]}})
    wrong = await api.patch("/api/v1/settings/dunning", json={"values": {"holidays": ["New Year"]}})
    refused = await reader.patch("/api/v1/settings/dunning", json={"values": {"enabled": False}})

    assert saved.status_code == 200, saved.text
    assert (wrong.status_code, refused.status_code) == (422, 403)
    kept = await load_settings(DunningSettings)
    assert (kept.enabled, kept.holidays, kept.not_at_weekends) == (True, ["2027-01-01"], True)
    assert "dunning" in (await reader.get("/api/v1/settings")).json()


async def test_whoever_sees_some_customers_only_neither_reads_nor_changes_them(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await tenant.api()
    await api.post("/api/v1/seller/opening")
    monkeypatch.setattr(staff_queries, "REACH", Partitions((1,)))

    answers = [
        await api.get("/api/v1/settings/dunning"),
        await api.patch("/api/v1/settings/dunning", json={"values": {"enabled": True}}),
        await api.get("/api/v1/number-series"),
        await api.get("/api/v1/number-series/invoice"),
        await api.put("/api/v1/number-series/invoice", json={"pattern": "{seq}", "reset": "never"}),
        await api.put("/api/v1/seller", json={**SELLER, "version": 1}),
        await api.post("/api/v1/seller/opening"),
    ]
    areas = (await api.get("/api/v1/settings")).json()

    assert [one.status_code for one in answers] == [403] * 7
    assert "company" in areas
    assert "dunning" not in areas
    assert (await load_settings(DunningSettings)).enabled is False
