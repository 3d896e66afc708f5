"""A process that validates records. It knows no tenant, no database and no secret; `validators` starts it."""

import sys
from typing import BinaryIO, Final

from core.customers.importing.validating import validate_packed

LENGTH: Final = 8
"""Bytes before each message that say how long it is."""


def main(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer slice after slice until nobody asks any more."""
    while packed := questions.read(int.from_bytes(questions.read(LENGTH), "big")):
        rows = validate_packed(packed)
        answers.write(len(rows).to_bytes(LENGTH, "big") + rows)
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
