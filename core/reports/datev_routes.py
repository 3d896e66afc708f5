"""The DATEV batch of a period, and its settings; the same over JSON."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import QueryParameter
from litestar.response import Stream

from core.errors import Invalid
from core.reports import datev, pages
from core.reports.datev import DatevSettings
from core.settings.queries import load_settings
from core.texts import N_
from core.web.forms import from_form
from core.web.jsonapi import Call, api_get
from core.web.reach import check_sees_everyone
from core.web.routing import get
from core.web.settings_pages import settings_form
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.scope import Scope

TYPE: Final = "text/csv"
CHARSET: Final = "windows-1252"


@get("/ledger/datev", permission="ledger.view")
async def download(view: View) -> Response[str] | Stream:
    """The file of a period; where DATEV would refuse it, the page says why."""
    scope = view.scope
    check_sees_everyone(scope)
    try:
        asked = from_form(
            pages.Period, {name: [view.query[name]] for name in ("since", "until") if view.query.get(name)}
        )
        first, last = pages.last_month(scope)
        return await _file(scope, asked.since or first, asked.until or last)
    except Invalid as error:
        return await pages.closing_page(view, view.query, errors_by_field(error))


async def _file(scope: Scope, since: date, until: date) -> Stream:
    settings = await load_settings(DatevSettings)
    await datev.check(settings, since, until, currency=scope.tenant.currency)
    content = datev.batch(
        settings, since, until, currency=scope.tenant.currency, name=scope.tenant.name, now=scope.now()
    )
    name = f"EXTF_Buchungsstapel_{since:%Y%m%d}_{until:%Y%m%d}.csv"
    return Stream(
        content,
        media_type=TYPE,
        encoding=CHARSET,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@api_get(
    "/ledger/datev",
    permission="ledger.view",
    summary="The journal of a period as a DATEV posting batch",
    description="EXTF 700, Buchungsstapel 13, Windows-1252. Accounts need export numbers.",
    media_type=TYPE,
)
async def get_batch(
    call: Call,
    since: Annotated[date, QueryParameter(description="The first day")],
    until: Annotated[date, QueryParameter(description="The last day, included, of the same fiscal year")],
) -> Stream:
    check_sees_everyone(call.scope)
    return await _file(call.scope, since, until)


show_settings, save_settings = settings_form(
    DatevSettings, "/settings/datev", title=N_("DATEV"), noun=N_("DATEV settings"), write="ledger.edit"
)

HANDLERS: Final = (download, get_batch, show_settings, save_settings)
