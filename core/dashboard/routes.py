"""The start page: the way to the first invoice, then the figures of the day; and the search on top of every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response

from core import hookspecs
from core.customers import queries as customers
from core.hooks import Card
from core.settings.company import CompanySettings
from core.settings.queries import load_settings
from core.texts import _
from core.web.parts import Hit, HitGroup, Pill, Step
from core.web.routing import SIGNED_IN, get
from core.web.view import View

if TYPE_CHECKING:
    from core.scope import Scope

SHORTEST = 2
HITS = 6


@get("/", permission=SIGNED_IN)
async def show_home(view: View) -> Response[str]:
    scope = view.scope
    steps = await _steps(scope)
    cards: list[Card] = []
    for answer in await scope.hooks.ask(hookspecs.dashboard_cards, scope=scope):
        if answer.error is not None:
            detail = _("Failed, %(error)s", error=answer.error_id)
            cards.append(Card(key=answer.plugin, label=answer.plugin, value="–", detail=detail, tone="bad"))
        cards.extend(answer.value or ())
    return view.page(
        "dashboard/home.html",
        steps=steps,
        done=sum(step.done for step in steps),
        cards=cards,
        plugins=sorted(scope.plugins),
    )


async def _steps(scope: Scope) -> list[Step]:
    """The way from an empty tenant to a billed customer; only what the actor may do."""
    found = await customers.first_steps(scope)
    steps: list[Step] = []
    if scope.may("settings.edit"):
        company = await load_settings(CompanySettings)
        steps.append(
            Step(
                done=bool(company.street),
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
    return steps


@get("/search", permission=SIGNED_IN)
async def search(view: View) -> Response[str]:
    """Into the palette: customers, what features and plugins find, and the pages of the menu."""
    scope = view.scope
    q = view.query.get("q", "").strip()[:200]
    groups: list[HitGroup] = []
    if len(q) >= SHORTEST and scope.may("customers.view"):
        found = await customers.search_customers(scope, q, limit=HITS)
        groups.append(
            HitGroup(
                label=_("Customers"),
                hits=[
                    Hit(
                        label=one.full_name,
                        href=f"/customers/{one.id}",
                        icon="user-circle",
                        detail=str(one.id),
                        pill=Pill(one.status_label, one.status_colour),
                    )
                    for one in found
                ],
            )
        )
    if len(q) >= SHORTEST:
        for answer in await scope.hooks.ask(hookspecs.search_results, scope=scope, text=q, limit=HITS):
            by_kind: dict[str, list[Hit]] = {}
            for hit in answer.value or ():
                by_kind.setdefault(hit.kind, []).append(
                    Hit(label=hit.label, href=hit.href, icon="file-text", detail=hit.detail)
                )
            groups.extend(HitGroup(label=kind, hits=hits) for kind, hits in by_kind.items())
    pages = [(_(entry.label), entry) for entry in view.menu]
    found_pages = [(label, entry) for label, entry in pages if q.casefold() in label.casefold()]
    groups.append(
        HitGroup(
            label=_("Pages"),
            hits=[Hit(label=label, href=entry.href, icon=entry.icon) for label, entry in found_pages[:HITS]],
        )
    )
    return view.page("_partials/search.html", q=q, groups=groups)


HANDLERS = (show_home, search)
