"""Services of imported files become subscriptions: at the file's price, charged from now on, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from msgspec import Struct

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.billing.run import run_billing
from core.billing.verify import verify
from core.catalog.actions import create_product, set_tax_rate
from core.catalog.schemas import NewPrice, NewProduct, NewTaxRate
from core.clock import FixedClock
from core.customers.actions import change_status
from core.customers.importing import steps
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.customers.importing.profiles import Mapping
from core.customers.jobs import plan_names
from core.customers.queries import get_customer
from core.database import rows, value, values
from core.errors import Conflict, Invalid
from core.hooks import Hooks, ImportPreview
from core.scope import Scope
from core.subscriptions.actions import cancel_at_expiry
from tests.books import a_customer, anyio_backend, clock
from tests.books import scope as plain

__all__ = ["anyio_backend", "clock", "plain"]
DATA = Path(__file__).parents[2] / "data" / "imports"
Write = Callable[[str], Path]
HEAD = "login,name,status,plan,price,start,end date,months,currency\n"


@pytest.fixture
def scope(plain: Scope) -> Scope:
    return replace(plain, hooks=Hooks(hookspecs, HOOK_MODULES, guard=nothing_kept))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        path.write_bytes(text.encode())
        return path

    return to_file


async def sells(scope: Scope, code: str, minor: int, name: str = "", unit: str = "month", **fields: object) -> int:
    price = NewPrice(cycle_unit=unit, amount_minor=minor, valid_from=date(2000, 1, 1))  # type: ignore[arg-type]  # as said
    new = NewProduct(code=code, name=name or code.title(), prices=[price], **{"kind": "plan", **fields})  # type: ignore[arg-type]  # as said
    return await create_product(scope, new)


async def bring(scope: Scope, path: Path, **mapping: object) -> int:
    decided = Mapping(**mapping)  # type: ignore[arg-type]  # of several types
    staged = await stage_import(scope, path, decided, plans=await plan_names())
    assert staged.batch is not None
    await take_over(scope, staged.batch)
    return staged.batch


async def make(scope: Scope, batch: int, **choices: str) -> steps.StepRow:
    await steps.begin_step(scope, batch, "subscriptions", choices or None)
    return await steps.take_step(scope, batch, "subscriptions")


async def preview_of(scope: Scope, batch: int, choices: dict[str, str] | None = None) -> ImportPreview:
    return (await steps.preview_step(scope, batch, "subscriptions", choices))[3]


class Made(Struct):
    login: str
    code: str
    state: str
    started_on: date
    amount_minor: int
    cycle: str
    timing: str
    ends_on: date | None = None
    from_on: date | None = None
    due_on: date | None = None


async def made() -> list[Made]:
    return await rows(
        Made,
        "SELECT c.login, p.code, u.state, u.started_on, t.amount_minor,"
        " CAST(t.cycle_count AS text) || ' ' || t.cycle_unit AS cycle,"
        " u.timing, u.ends_on, s.period_start AS from_on, s.due_on FROM subscription u"
        " JOIN customer c ON c.id = u.customer_id JOIN product p ON p.id = u.product_id"
        " JOIN subscription_term t ON t.subscription_id = u.id"
        " LEFT JOIN subscription_schedule s ON s.subscription_id = u.id ORDER BY u.id",
    )


async def refused(scope: Scope, batch: int) -> list[tuple[int, str, str]]:
    listed = await steps.list_refused(scope, batch, "subscriptions")
    return [(each.record, finding.field, finding.message) for each in listed for finding in each.findings()]


async def test_plans_are_proposed_by_name_and_what_would_be_made_is_shown(scope: Scope, write: Write) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(
        scope,
        write(HEAD + "a,Ada,active,FIBRE_50,75.00,2024-05-10,,1,\nb,Bo,active,Gold,10,2025-01-31,,,\n"),
    )

    shown = await preview_of(scope, batch)

    fields = {field.name: field.value for field in shown.fields}
    assert fields == {"billed_from": "", "plan:FIBRE_50": "fibre-50", "plan:Gold": ""}
    assert (shown.ready, shown.refused) == (1, 1)
    assert [(line.text, line.count, line.amount_minor) for line in shown.lines] == [("Fibre 50", 1, 7500)]
    assert [(each.record, each.field, each.value) for each in shown.refusals] == [(2, "plan", "Gold")]
    assert await value("SELECT count(*) FROM subscription") == 0
    wrong = await preview_of(scope, batch, {"plan:Gold": "nothing", "billed_from": "2001-01-01"})
    assert {field.name for field in wrong.fields if field.error} == {"plan:Gold", "billed_from"}
    with pytest.raises(Invalid):
        await make(scope, batch, billed_from="2001-01-01")


async def test_services_begin_when_they_did_and_are_charged_from_their_next_billing_day(
    scope: Scope, write: Write
) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(scope, write(HEAD + "a,Ada,active,Fibre 50,75.00,2024-05-10,,,\nb,Bo,new,Fibre 50,,,,,\n"))

    done = await make(scope, batch)

    assert (done.taken, done.refused) == (2, 0)
    first, second = await made()
    assert (first.state, first.started_on, first.amount_minor, first.cycle) == (
        "active", date(2024, 5, 10), 7500, "1 month",
    )  # fmt: skip
    assert (first.from_on, first.due_on) == (date(2027, 5, 10), date(2027, 5, 10))
    assert (second.amount_minor, second.started_on, second.from_on) == (9000, scope.today(), scope.today())
    assert (
        await values("SELECT s.key FROM customer c JOIN status s ON s.id = c.status_id ORDER BY c.id") == ["active"] * 2
    )
    assert await values("SELECT live_subscriptions FROM customer ORDER BY id") == [1, 1]
    assert (
        await values("SELECT kind FROM activity WHERE kind LIKE 'subscription%' ORDER BY position")
        == ["subscription_activated"] * 2
    )
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customer_status_changed'") == 1
    assert await value("SELECT count(*) FROM charge") == 0
    assert await verify(scope) == []


async def test_nothing_before_the_day_that_is_chosen_is_charged(scope: Scope, clock: FixedClock, write: Write) -> None:
    await set_tax_rate(
        scope, NewTaxRate(country="AT", category="standard", valid_from=date(2000, 1, 1), rate_ppm=200_000)
    )
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(scope, write(HEAD + "a,Ada,active,Fibre 50,93.00,2024-05-10,,,\n"))

    await make(scope, batch, billed_from="2027-05-05")
    await run_billing(scope, date(2027, 6, 20), confirmed=True, pause=0.0)

    class Charged(Struct):
        period_start: date
        period_end: date
        amount_minor: int

    assert await rows(Charged, "SELECT period_start, period_end, amount_minor FROM charge ORDER BY period_start") == [
        Charged(date(2027, 5, 5), date(2027, 5, 10), 1550),  # 5 of 30 days
        Charged(date(2027, 5, 10), date(2027, 6, 10), 9300),
        Charged(date(2027, 6, 10), date(2027, 7, 10), 9300),
    ]
    assert await verify(scope, thorough=True) == []


async def test_an_end_that_is_set_before_the_first_charge_charges_nothing_of_the_years_before(
    scope: Scope, write: Write
) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(scope, write(HEAD + "a,Ada,active,Fibre 50,93.00,2020-05-10,,,\n"))
    await make(scope, batch)

    await cancel_at_expiry(scope, int(await value("SELECT id FROM subscription")))

    assert await value("SELECT min(period_start) FROM subscription_schedule") in (None, date(2027, 5, 10), "2027-05-10")
    assert await value("SELECT count(*) FROM charge") == 0


async def test_who_is_blocked_or_inactive_is_not_served_and_who_is_gone_has_no_services(
    scope: Scope, write: Write
) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    line = "Fibre 50,,2024-05-10,,,\n"
    batch = await bring(
        scope,
        write(HEAD + f"a,Ada,blocked,{line}b,Bo,inactive,{line}c,Cy,cancelled,{line}"),
    )

    done = await make(scope, batch)

    blocked, inactive = await made()
    assert (done.taken, done.refused) == (2, 1)
    assert (blocked.state, blocked.due_on) == ("suspended", date(2027, 5, 10))
    assert (inactive.state, inactive.from_on, inactive.due_on) == ("suspended", date(2027, 5, 10), None)
    assert await refused(scope, batch) == [(3, "status", "Its customer is Cancelled: it has no services.")]
    assert await value("SELECT count(*) FROM activity WHERE kind = 'subscription_suspended'") == 2
    assert await values("SELECT s.key FROM customer c JOIN status s ON s.id = c.status_id ORDER BY c.id") == [
        "blocked", "inactive", "cancelled",
    ]  # fmt: skip
    await change_status(scope, await value("SELECT id FROM customer WHERE login = 'b'"), "active")
    assert (await made())[1].state == "active"
    assert await verify(scope) == []


async def test_what_cannot_be_made_is_told_and_made_once_its_cause_is_gone(scope: Scope, write: Write) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    await sells(scope, "fibre-99", 9900, "Fibre 99")
    batch = await bring(
        scope,
        write(
            HEAD
            + "a,Ada,active,Fibre 50,,2024-05-10,,,\n"
            + "b,Bo,active,Gold,20.00,2024-05-10,,3,\n"
            + "c,Cy,active,Fibre 50,20.00,2028-04-10,,,\n"
            + "d,Di,active,Fibre 50,20.00,2024-05-10,2027-04-30,,\n"
            + "e,Ed,active,Fibre 50,20.00,2024-05-10,2027-05-31,,\n"
            + "f,Flo,active,Fibre 50,,2024-05-10,,12,\n"
            + "g,Gus,active,Fibre 50,20.00,2024-05-10,,,USD\n"
        ),
    )

    first = await make(scope, batch)
    second = await make(scope, batch, **{"plan:Gold": "fibre-99"})

    assert (first.taken, first.refused) == (3, 4)
    assert (second.taken, second.refused) == (4, 3)
    assert await refused(scope, batch) == [
        (3, "start", "It begins on a day to come. Make it then."),
        (4, "end date", "It is over."),
        (6, "plan", "Fibre 50 has no price in EUR for 12 months, and the file names none."),
    ]
    assert [(each.login, each.code, each.amount_minor, each.cycle, each.ends_on) for each in await made()] == [
        ("a", "fibre-50", 9000, "1 month", None),
        ("e", "fibre-50", 2000, "1 month", date(2027, 6, 1)),
        ("g", "fibre-50", 2000, "1 month", None),
        ("b", "fibre-99", 2000, "3 month", None),
    ]
    assert await verify(scope) == []


async def test_how_plans_were_matched_is_proposed_for_the_next_file(scope: Scope, write: Write) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    first = await bring(scope, write(HEAD + "a,Ada,active,Gold,20.00,2024-05-10,,,\n"))
    await make(scope, first, **{"plan:Gold": "fibre-50"})
    second = await bring(scope, write(HEAD + "b,Bo,active,Gold,20.00,2024-05-10,,,\n"))

    shown = await preview_of(scope, second)

    assert {field.name: field.value for field in shown.fields} == {"billed_from": "", "plan:Gold": "fibre-50"}
    assert shown.ready == 1


async def test_one_of_a_group_that_allows_one_and_a_plan_that_is_left_out(scope: Scope, write: Write) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    await a_customer(scope, "Ilse", login="ilse.g")
    batch = await bring(
        scope,
        write(
            "id,name,plan,start date,end date,login,price,ipv4\n"
            "1,ilse.g,Fibre 50,2024-05-01,,i1,50.00,198.51.100.20\n"
            "2,ilse.g,Fibre 50,2024-05-01,,i2,50.00,\n3,ilse.g,Old,2024-05-01,,i3,1.00,\n"
            "4,nobody,Fibre 50,2024-05-01,,i4,50.00,\n"
        ),
    )

    await make(scope, batch, **{"plan:Old": "-"})

    assert await refused(scope, batch) == [
        (2, "plan", "It has Fibre 50 already: one of Plans at a time."),
        (3, "plan", "This plan is left out."),
        (4, "name", "Its customer is not here."),
    ]
    assert await values("SELECT text FROM note") == ["Fibre 50: login i1, IPv4 198.51.100.20"]
    customer = await get_customer(scope, int(await value("SELECT id FROM customer")))
    assert (customer.status, customer.live_subscriptions) == ("active", 1)


async def test_services_below_a_refused_customer_go_to_nobody_else(scope: Scope, write: Write) -> None:
    await sells(scope, "silver", 99900, "03. SILVER 999")
    await a_customer(scope, "Already here", external_ref="uisp:2001")

    batch = await bring(scope, DATA / "uisp_clients.csv", currency="EUR")
    shown = await preview_of(scope, batch)

    assert (shown.ready, {each.message for each in shown.refusals}) == (
        0, {"Its customer is not here.", "No product was chosen for this plan."},
    )  # fmt: skip


class Broken(Exception):
    pass


async def test_making_that_was_broken_off_goes_on_also_twice_at_once(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SMALLEST", 2)
    monkeypatch.setattr(steps, "LARGEST", 7)
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(
        scope, write(HEAD + "".join(f"u{n},N{n},active,Fibre 50,,2024-05-{n % 28 + 1:02},,,\n" for n in range(60)))
    )

    async def stop(done: int, total: int, text: str) -> None:
        if done >= 20:
            raise Broken

    await steps.begin_step(scope, batch, "subscriptions")
    with pytest.raises(Broken):
        await steps.take_step(scope, batch, "subscriptions", progress=stop)
    half = int(await value("SELECT count(*) FROM subscription"))
    await asyncio.gather(steps.take_step(scope, batch, "subscriptions"), steps.take_step(scope, batch, "subscriptions"))

    assert 20 <= half < 60
    assert await value("SELECT count(*) FROM subscription") == 60
    assert await value("SELECT count(DISTINCT customer_id) FROM subscription") == 60
    assert await value("SELECT count(*) FROM activity WHERE kind = 'subscription_activated'") == 60
    assert await verify(scope) == []


async def test_an_import_whose_subscriptions_were_made_is_not_undone(scope: Scope, write: Write) -> None:
    await sells(scope, "fibre-50", 9000, "Fibre 50")
    batch = await bring(scope, write(HEAD + "a,Ada,active,Fibre 50,,2024-05-10,,,\n"))
    await make(scope, batch)

    with pytest.raises(Conflict, match="“Subscriptions” has made something"):
        await undo_import(scope, batch)
