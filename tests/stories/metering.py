"""A plugin that meters: what was used is a row of its own table, rated by it, and charged once under its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.database import execute
from core.hooks import ChargeSource, Hooks
from tests.core.hooks.modules import module
from tests.databases import define

if TYPE_CHECKING:
    from tests.stories.story import Story

USED: Final = """
SELECT u.subscription_id, 'usage' AS kind, 'meter' AS component, u.from_on AS period_start, u.until_on AS period_end,
       u.units * 1000000 AS quantity_e6, u.rated_minor AS amount_minor, 'standard' AS tax_category,
       'Usage' AS description, 'meter:' || u.id AS source_key
FROM meter_usage u WHERE u.until_on <= :as_of_on
"""


def collect_charges(as_of: date) -> Sequence[ChargeSource]:
    """Everything that was rated; core takes what it has not charged under its key."""
    return [ChargeSource(select=USED, values={})]


async def with_meter(story: Story) -> None:
    """From here on the tenant has the plugin, with its table."""
    await define(
        "CREATE TABLE meter_usage (id {id}, subscription_id bigint NOT NULL, from_on date NOT NULL,"
        " until_on date NOT NULL, units bigint NOT NULL, rated_minor bigint NOT NULL)"
    )
    hooks = [*HOOK_MODULES, ("meter", module("meter", collect_charges=collect_charges))]
    story.scope = replace(story.scope, hooks=Hooks(hookspecs, hooks, guard=nothing_kept))


async def metered(subscription_id: int, first: str, until: str, units: int, rated_minor: int) -> None:
    """So many units from a day up to another, at what the plugin's tiers and allowances make of them."""
    await execute(
        "INSERT INTO meter_usage (subscription_id, from_on, until_on, units, rated_minor)"
        " VALUES (:id, :first, :until, :units, :rated)",
        id=subscription_id,
        first=date.fromisoformat(first),
        until=date.fromisoformat(until),
        units=units,
        rated=rated_minor,
    )
