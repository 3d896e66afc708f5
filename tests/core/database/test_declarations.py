"""What tables say about how they belong to a customer, as the start checks it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from piccolo.columns import BigInt, ForeignKey, Text
from piccolo.table import Table

from core.database import OWN, SHARED, STAFF_ONLY, Everything, Reach, declaration_faults, scoped, via


class Customer(Table):
    belongs = OWN
    partition_id = BigInt(null=True)


class Product(Table):
    belongs = SHARED
    name = Text()


class Series(Table):
    belongs = STAFF_ONLY
    name = Text()


class Invoice(Table):
    belongs = via("customer_id")
    customer_id = ForeignKey(Customer, index=True)


class Line(Table):
    belongs = via("invoice_id")
    invoice_id = ForeignKey(Invoice, index=True)


@dataclass(frozen=True)
class Actor:
    reach: Reach


@dataclass(frozen=True)
class Scope:
    actor: Actor


def test_a_table_that_does_not_say_how_it_belongs_has_no_rows_for_anybody() -> None:
    class Silent(Invoice, tablename="silent"):
        pass

    with pytest.raises(LookupError, match="Silent does not say"):
        scoped(Silent, Scope(Actor(Everything()))).select()


def test_the_declarations_of_these_tables_are_sound() -> None:
    assert declaration_faults([Customer, Product, Series, Invoice, Line]) == []


def test_each_faulty_declaration_is_found_and_named() -> None:
    class Undeclared(Table):
        pass

    class Inherited(Invoice, tablename="inherited"):
        pass

    class Loop(Table):
        belongs = via("up_id")
        up_id = ForeignKey("self", index=True)

    class NoIndex(Table):
        belongs = via("customer_id")
        customer_id = ForeignKey(Customer)

    class NoKey(Table):
        belongs = via("name")
        name = Text()

    class ToProduct(Table):
        belongs = via("product_id")
        product_id = ForeignKey(Product, index=True)

    class ToUndeclared(Table):
        belongs = via("undeclared_id")
        undeclared_id = ForeignKey(Undeclared, index=True)

    class Impostor(Table):
        belongs = OWN

    class Odd(Table):
        belongs = "customer"

    faults = declaration_faults(
        [Undeclared, Inherited, Loop, NoIndex, NoKey, ToProduct, ToUndeclared, Impostor, Odd, Invoice]
    )

    assert faults == [
        "Undeclared: Undeclared does not say how it belongs to a customer",
        "Inherited: Inherited does not say how it belongs to a customer",
        "Loop: its way to a customer runs in a circle at Loop",
        "NoIndex: NoIndex.customer_id needs an index",
        "NoKey: NoKey belongs via “name”, which is no foreign key of it",
        "ToProduct: its way ends at Product, which belongs to no customer",
        "ToUndeclared: Undeclared does not say how it belongs to a customer",
        "Impostor: Impostor says OWN, but only Customer is the customer",
        "Odd: Odd does not say how it belongs to a customer",
    ]
