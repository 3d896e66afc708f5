"""Numbers of things in words."""

from core.texts import ngettext, number


def items(count: int) -> str:
    """1 item, 2 items."""
    return ngettext("%(count)s item", "%(count)s items", count, count=number(count))


def products(count: int) -> str:
    """1 product, 2 products."""
    return ngettext("%(count)s product", "%(count)s products", count, count=number(count))
