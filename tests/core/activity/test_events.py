import pytest

from core.activity.events import EVENTS, Event, EventMeta, event_from, facts_of, text_of
from tests.core.log import ThingMade


def test_the_name_in_snake_case_is_the_kind_and_the_subject_field_its_id() -> None:
    event = ThingMade(thing_id=4, customer_id=9)

    assert (event.kind, event.subject_kind, event.about, event.customer) == ("thing_made", "thing", 4, 9)
    assert EVENTS["thing_made"] is ThingMade


def test_an_event_comes_back_from_the_log_as_it_was() -> None:
    event = ThingMade(thing_id=4)

    assert event_from("thing_made", facts_of(event)) == event


def test_an_event_of_another_subject_takes_the_first_id_that_is_not_the_customers() -> None:
    class BatchAllotted(Event, subject="batch"):
        customer_id: int
        lot_id: int

    assert BatchAllotted(customer_id=1, lot_id=2).about == 2


def test_two_events_of_one_kind_are_refused() -> None:
    class ThingLost(Event, subject="thing"):
        thing_id: int

    assert ThingLost.kind == "thing_lost"
    elsewhere = {"__module__": "elsewhere", "__qualname__": "ThingLost"}
    with pytest.raises(TypeError, match="are both “thing_lost”"):
        EventMeta("ThingLost", (Event,), elsewhere, subject="thing")


def test_an_event_says_what_it_is_about() -> None:
    with pytest.raises(TypeError, match="does not say what it is about"):

        class NothingHappened(Event):
            thing_id: int


def test_a_kind_that_nobody_declares_any_more_is_named() -> None:
    with pytest.raises(LookupError, match="gone_with_its_plugin"):
        event_from("gone_with_its_plugin", "{}")


def test_an_event_may_say_how_it_reads() -> None:
    class KeyCut(Event, subject="key", text="Key {number} cut"):
        key_id: int
        number: str

    class KeyBent(Event, subject="key"):
        key_id: int

    assert text_of(KeyCut.kind) == "Key {number} cut"
    assert text_of(KeyBent.kind) == "Key bent"
    assert text_of("gone_with_its_plugin") == "Gone with its plugin"
    assert facts_of(KeyCut(key_id=1, number="7")) == '{"key_id":1,"number":"7"}'
