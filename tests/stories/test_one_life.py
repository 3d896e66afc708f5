"""The life that the design checks by hand (ledger.md, One life)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.billing.actions import withdraw_subscription, write_off
from core.payments.actions import reverse
from core.payments.schemas import Reversal
from core.subscriptions.queries import get_subscription
from tests.books import day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_one_life_checked_by_hand(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(200_000)
    await story.sells("fibre-m", 10000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre-m")
    assert await story.money() == Money("120.00", "0.00", "-120.00")
    assert await story.state_of(fibre) == "pending"

    story.on("2027-05-02")
    await story.pays(5000, invoice)
    assert await story.money() == Money("70.00", "0.00", "-70.00")
    assert await story.state_of(fibre) == "pending"

    story.on("2027-05-04")
    payment = await story.pays(9000)
    assert await story.money() == Money("0.00", "20.00", "20.00")
    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.started_on, live.next_from) == ("active", day("2027-05-04"), day("2027-06-04"))
    await story.expects("invoice_settled", on=["2027-05-04"])
    await story.expects("subscription_activated", on=["2027-05-04"])

    story.on("2027-05-19")
    await story.sells("fibre-l", 31000, rank=1)
    note_id, upgrade_id = (await story.changes(fibre, "fibre-l")).document_ids
    note, upgrade = await story.document(note_id), await story.document(upgrade_id)
    assert (note.net_minor, note.tax_minor, note.total_minor) == (5161, 1032, 6193)
    assert (upgrade.net_minor, upgrade.tax_minor, upgrade.total_minor) == (16000, 3200, 19200)
    assert await story.money() == Money("110.07", "0.00", "-110.07")

    story.on("2027-05-25")
    await reverse(story.scope, payment, Reversal(reason="chargeback"))
    assert await story.money() == Money("200.07", "0.00", "-200.07")
    assert await story.state_of(fibre) == "active"
    await story.expects("invoice_reopened", on=["2027-05-25", "2027-05-25"])  # both had money of it

    story.on("2027-05-26")
    given_up = await withdraw_subscription(story.scope, fibre)
    assert given_up.forfeited_minor == 0
    assert await story.money() == Money("200.07", "0.00", "-200.07")

    story.on("2027-09-30")
    for document_id in (invoice, upgrade_id):
        await write_off(story.scope, document_id, "Nobody is there any more")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()
