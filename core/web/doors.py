"""Ways in beside the staff's own: a plugin may let people in of its own kind, who are known under its pages alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core import hookspecs
from core.hooks import note_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.hooks import PortalPage
    from core.scope import Scope
    from core.web.sessions import SessionRow
    from core.web.view import PageView
    from core.web.visit import LoadPerson

Around = Callable[["Scope", "SessionRow"], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a plugin's manifest says of the people that it lets in.

    They are looked for under /NAME of that plugin and nowhere else, by a cookie of their own; the staff's cookie is not
    looked at there. `people` loads them by kind of session, `log_in` is where strangers are sent, `around` gives what
    all of its pages show beside their own values: asked once a request, after the person is known.
    """

    log_in: str
    home: str
    people: Mapping[str, LoadPerson]
    around: Around
    staff: str = ""
    """The one place under /NAME that belongs to the staff: there the staff's cookie is looked at."""

    def leads_to(self, path: str) -> bool:
        return not self.staff or not (path == self.staff or path.startswith(f"{self.staff}/"))


class Drawn(Struct, frozen=True):
    """A card as it stands on a page."""

    title: str
    html: str


async def portal_pages(scope: Scope) -> Sequence[PortalPage]:
    """The pages that plugins add to the customers' portal; what fails is left out, and stands in the log."""
    return [
        page
        for answer in await scope.hooks.ask(hookspecs.portal_pages, scope=scope)
        if answer.error is None
        for page in answer.value or ()
    ]


async def portal_cards(view: PageView, customer_id: int) -> Sequence[Drawn]:
    """The cards that plugins put on the first page of the customers' portal; what fails is left out there."""
    drawn: list[Drawn] = []
    scope = view.scope
    for answer in await scope.hooks.ask(hookspecs.portal_cards, scope=scope, customer_id=customer_id):
        for card in answer.value or () if answer.error is None else ():
            try:
                drawn.append(Drawn(card.title, view.part(card.template, **card.values)))
            except Exception:  # whatever a plugin's template does, the page stands
                note_failure(answer.plugin, card.template)
    return drawn
