"""Finding customers by what somebody types: every word of it must begin a word of the customer's.

The words stand in `customer_search`, kept by triggers (see the migration). Accents, case and punctuation make no
difference; a phone number may be typed with blanks, and with or without its country's code.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import ucd_3_2_0

from core.database import dialect
from core.ids import sort_key
from core.lists.columns import Condition

SHORTEST: Final = 2
"""Letters of a word that is searched for; a shorter one counts only where nothing longer is typed."""
MOST_WORDS: Final = 8
INDEXED: Final = 5
"""Letters of a beginning that FTS5 keeps the customers of; for a longer one it collects them from all its words."""
WHOLE_NUMBER: Final = 7
"""Digits that nobody types in parts for anything but a phone number."""
_PHONE: Final = re.compile(r"[+\d][\d ()/.-]*")


def words_of(typed: str) -> list[str]:
    """The words that are looked for, in the form in which they are kept."""
    bare = "".join(one if ucd_3_2_0.category(one)[0] in "LN" else " " for one in sort_key(typed))
    words = list(dict.fromkeys(bare.split()))
    return [word for word in words if len(word) >= SHORTEST][:MOST_WORDS] or words[:1]


def phone_digits(typed: str) -> str:
    """The number without blanks, zeros and + before it, where this is a phone number in several parts; else nothing."""
    text = typed.strip()
    if not _PHONE.fullmatch(text):
        return ""
    digits = "".join(one for one in text if one.isdecimal()).lstrip("0")
    return digits if len(digits) >= 3 else ""


def customer_search(typed: str) -> Condition | None:
    """How to find the customers that are meant by this text; None where it holds no letter and no digit."""
    words = words_of(typed)
    if not words:
        return None
    if words == [words[0]] and len(words[0]) < SHORTEST:
        return _by_one_letter(words[0])
    digits = phone_digits(typed)
    ways = [words, [digits]] if digits and [digits] != words else [words]
    if len(digits) >= WHOLE_NUMBER:
        ways = [[digits]]
    if dialect() == "sqlite":
        match = " OR ".join("(" + " AND ".join(f'"{word}"*' for word in way) + ")" for way in ways)
        whole = " AND ".join(f'"{word}"' + "*" * (len(word) <= INDEXED) for word in ways[0])
        sql = "customer.id IN (SELECT rowid FROM customer_words WHERE customer_words MATCH :words)"
        letters = {f"word_{at}": word for at, word in enumerate(dict.fromkeys(word for way in ways for word in way))}
        begins = {word: f"begins_word(s.text, :{name})" for name, word in letters.items()}
        test = " OR ".join("(" + " AND ".join(begins[word] for word in way) + ")" for way in ways)
        return Condition(
            sql,
            {"words": match, "whole_words": whole, **letters},
            source="customer_words CROSS JOIN customer ON customer.id = customer_words.rowid",
            found="customer_words MATCH :words",
            walk=f"SELECT {test} FROM customer_search s WHERE s.customer_id = customer.id",
            ids="SELECT rowid FROM customer_words WHERE customer_words MATCH :words",
            surely="SELECT rowid FROM customer_words WHERE customer_words MATCH :whole_words"
            if any(len(word) > INDEXED for word in ways[0])
            else "",
        )
    values: dict[str, object] = {}
    tests: list[str] = []
    for way in ways:
        names = [f"word_{len(values) + at}" for at in range(len(way))]
        values.update(zip(names, (f"% {word}%" for word in way), strict=True))
        tests.append("(" + " AND ".join(f"s.text LIKE :{name}" for name in names) + ")")
    test = " OR ".join(tests)
    return Condition(
        f"customer.id IN (SELECT s.customer_id FROM customer_search s WHERE {test})",
        values,
        walk=f"SELECT {test} FROM customer_search s WHERE s.customer_id = customer.id",
        ids=f"SELECT s.customer_id FROM customer_search s WHERE {test}",
    )


def _by_one_letter(letter: str) -> Condition:
    """The beginning of the name, or the id itself."""
    values: dict[str, object] = {"text": letter, "end": letter + "\U0010ffff"}
    sql = "customer.name_key >= :text AND customer.name_key < :end"
    if letter.isdecimal():
        values["number"] = int(letter)
        sql = f"({sql} OR customer.id = :number)"
    return Condition(sql, values)
