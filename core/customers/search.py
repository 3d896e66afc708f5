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
PROBED: Final = 1000
"""Customers whose words SQLite looks at one after the other: FTS5 gives all that it finds in the time of some more."""
LOOKED_AT: Final = 8000
"""Newest customers that are looked at first: where a thousand of them are found, nobody waits for all to be found."""
LONGEST: Final = 200
"""Letters of a word that PostgreSQL's index keeps."""
WHOLE_NUMBER: Final = 7
"""Digits that nobody types in parts for anything but a phone number."""
NEWEST: Final = "-id"
"""The order in which many customers are found without looking for all of them."""
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
    every = list(dict.fromkeys(word for way in ways for word in way))
    likes = {word: f"s.text LIKE :like_{at}" for at, word in enumerate(every)}
    like = " OR ".join("(" + " AND ".join(likes[word] for word in way) + ")" for way in ways)
    values: dict[str, object] = {f"like_{at}": f"% {word}%" for at, word in enumerate(every)}
    newest = f"SELECT text FROM customer_search ORDER BY customer_id DESC LIMIT {LOOKED_AT}"
    surely = (
        "SELECT CASE WHEN newest.many > :list_counted THEN CAST(:list_most AS bigint) ELSE {} END FROM (SELECT count(*)"
        f" AS many FROM (SELECT 1 FROM ({newest}) AS s WHERE {like} LIMIT :list_counted + 1) AS seen) AS newest"
    )
    if dialect() == "sqlite":
        begins = {word: f"begins_word(s.text, :word_{at})" for at, word in enumerate(every)}
        test = " OR ".join("(" + " AND ".join(begins[word] for word in way) + ")" for way in ways)
        match = " OR ".join("(" + " AND ".join(f'"{word}"*' for word in way) + ")" for way in ways)
        whole = " AND ".join(f'"{word}"' + "*" * (len(word) <= INDEXED) for word in ways[0])
        values |= {"words": match, "whole_words": whole, **{f"word_{at}": word for at, word in enumerate(every)}}
        return Condition(
            "customer.id IN (SELECT rowid FROM customer_words WHERE customer_words MATCH :words)",
            values,
            source="customer_words",
            source_id="customer_words.rowid",
            beside="CROSS JOIN customer ON customer.id = customer_words.rowid",
            found="customer_words MATCH :words",
            walk=f"SELECT {test} FROM customer_search s WHERE s.customer_id = customer.id",
            far=PROBED,
            surely=surely.format(
                "(SELECT count(*) FROM"
                " (SELECT 1 FROM customer_words WHERE customer_words MATCH :whole_words LIMIT :list_most))"
            )
            if any(len(word) > INDEXED for word in every)
            else "",
            widely=NEWEST,
        )
    query = " | ".join("(" + " & ".join(f"'{word[:LONGEST]}':*" for word in way) + ")" for way in ways)
    found = "customer_search_words(s.text) @@ CAST(CAST(:words AS text) AS tsquery)"
    return Condition(
        f"customer.id IN (SELECT s.customer_id FROM customer_search s WHERE {found})",
        {"words": query, **values},
        source="customer_search s",
        source_id="s.customer_id",
        beside="CROSS JOIN LATERAL (SELECT * FROM customer c WHERE c.id = s.customer_id OFFSET 0) AS customer",
        found=found,
        looked=like,
        walk=f"SELECT {like} FROM customer_search s WHERE s.customer_id = customer.id",
        surely=surely.format(
            f"(SELECT count(*) FROM (SELECT FROM customer_search s WHERE {found} LIMIT :list_most) AS those)"
        ),
        widely=NEWEST,
    )


def _by_one_letter(letter: str) -> Condition:
    """The beginning of the name, or the id itself."""
    values: dict[str, object] = {"text": letter, "end": letter + "\U0010ffff"}
    sql = "customer.name_key >= :text AND customer.name_key < :end"
    if letter.isdecimal():
        values["number"] = int(letter)
        sql = f"({sql} OR customer.id = :number)"
    return Condition(sql, values)
