"""The reference for plugin authors, and the check of their types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from core import hookspecs
from core.hooks import Tab
from core.hooks.conformance import type_faults
from core.hooks.reference import hooks_markdown
from tests.core.hooks.modules import SPECS, module


@pytest.fixture(scope="module")
def reference() -> str:
    return hooks_markdown(hookspecs)


def test_a_hook_stands_there_with_its_signature_and_when_it_is_not_called(reference: str) -> None:
    begin = reference.index("### customer_tabs\n")
    page = reference[begin : reference.index("\n### ", begin + 1)]

    signature = "async def customer_tabs(scope: Scope, customer_id: int, customer: KnownCustomer) -> Sequence[Tab]: ..."
    assert f"@hookimpl\n{signature}" in page
    assert "Not asked for" in page
    assert "Since 1.0." in page


def test_a_fact_is_told_with_its_fields(reference: str) -> None:
    begin = reference.index("### customer_status_changed\n")
    page = reference[begin : reference.index("\n### ", begin + 1)]

    assert (
        "CustomerStatusChanged(\n    customer_id: int,\n    from_key: str,\n    to_key: str,\n    reason: str,\n)"
        in page
    )


def test_hooks_stand_under_the_heading_of_their_kind_in_the_order_of_the_code(reference: str) -> None:
    headings = [line for line in reference.splitlines() if line.startswith("## ")]

    assert headings == [
        "## The manifest", "## Asked for each view", "## Asked before something changes", "## Asked for a plan",
        "## Asked for a choice: the first answer counts", "## Asked for a billing run", "## Told afterwards",
        "## Values",
    ]  # fmt: skip
    assert (
        reference.index("### customer_tabs\n")
        < reference.index("### customer_columns\n")
        < reference.index("### search_results\n")
    )
    assert (
        reference.index("## Told afterwards") < reference.index("### customer_created\n") < reference.index("## Values")
    )


def test_what_is_given_by_name_alone_stands_behind_a_star(reference: str) -> None:
    assert "ChargeSource(\n    *,\n    select: str,\n" in reference
    assert "Permission(\n    key: str,\n" in reference


def test_values_are_shown_with_what_they_may_be(reference: str) -> None:
    assert "    area: Literal['', 'billing', 'work', 'network', 'settings'],\n" in reference
    assert "    count: int | None = None,\n" in reference
    assert "    values: Mapping[str, Any] = {},\n" in reference
    assert "- `events` (`tuple[str, ...]`, optional): The past-tense hooks that it implements" in reference
    assert "- `name` (`str`): Short" in reference


# ------------------------------------------------------------------ types


async def as_asked(scope: str, customer_id: int) -> Sequence[Tab]:
    return []


async def narrower(customer_id: int) -> list[Tab]:
    return []


async def wider(customer_id: int | str, scope: object) -> tuple[Tab, ...]:
    return ()


async def other_argument(customer_id: str) -> Sequence[Tab]:
    return []


async def other_answer(customer_id: int) -> Sequence[str]:
    return []


async def wider_answer(customer_id: int) -> Iterable[Tab]:
    return []


async def untyped(customer_id) -> Sequence[Tab]:  # type: ignore[no-untyped-def]  # what this test is about
    return []


async def no_answer(customer_id: int):  # type: ignore[no-untyped-def]  # what this test is about
    return []


async def perhaps(customer_id: int) -> Sequence[Tab] | None:
    return None


TABS = "collections.abc.Sequence[core.hooks.values.Tab]"


@pytest.mark.parametrize(
    ("function", "faults"),
    [
        (as_asked, []),
        (narrower, []),
        (wider, []),
        (other_argument, ["p.customer_tabs: customer_id is int, not str"]),
        (untyped, ["p.customer_tabs: customer_id has no type; it is int"]),
        (other_answer, [f"p.customer_tabs answers {TABS}, not collections.abc.Sequence[str]"]),
        (wider_answer, [f"p.customer_tabs answers {TABS}, not collections.abc.Iterable[core.hooks.values.Tab]"]),
        (perhaps, [f"p.customer_tabs answers {TABS}, not {TABS} | None"]),
        (no_answer, [f"p.customer_tabs does not say what it answers; it is {TABS}"]),
    ],
)
def test_the_types_of_an_implementation_are_compared_with_those_of_its_hook(
    function: Callable[..., Any], faults: list[str]
) -> None:
    assert list(type_faults(SPECS, module("p", customer_tabs=function))) == faults


def test_an_argument_may_take_more_than_the_hook_gives() -> None:
    async def choose_rate(country: str | None) -> int:
        return 1

    def collect_names(ids: Iterable[int]) -> dict[int, str]:
        return {}

    assert list(type_faults(SPECS, module("p", choose_rate=choose_rate, collect_names=collect_names))) == []


def test_an_answer_with_other_parts_is_a_fault() -> None:
    def collect_names(ids: Sequence[int]) -> Mapping[int, str]:
        return {}

    assert len(list(type_faults(SPECS, module("p", collect_names=collect_names)))) == 1
