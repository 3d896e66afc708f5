"""The section of a product's page that says how its subscriptions are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.activity.queries import timeline
from core.catalog import actions, pages, queries
from core.catalog.schemas import ChangePolicy, Direction
from core.customers.timeline import in_words
from core.errors import Invalid, Stale
from core.money import format_amount
from core.texts import N_, _
from core.web.amounts import Fields, typed_amount
from core.web.forms import from_form
from core.web.parts import Choice, Field, Section, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import get, put
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.catalog.schemas import ProductDetail
    from core.scope import Scope
    from core.web.view import PageView

DIRECTIONS: Final = {"upgrade": N_("Upgrade"), "downgrade": N_("Downgrade"), "cycle": N_("Other cycle")}
WHEN: Final = (Choice("now", N_("Now")), Choice("period_end", N_("At the end of the period")))
UNUSED: Final = (Choice("credit", N_("Is credited")), Choice("none", N_("Is given up")))
ANCHOR: Final = (
    Choice("restart", N_("Begins on the day of change, in full")),
    Choice("keep", N_("Keeps the anchor, begins with a part")),
)
When = Literal["now", "period_end"]
Unused = Literal["credit", "none"]
Amount = Annotated[str, Meta(max_length=40)]


class PolicyForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A change policy as it is typed."""

    upgrade_when: When = "now"
    upgrade_unused: Unused = "credit"
    upgrade_fee: Amount = ""
    upgrade_minimum: Amount = ""
    downgrade_when: When = "period_end"
    downgrade_unused: Unused = "credit"
    downgrade_fee: Amount = ""
    downgrade_minimum: Amount = ""
    cycle_when: When = "now"
    cycle_unused: Unused = "credit"
    cycle_fee: Amount = ""
    cycle_minimum: Amount = ""
    cycle_anchor: Literal["restart", "keep"] = "restart"
    setup: bool = False


assert get_args(When) == tuple(choice.value for choice in WHEN)


async def section_of(scope: Scope, product: ProductDetail) -> Section:
    """How subscriptions of this product are changed, as a section that is read and edited."""
    policy, currency = await queries.get_change_policy(product.id), scope.tenant.currency
    fields: list[Field] = []
    for key, name in DIRECTIONS.items():
        direction: Direction = getattr(policy, key)
        fields += [
            Field(
                name=f"{key}_when",
                label=_(name),
                value=direction.when,
                kind="select",
                choices=spoken(WHEN),
            ),
            Field(
                name=f"{key}_unused",
                label=_("%(what)s: the unused part", what=_(name)),
                value=direction.unused,
                kind="select",
                choices=spoken(UNUSED),
            ),
            *(
                Field(
                    name=f"{key}_{part}",
                    label=_(label, what=_(name), currency=currency),
                    value=format_amount(minor, currency) if minor else "",
                    shown="" if minor else _("None"),
                    kind="money",
                    help=_("Where the new part less the unused one comes to less") if part == "minimum" else "",
                )
                for part, label, minor in (
                    ("fee", N_("%(what)s: fee, %(currency)s"), direction.fee_minor),
                    ("minimum", N_("%(what)s: at least, %(currency)s"), direction.minimum_minor),
                )
            ),
        ]
    return Section(
        key="change",
        title=_("Changes"),
        href=f"/products/{product.id}/change-policy",
        noun=_("changes"),
        fields=[
            *fields,
            Field(
                name="cycle_anchor",
                label=_("Another cycle"),
                value=policy.cycle_anchor,
                kind="select",
                choices=spoken(ANCHOR),
            ),
            Field(
                name="setup",
                label=_("Set-up is charged to who changes to it too"),
                value="yes" if policy.setup else "",
                kind="check",
            ),
        ],
        version=product.version,
        editable=scope.may("catalog.edit"),
    )


@get("/products/{product_id:int}/change-policy", permission="catalog.view")
async def show_policy(view: View, product_id: FromPath[int]) -> Response[str]:
    return await _page(view, product_id)


@get("/products/{product_id:int}/change-policy/edit", permission="catalog.edit")
async def edit_policy(view: View, product_id: FromPath[int]) -> Response[str]:
    return await _page(view, product_id, editing=True)


@put("/products/{product_id:int}/change-policy", permission="catalog.edit")
async def save_policy(view: View, product_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    try:
        version = pages.version_of(view.typed)
        form = from_form(PolicyForm, {name: texts for name, texts in view.typed.items() if name not in _OURS})
        await actions.set_change_policy(view.scope, product_id, _policy(view.scope, form), version=version)
    except Invalid as error:
        return await _page(view, product_id, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _page(view, product_id, editing=True, status=409, stale=error)
    return await _page(view, product_id)


_OURS: Final = frozenset({"version", "seen", "_csrf"})


def _policy(scope: Scope, form: PolicyForm) -> ChangePolicy:
    with Fields() as read:

        def direction(key: str) -> Direction:
            def amount(part: str) -> int:
                name = f"{key}_{part}"
                text = getattr(form, name)
                return int(read(name, typed_amount, text, scope.tenant.currency, scope.locale, default=0))

            return Direction(
                when=getattr(form, f"{key}_when"),
                unused=getattr(form, f"{key}_unused"),
                fee_minor=amount("fee"),
                minimum_minor=amount("minimum"),
            )

        return ChangePolicy(
            upgrade=direction("upgrade"),
            downgrade=direction("downgrade"),
            cycle=direction("cycle"),
            cycle_anchor=form.cycle_anchor,
            setup=form.setup,
        )


async def _page(
    view: PageView,
    product_id: int,
    *,
    editing: bool = False,
    status: int = 200,
    errors: dict[str, str] | None = None,
    stale: Stale | None = None,
) -> Response[str]:
    product = await queries.get_product(product_id)
    section = await section_of(view.scope, product)
    values: dict[str, Any] = {name: texts[-1] for name, texts in view.typed.items()}
    conflict = None
    if stale is not None:
        latest = await in_words(view.scope, await timeline(view.scope, subject=("product", product_id), limit=1))
        by, at = (latest[0].by, latest[0].at) if latest else (_("Somebody else"), None)
        renamed = {name.removesuffix("_minor"): both for name, both in stale.fields.items()}
        conflict = pages.conflict_of(Stale(fields=renamed), section, by, at)
        values = {name: text for name, text in values.items() if name not in renamed}
    return view.page(
        "_partials/section.html",
        status=status,
        section=section,
        editing=editing,
        values=values,
        errors=errors or {},
        conflict=conflict,
    )


HANDLERS = (show_policy, edit_policy, save_policy)
