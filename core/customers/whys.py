"""“Why?”: the rule by which something is as it is, what it was reckoned from, and the event behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from litestar import Response
from msgspec import Struct

from core.hooks import Fact
from core.texts import _
from core.web.view import PageView

if TYPE_CHECKING:
    from core.web.parts import Happening


class Why(Struct, frozen=True):
    """`title` is what is explained. Without an event nothing happened, or the actor may not see what did."""

    title: str
    facts: Sequence[Fact]
    event: Happening | None = None


class WhyFact(Struct, frozen=True):
    """The rule, or something that it was reckoned from, as it is read."""

    label: str
    value: str


class WhyEvent(Struct, frozen=True):
    """What happened, and who did it, as it is read."""

    text: str
    at: datetime
    by: str


class WhyAnswer(Struct, frozen=True):
    """Why something is as it is. There is no event where nothing happened, or without the permission activity.view."""

    title: str
    facts: list[WhyFact]
    event: WhyEvent | None


def why_answer(why: Why) -> WhyAnswer:
    last = why.event
    event = None if last is None else WhyEvent(last.text, last.at, last.by)
    return WhyAnswer(why.title, [WhyFact(one.label, one.value) for one in why.facts], event)


def why_page(view: PageView, why: Why, *, event: str = "") -> Response[str]:
    """`event`: what the event is called, where it is not the last one."""
    events = []
    if why.event is not None:
        events = [
            Fact(label=event or _("Last event"), value=why.event.text),
            Fact(label=_("At"), value=view.part("customers/_since.html", at=why.event.at).strip()),
            Fact(label=_("By"), value=why.event.by),
        ]
    return view.page("_partials/why.html", title=why.title, reasons=[*why.facts, *events])
