"""Settings and plugins over JSON: the same that their pages save, by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.activity.queries import timeline
from core.billing.settings import BillingSettings
from core.customers.settings import CustomerSettings
from core.messages.settings import MailSettings
from core.settings.company import CompanySettings
from core.settings.queries import load_settings

if TYPE_CHECKING:
    from core.testing import TestTenant


async def test_each_area_is_read_and_one_setting_of_it_is_changed_alone(tenant: TestTenant) -> None:
    api = await tenant.api()

    areas = (await api.get("/api/v1/settings")).json()
    before = await load_settings(CompanySettings)
    company = await api.patch("/api/v1/settings/company", json={"values": {"name": "Acme", "country": "DE"}})
    shown = {one["name"]: one["value"] for one in (await api.get("/api/v1/settings/company")).json()["settings"]}

    assert {"company", "billing", "customers", "mail", "security"} <= set(areas)
    assert company.status_code == 200, company.text
    after = await load_settings(CompanySettings)
    assert (after.name, after.country, after.currency) == ("Acme", "DE", before.currency)
    assert (shown["name"], shown["country"], shown["time_zone"]) == ("Acme", "DE", before.time_zone)
    assert (await timeline(tenant.scope(), limit=1))[0].kind == "settings_changed"


async def test_reading_an_area_and_sending_it_back_changes_nothing(tenant: TestTenant) -> None:
    api = await tenant.api()
    before = await timeline(tenant.scope(), limit=50)

    for area in (await api.get("/api/v1/settings")).json():
        found = (await api.get(f"/api/v1/settings/{area}")).json()["settings"]
        values = {one["name"]: one["value"] for one in found if one["kind"] != "secret"}
        sent = await api.patch(f"/api/v1/settings/{area}", json={"values": values})
        assert sent.status_code == 200, (area, sent.text)

    assert await timeline(tenant.scope(), limit=50) == before


async def test_what_is_wrong_is_named_by_its_setting_and_nothing_is_saved(tenant: TestTenant) -> None:
    api = await tenant.api()

    answer = await api.patch(
        "/api/v1/settings/billing", json={"values": {"terms_days": "many", "colour": "red", "auto_issue": 7}}
    )
    none = await api.patch("/api/v1/settings/nonsense", json={"values": {}})
    company = await api.patch("/api/v1/settings/company", json={"values": {"country": "Atlantis"}})
    sender = await api.patch("/api/v1/settings/mail", json={"values": {"host": "mail.example"}})

    assert answer.status_code == 422
    assert {"terms_days", "colour"} <= {one["field"] for one in answer.json()["errors"]}
    assert none.status_code == 404
    assert [one["field"] for one in company.json()["errors"]] == ["country"]
    assert [one["field"] for one in sender.json()["errors"]] == ["sender_address"]
    assert await load_settings(BillingSettings) == BillingSettings()


async def test_a_secret_is_set_kept_and_emptied_and_never_told(tenant: TestTenant) -> None:
    api, keys = await tenant.api(), tenant.keys
    there = {"host": "mail.example", "sender_address": "office@acme.example", "password": "quiet-secret"}

    made = await api.patch("/api/v1/settings/mail", json={"values": there})
    kept = await api.patch("/api/v1/settings/mail", json={"values": {"host": "mail2.example"}})
    still = await load_settings(MailSettings, keys)
    gone = await api.patch("/api/v1/settings/mail", json={"values": {"password": None}})

    assert (made.status_code, kept.status_code, gone.status_code) == (200, 200, 200), made.text
    assert (still.host, still.password) == ("mail2.example", "quiet-secret")
    assert (await load_settings(MailSettings, keys)).password == ""
    assert "quiet-secret" not in made.text + kept.text
    assert {one["name"]: one["value"] for one in kept.json()["settings"]}["password"] is True


async def test_log_in_settings_need_the_permission_of_staff_too(tenant: TestTenant) -> None:
    api = await tenant.api({"settings.view", "settings.edit"})

    answers = [
        await api.get("/api/v1/settings/security"),
        await api.patch("/api/v1/settings/security", json={"values": {"everybody": True}}),
    ]

    assert [one.status_code for one in answers] == [403, 403]
    assert "security" not in (await api.get("/api/v1/settings")).json()


async def test_copies_of_passwords_go_when_the_api_says_that_none_are_kept(tenant: TestTenant) -> None:
    api = await tenant.api()

    on = await api.patch("/api/v1/settings/customers", json={"values": {"keep_passwords": True}})
    kept = await load_settings(CustomerSettings)
    off = await api.patch("/api/v1/settings/customers", json={"values": {"keep_passwords": False}})

    assert (on.status_code, off.status_code) == (200, 200), on.text
    assert kept.keep_passwords is True
    assert (await load_settings(CustomerSettings)).keep_passwords is False


@pytest.mark.plugins("inventory")
async def test_plugins_are_listed_and_their_settings_changed(tenant: TestTenant) -> None:
    api = await tenant.api()

    found = {one["name"]: one for one in (await api.get("/api/v1/plugins")).json()}
    changed = await api.patch("/api/v1/plugins/inventory/settings", json={"values": {"ask_back": False}})
    wrong = await api.patch("/api/v1/plugins/inventory/settings", json={"values": {"ask_back": "perhaps"}})
    none = await api.get("/api/v1/plugins/nonsense/settings")
    by_provider = await api.put("/api/v1/plugins/inventory", json={"on": False})

    assert (found["inventory"]["on"], found["portal"]["on"], found["inventory"]["has_settings"]) == (True, False, True)
    assert [one["value"] for one in changed.json()["settings"] if one["name"] == "ask_back"] == [False]
    assert [one["field"] for one in wrong.json()["errors"]] == ["ask_back"]
    assert none.status_code == 404
    assert by_provider.status_code == 409
