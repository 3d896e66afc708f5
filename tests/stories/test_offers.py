"""What is offered to a customer is what it can have: a box that cannot be pressed says why (P2, P3, P19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.catalog.actions import create_group
from core.catalog.schemas import NewGroup
from core.database import value
from core.subscriptions.queries import list_boxes

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _refused(story: Story, code: str, kind: str = "plan") -> set[str]:
    """What the buttons of a product's box say against being pressed."""
    boxes = await list_boxes(story.scope, story.customer, [kind])
    (box,) = [each for each in boxes if each.code == code]
    return {action.refused for action in box.actions}


async def test_P2_a_plan_of_one_group_stands_in_the_way_of_that_group_alone(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await create_group(story.scope, NewGroup(code="television", name="Television", one_live=True))
    television = await value("SELECT id FROM product_group WHERE code = 'television'")
    await story.sells("fibre", 10000)
    await story.sells("fibre-l", 20000)
    await story.sells("tv", 1000, group_id=television)
    await story.sells("tv-l", 2000, group_id=television)
    await story.subscribes("fibre")

    assert await _refused(story, "tv") == {""}
    await story.subscribes("tv")

    assert await _refused(story, "tv-l") == {""}  # each of its group can be changed to
    await story.bill()
    await story.nothing_more_is_due()


async def test_P19_a_module_that_needs_a_plan_is_offered_once_the_customer_has_one(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    plans = await value("SELECT id FROM product_group WHERE code = 'plans'")
    await story.sells("fibre", 10000, activation="invoice_first")
    await story.sells("tv", 1000, kind="module", requires_group_id=plans)
    before = await _refused(story, "tv", "module")
    _, invoice = await story.asks_for("fibre")
    waiting = await _refused(story, "tv", "module")

    await story.pays(10000, invoice)

    assert before == waiting == {"Tv needs another product first, which the customer does not have."}
    assert await _refused(story, "tv", "module") == {""}
    await story.nothing_more_is_due()
