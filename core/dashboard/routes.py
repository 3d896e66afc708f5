"""The start page: the way to the first invoice, then the figures of the day; and the search on top of every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response

from core import hookspecs
from core.customers import queries as customers
from core.hooks import Card
from core.ids import sort_key
from core.messages.settings import MailSettings
from core.settings.company import CompanySettings
from core.settings.queries import stored_of
from core.texts import _
from core.web.links import address
from core.web.parts import Hit, HitGroup, Pill, Step
from core.web.routing import SIGNED_IN, get
from core.web.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.hooks import Plugin
    from core.scope import Scope
    from core.web.menu import Place
    from core.web.view import PageView

AT_ONCE = 0.3
"""Seconds that the page waits for its cards; the others come behind it."""
PATIENCE = 20.0
"""Seconds that these have."""
SHORTEST = 2
HITS = 6
"""Of each kind."""
WHOLE = 3
"""Fits a place that was typed out."""


@get("/", permission=SIGNED_IN)
async def show_home(view: View) -> Response[str]:
    scope = view.scope
    steps = await _steps(scope)
    cards = await _cards(scope, AT_ONCE)
    return view.page(
        "dashboard/home.html",
        steps=steps,
        done=sum(step.done for step in steps),
        cards=cards,
        plugins=_plugin_names(view),
    )


@get("/cards", permission=SIGNED_IN)
async def show_cards(view: View) -> Response[str]:
    """The part of the start page that comes behind it, where some card takes longer."""
    late = Card(key="late", label=_("Not known"), value="–", detail=_("took too long"), tone="bad")
    return view.page("dashboard/_cards.html", cards=[card or late for card in await _cards(view.scope, PATIENCE)])


async def _cards(scope: Scope, seconds: float) -> list[Card | None]:
    """In the order of the plugins that have them; None stands for those of one that takes longer."""
    cards: list[Card | None] = []
    for answer in await scope.hooks.ask_soon(seconds, hookspecs.dashboard_cards, scope=scope):
        if answer.late:
            cards.append(None)
        elif answer.error is not None:
            detail = _("Failed, %(error)s", error=answer.error_id)
            cards.append(Card(key=answer.plugin, label=answer.plugin, value="–", detail=detail, tone="bad"))
        cards.extend(answer.value or ())
    return cards


def _plugin_names(view: PageView) -> list[str]:
    """The plugins that are on, as people call them."""
    known: Mapping[str, Plugin] = view.request.app.state.plugins
    return sorted(
        _(plugin.manifest.label)
        for plugin in known.values()
        if plugin.name in view.scope.plugins and plugin.loaded is not None
    )


async def _steps(scope: Scope) -> list[Step]:
    """The way from an empty tenant to a billed customer; only what the actor may do."""
    found = await customers.first_steps(scope)
    steps: list[Step] = []
    company, mail = await stored_of(CompanySettings, MailSettings)
    if scope.may("settings.edit"):
        steps.append(
            Step(
                done=bool(company.get("street")),
                title=_("Company"),
                text=_("Name, address, currency and time zone; they stand on every invoice."),
                label=_("Company data"),
                href="/settings/company",
            )
        )
    if scope.may("customers.create"):
        steps.append(
            Step(
                done=found.customers,
                title=_("Customers"),
                text=_("Import the file of your present system, or type one in."),
                label=_("Import customers"),
                href="/customers/import",
            )
        )
    for answer in await scope.hooks.ask(hookspecs.first_steps, scope=scope):
        steps.extend(
            Step(done=one.done, title=one.title, text=one.text, label=one.label, href=one.href)
            for one in answer.value or ()
        )
    if steps and not steps[-1].done and scope.may("settings.edit"):
        steps.insert(
            -1,
            Step(
                done=bool(mail.get("host") and mail.get("sender_address")),
                title=_("Mail"),
                text=_("Until a mail server is set, messages wait in the outbox and nothing is lost."),
                label=_("Set up mail"),
                href="/settings/mail",
            ),
        )
    return steps


@get("/search", permission=SIGNED_IN)
async def search(view: View) -> Response[str]:
    """Into the palette: what can be begun and where one can go, customers, what features and plugins find."""
    scope = view.scope
    q = view.query.get("q", "").replace("\0", "").strip()[:200]  # nothing that is stored has a NUL in it
    found: list[HitGroup] = []
    if len(q) >= SHORTEST and scope.may("customers.view"):
        found.append(await _customers(view, q))
    if len(q) >= SHORTEST:
        for answer in await scope.hooks.ask(hookspecs.search_results, scope=scope, text=q, limit=HITS):
            by_kind: dict[str, list[Hit]] = {}
            for hit in list(answer.value or ())[: HITS * 2]:
                by_kind.setdefault(hit.kind, []).append(
                    Hit(label=hit.label, href=hit.href, icon="file-text", detail=hit.detail)
                )
            found.extend(HitGroup(label=kind, hits=hits[:HITS]) for kind, hits in by_kind.items())
    places = [(place, _fits(place, q)) for place in view.places]
    deeds = HitGroup(label=_("Actions"), hits=_best([place for place in places if place[0].deed]))
    pages = HitGroup(label=_("Pages"), hits=_best([place for place in places if not place[0].deed]))
    exact = any(place for place, fit in places if fit == WHOLE)
    groups = [deeds, pages, *found] if exact or not q else [*found, deeds, pages]
    return view.page("_partials/search.html", q=q, groups=groups)


async def _customers(view: PageView, q: str) -> HitGroup:
    """The first of them, told apart by where they live; of more, the way to the list of all."""
    found = await customers.search_customers(view.scope, q, limit=HITS + 1)
    hits = [
        Hit(
            label=one.full_name,
            href=f"/customers/{one.id}",
            icon="user-circle",
            detail=" · ".join(filter(None, (one.city, str(one.id)))),
            pill=Pill(_(one.status_label), one.status_colour),
        )
        for one in found[:HITS]
    ]
    if len(found) > HITS:
        label = _("All customers that match “%(q)s”", q=q)
        hits.append(Hit(label=label, href=address("/customers", {"q": q}), icon="search"))
    return HitGroup(label=_("Customers"), hits=hits)


def _fits(place: Place, q: str) -> int:
    """How well the words typed begin words of the place: all of its label, its beginning, or some of its words."""
    typed, label = sort_key(q), sort_key(place.label)
    if typed == label:
        return WHOLE
    words = f"{label} {sort_key(place.detail)}".split()
    if not all(any(word.startswith(part) for word in words) for part in typed.split()):
        return 0
    return 2 if label.startswith(typed) else 1


def _best(places: Sequence[tuple[Place, int]]) -> list[Hit]:
    """Those that fit, the best first."""
    fitting = sorted((one for one in places if one[1]), key=lambda one: -one[1])
    return [Hit(label=one.label, href=one.href, icon=one.icon, detail=one.detail) for one, _fit in fitting[:HITS]]


HANDLERS = (show_home, show_cards, search)
