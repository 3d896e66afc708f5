"""What stands at the end of a list's rows: a few icons, and a menu that is asked for when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from markupsafe import escape
from msgspec import Struct

from core.texts import _
from core.web.templating import shown

ID: Final = "{id}"
NAME: Final = "{name}"


class RowIcon(Struct, frozen=True, kw_only=True):
    """An icon that leads somewhere: `href` holds {id} in the place of the row's. With `refused` it is greyed."""

    icon: str
    label: str
    href: str
    refused: str = ""


class RowEnds:
    """Draws the ends of rows. Rows of the same `kind_of` have the same icons, so each kind is drawn once and filled in.

    `menu` is the address of the menu of a row, `page` where it leads without scripts.
    """

    def __init__(
        self,
        icons: Mapping[str, Sequence[RowIcon]],
        *,
        kind_of: Callable[[Any], str],
        name_of: Callable[[Any], str],
        menu: str,
        page: str,
    ) -> None:
        self._icons, self._kind_of, self._name_of = icons, kind_of, name_of
        self._menu, self._page = menu, page

    def drawn_with(self, icon: Callable[[str], str]) -> Callable[[Any], str]:
        """How the end of a row is drawn, by who knows how icons are."""
        more, short = _("More for %(name)s", name=NAME), _("More")
        drawn = {
            kind: _drawn(tuple(icons), self._menu, self._page, more, short, icon) for kind, icons in self._icons.items()
        }
        return lambda row: drawn[self._kind_of(row)].replace(ID, str(row.id)).replace(NAME, shown(self._name_of(row)))


@lru_cache(maxsize=512)
def _drawn(icons: tuple[RowIcon, ...], menu: str, page: str, more: str, short: str, icon: Callable[[str], str]) -> str:
    """The end of rows of a kind, as it is said in one language."""
    told = [
        f'<button type="button" class="t-iconbtn" aria-disabled="true" aria-label="{escape(one.label)}:'
        f' {escape(one.refused)}" title="{escape(one.label)}: {escape(one.refused)}">{icon(one.icon)}</button>'
        if one.refused
        else f'<a class="t-iconbtn" href="{one.href}" aria-label="{escape(one.label)}: {NAME}"'
        f' title="{escape(one.label)}">{icon(one.icon)}</a>'
        for one in icons
    ]
    return "".join(told) + (
        f'<a class="t-iconbtn" href="{page}" data-row-menu hx-get="{menu}" hx-target="#row-menu"'
        f' hx-swap="innerHTML" aria-haspopup="true" aria-label="{escape(more)}" title="{escape(short)}">'
        f"{icon('dots')}</a>"
    )
