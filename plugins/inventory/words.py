"""Numbers of things in words."""


def counted(number: int, one: str) -> str:
    """1 item, 2 items."""
    return f"{number:,} {one if number == 1 else one + 's'}"
