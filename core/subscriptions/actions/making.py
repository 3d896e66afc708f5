"""Making a change: another product of the group, another cycle, another quantity, from a day on.

The day of change is the first day of the new terms (domain.md, Subscription). What was charged for days from then on is
taken over by charges at the new terms; what of it is credited is billing's, as are the documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import Struct

from core.activity.unit import record
from core.catalog.queries import get_price, get_product
from core.database import execute, row, rows, value, value_as
from core.errors import Conflict
from core.money import half_up
from core.periods import Cycle, anchor_for, cycle_index, nth
from core.subscriptions.actions.agreed import Term, agree, by_discounts, cut, discounts_of, rated, terms_from
from core.subscriptions.actions.charging import charge_period
from core.subscriptions.actions.copying import (
    contract_of,
    count_from,
    discount_of,
    held_for,
    min_term_of,
    write_discounts,
)
from core.subscriptions.actions.ending import MOST_PERIODS
from core.subscriptions.actions.shared import Locked, covered_until, get_buyer, lock, payers_language, write_schedule
from core.subscriptions.actions.starting import timing_of
from core.subscriptions.events import SubscriptionChanged
from core.subscriptions.pricing import converted
from core.subscriptions.schedule import Rhythm, cycle_end, next_period, periods_due
from core.subscriptions.terms import Discount, rate_cycle, unit_price_e6
from core.texts import _, speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.catalog.schemas import ProductDetail
    from core.periods import CycleUnit
    from core.scope import Scope
    from core.subscriptions.changes import AgreedChange, WaitsFor
    from core.subscriptions.schemas import BoxAction, Buyer, NewDiscount, SubscriptionRow


class Covering(Struct, frozen=True):
    """A charge that is in force for days behind one, and how many days that is of a full cycle."""

    id: int
    term_id: int | None
    component: str
    period_start: date
    period_end: date
    days: int
    of_days: int
    discount_minor: int
    amount_minor: int
    cycle_minor: int
    state: str
    due_on: date | None
    on_draft: bool


async def covering(subscription_id: int, day: date) -> list[Covering]:
    """Charges in force for days from one on, in the order of their days."""
    return await rows(
        Covering,
        "SELECT k.id, k.term_id, k.component, k.period_start, coalesce(k.replaced_from, k.period_end) AS period_end,"
        " k.days, k.of_days, k.discount_minor, k.amount_minor, coalesce(t.cycle_minor, 0) AS cycle_minor, k.state,"
        " k.due_on,"
        " EXISTS (SELECT 1 FROM document_line l JOIN document d ON d.id = l.document_id AND d.state = 'draft'"
        "  WHERE l.charge_id = k.id) AS on_draft"
        " FROM charge k LEFT JOIN subscription_term t ON t.id = k.term_id"
        " WHERE k.subscription_id = :id AND k.kind = 'recurring' AND k.state <> 'reversed'"
        " AND k.period_start IS NOT NULL AND coalesce(k.replaced_from, k.period_end) > :day"
        " AND coalesce(k.replaced_from, k.period_end) > k.period_start ORDER BY k.period_start, k.id",
        id=subscription_id,
        day=day,
    )


class Made(Struct, frozen=True):
    """The charges of a change that are invoiced at once; until which day each is for; what these come to."""

    charge_ids: list[int]
    parts: dict[int, date]
    amount_minor: int


async def change_trial(scope: Scope, found: Locked, change: AgreedChange) -> None:
    """Start kept, the longer of both lengths, nothing credited (domain.md, Trial)."""
    if await value(
        "SELECT 1 FROM charge WHERE subscription_id = :id AND kind = 'recurring' AND state IN ('open', 'invoiced')"
        " LIMIT 1",
        id=found.id,
    ):
        raise Conflict(_("Its first invoice exists already. Void it, or change it once the test time is over."))
    assert found.started_on is not None
    assert found.trial_ends_on is not None
    product, buyer = await get_product(change.product_id), await get_buyer(scope, found.customer_id)
    ends_on, then = found.trial_ends_on, found.at_trial_end
    if product.id != found.product_id and product.trial_days and not await _is_gift(found.id):
        ends_on = max(ends_on, found.started_on + timedelta(days=product.trial_days))
        then = product.at_trial_end
    cycle = Cycle(cast("CycleUnit", change.cycle_unit), change.cycle_count)
    timing = timing_of(buyer, product)
    anchor_on = ends_on if timing == "prepaid" else anchor_for(ends_on, cycle, buyer.billing_day)
    await execute(
        "UPDATE unbilled_span SET to_on = :ends_on WHERE subscription_id = :id AND to_on = :before",
        id=found.id,
        ends_on=ends_on,
        before=found.trial_ends_on,
    )
    await _write_product(found, product, timing, anchor_on)
    await execute(
        "UPDATE subscription SET trial_ends_on = :trial_ends_on, at_trial_end = :then, ends_on = :ends_on"
        " WHERE id = :id",
        id=found.id,
        trial_ends_on=ends_on,
        then=then,
        ends_on=ends_on if then == "end" else None,
    )
    await count_from(found.id, cycle, anchor_on, ends_on)
    maker = await _maker(scope, found, change, found.started_on)
    maker.hold(anchor_on, ends_on)
    await maker.agree(found.started_on)
    if product.id != found.product_id:
        await _write_contract(found.id, product, change, ends_on)
    rhythm = Rhythm(anchor_on, cycle.unit, cycle.count, timing, product.proration, product.final_proration)
    await write_schedule(found.id, buyer.payer_id, next_period(rhythm, ends_on) if then == "convert" else None)
    await _tell(scope, found, change)


async def _is_gift(subscription_id: int) -> bool:
    """Free time up to a day that was agreed, which is kept like a trial."""
    return bool(
        await value(
            "SELECT 1 FROM unbilled_span WHERE subscription_id = :id AND reason = 'gift' LIMIT 1", id=subscription_id
        )
    )


async def _write_contract(subscription_id: int, product: ProductDetail, change: AgreedChange, first: date) -> None:
    """What is tried binds nobody yet: it goes on with the contract of the product that it goes on with."""
    fields = dict.fromkeys(("renew_unit", "renew_count"), None) | {"notice_days": 0, "termination_minor": 0}
    if change.price_id is not None:
        price = await get_price(change.price_id)
        if change.price_rate_e10 is not None:
            price = converted(price, change.currency, change.price_rate_e10)
        fields = contract_of(product, price)
    await execute(
        "UPDATE subscription SET min_term_ends_on = :min_term, notice_days = :notice_days, renew_unit = :renew_unit,"
        " renew_count = :renew_count, termination_minor = :termination_minor WHERE id = :id",
        id=subscription_id,
        min_term=min_term_of(product, first),
        **fields,
    )


async def change_on(scope: Scope, found: Locked, change: AgreedChange, day: date, *, credited_minor: int = 0) -> Made:
    """The new terms hold from a day on: charges in force behind it are replaced, or joined by the difference.

    Gives the charges to be invoiced at once: what is in arrears waits for the end of its period. `credited_minor`: what
    billing credited of what was charged before, without tax.
    """
    maker = await _maker(scope, found, change, day)
    await maker.agree(day)
    if maker.only_more:
        await maker.charge_difference()
    else:
        await maker.replace()
        await maker.charge_new()
    await maker.charge_extras(credited_minor)
    await maker.finish()
    await _tell(scope, found, change)
    return Made(maker.charge_ids, maker.parts, maker.amount_minor)


async def change_prepaid(
    scope: Scope, found: Locked, change: AgreedChange, day: date, *, credited_minor: int = 0
) -> list[int]:
    """The new terms hold from a day on, which is the new anchor; who calls it has the full period paid that begins
    then. Gives what is to be paid with it: set-up and fee."""
    maker = await _maker(scope, found, change, day)
    if maker.covered < day and not maker.is_free:
        raise Conflict(_("Its renewal is due. Run the billing first."))
    await maker.agree(day)
    await maker.replace()
    maker.amount_minor = maker.new[0].cycle_minor
    await maker.charge_extras(credited_minor)
    await _write_product(found, maker.product, maker.timing, day)
    rhythm = msgspec.structs.replace(maker.rhythm(day), ends_on=found.ends_on)
    await write_schedule(found.id, maker.buyer.payer_id, next_period(rhythm, day))
    await _tell(scope, found, change)
    return maker.charge_ids


async def only_more(scope: Scope, found: Locked, change: AgreedChange, day: date) -> bool:
    """Whether the difference alone is charged: a higher quantity of what is charged ahead."""
    return (await _maker(scope, found, change, day)).only_more


async def charge_ahead(scope: Scope, found: Locked, change: AgreedChange, *, credited_minor: int) -> Made:
    """The charges of a change that waits for its invoice: their amounts as of today, their days once it is settled.

    None where nothing is charged for the days ahead yet: then there is nothing to wait for.
    """
    maker = await _maker(scope, found, change, scope.today())
    maker.waits = True
    if maker.only_more:
        await maker.charge_difference()
    elif maker.held:
        await maker.charge_new()
    if maker.charge_ids:
        await maker.charge_extras(credited_minor)
    return Made(maker.charge_ids, maker.parts, maker.amount_minor)


async def change_settled(scope: Scope, found: Locked, change: AgreedChange, day: date) -> None:
    """The invoice of a change is settled: the new terms hold from this day on, its charges get their days."""
    assert change.waits is not None
    maker = await _maker(scope, found, change, day)
    await maker.agree(day)
    if not maker.only_more:
        await maker.replace()
    await maker.give_days(change.waits)
    await maker.finish()
    await _tell(scope, found, change)


async def _maker(scope: Scope, found: Locked, change: AgreedChange, day: date) -> _Maker:
    product, buyer = await get_product(change.product_id), await get_buyer(scope, found.customer_id)
    from_on = await _first_billed(found.id, day)
    held = await covering(found.id, from_on)
    if any(each.on_draft for each in held):
        raise Conflict(_("It stands on a draft. Issue or delete that first."))
    terms = await terms_from(found.id, day)
    covered = await covered_until(found.id) or found.trial_ends_on or found.started_on
    assert covered is not None
    name = await value("SELECT label FROM subscription WHERE id = :id", id=found.id) or product.name
    maker = _Maker(scope, found, change, product, buyer, str(name), held, covered, from_on, terms)
    if change.discounts is None:
        maker.discounts = await discounts_of(found.id)
    else:
        maker.hold(maker.anchor_on, from_on)
    return maker


async def _first_billed(subscription_id: int, day: date) -> date:
    """The day itself, or the first one behind free days that it lies in."""
    free = await value_as(
        date,
        "SELECT max(to_on) FROM unbilled_span WHERE subscription_id = :id AND from_on <= :day AND to_on > :day",
        id=subscription_id,
        day=day,
    )
    return free or day


def part_of(mine: SubscriptionRow, action: BoxAction, today: date, discounts: Sequence[Discount] = ()) -> int | None:
    """What is left of the charged period costs at another price; a full cycle of another length. None where nothing is
    charged ahead. `discounts`: those that go on."""
    if mine.next_from is None or mine.next_from <= today or mine.anchor_on is None:
        return None
    price = rate_cycle(action.amount_minor or 0, mine.quantity_e6, discounts, today).cycle_minor
    if (action.cycle_unit, action.cycle_count) != (mine.cycle_unit, mine.cycle_count):
        return price
    cycle = Cycle(cast("CycleUnit", mine.cycle_unit), mine.cycle_count)
    index = cycle_index(mine.anchor_on, cycle, mine.next_from)
    whole = (mine.next_from - nth(mine.anchor_on, cycle, index - 1)).days
    return half_up(price * (mine.next_from - today).days, whole)


@dataclass(slots=True)
class _Maker:
    """Makes a change from a day on: the charges, the terms, what is charged next."""

    scope: Scope
    found: Locked
    change: AgreedChange
    product: ProductDetail
    buyer: Buyer
    name: str
    held: list[Covering]
    covered: date
    """Where the charged days end."""
    from_on: date
    """The first day that is billed at the new terms."""
    terms: list[Term]
    """What was in force and to come."""
    discounts: Sequence[Discount] = ()
    agreed: Sequence[NewDiscount] = ()
    """Those that take the place of what it has, with their days."""
    waits: bool = False
    new: list[Term] = field(default_factory=list)
    charge_ids: list[int] = field(default_factory=list)
    parts: dict[int, date] = field(default_factory=dict)
    amount_minor: int = 0

    @property
    def cycle(self) -> Cycle:
        return Cycle(cast("CycleUnit", self.change.cycle_unit), self.change.cycle_count)

    @property
    def old_cycle(self) -> Cycle:
        return self.found.rhythm(None).cycle

    @property
    def timing(self) -> str:
        return timing_of(self.buyer, self.product)

    @property
    def prepaid(self) -> bool:
        """A full period is paid from the balance, whatever was changed."""
        return self.timing == "prepaid"

    @property
    def restarts(self) -> bool:
        """Another cycle that begins on the day of change."""
        return self.prepaid or (self.cycle != self.old_cycle and self.change.anchor == "restart")

    @property
    def in_arrears(self) -> bool:
        return self.timing == "arrears"

    @property
    def only_more(self) -> bool:
        """A higher quantity of what is charged ahead: the difference alone is charged. Not where it ends before the
        charged days do: an end that is undone charges the rest at the new quantity."""
        return (
            not self.change.replaces_terms
            and self.found.timing == "advance"
            and self.covered > self.from_on
            and (self.found.ends_on is None or self.found.ends_on >= self.covered)
            and (self.change.quantity_e6 or 0) > self.terms[0].quantity_e6
        )

    @property
    def is_free(self) -> bool:
        """Nothing of it was ever to be charged."""
        return self.found.period_start is None and not self.held and self.found.ends_on is None

    @property
    def anchor_on(self) -> date:
        if self.prepaid:
            return self.from_on
        assert self.found.anchor_on is not None
        if self.is_free:
            return anchor_for(self.from_on, self.cycle, self.buyer.billing_day)
        return self.from_on if self.restarts else self.found.anchor_on

    @property
    def first_cycle_ends_on(self) -> date:
        """The end of the first cycle of the new terms, or of the subscription."""
        rhythm = self.rhythm(self.anchor_on)
        end = cycle_end(rhythm, self.from_on)
        return end if self.found.ends_on is None else min(end, self.found.ends_on)

    @property
    def in_the_middle(self) -> bool:
        """Of a cycle that has begun, so that its rest is a part."""
        index = cycle_index(self.anchor_on, self.cycle, self.from_on)
        return nth(self.anchor_on, self.cycle, index) != self.from_on

    @property
    def begins(self) -> bool:
        """Nothing before was ever charged: its first part is charged as its product says."""
        return self.covered == self.from_on and self.from_on == (self.found.trial_ends_on or self.found.started_on)

    def rhythm(self, anchor_on: date) -> Rhythm:
        return Rhythm(
            anchor_on,
            self.cycle.unit,
            self.cycle.count,
            self.timing,
            self.product.proration,
            self.product.final_proration,
        )

    def hold(self, anchor_on: date, first: date) -> None:
        """Discounts that were agreed for a number of cycles are counted from a day on; those that go on keep theirs."""
        if self.change.discounts is not None:
            self.agreed = [
                each if each.until_on is not None else held_for([each], self.cycle, anchor_on, first)[0]
                for each in self.change.discounts
            ]
            self.discounts = [discount_of(each) for each in self.agreed]

    async def agree(self, day: date) -> None:
        """The terms from the day on. A rest in arrears is charged by day, whatever first parts of the product cost."""
        if self.change.discounts is not None:
            await execute("DELETE FROM subscription_discount WHERE subscription_id = :id", id=self.found.id)
            await write_discounts(self.found.id, self.agreed)
        self.new = self._new_terms(day)
        if self.in_arrears and not self.begins and self.in_the_middle:
            until = self.first_cycle_ends_on
            self.new = [
                msgspec.structs.replace(each, proration="by_day") if each.valid_from < until else each
                for each in cut(self.new, [until])
            ]
        await agree(self.found.id, day, self.new)

    def _new_terms(self, day: date) -> list[Term]:
        change = self.change
        first, *later = self.terms
        quantity = change.quantity_e6 or first.quantity_e6
        first = msgspec.structs.replace(first, valid_from=day, quantity_e6=quantity)
        if not change.replaces_terms:
            later = [msgspec.structs.replace(each, quantity_e6=quantity) for each in later]
            return [rated(each, self.discounts) for each in (first, *later)]
        return by_discounts(
            msgspec.structs.replace(
                first,
                valid_to=None,
                product_id=self.product.id,
                price_id=change.price_id,
                price_rate_e10=change.price_rate_e10,
                amount_minor=change.amount_minor,
                cycle_unit=change.cycle_unit,
                cycle_count=change.cycle_count,
                tax_category=self.product.tax_category,
                tax_inclusive=change.tax_inclusive,
                proration=self.product.proration,
                final_proration=self.product.final_proration,
            ),
            self.discounts,
        )

    def _term_at(self, day: date) -> Term:
        if not self.new:
            self.new = self._new_terms(self.from_on)
        return next((each for each in reversed(self.new) if each.valid_from <= day), self.new[0])

    async def charge_difference(self) -> None:
        """More of the same: what it costs more, beside what is charged already."""
        with speaking(await payers_language(self.scope, self.buyer.payer_id)):
            description = _("%(name)s, more of it", name=self.name)
        for each in self.held:
            if each.component:
                continue
            start, end = max(self.from_on, each.period_start), each.period_end
            before = next(term for term in reversed(self.terms) if term.valid_from <= start)
            more = self._term_at(start).quantity_e6 - before.quantity_e6
            await self._charge(
                start,
                end,
                *self._share(each, start, end),
                term=msgspec.structs.replace(
                    self._term_at(start),
                    quantity_e6=more,
                    gross_minor=self._term_at(start).gross_minor - before.gross_minor,
                    cycle_minor=self._term_at(start).cycle_minor - before.cycle_minor,
                ),
                component="more",
                description=description,
            )

    async def replace(self) -> None:
        """What is in force for days from the change on gives them up; days before it that are not charged yet are."""
        if self.restarts and await value(
            "SELECT 1 FROM unbilled_span WHERE subscription_id = :id AND from_on >= :day LIMIT 1",
            id=self.found.id,
            day=self.from_on,
        ):
            raise Conflict(_("It has free days ahead. Change its cycle once they are over."))
        await take_over(self.scope, self.held, self.from_on)
        if self.covered >= self.from_on:
            return
        if self.is_free:
            await execute(
                "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason)"
                " VALUES (:id, :from_on, :to_on, 'gift')",
                id=self.found.id,
                from_on=self.covered,
                to_on=self.from_on,
            )
            return
        await self._charge_before()

    async def _charge_before(self) -> None:
        rhythm = self.found.rhythm(self.from_on)
        first = "none" if rhythm.proration == "none" else "by_day"
        rhythm = msgspec.structs.replace(rhythm, proration=first, final_proration="by_day", timing="advance")
        due, __ = periods_due(rhythm, self.covered, self.from_on, MOST_PERIODS)
        due = [each for each in due if each.start < self.from_on]
        if len(due) > MOST_PERIODS:
            raise Conflict(_("More than 15 periods of a subscription are to be charged first. Run the billing."))
        for each in due:
            is_whole = nth(rhythm.anchor_on, rhythm.cycle, cycle_index(rhythm.anchor_on, rhythm.cycle, each.end))
            waits = self.found.timing == "arrears" and self.in_arrears and is_whole != each.end
            charge_id = await charge_period(
                self.found.id,
                self.buyer.payer_id,
                self.found.currency,
                each,
                due_on=min(cycle_end(rhythm, self.from_on), self.first_cycle_ends_on) if waits else None,
            )
            if not self.in_arrears:
                self.charge_ids.append(charge_id)

    async def charge_new(self) -> None:
        """The rest of what is charged already at the new terms; a cycle that begins anew in full.

        What nothing is charged for yet is left to the next run.
        """
        if self.restarts or self.cycle != self.old_cycle or not any(not each.component for each in self.held):
            if self.covered != self.from_on and not self.in_arrears and (self.restarts or self.in_the_middle):
                await self._charge_first_cycle()
            return
        for each in self.held:
            start, end = max(self.from_on, each.period_start), self._served_until(each)
            if not each.component and start < end:
                await self._charge(start, end, *self._share(each, start, end))

    def _served_until(self, held: Covering) -> date:
        """The end of a charge, or of the subscription where that comes before it."""
        return held.period_end if self.found.ends_on is None else min(held.period_end, self.found.ends_on)

    async def _charge_first_cycle(self) -> None:
        end = self.first_cycle_ends_on
        index = cycle_index(self.anchor_on, self.cycle, self.from_on)
        begins, ends = nth(self.anchor_on, self.cycle, index), nth(self.anchor_on, self.cycle, index + 1)
        share = (1, 1) if (begins, ends) == (self.from_on, end) else ((end - self.from_on).days, (ends - begins).days)
        await self._charge(self.from_on, end, *share)

    def _share(self, held: Covering, start: date, end: date) -> tuple[int, int]:
        """Of a full cycle: as before where it is replaced whole, else its days ÷ those of the cycle that ends there."""
        if (start, end) == (held.period_start, held.period_end) or held.days == 0:
            return held.days, held.of_days
        anchor, cycle = self.found.anchor_on, self.old_cycle
        assert anchor is not None
        index = cycle_index(anchor, cycle, end)
        if nth(anchor, cycle, index) == end:
            whole = (end - nth(anchor, cycle, index - 1)).days
        else:
            index = cycle_index(anchor, cycle, start)
            whole = (nth(anchor, cycle, index + 1) - nth(anchor, cycle, index)).days
        return (end - start).days, whole

    async def _charge(
        self,
        start: date,
        end: date,
        days: int,
        of_days: int,
        *,
        term: Term | None = None,
        component: str = "",
        description: str = "",
    ) -> None:
        """At the new terms. In arrears it is invoiced when its days are over; what waits gets its days later."""
        rates = term or self._term_at(start)
        amount = half_up(rates.cycle_minor * days, of_days)
        charge_id = int(
            await value(
                "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
                " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor,"
                " amount_minor, currency, tax_category, tax_inclusive, revision, state, due_on)"
                " SELECT :id::bigint, t.id, :customer_id::bigint, :payer_id::bigint, :product_id::bigint, 'recurring',"
                " :component::text, :description::text, :start::date, :end::date, :days::bigint, :of_days::bigint,"
                " :quantity::bigint, :unit_price::bigint, :discount::bigint, :amount::bigint, :currency::text,"
                " :category::text, :inclusive::boolean, (SELECT coalesce(max(o.revision) + 1, 0) FROM charge o"
                "  WHERE o.subscription_id = :id AND o.period_start = :start AND o.component = :component"
                "  AND o.term_id = t.id), 'open', :due_on::date"
                " FROM (SELECT (SELECT id FROM subscription_term WHERE subscription_id = :id AND in_force"
                "  AND valid_from <= :first::date AND (valid_to IS NULL OR valid_to > :first::date)"
                "  AND :dated) AS id) t"
                " RETURNING id",
                id=self.found.id,
                customer_id=self.found.customer_id,
                payer_id=self.buyer.payer_id,
                product_id=self.product.id,
                component=component,
                description=description or self.name,
                start=None if self.waits else start,
                end=None if self.waits else end,
                first=start,
                dated=not self.waits,
                days=days,
                of_days=of_days,
                quantity=rates.quantity_e6,
                unit_price=unit_price_e6(rates.amount_minor, rates.currency),
                discount=half_up(rates.gross_minor * days, of_days) - amount,
                amount=amount,
                currency=rates.currency,
                category=rates.tax_category,
                inclusive=rates.tax_inclusive,
                due_on=end if self.in_arrears else None,
            )
        )
        self.amount_minor += amount
        self.parts[charge_id] = end
        if not self.in_arrears:
            self.charge_ids.append(charge_id)

    async def charge_extras(self, credited_minor: int) -> None:
        """Set-up and fee, and what is missing to the least that a change costs."""
        change = self.change
        language = await payers_language(self.scope, self.buyer.payer_id)
        with speaking(language):
            extras = [
                ("setup", _("%(name)s: set-up", name=self.name), change.setup_minor),
                ("one_off", _("%(name)s: change", name=self.name), change.fee_minor),
            ]
        charged = self.charge_ids or credited_minor or self.prepaid
        if change.minimum_minor and not self.in_arrears and charged:
            missing = change.minimum_minor - (self.amount_minor - credited_minor)
            with speaking(language):
                extras.append(("one_off", _("%(name)s: least amount of a change", name=self.name), max(missing, 0)))
        for kind, description, amount in extras:
            if not amount:
                continue
            charge_id = int(
                await value(
                    "INSERT INTO charge (subscription_id, customer_id, payer_id, product_id, kind, description,"
                    " quantity_e6, unit_price_e6, amount_minor, currency, tax_category, tax_inclusive, state, due_on)"
                    " VALUES (:id, :customer_id, :payer_id, :product_id, :kind, :description, 1000000, :unit_price,"
                    " :amount, :currency, :category, :inclusive, 'open', :due_on) RETURNING id",
                    id=self.found.id,
                    customer_id=self.found.customer_id,
                    payer_id=self.buyer.payer_id,
                    product_id=self.product.id,
                    kind=kind,
                    description=description,
                    unit_price=unit_price_e6(amount, change.currency),
                    amount=amount,
                    currency=change.currency,
                    category=self.product.tax_category,
                    inclusive=change.tax_inclusive,
                    due_on=self.first_cycle_ends_on if self.in_arrears else None,
                )
            )
            if not self.in_arrears:
                self.charge_ids.append(charge_id)

    async def give_days(self, waits: WaitsFor) -> None:
        """The charges of the settled invoice, one behind the other. What was charged since at the old terms and is
        replaced with them is charged anew by the next run."""
        start = self.from_on
        for charge_id, until in sorted(waits.parts.items(), key=lambda part: (part[1], part[0])):
            end = nth(self.from_on, self.cycle, 1) if self.restarts else until
            await execute(
                "UPDATE charge SET period_start = :start, period_end = :end WHERE id = :id AND period_start IS NULL",
                id=charge_id,
                start=start,
                end=end,
            )
            start = end
        if self.restarts or self.cycle != self.old_cycle:
            return
        for each in self.held:
            if not each.component and each.period_start >= start:
                await self._charge(each.period_start, each.period_end, each.days, each.of_days)

    async def finish(self) -> None:
        """The product, the anchor, and what is charged next."""
        await _write_product(self.found, self.product, self.timing, self.anchor_on)
        await schedule_from_covered(self.found.id, self.buyer.payer_id, self.found.ends_on)


async def take_over(scope: Scope, held: Sequence[Covering], from_on: date) -> None:
    """Charges give up their days from one on; an open one is made anew for the days before."""
    for each in held:
        if each.state != "open":
            await execute(
                "UPDATE charge SET replaced_from = :day WHERE id = :id",
                id=each.id,
                day=max(from_on, each.period_start),
            )
            continue
        if each.period_start < from_on:
            days, whole = (from_on - each.period_start).days, (each.period_end - each.period_start).days
            await execute(
                "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
                " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor,"
                " amount_minor, currency, tax_category, tax_inclusive, revision, state, due_on)"
                " SELECT subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,"
                " period_start, :day::date, days * :days::bigint, of_days * :whole::bigint, quantity_e6,"
                " unit_price_e6, :discount::bigint, :amount::bigint, currency, tax_category, tax_inclusive,"
                " (SELECT max(o.revision) + 1 FROM charge o WHERE o.subscription_id = charge.subscription_id"
                "  AND o.period_start = charge.period_start), 'open', due_on FROM charge WHERE id = :id",
                id=each.id,
                day=from_on,
                days=days,
                whole=whole,
                discount=half_up(each.discount_minor * days, whole),
                amount=half_up(each.amount_minor * days, whole),
            )
        await execute(
            "UPDATE charge SET state = 'reversed', closed_on = :today WHERE id = :id",
            id=each.id,
            today=scope.today(),
        )


class _Next(Struct, frozen=True):
    anchor_on: date
    timing: str
    covered: date
    cycle_unit: str
    cycle_count: int
    proration: str
    final_proration: str


async def schedule_from_covered(subscription_id: int, payer_id: int, ends_on: date | None) -> None:
    """What is charged next begins where the charged days end, at the terms of that day."""
    start = await covered_until(subscription_id)
    found = await row(
        _Next,
        "SELECT u.anchor_on, u.timing, coalesce(:start::date, u.trial_ends_on, u.started_on) AS covered, t.cycle_unit,"
        " t.cycle_count, t.proration, t.final_proration FROM subscription u JOIN subscription_term t"
        " ON t.subscription_id = u.id AND t.in_force"
        " AND (t.valid_to IS NULL OR t.valid_to > coalesce(:start::date, u.trial_ends_on, u.started_on))"
        " WHERE u.id = :id ORDER BY t.valid_from LIMIT 1",
        id=subscription_id,
        start=start,
    )
    assert found is not None
    rhythm = Rhythm(
        found.anchor_on,
        found.cycle_unit,
        found.cycle_count,
        found.timing,
        found.proration,
        found.final_proration,
        ends_on,
    )
    await write_schedule(subscription_id, payer_id, next_period(rhythm, found.covered))


async def _write_product(found: Locked, product: ProductDetail, timing: str, anchor_on: date | None) -> None:
    await execute(
        "UPDATE subscription SET product_id = :product_id, exclusive_group_id = :group_id, timing = :timing,"
        " anchor_on = :anchor_on, version = version + 1 WHERE id = :id",
        id=found.id,
        product_id=product.id,
        group_id=product.group_id if product.one_live else None,
        timing=timing,
        anchor_on=anchor_on,
    )


async def _tell(scope: Scope, found: Locked, change: AgreedChange) -> None:
    after = await lock(scope, found.id)
    record(
        scope,
        SubscriptionChanged(
            subscription_id=found.id, customer_id=found.customer_id, product_id=change.product_id, how=change.kind
        ),
        changes={
            "product_id": (found.product_id, change.product_id),
            "cycle_minor": (found.cycle_minor, after.cycle_minor),
        },
    )
