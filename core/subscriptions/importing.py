"""Services of imports become subscriptions: their plans matched to products, started long ago, charged from now on.

What the system before has charged is never charged again: the days up to the first one that is charged here are
recorded as taken over. Chunk by chunk; what cannot be made is told by record and column, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record_set
from core.catalog.queries import list_prices, list_products
from core.catalog.schemas import PriceRow, ProductRow
from core.customers.importing.records import ImportedService
from core.customers.importing.standing import make_new_ones_active
from core.customers.status import StatusKey, StatusKind
from core.database import dialect, execute, execute_many, rows, stream, value, values
from core.errors import Invalid
from core.hooks import ImportedRows, ImportField, ImportLine, ImportPreview, ImportRefusal, ImportStep
from core.ids import sort_key
from core.money import MOST_MINOR, format_amount
from core.periods import Cycle, anchor_for, cycle_index, nth
from core.subscriptions.events import SubscriptionActivated, SubscriptionSuspended
from core.subscriptions.schedule import NextPeriod, Rhythm, next_period
from core.subscriptions.schemas import ONE_E6
from core.subscriptions.status import StateReason, SubscriptionState
from core.texts import gettext as _
from core.texts import ngettext, number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Literal

    from core.scope import Scope

PLAN: Final = "plan:"
"""Before the name that a file gives a plan, in the names of what is chosen."""
LEFT_OUT: Final = "-"
"""Chosen for a plan of which nothing is to be made."""
FURTHEST_BACK: Final = timedelta(days=31)
FURTHEST_AHEAD: Final = timedelta(days=366)
MOST_PLANS: Final = 500
SHOWN: Final = 50
AUTHOR: Final = "Import"
_ELSE: Final = {"service_from": "joined_on"}
"""Where a file has no column for a field, what stands for it."""
_NO_MORE: Final = frozenset({StatusKey.CLOSED, StatusKey.CANCELLED, StatusKey.TERMINATED})


def step_of_services() -> ImportStep:
    return ImportStep(
        key="subscriptions",
        label=_("Subscriptions"),
        verb=_("Make the subscriptions"),
        text=_(
            "Services of the file become subscriptions at the price that it names, from the day on which they began."
            " They are charged from their next billing day, or from a day that you choose; nothing before it."
        ),
        permission="subscriptions.change",
        where="r.services <> ''",
        preview=preview,
        take=make,
        place=20,
    )


# What is chosen


class _Plan(Struct, frozen=True):
    plan: str
    product: str
    count: int


class _Catalogue(Struct, frozen=True):
    """What is sold by the cycle, by its code, and the codes by what a file may call it."""

    products: dict[str, ProductRow]
    named: dict[str, str]

    def meant(self, plan: str) -> str:
        return self.named.get(_bare(plan), "")


def _bare(name: str) -> str:
    """Letters and digits of a name alone: Fibre_300 is Fibre 300."""
    return "".join(letter for letter in sort_key(name) if letter.isalnum())


async def _catalogue() -> _Catalogue:
    products = {each.code: each for each in await list_products() if each.kind != "one_off"}
    named = {_bare(each.name): each.code for each in products.values()}
    return _Catalogue(products, named | {_bare(code): code for code in products})


async def _plans(wanted: ImportedRows) -> list[_Plan]:
    each = (
        "json_each(q.services) AS v" if dialect() == "sqlite" else "jsonb_array_elements(q.services::jsonb) AS v(value)"
    )
    return await rows(
        _Plan,
        "SELECT v.value->>'plan' AS plan, min(v.value->>'product') AS product, count(*) AS count"
        f" FROM ({wanted.select}) AS q CROSS JOIN {each} GROUP BY v.value->>'plan' ORDER BY 1",
        **wanted.values,
    )


class _Chosen(Struct, frozen=True):
    """What a person has decided, or what is proposed."""

    billed_from: date | None
    products: dict[str, str]
    """Code of a product by the file's name of a plan; empty where none is chosen."""
    fields: tuple[ImportField, ...]


async def _choose(
    scope: Scope, wanted: ImportedRows, catalogue: _Catalogue, choices: Mapping[str, str], plans: Sequence[_Plan]
) -> _Chosen:
    before = await _chosen_before(wanted.batch_id)
    offered = (
        ("", _("Choose a product")),
        (LEFT_OUT, _("Leave it out")),
        *((code, f"{product.name} ({code})") for code, product in catalogue.products.items()),
    )
    fields, products = [], {}
    for each in plans[:MOST_PLANS]:
        name = f"{PLAN}{each.plan}"
        known = before.get(name, "") if before.get(name) in catalogue.products else ""
        proposed = known or each.product or catalogue.meant(each.plan)
        code = choices.get(name, proposed if proposed in catalogue.products else "").strip()
        wrong = code not in catalogue.products and code not in {"", LEFT_OUT}
        products[each.plan] = "" if wrong else code
        services = ngettext("%(num)s service", "%(num)s services", each.count)
        fields.append(
            ImportField(
                name=name,
                label=each.plan,
                kind="select",
                value=code,
                choices=offered,
                help=services,
                error=_("There is no product “%(code)s”.", code=code) if wrong else "",
            )
        )
    billed_from, field = _billed_from(scope, choices.get("billed_from", "").strip())
    return _Chosen(billed_from, products, (field, *fields))


def _billed_from(scope: Scope, typed: str) -> tuple[date | None, ImportField]:
    day, error, today = None, "", scope.today()
    if typed:
        try:
            day = date.fromisoformat(typed)
        except ValueError:
            error = _("Type a date.")
        if day is not None and not today - FURTHEST_BACK <= day <= today + FURTHEST_AHEAD:
            day, error = None, _("Choose a day from a month ago to a year ahead.")
    return day, ImportField(
        name="billed_from",
        label=_("Charged from"),
        kind="date",
        value=typed,
        help=_("The first day that is charged here. Empty: each from its own next billing day"),
        error=error,
    )


async def _chosen_before(batch_id: int) -> dict[str, str]:
    """How plans were matched in imports before: proposed again."""
    found: dict[str, str] = {}
    for text in await values(
        "SELECT choices FROM import_step WHERE key = 'subscriptions' AND batch_id <> :batch ORDER BY id DESC LIMIT 10",
        batch=batch_id,
    ):
        found = msgspec.json.decode(text, type=dict[str, str]) | found
    return found


# What a service becomes


class _Service(Struct, frozen=True):
    """A record with a service, and the customer it belongs to where that one is here."""

    row_id: int
    record: int
    services: str
    customer_id: int | None = None
    payer_id: int | None = None
    currency: str | None = None
    billing_day: int | None = None
    status_key: str | None = None
    status_kind: str | None = None
    status_label: str | None = None
    bill: bool | None = None


_SERVICES: Final = (
    "SELECT q.row_id, q.record, q.services, q.customer_id, coalesce(c.payer_id, c.id) AS payer_id, c.currency,"
    " c.billing_day, s.key AS status_key, s.kind AS status_kind, s.label AS status_label, s.bill"
    " FROM ({select}) AS q LEFT JOIN customer c ON c.id = q.customer_id LEFT JOIN status s ON s.id = c.status_id"
)


class _New(Struct, frozen=True, kw_only=True):
    """A subscription to be."""

    record: int
    customer_id: int
    payer_id: int
    product: ProductRow
    price: PriceRow | None
    amount_minor: int
    currency: str
    cycle: Cycle
    tax_inclusive: bool
    state: SubscriptionState
    waits: bool
    timing: str
    anchor_on: date
    started_on: date
    ends_on: date | None
    billed_from: date
    following: NextPeriod | None
    is_new: bool
    note: str


class _Refused(Exception):
    """Why nothing is made of a record; the field says which column is to blame."""

    def __init__(self, field: str, message: str, value: str = "") -> None:
        super().__init__(message)
        self.field, self.message, self.value = field, message, value


class _Judge:
    """Judges records, chunk after chunk: remembers what it would make, so that no customer gets two of a kind."""

    def __init__(self, scope: Scope, catalogue: _Catalogue, chosen: _Chosen) -> None:
        self._scope, self._catalogue, self._chosen = scope, catalogue, chosen
        self._today = scope.today()
        self._live: dict[tuple[int, int], str] = {}
        self._prices: dict[str, dict[int, list[PriceRow]]] = {}

    async def judge(self, wanted: ImportedRows, found: Sequence[_Service]) -> tuple[list[_New], list[ImportRefusal]]:
        await self._look_up(found)
        made, refused = [], []
        for each in found:
            try:
                made.append(self._service(each))
            except _Refused as why:
                refused.append(
                    ImportRefusal(
                        record=each.record,
                        field=wanted.columns.get(why.field) or wanted.columns.get(_ELSE.get(why.field, ""), ""),
                        value=why.value,
                        message=why.message,
                    )
                )
        return made, refused

    async def _look_up(self, found: Sequence[_Service]) -> None:
        """What these customers have of groups that allow one, and prices in their currencies."""
        for live in await rows(
            _Live,
            "SELECT u.customer_id, u.exclusive_group_id AS group_id, p.name FROM subscription u"
            " JOIN product p ON p.id = u.product_id WHERE u.customer_id IN :ids AND u.exclusive_group_id IS NOT NULL"
            " AND u.state IN ('pending', 'trial', 'active', 'suspended', 'paused')",
            ids=sorted({each.customer_id for each in found if each.customer_id is not None}),
        ):
            self._live[live.customer_id, live.group_id] = live.name
        ids = [product.id for product in self._catalogue.products.values()]
        for currency in sorted({each.currency for each in found if each.currency} - self._prices.keys()):
            prices: dict[int, list[PriceRow]] = {}
            for price in await list_prices(ids, currency, self._today):
                prices.setdefault(price.product_id, []).append(price)
            self._prices[currency] = prices

    def _service(self, found: _Service) -> _New:
        (service,) = msgspec.json.decode(found.services, type=list[ImportedService])
        product = self._product(service)
        if found.customer_id is None or found.payer_id is None or found.currency is None:
            raise _Refused("customer_login", _("Its customer is not here."), service.customer_login)
        started_on, ends_on = self._days(service)
        state, waits = _state(found)
        if service.price_minor is not None and service.currency and service.currency != found.currency:
            raise _Refused(
                "service_price",
                _(
                    "It is priced in %(one)s, its customer pays in %(other)s.",
                    one=service.currency,
                    other=found.currency,
                ),
            )
        price, cycle = self._price(product, found.currency, service)
        amount = price.amount_minor if service.price_minor is None and price else service.price_minor
        if amount is None:
            raise _Refused(
                "service_plan",
                _(
                    "%(product)s has no price in %(currency)s for %(months)s months, and the file names none.",
                    product=product.name,
                    currency=found.currency,
                    months=service.months or 1,
                ),
                service.plan,
            )
        if not 0 <= amount <= MOST_MINOR:
            raise _Refused("service_price", _("No price can be of this amount."), format_amount(amount, found.currency))
        if product.one_live and product.group_id is not None:
            other = self._live.setdefault((found.customer_id, product.group_id), "")
            if other:
                told = _("It has %(other)s already: one of %(group)s at a time.", other=other, group=product.group_name)
                raise _Refused("service_plan", told, service.plan)
            self._live[found.customer_id, product.group_id] = product.name
        timing = "arrears" if service.in_arrears else product.timing
        anchor_on, billed_from = self._first_day(service, started_on, cycle, found.billing_day)
        rhythm = Rhythm(anchor_on, cycle.unit, cycle.count, timing, product.proration, product.final_proration, ends_on)
        return _New(
            record=found.record,
            customer_id=found.customer_id,
            payer_id=found.payer_id,
            product=product,
            price=price,
            amount_minor=amount,
            currency=found.currency,
            cycle=cycle,
            tax_inclusive=price.tax_inclusive if price else False,
            state=state,
            waits=waits,
            timing=timing,
            anchor_on=anchor_on,
            started_on=started_on,
            ends_on=ends_on,
            billed_from=billed_from if ends_on is None else min(billed_from, ends_on),
            following=next_period(rhythm, billed_from) if ends_on is None or billed_from < ends_on else None,
            is_new=found.status_kind == StatusKind.NEW,
            note=_note(service, product),
        )

    def _product(self, service: ImportedService) -> ProductRow:
        code = self._chosen.products.get(service.plan, "")
        if code == LEFT_OUT:
            raise _Refused("service_plan", _("This plan is left out."), service.plan)
        product = self._catalogue.products.get(code)
        if product is None:
            raise _Refused("service_plan", _("No product was chosen for this plan."), service.plan)
        return product

    def _days(self, service: ImportedService) -> tuple[date, date | None]:
        """The first day, and the first without service: a file names the last one."""
        started_on = service.starts_on or self._today
        ends_on = service.ends_on + timedelta(days=1) if service.ends_on else None
        if started_on > self._today:
            raise _Refused("service_from", _("It begins on a day to come. Make it then."), started_on.isoformat())
        if ends_on is not None and ends_on <= self._today:
            raise _Refused("service_to", _("It is over."), (ends_on - timedelta(days=1)).isoformat())
        return started_on, ends_on

    def _price(self, product: ProductRow, currency: str, service: ImportedService) -> tuple[PriceRow | None, Cycle]:
        """The price of the catalogue that it is shown by and whose cycle it has; none where the file has its own."""
        offered = self._prices.get(currency, {}).get(product.id, [])
        of_months = [price for price in offered if _cycle(price).months == (service.months or 1)]
        if of_months:
            return of_months[0], _cycle(of_months[0])
        if not service.months and len(offered) == 1:
            return offered[0], _cycle(offered[0])
        months = service.months or 1
        return None, Cycle("month", months) if months <= 36 else Cycle("year", max(1, min(3, months // 12)))

    def _first_day(
        self, service: ImportedService, started_on: date, cycle: Cycle, billing_day: int | None
    ) -> tuple[date, date]:
        """Its anchor, and the first day that is charged here: the day chosen, else its next billing day."""
        base = max(service.invoiced_from or started_on, started_on)
        anchor_on = anchor_for(base, cycle, billing_day)
        if self._chosen.billed_from is not None:
            return anchor_on, max(self._chosen.billed_from, base)
        return anchor_on, _next_day(anchor_on, cycle, max(self._today, base))


class _Live(Struct, frozen=True):
    customer_id: int
    group_id: int
    name: str


def _state(found: _Service) -> tuple[SubscriptionState, bool]:
    """As the status of its customer has it: who is blocked or inactive is not served; whether it is charged."""
    assert found.status_key is not None
    if found.status_kind == StatusKind.LEAD or found.status_key in _NO_MORE:
        told = _("Its customer is %(status)s: it has no services.", status=_(found.status_label or ""))
        raise _Refused("status", told, found.status_label or "")
    if found.status_kind in {StatusKind.BLOCKED, StatusKind.ENDED}:
        return SubscriptionState.SUSPENDED, not found.bill
    return SubscriptionState.ACTIVE, found.status_kind == StatusKind.LIVE and not found.bill


def _cycle(price: PriceRow) -> Cycle:
    return Cycle(price.cycle_unit, price.cycle_count)  # type: ignore[arg-type]  # products sold once are not among them


def _next_day(anchor_on: date, cycle: Cycle, day: date) -> date:
    """The first day of a cycle, from a day on."""
    n = cycle_index(anchor_on, cycle, day)
    start = nth(anchor_on, cycle, n)
    return start if start >= day else nth(anchor_on, cycle, n + 1)


def _note(service: ImportedService, product: ProductRow) -> str:
    """What a subscription has no field for."""
    parts = [
        _("login %(login)s", login=service.login) if service.login else "",
        f"IPv4 {service.ipv4}" if service.ipv4 else "",
        service.note,
    ]
    said = ", ".join(part for part in parts if part)
    return f"{product.name}: {said}" if said else ""


# Looking, and making


async def preview(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> ImportPreview:
    """How many of each product, and what cannot be made."""
    catalogue, plans = await _catalogue(), await _plans(wanted)
    chosen = await _choose(scope, wanted, catalogue, choices, plans)
    judge = _Judge(scope, catalogue, chosen)
    counts: dict[tuple[str, str], list[int]] = {}
    refusals: list[ImportRefusal] = []
    ready = refused = 0
    async for piece in _pieces(wanted):
        made, wrong = await judge.judge(wanted, piece)
        ready, refused = ready + len(made), refused + len(wrong)
        refusals += wrong[: SHOWN - len(refusals)]
        for each in made:
            sums = counts.setdefault((each.product.name, each.currency), [0, 0, 0])
            sums[0], sums[1] = sums[0] + 1, sums[1] + each.amount_minor
            sums[2] += each.state == SubscriptionState.SUSPENDED
    lines = [
        ImportLine(
            text=name,
            count=count,
            amount_minor=minor,
            currency=currency,
            detail=_("%(count)s of them suspended: their customers are not served", count=number(suspended))
            if suspended
            else "",
        )
        for (name, currency), (count, minor, suspended) in sorted(counts.items())
    ]
    return ImportPreview(
        ready=ready, lines=tuple(lines), fields=chosen.fields, refused=refused, refusals=tuple(refusals)
    )


async def _pieces(wanted: ImportedRows) -> AsyncIterator[list[_Service]]:
    piece: list[_Service] = []
    given: dict[str, Any] = dict(wanted.values)
    async for each in stream(_Service, _SERVICES.format(select=wanted.select), key="record", **given):
        piece.append(each)
        if len(piece) == 1_000:
            yield piece
            piece = []
    if piece:
        yield piece


async def make(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> Sequence[ImportRefusal]:
    """Make the subscriptions of a chunk, inside the unit of work that is open."""
    catalogue, plans = await _catalogue(), await _plans(wanted)
    chosen = await _choose(scope, wanted, catalogue, choices, plans)
    if wrong := [field for field in chosen.fields if field.error]:
        raise Invalid(wrong[0].error, field=wrong[0].name)
    found = await rows(_Service, f"{_SERVICES.format(select=wanted.select)} ORDER BY q.record", **wanted.values)
    made, refused = await _Judge(scope, catalogue, chosen).judge(wanted, found)
    if made:
        await _write(scope, made)
    return refused


async def _write(scope: Scope, made: Sequence[_New]) -> None:
    ids = await _new_ids(len(made))
    numbered = list(zip(ids, made, strict=True))
    await _insert(
        "subscription",
        [
            {
                "id": id_,
                "customer_id": each.customer_id,
                "product_id": each.product.id,
                "exclusive_group_id": each.product.group_id if each.product.one_live else None,
                "state": each.state,
                "state_reason": StateReason.STATUS if each.state == SubscriptionState.SUSPENDED else StateReason.IMPORT,
                "timing": each.timing,
                "anchor_on": each.anchor_on,
                "started_on": each.started_on,
                "ends_on": each.ends_on,
                "min_term_ends_on": _min_term(each),
                "created_at": scope.now(),
            }
            for id_, each in numbered
        ],
    )
    await _insert(
        "subscription_term",
        [
            {
                "subscription_id": id_,
                "valid_from": each.started_on,
                "product_id": each.product.id,
                "price_id": each.price.id if each.price else None,
                "amount_minor": each.amount_minor,
                "currency": each.currency,
                "quantity_e6": ONE_E6,
                "cycle_unit": each.cycle.unit,
                "cycle_count": each.cycle.count,
                "tax_category": each.product.tax_category,
                "tax_inclusive": each.tax_inclusive,
                "proration": each.product.proration,
                "final_proration": each.product.final_proration,
                "gross_minor": each.amount_minor,
                "cycle_minor": each.amount_minor,
            }
            for id_, each in numbered
        ],
    )
    await _insert(
        "unbilled_span",
        [
            {"subscription_id": id_, "from_on": each.started_on, "to_on": each.billed_from, "reason": "import"}
            for id_, each in numbered
            if each.started_on < each.billed_from
        ],
    )
    await _insert(
        "subscription_schedule",
        [
            {
                "subscription_id": id_,
                "payer_id": each.payer_id,
                "cycle_no": each.following.cycle_no,
                "period_start": each.following.start,
                "period_end": each.following.end,
                "due_on": None if each.waits else each.following.due_on,
            }
            for id_, each in numbered
            if each.following is not None
        ],
    )
    await _insert(
        "note",
        [
            {"customer_id": each.customer_id, "text": each.note, "author": AUTHOR, "created_at": scope.now()}
            for each in made
            if each.note
        ],
    )
    await make_new_ones_active(scope, [each.customer_id for each in made if each.is_new])
    _tell(scope, ids, [id_ for id_, each in numbered if each.state == SubscriptionState.SUSPENDED])


async def _insert(table: str, new: Sequence[Mapping[str, Any]]) -> None:
    """Row after row on SQLite; on PostgreSQL in one statement, whose triggers then run once."""
    if not new:
        return
    names = list(new[0])
    head = f"INSERT INTO {table} ({', '.join(names)})"
    if dialect() == "sqlite":
        await execute_many(f"{head} VALUES ({', '.join(f':{name}' for name in names)})", new)
        return
    lists = ", ".join(f":{name}::{_type(name)}[]" for name in names)
    await execute(f"{head} SELECT * FROM unnest({lists})", **{name: [each[name] for each in new] for name in names})


def _type(column: str) -> str:
    """What PostgreSQL calls what stands in a column, by the end of its name."""
    for ending, meant in (("_on", "date"), ("_at", "timestamptz"), ("_id", "bigint"), ("_minor", "bigint")):
        if column.endswith(ending):
            return meant
    return _TYPES.get(column, "text")


_TYPES: Final = {
    "id": "bigint",
    "quantity_e6": "bigint",
    "cycle_count": "integer",
    "cycle_no": "integer",
    "tax_inclusive": "boolean",
    "valid_from": "date",
    "period_start": "date",
    "period_end": "date",
}


def _tell(scope: Scope, ids: Sequence[int], suspended: Sequence[int]) -> None:
    """All are live; those of customers who are not served are suspended at once."""
    facts = (
        "SELECT id AS subject_id, customer_id, '{\"subscription_id\":' || CAST(id AS text) || ',\"customer_id\":'"
        " || CAST(customer_id AS text) || "
    )
    record_set(
        scope,
        SubscriptionActivated,
        f'{facts}\',"product_id":\' || CAST(product_id AS text) || \',"state":"active"}}\' AS facts'
        " FROM subscription WHERE id IN :ids",
        ids=list(ids),
    )
    if suspended:
        record_set(
            scope,
            SubscriptionSuspended,
            f'{facts}\',"reason":"status"}}\' AS facts FROM subscription WHERE id IN :ids',
            ids=list(suspended),
        )


async def _new_ids(count: int) -> list[int]:
    if dialect() == "sqlite":  # the transaction holds the one write lock
        last = int(
            await value("SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'subscription'), 0)")
        )
        return [last + n for n in range(1, count + 1)]
    return [
        int(each)
        for each in await values(
            "SELECT nextval('subscription_id_seq') FROM generate_series(1, :count::integer)", count=count
        )
    ]


def _min_term(each: _New) -> date | None:
    product = each.product
    if product.min_term_unit is None or product.min_term_count is None:
        return None
    unit: Literal["day", "week", "month", "year"] = product.min_term_unit  # type: ignore[assignment]  # its check
    return nth(each.started_on, Cycle(unit, product.min_term_count), 1)
