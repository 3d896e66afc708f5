"""The plugin VIES (B6) against a server on this machine that answers as VIES does, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from core import hookspecs
from core.activity.actions import enable_reader
from core.activity.delivery import Deliveries, plugin_reader
from core.billing.actions import change_seller, default_seller
from core.billing.jobs import CHECK_VAT_ID
from core.billing.schemas import SellerFields
from core.billing.vat_asking import check_now
from core.billing.vat_checks import NewVatCheck, note_check, standing_of
from core.customers import actions as customers
from core.customers.queries import get_customer
from core.customers.schemas import BillingData, NewCustomer
from core.database import value, values
from core.errors import Unavailable
from core.jobs import claims
from core.jobs.attempts import attempt
from core.outbound import NotAllowed
from core.scope import schedule_actor
from core.settings.actions import save_settings
from plugins.vies import plugin, register
from plugins.vies.settings import ADDRESS, ViesSettings
from tests.core.billing.test_vat_checks import ANOTHER, VAT_ID, a_company
from tests.http import HANGS, HttpSink, reply

if TYPE_CHECKING:
    from core.testing import TestTenant

pytestmark = pytest.mark.plugins("vies")

OWN = "IE6388047V"
VALID: dict[str, Any] = {
    "countryCode": "DE",
    "vatNumber": VAT_ID[2:],
    "requestDate": "2026-11-22T12:00:00.000Z",
    "valid": True,
    "requestIdentifier": "WAPIAAAAZx0y1z2A",
    "name": "Brenk Wohnbau GmbH",
    "address": "Rheinallee 4\n53173 BONN",
    "traderName": "---",
    "traderCompanyType": "---",
}
INVALID = {**VALID, "valid": False, "requestIdentifier": "", "name": "---", "address": "---"}


def failing(error: str, **more: object) -> dict[str, object]:
    return {"actionSucceed": False, "errorWrappers": [{"error": error, **more}]}


@pytest.fixture
async def vies(tenant: TestTenant) -> AsyncIterator[HttpSink]:
    """It finds every id valid, until a test says otherwise; the tenant's settings lead there."""
    async with HttpSink(lambda _asked: reply(VALID)) as server:
        await save_settings(
            tenant.scope(), ViesSettings(own_vat_id=OWN, address=f"http://localhost:{server.port}/rest-api/", seconds=1)
        )
        yield server


async def reason(tenant: TestTenant, customer_id: int) -> str:
    return (await standing_of(tenant.scope(), await get_customer(tenant.scope(), customer_id))).reason


async def test_B6_it_asks_as_vies_wants_to_be_asked_and_keeps_what_it_says(tenant: TestTenant, vies: HttpSink) -> None:
    customer_id = await a_company(tenant)
    page, at = await tenant.browser(), f"/customers/{customer_id}/vat-checks"

    pressed = await page.post(f"{at}/now")
    shown = unescape((await page.get(at)).text)

    (asked,) = vies.asked
    assert (asked.method, asked.path) == ("POST", "/rest-api/check-vat-number")
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {
        "countryCode": "DE",
        "vatNumber": "136695976",
        "requesterMemberStateCode": "IE",
        "requesterNumber": "6388047V",
    }
    assert pressed.status_code == 303
    for word in ("WAPIAAAAZx0y1z2A", "Brenk Wohnbau GmbH, Rheinallee 4, 53173 BONN", "owes the tax itself", "VIES"):
        assert word in shown
    assert await values("SELECT source FROM vat_check") == ["vies"]


async def test_B6_not_valid_is_kept_as_an_answer_without_what_vies_does_not_tell(
    tenant: TestTenant, vies: HttpSink
) -> None:
    customer_id = await a_company(tenant)
    await note_check(tenant.scope(), customer_id, NewVatCheck(valid=True))
    vies.answers = lambda _asked: reply(INVALID)

    assert await check_now(tenant.scope(), customer_id) is False

    assert await reason(tenant, customer_id) == "not_valid"
    latest = (await standing_of(tenant.scope(), await get_customer(tenant.scope(), customer_id))).checks[0]
    assert (latest.consultation, latest.trader_name, latest.trader_address) == ("", "", "")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(failing("MS_UNAVAILABLE")), "register of this member is down"),
        (reply(failing("MS_UNAVAILABLE"), 500), "register of this member is down"),
        (reply(failing("MS_MAX_CONCURRENT_REQ", message="later")), "register of this member is busy"),
        (reply(failing("TIMEOUT"), 400), "takes too long"),
        (reply(failing("NEVER_HEARD_OF")), "VIES gives no answer"),
        (reply({"actionSucceed": False}), "VIES gives no answer"),
        (reply({**INVALID, "userError": "MS_UNAVAILABLE"}), "register of this member is down"),
        (reply(INVALID, 500), "VIES gives no answer"),
        (reply(VALID, 503), "VIES gives no answer"),
        (reply(b"<html>Bad gateway</html>", 502), "VIES gives no answer"),
        (reply(b"<html>Welcome</html>"), "VIES gives no answer"),
        (reply(b"", 302, location="http://localhost/"), "VIES gives no answer"),
        (reply({}), "VIES gives no answer"),
        (reply([]), "VIES gives no answer"),
        (reply({**VALID, "valid": "yes"}), "VIES gives no answer"),
        (reply({**VALID, "valid": None}), "VIES gives no answer"),
        (reply(b'{"valid": tru'), "VIES gives no answer"),
        (reply(b"\xff\xfe\x00"), "VIES gives no answer"),
        (HANGS, "does not answer"),
        (b"rubbish\r\n\r\n", "does not answer"),
    ],
    ids=lambda given: None if isinstance(given, bytes) else given,
)
async def test_B6_whatever_is_no_answer_changes_nothing_and_says_why(
    tenant: TestTenant, vies: HttpSink, answer: bytes, told: str
) -> None:
    customer_id = await a_company(tenant)
    await note_check(tenant.scope(), customer_id, NewVatCheck(valid=True))
    vies.answers = lambda _asked: answer

    with pytest.raises(Unavailable, match=told):
        await check_now(tenant.scope(), customer_id)

    assert len(vies.asked) == 1
    assert await reason(tenant, customer_id) == "valid"
    assert await value("SELECT count(*) FROM vat_check") == 1


async def test_B6_an_answer_that_trickles_in_has_its_time_and_no_more(tenant: TestTenant, vies: HttpSink) -> None:
    customer_id = await a_company(tenant)
    vies.pause = 0.002
    slow = await check_now(tenant.scope(), customer_id)
    vies.pause = 0.1

    with pytest.raises(Unavailable, match="does not answer"):
        await check_now(tenant.scope(), customer_id)
    assert slow is True


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("INVALID_REQUESTER_INFO", "does not know your own VAT id"),
        ("VAT_BLOCKED", "has blocked your own VAT id"),
        ("INVALID_INPUT", "cannot read this VAT id"),
    ],
)
async def test_B6_what_stays_wrong_until_somebody_changes_it_is_told_so(
    tenant: TestTenant, vies: HttpSink, error: str, told: str
) -> None:
    customer_id = await a_company(tenant)
    vies.answers = lambda _asked: reply(failing(error), 400)
    page = await tenant.browser()

    shown = await page.post(f"/customers/{customer_id}/vat-checks/now")

    assert (shown.status_code, told in shown.text) == (409, True)
    assert await value("SELECT count(*) FROM vat_check") == 0


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ("ATU12345675", {"requesterMemberStateCode": "AT", "requesterNumber": "U12345675"}),
        ("EL 094259216", {"requesterMemberStateCode": "EL", "requesterNumber": "094259216"}),
        ("GR094259216", {"requesterMemberStateCode": "EL", "requesterNumber": "094259216"}),
        ("CHE-116.281.710 MWST", {}),
        ("", {}),
    ],
)
async def test_B6_the_own_id_is_that_of_the_documents_where_the_settings_name_none(
    tenant: TestTenant, vies: HttpSink, own: str, sent: dict[str, str]
) -> None:
    scope = tenant.scope()
    seller = await default_seller(scope)
    fields = SellerFields(name=seller.name, country=seller.country, vat_id=own)
    await change_seller(scope, seller.id, fields, version=seller.version)
    await save_settings(scope, ViesSettings(address=f"http://localhost:{vies.port}"))

    await check_now(scope, await a_company(tenant))

    (asked,) = vies.asked
    assert {name: text for name, text in asked.json.items() if name.startswith("requester")} == sent


async def test_B6_greece_is_asked_about_by_the_letters_that_vies_knows(tenant: TestTenant, vies: HttpSink) -> None:
    await check_now(tenant.scope(), await a_company(tenant, "EL094259216", country="GR"))

    assert (vies.asked[0].json["countryCode"], vies.asked[0].json["vatNumber"]) == ("EL", "094259216")


async def test_B6_only_the_commissions_host_is_called_unless_the_provider_has_allowed_another(
    tenant: TestTenant, vies: HttpSink
) -> None:
    customer_id = await a_company(tenant)
    scope = tenant.scope()
    outside = replace(scope, tenant=replace(scope.tenant, internal_hosts=frozenset()))

    for address in (f"http://localhost:{vies.port}", "https://example.com", ADDRESS.replace("https", "http")):
        await save_settings(scope, ViesSettings(address=address))
        with pytest.raises(NotAllowed, match="may not be called"):
            await check_now(outside, customer_id)

    assert vies.asked == []
    assert plugin.MANIFEST.outbound_hosts == register.HOSTS == ("ec.europa.eu",)
    assert ADDRESS.startswith(f"https://{register.HOSTS[0]}/")


async def hears(tenant: TestTenant) -> None:
    """What was committed reaches the plugin."""
    reader = plugin_reader("vies", plugin.MANIFEST.events, hookspecs)
    await Deliveries().turn(tenant.scope(actor=schedule_actor("worker")), reader)


async def works(tenant: TestTenant) -> None:
    """The jobs that wait are done."""
    scope = tenant.scope(actor=schedule_actor("worker"))
    for due in await claims.due_jobs([CHECK_VAT_ID.name], tenant.clock.now()):
        claim = await claims.claim(CHECK_VAT_ID, due.id, tenant.clock.now())
        assert claim is not None
        await attempt(scope, CHECK_VAT_ID, claim)


async def gets(tenant: TestTenant, customer_id: int, vat_id: str) -> None:
    now = await get_customer(tenant.scope(), customer_id)
    await customers.change_customer(tenant.scope(), customer_id, BillingData(vat_id=vat_id), version=now.version)


async def test_B6_a_new_vat_id_is_asked_about_by_itself_and_a_change_of_something_else_is_not(
    tenant: TestTenant, vies: HttpSink
) -> None:
    await enable_reader(tenant.scope(), "vies")
    customer_id = await customers.create_customer(
        tenant.scope(), NewCustomer(full_name="Brenk GmbH", kind="company", country="DE")
    )
    await hears(tenant)
    await works(tenant)
    without = list(vies.asked)

    answers: list[tuple[str, int]] = []
    for vat_id in (VAT_ID, ANOTHER, VAT_ID):
        await gets(tenant, customer_id, vat_id)
        await hears(tenant)
        await works(tenant)
        answers.append((await reason(tenant, customer_id), len(vies.asked)))

    assert without == []
    assert answers == [("valid", 1), ("valid", 2), ("valid", 2)], "what was answered a moment ago is not asked again"


async def test_B6_while_vies_is_down_the_customer_is_saved_and_nothing_is_kept(
    tenant: TestTenant, vies: HttpSink
) -> None:
    vies.answers = lambda _asked: reply(failing("MS_UNAVAILABLE"))
    await enable_reader(tenant.scope(), "vies")
    customer_id = await a_company(tenant, "")

    await gets(tenant, customer_id, VAT_ID)
    await hears(tenant)
    await works(tenant)

    assert await value("SELECT state FROM job WHERE kind = :kind", kind=CHECK_VAT_ID.name) == "waiting"
    assert await reason(tenant, customer_id) == "not_checked"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"own_vat_id": "IE6388047X"}, "own_vat_id"),
        ({"address": "ec.europa.eu"}, "address"),
        ({"address": ""}, "address"),
        ({"seconds": "0"}, "seconds"),
        ({"seconds": "19"}, "seconds"),
    ],
)
async def test_B6_settings_that_cannot_be_meant_are_refused_where_they_are_typed(
    tenant: TestTenant, given: dict[str, str], wrong: str
) -> None:
    page = await tenant.browser()
    good = {"own_vat_id": OWN, "address": ADDRESS, "seconds": "10"}

    refused = await page.post("/settings/plugins/vies", data={**good, **given})
    saved = await page.post("/settings/plugins/vies", data=good)

    assert (refused.status_code, saved.status_code) == (422, 303)
    assert f"f-{wrong}" in refused.text


def test_an_answer_is_read_whatever_else_it_holds() -> None:
    said = register.read(
        200, b'{"valid":true,"requestIdentifier":null,"unknown":{"a":[1]},"name":" -- ","userError":"VALID"}'
    )

    assert (said.valid, said.consultation, said.name) == (True, "", "")
