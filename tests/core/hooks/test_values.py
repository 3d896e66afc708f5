"""The values that hooks trade in."""

from __future__ import annotations

from typing import Any

import pytest

from core.hooks import Action, Card, ChargeSource, Effect, MenuItem, Panel, SearchHit, Tab, plan_digest


@pytest.mark.parametrize(
    "make",
    [
        lambda href: Tab(key="k", label="l", href=href),
        lambda href: Action(label="l", href=href),
        lambda href: MenuItem(area="", label="l", href=href, permission="p"),
        lambda href: SearchHit(kind="k", label="l", href=href),
        lambda href: Card(key="k", label="l", value="1", href=href),
    ],
)
@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "https://evil.example", "//evil.example", "/\\evil.example", "customers", " /customers"],
)
def test_links_lead_to_this_site_only(make: Any, href: str) -> None:
    with pytest.raises(ValueError, match="no path of this site"):
        make(href)

    assert make("/maps?x=1").href == "/maps?x=1"


def test_a_card_need_not_lead_anywhere() -> None:
    assert Card(key="k", label="Items", value="12").href == ""


def test_values_of_two_panels_are_their_own() -> None:
    first, second = (Panel(key="k", title="t", template="maps/p.html") for _ in range(2))

    assert first.values == {}
    assert first.values is not second.values


def test_an_effect_has_an_amount_with_its_currency_or_neither() -> None:
    assert Effect(text="Ends", kind="service").amount_minor is None
    for half in ({"amount_minor": 5}, {"currency": "EUR"}):
        with pytest.raises(ValueError, match="with its currency"):
            Effect(text="Invoice", kind="money", **half)  # type: ignore[arg-type]  # half of it on purpose


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Ends on 2 May"},
        {"kind": "warning"},
        {"amount_minor": 501},
        {"currency": "USD"},
        {"inputs": "invoice 7 v3"},
    ],
)
def test_a_plan_is_another_when_anything_it_says_or_rests_on_is(change: dict[str, Any]) -> None:
    plan = {
        "text": "Ends on 1 May",
        "kind": "service",
        "amount_minor": 500,
        "currency": "EUR",
        "inputs": "invoice 7 v2",
    }
    told = Effect(text="A device is out", kind="warning")

    assert plan_digest([Effect(**plan), told]) == plan_digest([Effect(**plan), told])
    assert plan_digest([Effect(**plan), told]) != plan_digest([Effect(**{**plan, **change}), told])
    assert plan_digest([Effect(**plan), told]) != plan_digest([told, Effect(**plan)])
    assert plan_digest([Effect(**plan)]) != plan_digest([])


async def test_who_carries_a_plan_out_does_not_make_it_another() -> None:
    async def apply(scope: Any) -> None:
        raise NotImplementedError

    assert plan_digest([Effect(text="Ends", kind="service", apply=apply)]) == plan_digest(
        [Effect(text="Ends", kind="service")]
    )


@pytest.mark.parametrize(
    "select", ["", "DELETE FROM charge", "SELECT 1; DELETE FROM charge", "WITH x AS (SELECT 1) DELETE FROM charge"]
)
def test_a_source_of_charges_is_one_select(select: str) -> None:
    with pytest.raises(ValueError, match="one SELECT"):
        ChargeSource(select=select)
