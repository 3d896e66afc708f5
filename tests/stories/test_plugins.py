"""What plugins have to say about subscriptions, and what they want charged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from core import hookspecs
from core.activity.asking import nothing_kept
from core.billing.upcoming import upcoming_invoices
from core.database import execute, rows, value
from core.errors import Conflict
from core.hooks import ChargeSource, Hooks, PluginFailed
from tests.core.hooks.modules import module
from tests.databases import define

if TYPE_CHECKING:
    from tests.stories.story import Story

CALLS = """
SELECT c.subscription_id, 'usage' AS kind, 'calls' AS component, c.month_on AS period_start, c.until_on AS period_end,
       c.minutes * 1000000 AS quantity_e6, c.rated_minor AS amount_minor, 'standard' AS tax_category,
       'Calls' AS description, 'probe:' || c.id AS source_key
FROM probe_calls c WHERE c.until_on <= :as_of_on AND c.rated_minor >= :least
"""


class Charge(Struct, frozen=True):
    kind: str
    amount_minor: int
    source_key: str


def with_plugin(story: Story, **members: Any) -> None:
    """From here on the tenant has a plugin called probe."""
    hooks = Hooks(hookspecs, [("probe", module("probe", **members))], guard=nothing_kept)
    story.scope = replace(story.scope, hooks=hooks)


async def used(subscription_id: int, month: str, until: str, minutes: int, rated_minor: int) -> None:
    await execute(
        "INSERT INTO probe_calls (subscription_id, month_on, until_on, minutes, rated_minor)"
        " VALUES (:subscription_id, :month, :until, :minutes, :rated_minor)",
        subscription_id=subscription_id,
        month=date.fromisoformat(month),
        until=date.fromisoformat(until),
        minutes=minutes,
        rated_minor=rated_minor,
    )


async def test_a_plugin_may_refuse_a_subscription_and_nothing_is_written(story: Story) -> None:
    asked: list[tuple[int, int, date]] = []

    async def validate_subscription_start(customer_id: int, product_id: int, starts_on: date) -> None:
        asked.append((customer_id, product_id, starts_on))
        raise Conflict("No port is free at this address.")

    await story.begins("2027-05-01")
    await story.sells("fibre-100", 3000)
    with_plugin(story, validate_subscription_start=validate_subscription_start)

    with pytest.raises(Conflict, match="No port is free"):
        await story.subscribes("fibre-100", starting="2027-05-01")

    assert asked == [(story.customer, story.products["fibre-100"], date(2027, 5, 1))]
    assert await value("SELECT count(*) FROM subscription") == 0


async def test_what_a_plugin_wants_charged_is_invoiced_once_with_the_next_run(story: Story) -> None:
    asked: list[date] = []

    def collect_charges(as_of: date) -> Sequence[ChargeSource]:
        asked.append(as_of)
        return [ChargeSource(select=CALLS, values={"least": 1})]

    await define(
        "CREATE TABLE probe_calls (id {id}, subscription_id bigint NOT NULL, month_on date NOT NULL,"
        " until_on date NOT NULL, minutes bigint NOT NULL, rated_minor bigint NOT NULL)"
    )
    await story.begins("2027-05-01")
    await story.taxes(200_000)
    await story.sells("phone", 1000)
    phone = await story.subscribes("phone", starting="2027-05-01")
    await story.bill()
    with_plugin(story, collect_charges=collect_charges)
    await used(phone, "2027-05-01", "2027-06-01", 60, 123)
    await used(phone, "2027-05-01", "2027-06-01", 1, 0)
    await used(phone, "2027-06-01", "2027-07-01", 60, 999)

    story.on("2027-06-01")
    preview = await story.bill(preview=True)
    await story.bill()
    await story.bill()

    assert asked == [date(2027, 6, 1)] * 3
    assert await rows(Charge, "SELECT kind, amount_minor, source_key FROM charge WHERE kind = 'usage'") == [
        Charge("usage", 123, "probe:1")
    ]
    invoice = await story.last_document()
    assert sorted(line.net_minor for line in invoice.lines) == [123, 1000]
    assert invoice.total_minor == 1348
    assert preview.invoices == 1
    await story.nothing_more_is_due()


async def test_a_charge_of_a_plugin_that_ends_before_it_begins_stops_the_run_with_the_reason(story: Story) -> None:
    await define(
        "CREATE TABLE probe_calls (id {id}, subscription_id bigint NOT NULL, month_on date NOT NULL,"
        " until_on date NOT NULL, minutes bigint NOT NULL, rated_minor bigint NOT NULL)"
    )
    await story.begins("2027-05-01")
    await story.sells("phone", 1000)
    phone = await story.subscribes("phone", starting="2027-05-01")
    with_plugin(story, collect_charges=lambda: [ChargeSource(select=CALLS, values={"least": 1})])
    await used(phone, "2027-05-01", "2027-05-01", 60, 123)

    with pytest.raises(Conflict, match="A plugin gives a charge that cannot be one: probe:1, period_start, period_end"):
        await story.bill()

    assert await value("SELECT count(*) FROM document") == 0


async def test_a_plugin_that_breaks_while_it_is_asked_for_charges_stops_the_run_before_it_begins(story: Story) -> None:
    def collect_charges() -> Sequence[ChargeSource]:
        raise ZeroDivisionError

    await story.begins("2027-05-01")
    await story.sells("phone", 1000)
    await story.subscribes("phone", starting="2027-05-01")
    with_plugin(story, collect_charges=collect_charges)

    with pytest.raises(PluginFailed, match="plugin probe failed"):
        await story.bill()

    assert await value("SELECT count(*) FROM billing_run") == 0
    assert await value("SELECT count(*) FROM document") == 0


CHARGE = {
    "subscription_id": "u.id",
    "kind": "'usage'",
    "component": "'calls'",
    "period_start": "CAST(NULL AS date)",
    "period_end": "CAST(NULL AS date)",
    "quantity_e6": "1000000",
    "amount_minor": "100",
    "tax_category": "'standard'",
    "description": "'Calls'",
    "source_key": "'probe:' || u.id",
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "'nonsense'"}, "probe:1, kind"),
        ({"description": "CAST(NULL AS text)"}, "probe:1, description"),
        ({"quantity_e6": "CAST(NULL AS bigint)"}, "probe:1, quantity_e6"),
        ({"amount_minor": "9000000000000000000"}, "probe:1, amount_minor"),
        ({"tax_category": "'none'"}, "probe:1, tax_category"),
        ({"period_start": "'2027-05-02'::date"}, "probe:1, period_start, period_end"),
        ({"period_start": "'2027-05-02'::date", "period_end": "'2027-05-01'::date"}, "probe:1, period_start"),
        ({"amount_minor": "u.nothing"}, "nothing"),
    ],
)
async def test_a_charge_that_cannot_be_one_is_named_by_the_run_by_its_preview_and_by_next_invoices(
    story: Story, wrong: dict[str, str], said: str
) -> None:
    await story.begins("2027-05-01")
    await story.sells("phone", 1000)
    await story.subscribes("phone", starting="2027-05-01")
    columns = ", ".join(f"{text} AS {name}" for name, text in (CHARGE | wrong).items())
    source = ChargeSource(select=f"SELECT {columns} FROM subscription u")
    with_plugin(story, collect_charges=lambda: [source])

    with pytest.raises(Conflict, match=f"A plugin gives a charge that cannot be one: .*{said}"):
        await story.bill(preview=True)
    with pytest.raises(Conflict, match=f"A plugin gives a charge that cannot be one: .*{said}"):
        await story.bill()
    with pytest.raises(Conflict, match="A plugin gives a charge that cannot be one: "):
        await upcoming_invoices(story.scope, story.customer)

    assert await value("SELECT count(*) FROM document") == 0


async def test_what_is_no_charge_of_a_plugin_is_in_no_preview_either(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("phone", 1000)
    await story.subscribes("phone", starting="2027-05-01")
    for wrong in ({"kind": "'recurring'"}, {"source_key": "CAST(NULL AS text)"}):
        columns = ", ".join(f"{text} AS {name}" for name, text in (CHARGE | wrong).items())
        source = ChargeSource(select=f"SELECT {columns} FROM subscription u")
        with_plugin(story, collect_charges=lambda source=source: [source])

        assert (await story.bill(preview=True)).charges == 1
    await story.bill()

    assert [line.net_minor for line in (await story.last_document()).lines] == [1000]
