"""Finding customers by what somebody types: every word of it must begin a word of the customer's.

The words stand in `customer_search`, kept by triggers (see the migrations), with one that nobody can type for the
customer's partition and one for the end of each phone number. Accents, case and punctuation make no difference; a phone
number may be typed with blanks, with or without its country's code, and by its last digits alone; a VAT id with blanks.

Both indexes of words give the customers of some beginnings as they stand, at once or beside those of other words
(SQLite: of two to five letters; PostgreSQL: of two, three and five). For any other beginning they first collect the
customers of each word that has it. So a sample is asked first, how many there are; where a word has many, its customers
are found by as much of it as is kept, and their texts are looked at for the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unicodedata import ucd_3_2_0

import msgspec

from core.database import Partitions, dialect, values
from core.ids import sort_key
from core.lists.columns import PARTITIONS, REACH, Condition

if TYPE_CHECKING:
    from core.database import Reach

SHORTEST: Final = 2
"""Letters of a word that is searched for; a shorter one counts only where nothing longer is typed."""
MOST_WORDS: Final = 8
LETTERS: Final = {"sqlite": (2, 3, 4, 5), "postgresql": (2, 3, 5)}
"""Lengths of the beginnings that an index keeps the customers of."""
SAMPLED: Final = 251
"""The sample is each of so many customers, by their ids."""
TOLD: Final = 16
"""Customers of the sample; fewer may be there by chance, and count for none."""
COUNTED: Final = 200
"""Customers of the sample that are counted; more are many."""
RARE: Final = {"sqlite": 40_000, "postgresql": 10_000}
"""Customers of a beginning whom an index collects soon."""
NEAR: Final = 30_000
"""Customers among whom a page is full after a few hundred rows of any order: there SQLite looks at texts one by one."""
PROBED: Final = 1000
"""Customers whose words SQLite looks at one after the other: FTS5 gives all that it finds in the time of some more."""
LONGEST: Final = 200
"""Letters of a word that PostgreSQL's index keeps."""
WHOLE_NUMBER: Final = 7
"""Digits that nobody types in parts for anything but a phone number."""
NEWEST: Final = "-id"
"""The order in which many customers are found without looking for all of them."""
LAST: Final = 5
"""Digits that are taken for the last ones of a phone number, too."""
END: Final = REACH * 2
"""With the digits behind it, from the last to the first, the word for the end of a phone number; REACH with the id
behind it is the one for a partition. What is typed has no such letter, see `words_of`."""
_VAT_ID: Final = re.compile(r"[a-z]{2}[a-z0-9]{0,2}\d{6,}[a-z0-9]{0,4}")
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


def joined_vat_id(typed: str) -> str:
    """A VAT id that is typed in several parts (DE 136 695 976), as it is kept; else nothing."""
    joined = re.sub(r"[\s./-]", "", sort_key(typed))
    return joined if joined != sort_key(typed) and _VAT_ID.fullmatch(joined) else ""


def customer_search(typed: str) -> Condition | None:
    """How to find the customers that are meant by this text; None where it holds no letter and no digit."""
    words = words_of(typed)
    if not words:
        return None
    if words == [words[0]] and len(words[0]) < SHORTEST:
        return _by_one_letter(words[0])
    digits = phone_digits(typed)
    ways = [words, [digits]] if digits and [digits] != words else [words]
    if vat_id := joined_vat_id(typed):
        ways.append([vat_id])
    if len(digits) >= WHOLE_NUMBER:
        ways = [[digits]]
    search = _Search(ways)
    return msgspec.structs.replace(search.condition(), prepared=search.prepared)


@dataclass(frozen=True, slots=True)
class _Search:
    """What is typed: several ways, each of words that must all be there."""

    ways: list[list[str]]

    @property
    def words(self) -> list[str]:
        return list(dict.fromkeys(word for way in self.ways for word in way))

    async def prepared(self, reach: Reach) -> Condition:
        """The condition as the customers in this reach are found soonest, with how many they are by the sample."""
        partitions = reach.ids if isinstance(reach, Partitions) and len(reach.ids) <= PARTITIONS else ()
        collected = [word for word in self.words if len(word) not in LETTERS[dialect()]]
        everything = self._index(frozenset(), partitions)
        asked = list(dict.fromkeys([everything, *map(_term, collected)]))
        counted = await values(
            f"SELECT many FROM ({' UNION ALL '.join(_sampled(at) for at in range(len(asked)))}) AS counted ORDER BY nr",
            **{f"sample_{at}": one for at, one in enumerate(asked)},
        )
        there = {one: many * SAMPLED if many >= TOLD else 0 for one, many in zip(asked, counted, strict=True)}
        many = frozenset(word for word in collected if there[_term(word)] > RARE[dialect()])
        about = there[everything]
        return msgspec.structs.replace(self.condition(many, partitions, about), about=about)

    def condition(
        self, many: frozenset[str] = frozenset(), partitions: tuple[int, ...] = (), about: int | None = None
    ) -> Condition:
        """`many` are the words that have too many customers to be collected."""
        make = self._sqlite if dialect() == "sqlite" else self._postgresql
        return make(many, partitions, about)

    def _index(self, many: frozenset[str], partitions: tuple[int, ...]) -> str:
        """What the index of words is asked for."""
        both, either = (" AND ", " OR ") if dialect() == "sqlite" else (" & ", " | ")
        found = either.join(both.join(_keys(way, many)) for way in self.ways[:1])
        if len(self.ways) > 1:
            found = either.join(f"({both.join(_keys(way, many))})" for way in self.ways)
        if not partitions:
            return found
        reached = either.join(_exactly(f"{REACH}{one}") for one in partitions)
        return f"({found}){both}({reached})"

    def _all(self, tests: dict[str, str]) -> str:
        return " OR ".join("(" + " AND ".join(tests[word] for word in way) + ")" for way in self.ways)

    def _sqlite(self, many: frozenset[str], partitions: tuple[int, ...], about: int | None) -> Condition:
        begins = {
            word: f"(begins_word(s.text, :word_{at}) OR instr(s.text, :end_{at}) > 0)"
            if _ends(word)
            else f"begins_word(s.text, :word_{at})"
            for at, word in enumerate(self.words)
        }
        test = f"SELECT {self._all(begins)} FROM customer_search s WHERE s.customer_id ="
        found = "customer_words MATCH :words"
        walked = test
        if partitions:
            reached = " OR ".join(f"instr(s.text, :reach_{at}) > 0" for at, _ in enumerate(partitions))
            walked = f"SELECT ({reached}) AND ({self._all(begins)}) FROM customer_search s WHERE s.customer_id ="
        if many:
            found += f" AND ({test} customer_words.rowid)"
        return Condition(
            f"customer.id IN (SELECT customer_words.rowid FROM customer_words WHERE {found})",
            {
                "words": self._index(many, partitions),
                **{f"word_{at}": word for at, word in enumerate(self.words)},
                **{f"end_{at}": f" {_ends(word)}" for at, word in enumerate(self.words)},
                **{f"reach_{at}": f" {REACH}{one} " for at, one in enumerate(partitions)},
            },
            source="customer_words",
            source_id="customer_words.rowid",
            beside="CROSS JOIN customer ON customer.id = customer_words.rowid",
            found=found,
            walk="" if about is not None and about <= NEAR else f"{walked} customer.id",
            far=0 if about is not None and about <= NEAR else PROBED,
            walks_alone=True,
            widely=NEWEST,
            reached=bool(partitions),
        )

    def _postgresql(self, many: frozenset[str], partitions: tuple[int, ...], about: int | None) -> Condition:
        likes = {
            word: f"(s.text LIKE :like_{at} OR s.text LIKE :end_{at})" if _ends(word) else f"s.text LIKE :like_{at}"
            for at, word in enumerate(self.words)
        }
        values: dict[str, object] = {f"like_{at}": f"% {word}%" for at, word in enumerate(self.words)}
        values |= {f"end_{at}": f"% {_ends(word)}%" for at, word in enumerate(self.words)}
        like = looked = self._all(likes)
        found = "customer_search_words(s.text) @@ CAST(CAST(:words AS text) AS tsquery)"
        if many:
            found += f" AND ({like})"
        if partitions:
            values |= {f"reach_{at}": f"% {REACH}{one} %" for at, one in enumerate(partitions)}
            looked = f"({like}) AND ({' OR '.join(f's.text LIKE :reach_{at}' for at, _ in enumerate(partitions))})"
        return Condition(
            f"customer.id IN (SELECT s.customer_id FROM customer_search s WHERE {found})",
            {"words": self._index(many, partitions), **values},
            source="customer_search s",
            source_id="s.customer_id",
            beside="CROSS JOIN LATERAL (SELECT * FROM customer c WHERE c.id = s.customer_id OFFSET 0) AS customer",
            found=found,
            looked=looked,
            walk=f"SELECT {looked} FROM customer_search s WHERE s.customer_id = customer.id",
            walks_alone=True,
            widely=NEWEST,
            reached=bool(partitions),
        )


def _keys(way: list[str], many: frozenset[str]) -> list[str]:
    """What the index is asked for one way: of words with many customers only what is kept of their beginnings."""
    kept = LETTERS[dialect()]
    found = []
    for word in way:
        letters = max((one for one in kept if one <= len(word)), default=0)
        if word not in many and letters != len(word):
            found.append(_term(word))
        elif letters:
            kept_of = _beginning(word[:letters]) if dialect() == "sqlite" else _exactly(word[:letters])
            found.append(_or_end(word, kept_of))
    return found or [_term(word) for word in way]


def _ends(word: str) -> str:
    """The word for the end of a phone number that is meant by this one; empty where none is."""
    return END + word[::-1] if len(word) >= LAST and word.isascii() and word.isdecimal() else ""


def _term(word: str) -> str:
    """What begins so, in the language of the index."""
    return _or_end(word, _beginning(word))


def _or_end(word: str, beginning: str) -> str:
    end = _ends(word)
    return f"({beginning} {'OR' if dialect() == 'sqlite' else '|'} {_beginning(end)})" if end else beginning


def _beginning(word: str) -> str:
    return f'"{word}"*' if dialect() == "sqlite" else f"'{word[:LONGEST]}':*"


def _exactly(word: str) -> str:
    return f'"{word}"' if dialect() == "sqlite" else f"'{word}'"


def _sampled(at: int) -> str:
    if dialect() == "sqlite":
        found = f"SELECT 1 FROM customer_words_sample WHERE customer_words_sample MATCH :sample_{at} LIMIT {COUNTED}"
    else:
        found = (
            f"SELECT FROM customer_search s WHERE s.customer_id % {SAMPLED} = 0"
            f" AND customer_search_words(s.text) @@ CAST(CAST(:sample_{at} AS text) AS tsquery) LIMIT {COUNTED}"
        )
    return f"SELECT {at} AS nr, (SELECT count(*) FROM ({found}) AS found) AS many"


def _by_one_letter(letter: str) -> Condition:
    """The beginning of the name, or the id itself."""
    values: dict[str, object] = {"text": letter, "end": letter + "\U0010ffff"}
    sql = "customer.name_key >= :text AND customer.name_key < :end"
    if letter.isdecimal():
        values["number"] = int(letter)
        sql = f"({sql} OR customer.id = :number)"
    return Condition(sql, values)
