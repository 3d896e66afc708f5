"""Every page's surroundings: the side bar for this actor, the toast that was left, errors in the tenant's shell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from litestar import Request

from core.texts import N_, _
from core.web import csrf
from core.web.menu import MenuEntry, Place
from core.web.parts import NavArea, NavItem, TabItem
from core.web.templating import Pages, page_values
from core.web.view import TOAST, PageView
from core.web.visit import STATE_KEY, Visit

if TYPE_CHECKING:
    from core.scope import Scope

AREAS: Final[tuple[tuple[str, str], ...]] = (
    ("", ""),
    ("billing", N_("Billing")),
    ("work", N_("Work")),
    ("network", N_("Network")),
    ("settings", ""),
)


OWN: Final = (
    (N_("Your profile"), "/profile", "user-circle"),
    (N_("Change password"), "/profile/password", "lock"),
    (N_("Second factor"), "/profile/second-factor", "shield-lock"),
)
"""Pages of whoever is logged in."""


class PageMaker:
    """Renders pages and errors for a visit. One for the deployment; holds no tenant."""

    def __init__(
        self,
        pages: Pages,
        menu: Sequence[MenuEntry],
        settings: Sequence[MenuEntry] = (),
        deeds: Sequence[MenuEntry] = (),
    ) -> None:
        """`menu` is the side bar, `settings` the tabs of the settings, `deeds` what the search offers to begin."""
        self._pages = pages
        self._deeds = tuple(deeds)
        self._menu = tuple(menu)
        self._settings = tuple(settings)

    def page(self, view: PageView, template: str, values: dict[str, Any]) -> str:
        known = self._known(view.visit, view.request, values.get("menu_place", ""))
        return self._pages.render(template, {**known, **values})

    def menu(self, scope: Scope) -> list[MenuEntry]:
        """The entries that this actor may open, those of plugins only where they are on."""
        return [
            entry
            for entry in self._menu
            if (not entry.plugin or entry.plugin in scope.plugins) and scope.may(entry.permission)
        ]

    def places(self, scope: Scope) -> list[Place]:
        """Everything that this actor may go to or begin, for the search on top of every page: deeds, pages of the menu,
        pages of the settings, and what is everybody's own."""
        found = [
            Place(_(entry.label), entry.href, entry.icon, deed=deed, detail=_(detail) if detail else "")
            for entries, deed, detail in (
                (self._deeds, True, ""),
                (self._menu, False, ""),
                (self._settings, False, N_("Settings")),
            )
            for entry in entries
            if (not entry.plugin or entry.plugin in scope.plugins) and scope.may(entry.permission)
        ]
        return [*found, *(Place(_(label), href, icon) for label, href, icon in OWN)]

    def error(self, request: Request[Any, Any, Any], status: int, message: str, request_id: str, fragment: bool) -> str:
        visit: Visit = request.scope["state"][STATE_KEY]
        return self._pages.error(status, message, request_id, values=self._known(visit, request), fragment=fragment)

    def instead(self, request: Request[Any, Any, Any], template: str, values: dict[str, Any]) -> str:
        """A page that is shown in the place of the one that was asked for."""
        visit: Visit = request.scope["state"][STATE_KEY]
        return self._pages.render(template, {**self._known(visit, request), **values})

    def _known(self, visit: Visit, request: Request[Any, Any, Any], place: str = "") -> dict[str, Any]:
        """`place`: the address that stands for the page in the menu, where its own does not."""
        path = request.scope["path"]
        known = page_values(
            visit.scope,
            path=path,
            csrf_token=csrf.csrf_token(visit.session_token, visit.scope.tenant.uuid),
            theme=visit.looks.theme,
            narrow=visit.looks.narrow,
            reader_zone=visit.looks.time_zone,
            nav=self._areas(visit.scope, place or path) if visit.signed_in and visit.door is None else (),
            toast=unquote(request.cookies.get(TOAST, "")),
        )
        if visit.door is not None:
            known.update(home=visit.door.home, log_in=visit.door.log_in, inside=False)
            known.update(visit.around)
        known["settings_tabs"] = self._tabs(visit.scope, path) if path.startswith("/settings") else ()
        return known

    def _tabs(self, scope: Scope, path: str) -> list[TabItem]:
        seen = [entry for entry in self._settings if scope.may(entry.permission)]
        current = max((entry.href for entry in seen if _within(path, entry.href)), key=len, default="")
        return [TabItem(label=_(entry.label), href=entry.href, current=entry.href == current) for entry in seen]

    def _areas(self, scope: Scope, path: str) -> Iterable[NavArea]:
        seen = self.menu(scope)
        within = [entry.href for entry in seen if _within(path, entry.href)] or [
            entry.href for entry in seen if _beside(path, entry.href)
        ]
        current = max(within, key=len, default="")
        for area, label in AREAS:
            entries = [_item(entry, current) for entry in seen if entry.area == area]
            if entries:
                yield NavArea(entries=tuple(entries), label=_(label) if label else "", last=area == "settings")


def _item(entry: MenuEntry, current: str) -> NavItem:
    return NavItem(label=_(entry.label), href=entry.href, icon=entry.icon, key=entry.key, current=entry.href == current)


def _within(path: str, href: str) -> bool:
    return path == href or (href != "/" and path.startswith(f"{href}/"))


def _beside(path: str, href: str) -> bool:
    """In the folder of an entry that has one: /billing/parked belongs to /billing/runs."""
    folder = href.rpartition("/")[0]
    return bool(folder) and path.startswith(f"{folder}/")
