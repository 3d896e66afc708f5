"""Opening balances of an import: booked once for ever, used like any other money, taken back by counter postings."""

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
from core.billing.verify import verify
from core.customers.importing import steps
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.customers.importing.profiles import Mapping
from core.customers.importing.queries import get_batch
from core.customers.importing.status import BatchState, StepState
from core.database import rows, value, values
from core.errors import Conflict, Forbidden, Invalid
from core.hooks import Hooks
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance, trial_balance
from core.ledger.schemas import NewFxRate
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.scope import Scope
from tests.books import anyio_backend, clock
from tests.books import scope as plain

__all__ = ["anyio_backend", "clock", "plain"]
DATA = Path(__file__).parents[2] / "data" / "imports"
Write = Callable[[str], Path]
FILE = (
    "login,name,balance,invoice no,currency\n"
    "a,Ada,20.00,,\nb,Bo,-50.00,2026-117,\nc,Cy,0,,\nd,Di,-7.25,,\ne,Ed,10.00,,USD\n"
)


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


async def bring(scope: Scope, path: Path, **mapping: object) -> int:
    staged = await stage_import(scope, path, Mapping(**mapping))  # type: ignore[arg-type]  # of several types
    assert staged.batch is not None
    await take_over(scope, staged.batch)
    return staged.batch


async def book(scope: Scope, batch: int, **choices: str) -> steps.StepRow:
    await steps.begin_step(scope, batch, "openings", choices or None)
    return await steps.take_step(scope, batch, "openings")


async def customer(login: str) -> int:
    return int(await value("SELECT id FROM customer WHERE login_key = :login", login=login))


async def balance(scope: Scope, login: str, currency: str | None = None) -> int:
    return (await get_balance(scope, await customer(login), currency)).balance_minor


class Opening(Struct):
    kind: str
    number: str
    issued_on: date
    due_on: date
    total_minor: int
    open_minor: int


async def test_what_would_be_booked_is_shown_by_currency_before_it_is(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write(FILE))

    _, step, state, preview = await steps.preview_step(scope, batch, "openings")

    assert (step.label, state.state, preview.ready, preview.refused) == ("Opening balances", StepState.OPEN, 3, 1)
    assert [(line.count, line.amount_minor, line.currency) for line in preview.lines] == [
        (1, 2000, "EUR"), (2, 5725, "EUR"), (1, None, "USD"),
    ]  # fmt: skip
    assert "no rate from USD" in preview.lines[2].detail
    assert [(field.name, field.value) for field in preview.fields] == [
        ("booked_on", "2027-05-01"), ("due_on", "2027-05-01"),
    ]  # fmt: skip
    assert await value("SELECT count(*) FROM posting") == 0


async def test_credit_becomes_credit_and_a_debt_a_document_under_its_old_number(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write(FILE))

    done = await book(scope, batch, booked_on="2027-04-30", due_on="2027-05-20")

    assert (done.state, done.taken, done.refused) == (StepState.DONE, 3, 1)
    assert [await balance(scope, login) for login in "abcd"] == [2000, -5000, 0, -725]
    found = await rows(
        Opening,
        "SELECT d.kind, d.number, d.issued_on, d.due_on, d.total_minor, s.open_minor FROM document d"
        " JOIN document_state s ON s.document_id = d.id ORDER BY d.id",
    )
    assert found == [
        Opening("opening", "2026-117", date(2027, 4, 30), date(2027, 5, 20), 5000, 5000),
        Opening("opening", f"OB-{batch}-4", date(2027, 4, 30), date(2027, 5, 20), 725, 725),
    ]
    assert await values("SELECT source_kind FROM credit_entry") == ["opening"]
    sums = {each.code: each.balance_minor for each in await trial_balance()}
    assert sums == {"1100": 5725, "2000": -2000, "9100": 2000 - 5725}
    assert await value("SELECT count(*) FROM activity WHERE kind = 'opening_balance_booked'") == 3
    assert await value("SELECT count(*) FROM number_counter WHERE next > 1") == 0
    assert await verify(scope) == []


async def test_what_was_refused_is_told_by_record_and_booked_once_its_cause_is_gone(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write(FILE))
    await book(scope, batch)
    refused = await steps.list_refused(scope, batch, "openings")
    await set_fx_rate(scope, NewFxRate(from_currency="USD", rate_e10=9 * 10**9, valid_on=scope.today()))

    done = await book(scope, batch)

    assert [(each.record, each.name, each.findings()[0].field) for each in refused] == [(5, "Ed", "balance")]
    assert (done.taken, done.refused) == (4, 0)
    assert await steps.list_refused(scope, batch, "openings") == []
    assert await balance(scope, "e", "USD") == 1000
    assert await value("SELECT base_minor FROM credit_entry WHERE currency = 'USD'") == 900
    assert await balance(scope, "a") == 2000
    assert await verify(scope) == []


async def test_nothing_is_booked_a_second_time(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write("login,name,balance\na,Ada,20\nb,Bo,-5\n"))
    await book(scope, batch)
    before = await value("SELECT count(*) FROM posting")

    with pytest.raises(Conflict, match="nothing left"):
        await book(scope, batch)
    await steps.take_step(scope, batch, "openings")

    assert await value("SELECT count(*) FROM posting") == before == 4


class Broken(Exception):
    pass


async def test_booking_that_was_broken_off_goes_on_where_it_was_also_twice_at_once(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SMALLEST", 2)
    monkeypatch.setattr(steps, "LARGEST", 7)
    batch = await bring(scope, write("login,name,balance\n" + "".join(f"u{n},N{n},{n - 20}.50\n" for n in range(60))))

    async def stop(done: int, total: int, text: str) -> None:
        assert total == 60
        if done >= 20:
            raise Broken

    await steps.begin_step(scope, batch, "openings")
    with pytest.raises(Broken):
        await steps.take_step(scope, batch, "openings", progress=stop)
    half = int(await value("SELECT count(*) FROM opening_balance"))
    await steps.begin_step(scope, batch, "openings")
    await asyncio.gather(steps.take_step(scope, batch, "openings"), steps.take_step(scope, batch, "openings"))

    assert 20 <= half < 60
    assert await value("SELECT count(*) FROM opening_balance") == 60
    assert await value("SELECT count(*) FROM ledger_transaction") == 60
    assert await value("SELECT count(*) FROM activity WHERE kind = 'import_step_taken'") == 1
    assert await verify(scope) == []


async def test_payments_settle_what_was_taken_over_and_its_credit_pays_invoices(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write("login,name,balance\na,Ada,20\nb,Bo,-50\n"))
    await book(scope, batch)

    await receive(scope, NewPayment(payer_id=await customer("b"), amount_minor=5000, method="transfer"))

    assert await balance(scope, "b") == 0
    assert await value("SELECT open_minor FROM document_state") == 0
    assert await verify(scope) == []


async def test_a_date_that_cannot_be_is_told_beside_its_field(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write(FILE))

    with pytest.raises(Invalid) as wrong:
        await steps.begin_step(scope, batch, "openings", {"booked_on": "2027-06-01", "due_on": "soon"})

    assert [error.field for error in wrong.value.errors] == ["booked_on", "due_on"]
    assert await value("SELECT count(*) FROM posting") == 0


async def test_an_import_whose_balances_are_booked_is_undone_by_counter_postings(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write("login,name,balance\na,Ada,20\nb,Bo,-50\nc,Cy,\nd,Di,-30\n"))
    await book(scope, batch)
    await receive(scope, NewPayment(payer_id=await customer("d"), amount_minor=1000, method="transfer"))

    kept = await undo_import(scope, batch)

    assert kept == 3
    assert (await get_batch(scope, batch)).state is BatchState.UNDONE
    assert await values("SELECT full_name FROM customer ORDER BY id") == ["Ada", "Bo", "Di"]
    assert [await balance(scope, login) for login in "abd"] == [0, 0, -2000]
    assert await verify(scope) == []
    staying = await steps.list_refused(scope, batch, steps.KEPT_STEP)
    assert [(each.name, each.findings()[0].message) for each in staying] == [
        ("Ada", "Its opening balance of 20.00 EUR was reversed. The books keep it, and so the customer."),
        ("Bo", "Its opening balance of 50.00 EUR was reversed. The books keep it, and so the customer."),
        ("Di", "Of its opening debt of 30.00 EUR only 20.00 EUR are open. It stays."),
    ]
    again = await stage_import(scope, write("login,name,balance\na,Ada,20\nc,Cy,\n"))
    assert (again.ok, again.errors_total) == (1, 1)


async def test_only_who_may_credit_books(scope: Scope, write: Write) -> None:
    batch = await bring(scope, write(FILE))
    some = replace(scope, actor=replace(scope.actor, permissions=frozenset({"customers.create"})))

    with pytest.raises(Forbidden):
        await steps.begin_step(some, batch, "openings")
