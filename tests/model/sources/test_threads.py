from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model.sources.mail import Verdict, Writer
from model.sources.threads import AddressBook, Mail, place_mails, plain_subject

HUMAN = Verdict(writer=Writer.HUMAN, reason="")


def a_mail(message_id: str, **overrides: Any) -> Mail:
    values: dict[str, Any] = {
        "references": (),
        "sender": "ada@customer.example",
        "recipients": ("bo@ours.example",),
        "subject": "Offer",
        "verdict": HUMAN,
    }
    return Mail(message_id=message_id, **{**values, **overrides})


def test_an_exact_address_goes_before_its_domain() -> None:
    book = AddressBook.of([("ada@customer.example", "D-1"), ("customer.example", "D-2")])
    places = place_mails([a_mail("1"), a_mail("2", sender="cy@customer.example")], book)
    assert [place.deal_id for place in places] == ["D-1", "D-2"]


def test_our_own_addresses_are_nobodys_deal() -> None:
    book = AddressBook.of([("bo@ours.example", "D-9")], our_domains=["OURS.example"])
    assert book.deals_of("bo@ours.example") == frozenset()


def test_marks_of_an_answer_do_not_make_another_subject() -> None:
    assert plain_subject("RE: Fwd: AW[2]: Pilot") == plain_subject("pilot") == "pilot"
    assert plain_subject("Result: fine") == "result: fine"


@given(st.permutations(range(6)))
def test_threads_do_not_depend_on_the_order_of_mails(order: list[int]) -> None:
    mails = [
        a_mail("1"),
        a_mail("2", references=("1",), sender="x@elsewhere.example"),
        a_mail("3", references=("2",), sender="y@elsewhere.example"),
        a_mail("4", sender="z@elsewhere.example"),
        a_mail("5", references=("4",), sender="ada@customer.example"),
        a_mail("6", sender="z@elsewhere.example", recipients=()),
    ]
    book = AddressBook.of([("ada@customer.example", "D-1")], our_domains=["ours.example"])
    placed = place_mails([mails[i] for i in order], book)
    by_id = {mails[i].message_id: place for i, place in zip(order, placed, strict=True)}
    assert {name: place.deal_id for name, place in by_id.items()} == {
        "1": "D-1",
        "2": "D-1",
        "3": "D-1",
        "4": "D-1",
        "5": "D-1",
        "6": None,
    }
    assert len({by_id[name].thread for name in ("1", "2", "3")}) == 1
