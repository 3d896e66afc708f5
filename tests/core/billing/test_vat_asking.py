"""A service that a plugin brings is asked about VAT ids (B6): now, soon, and anew before an answer is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

import core.testing
from core import hookspecs, outbound
from core.activity.asking import nothing_kept
from core.activity.queries import timeline
from core.activity.unit import InsideUnit, open_unit, unit_of_work
from core.app import HOOK_MODULES
from core.billing import vat_asking
from core.billing.actions import default_seller
from core.billing.jobs import AGAIN_AFTER, CHECK_VAT_ID, CHECK_VAT_IDS
from core.billing.vat_asking import CheckReport, ask_soon, check_now
from core.billing.vat_checks import NewVatCheck, VatCheckRow, note_check, standing_of
from core.customers.queries import get_customer
from core.database import execute, value, values
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.hooks import HookSets, VatAnswer, VatChecker
from core.jobs import claims
from core.jobs.actions import enqueue
from core.jobs.attempts import attempt
from core.jobs.schedules import Scheduled
from core.scope import schedule_actor
from tests.core.billing.test_vat_checks import ANOTHER, VAT_ID, a_company
from tests.core.hooks.modules import module

if TYPE_CHECKING:
    from core.jobs.kinds import JobKind
    from core.scope import Scope
    from core.testing import TestTenant


@dataclass
class Service:
    """What it says of each id; None: it does not answer."""

    says: dict[str, VatAnswer | Exception | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    meanwhile: Any = None

    async def ask(self, scope: Scope, vat_id: str) -> VatAnswer:
        assert not open_unit(), "a service is never asked inside a unit of work"
        self.asked.append(vat_id)
        if self.meanwhile is not None:
            await self.meanwhile()
        said = self.says.get(
            vat_id, VatAnswer(valid=True, consultation="WAPIAAAA", name="Brenk", address="Weg 1\nBonn")
        )
        if said is None:
            raise Unavailable("The service is closed.")
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Every tenant of this test has a plugin with this service."""
    made = Service()

    async def vat_checkers(scope: Scope) -> Sequence[VatChecker]:
        return (VatChecker(label="Registry", ask=made.ask),)

    probe = module("registry", vat_checkers=vat_checkers)
    sets = HookSets(hookspecs, (*HOOK_MODULES, ("registry", probe)), [], guard=nothing_kept)
    monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
    monkeypatch.setattr(vat_asking, "PAUSE_SECONDS", 0.0)
    return made


async def checks(tenant: TestTenant, customer_id: int) -> list[VatCheckRow]:
    return (await standing_of(tenant.scope(), await get_customer(tenant.scope(), customer_id))).checks


async def reason(tenant: TestTenant, customer_id: int) -> str:
    return (await standing_of(tenant.scope(), await get_customer(tenant.scope(), customer_id))).reason


async def runs(tenant: TestTenant, kind: JobKind[Any]) -> list[str | None]:
    """The jobs of a kind that are due; gives their results."""
    scope = tenant.scope(actor=schedule_actor("test"))
    for due in await claims.due_jobs([kind.name], tenant.clock.now()):
        claim = await claims.claim(kind, due.id, tenant.clock.now())
        assert claim is not None
        await attempt(scope, kind, claim)
    return await values("SELECT result FROM job WHERE kind = :kind ORDER BY id", kind=kind.name)


async def a_round(tenant: TestTenant) -> CheckReport | None:
    """The daily one."""

    async def progress(_done: int, _total: int) -> None:
        pass

    return await vat_asking.check_due(tenant.scope(actor=schedule_actor("check_vat_ids")), progress)


async def test_B6_check_now_keeps_what_the_service_says_and_who_asked(tenant: TestTenant, service: Service) -> None:
    customer_id = await a_company(tenant)
    page, at = await tenant.browser(), f"/customers/{customer_id}/vat-checks"
    before = (await page.get(at)).text

    answer = await page.post(f"{at}/now")
    shown = unescape((await page.get(at)).text)
    (kept,) = await checks(tenant, customer_id)
    (line,) = await timeline(tenant.scope(), customer_id=customer_id, limit=1)

    assert ("Check now" in before, "Ask Registry" in before) == (True, True)
    assert (answer.status_code, service.asked) == (303, [VAT_ID])
    assert (kept.valid, kept.consultation, kept.source) == (True, "WAPIAAAA", "registry")
    assert (kept.trader_name, kept.trader_address) == ("Brenk", "Weg 1, Bonn")
    assert all(word in shown for word in ("WAPIAAAA", "Brenk, Weg 1, Bonn", "Registry", "owes the tax itself"))
    assert (line.kind, line.actor) == ("vat_id_found_valid", "staff:1")


async def test_B6_without_a_service_there_is_no_button_and_who_asks_is_told(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    page, api = await tenant.browser(), await tenant.api()
    path = f"/customers/{customer_id}/vat-checks"

    assert "Check now" not in (await page.get(path)).text
    for answer in (await page.post(f"{path}/now"), await api.post(f"/api/v1{path}/now")):
        assert answer.status_code == 409
        assert "No plugin is switched on that asks about VAT ids" in answer.text
    assert await a_round(tenant) is None


@pytest.mark.parametrize("fault", [None, TimeoutError(), ConnectionResetError(), ValueError("a fault")], ids=repr)
async def test_B6_no_answer_is_none_the_last_valid_one_goes_on_to_count(
    tenant: TestTenant, service: Service, fault: Exception | None
) -> None:
    customer_id = await a_company(tenant)
    await note_check(tenant.scope(), customer_id, NewVatCheck(valid=True))
    service.says[VAT_ID] = fault
    page, api = await tenant.browser(), await tenant.api()
    path = f"/customers/{customer_id}/vat-checks"

    shown, answer = await page.post(f"{path}/now"), await api.post(f"/api/v1{path}/now")

    assert (shown.status_code, answer.status_code) == (503, 503)
    assert ("does not answer" in shown.text or "is closed" in shown.text) is True
    assert len(await checks(tenant, customer_id)) == 1
    assert await reason(tenant, customer_id) == "valid"


async def test_B6_a_service_that_takes_too_long_has_not_answered(
    tenant: TestTenant, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "ANSWERS_WITHIN", 0.05)
    customer_id = await a_company(tenant)

    async def sleeps() -> None:
        await asyncio.sleep(30)

    service.meanwhile = sleeps

    with pytest.raises(Unavailable, match="Registry does not answer"):
        await check_now(tenant.scope(), customer_id)
    assert await checks(tenant, customer_id) == []


async def test_B6_not_valid_is_an_answer_and_charges_tax_again(tenant: TestTenant, service: Service) -> None:
    customer_id = await a_company(tenant)
    api, path = await tenant.api(), f"/api/v1/customers/{customer_id}/vat-checks/now"
    first = (await api.post(path)).json()
    service.says[VAT_ID] = VatAnswer(valid=False)
    tenant.clock.move(timedelta(days=1))

    second = await api.post(path)

    assert (first["free"], first["reason"]) == (True, "valid")
    assert (second.status_code, second.json()["free"], second.json()["reason"]) == (200, False, "not_valid")


async def test_B6_an_id_that_changes_while_the_service_is_asked_gets_no_answer_of_the_old_one(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)

    async def changes() -> None:
        async with unit_of_work(tenant.scope()):
            await execute("UPDATE customer SET vat_id = :other WHERE id = :id", other=ANOTHER, id=customer_id)

    service.meanwhile = changes

    with pytest.raises(Conflict, match="changed meanwhile"):
        await check_now(tenant.scope(), customer_id)
    assert await check_now(tenant.scope(), customer_id, VAT_ID) is None
    assert await checks(tenant, customer_id) == []


async def test_B6_inside_a_unit_of_work_nobody_is_asked(tenant: TestTenant, service: Service) -> None:
    customer_id = await a_company(tenant)

    with pytest.raises(InsideUnit):
        async with unit_of_work(tenant.scope()):
            await check_now(tenant.scope(), customer_id)
    assert service.asked == []


async def test_B6_what_nobody_can_be_asked_about_is_refused_before_anybody_is(
    tenant: TestTenant, service: Service
) -> None:
    at_home = await a_company(tenant, "IE6388047V")
    page, path = await tenant.browser(), f"/customers/{at_home}/vat-checks"

    shown, pressed = await page.get(path), await page.post(f"{path}/now")

    assert "Check now" not in shown.text
    assert (pressed.status_code, "of your own country" in pressed.text) == (422, True)
    with pytest.raises(Invalid, match="of your own country"):
        await check_now(tenant.scope(), at_home)
    assert service.asked == []


async def test_B6_the_round_asks_only_where_an_answer_decides_and_none_is_fresh(
    tenant: TestTenant, service: Service
) -> None:
    never = await a_company(tenant)
    await a_company(tenant, full_name="Has the same id")
    fresh = await a_company(tenant, "FR40303265045")
    stale = await a_company(tenant, "ATU12345675", country="AT")
    await a_company(tenant, "PL8567346215", kind="person", country="PL")
    await a_company(tenant, "IE6388047V", country="IE")
    await a_company(tenant, "CHE116281710MWST", country="CH")
    by_hand = await a_company(tenant, "BE0203201340", country="BE")
    gone = await a_company(tenant, "LU10000356", country="LU")
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET tax_profile = 'reverse_charge' WHERE id = :id", id=by_hand)
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = 'terminated') WHERE id = :id", id=gone
        )
    today = tenant.scope().today()
    await note_check(tenant.scope(), stale, NewVatCheck(valid=True, checked_on=today - timedelta(days=31)))
    await note_check(tenant.scope(), fresh, NewVatCheck(valid=True, checked_on=today - timedelta(days=29)))

    first = await a_round(tenant)
    asked = list(service.asked)
    again = await a_round(tenant)

    assert (first, asked) == (CheckReport(valid=2), ["ATU12345675", VAT_ID]), "the oldest answer comes first"
    assert again == CheckReport()
    assert [await reason(tenant, each) for each in (never, stale)] == ["valid", "valid"]


async def test_B6_an_id_that_decides_for_another_seller_of_the_tenant_alone_is_asked_about(
    tenant: TestTenant, service: Service
) -> None:
    await a_company(tenant, "IE6388047V", country="IE")
    before = await a_round(tenant)
    async with unit_of_work(tenant.scope()):
        await execute(
            "INSERT INTO seller (code, name, country, book_id) VALUES ('other', 'Other', 'DE', :book)",
            book=(await default_seller(tenant.scope())).book_id,
        )

    after = await a_round(tenant)

    assert (before, service.asked) == (CheckReport(), ["IE6388047V"])
    assert after == CheckReport(valid=1)


async def test_B6_a_customer_stays_free_for_ever_while_the_service_answers_once_a_month(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)
    reasons = []
    for day in range(200):
        if day == 100:
            service.says[VAT_ID] = None  # the service is down, up to day 150
        if day == 150:
            del service.says[VAT_ID]
        await a_round(tenant)
        reasons.append(await reason(tenant, customer_id))
        tenant.clock.move(timedelta(days=1))

    assert set(reasons) == {"valid"}
    dates = [each.checked_at.date() for each in reversed(await checks(tenant, customer_id))]
    assert [(each - dates[0]).days for each in dates] == [0, 31, 62, 93, 150, 181]


async def test_B6_down_for_longer_than_ninety_days_tax_is_charged_and_comes_off_again(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)
    await a_round(tenant)
    service.says[VAT_ID] = None
    tenant.clock.move(timedelta(days=91))

    down = await a_round(tenant), await reason(tenant, customer_id)
    service.says.clear()
    up = await a_round(tenant), await reason(tenant, customer_id)

    assert down == (CheckReport(no_answer=1, silence="The service is closed."), "too_old")
    assert up == (CheckReport(valid=1), "valid")


@pytest.mark.parametrize(
    ("fault", "said"),
    [(None, "The service is closed."), (Conflict("Who are you?"), "Who are you?")],
    ids=["silent", "it refuses who asks"],
)
async def test_B6_a_silent_member_is_left_for_the_next_day_and_the_others_are_asked(
    tenant: TestTenant, service: Service, fault: Exception | None, said: str
) -> None:
    german = ("DE136695976", "DE129273398", "DE118716043", "DE811907980", "DE143593636")
    for vat_id in (*german, "ATU12345675"):
        await a_company(tenant, vat_id, country="AT" if vat_id.startswith("A") else "DE")
        service.says[vat_id] = fault if vat_id.startswith("DE") else VatAnswer(valid=False)

    report = await a_round(tenant)

    assert report == CheckReport(not_valid=1, no_answer=3, left=2, silence=said)
    assert service.asked == [*german[:3], "ATU12345675"]


async def test_B6_a_round_has_its_limit_and_the_rest_has_its_turn_on_the_next_day(
    tenant: TestTenant, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vat_asking, "MOST_A_DAY", 2)
    for vat_id in ("DE136695976", "DE129273398", "DE118716043"):
        await a_company(tenant, vat_id)

    rounds = [await a_round(tenant) for _ in range(2)]

    assert rounds == [CheckReport(valid=2, left=1), CheckReport(valid=1)]


async def test_B6_the_clock_starts_the_round_and_its_job_says_what_it_came_to(
    tenant: TestTenant, service: Service
) -> None:
    await a_company(tenant)
    await enqueue(tenant.scope(), CHECK_VAT_IDS, Scheduled(date(2026, 11, 22)))

    (result,) = await runs(tenant, CHECK_VAT_IDS)

    assert result == '{"valid":1,"not_valid":0,"no_answer":0,"left":0,"silence":""}'


async def test_B6_a_new_id_is_asked_about_soon_and_again_while_the_service_is_silent(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)
    person = await a_company(tenant, ANOTHER, kind="person")
    service.says[VAT_ID] = None

    left = [await ask_soon(tenant.scope(), [customer_id, person]) for _ in range(2)]
    first = await runs(tenant, CHECK_VAT_ID)
    at_once = await runs(tenant, CHECK_VAT_ID)
    service.says.clear()
    tenant.clock.move(timedelta(seconds=AGAIN_AFTER))
    second = await runs(tenant, CHECK_VAT_ID)

    assert left == [1, 0], "one job, however often it is asked for"
    assert (first, at_once, second) == ([None], [None], ['{"valid":true}'])
    assert service.asked == [VAT_ID, VAT_ID]
    assert await ask_soon(tenant.scope(), [customer_id]) == 0, "the answer is fresh"


async def test_B6_of_many_new_ids_some_are_asked_about_soon_and_the_rest_by_the_round(
    tenant: TestTenant, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vat_asking, "MOST_SOON", 2)
    known = [await a_company(tenant, vat_id) for vat_id in ("DE136695976", "DE129273398", "DE118716043")]

    soon = await ask_soon(tenant.scope(), known)
    await runs(tenant, CHECK_VAT_ID)

    assert (soon, service.asked) == (2, ["DE136695976", "DE129273398"])
    assert await a_round(tenant) == CheckReport(valid=1)


async def test_B6_silent_to_the_end_a_job_is_done_with_and_leaves_it_to_the_round(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)
    service.says[VAT_ID] = None
    await ask_soon(tenant.scope(), [customer_id])

    for _ in range(8):
        await runs(tenant, CHECK_VAT_ID)
        tenant.clock.move(timedelta(hours=3))

    assert await value("SELECT state FROM job WHERE kind = :kind", kind=CHECK_VAT_ID.name) == "done"
    assert len(service.asked) == 6
    service.says.clear()
    assert await a_round(tenant) == CheckReport(valid=1)


async def test_B6_a_copy_on_which_time_is_tried_out_asks_nobody(tenant: TestTenant, service: Service) -> None:
    customer_id = await a_company(tenant)
    scope = tenant.scope()
    copy = replace(scope, tenant=replace(scope.tenant, test_clock=True))

    async def progress(_done: int, _total: int) -> None:
        pass

    assert await ask_soon(copy, [customer_id]) == 0
    assert await vat_asking.check_due(copy, progress) is None
    assert service.asked == []


async def test_B6_a_customer_who_goes_during_the_round_or_has_no_vat_id_by_then_holds_up_nobody(
    tenant: TestTenant, service: Service
) -> None:
    there, gone, bare = (
        await a_company(tenant),
        await a_company(tenant, ANOTHER),
        await a_company(tenant, "ATU62593317"),
    )

    async def meanwhile() -> None:
        service.meanwhile = None
        async with unit_of_work(tenant.scope()):
            await execute("DELETE FROM customer WHERE id = :id", id=gone)
            await execute("UPDATE customer SET vat_id = '' WHERE id = :id", id=bare)

    async def told(at: int, of: int) -> None:
        assert 0 <= at < of

    service.meanwhile = meanwhile
    report = await vat_asking.check_due(tenant.scope(), told)

    assert service.asked == [VAT_ID]
    assert report == CheckReport(valid=1)
    assert [one.vat_id for one in await checks(tenant, there)] == [VAT_ID]
    assert await check_now(tenant.scope(), gone, ANOTHER) is None
    assert await check_now(tenant.scope(), bare, "ATU62593317") is None
    with pytest.raises(NotFound):
        await check_now(tenant.scope(), gone)


async def test_B6_asked_over_json_with_an_idempotency_key_the_service_is_asked_outside_of_every_unit(
    tenant: TestTenant, service: Service
) -> None:
    customer_id = await a_company(tenant)
    api, path = await tenant.api(), f"/api/v1/customers/{customer_id}/vat-checks/now"

    answers = [await api.post(path, headers={"idempotency-key": "one"}) for _ in range(2)]

    assert [(one.status_code, one.json()["free"]) for one in answers] == [(200, True), (200, True)]
