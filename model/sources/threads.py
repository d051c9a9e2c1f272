"""Which deal a mail is about: by its own word, by whom it is from or to, by its thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from model.sources.mail import Verdict, Writer, domain_of

ANSWER_MARKS: Final = re.compile(
    r"^\s*((re|aw|fw|fwd|wg|sv|vs|antw|tr|rv|r)\s*(\[\d+\])?\s*:\s*)+", re.I
)
SUBJECT_MARK: Final = "subject:"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """What deciding needs to know of a mail.

    Parameters
    ----------
    message_id
        Its own id.
    references
        The ids of the mails that it answers, the first of the thread first.
    sender, recipients
        Addresses in lower case.
    subject
        The subject.
    verdict
        Who wrote it.
    named_deal
        The deal that the mail itself names in a header, empty if none.
    """

    message_id: str
    references: tuple[str, ...]
    sender: str
    recipients: tuple[str, ...]
    subject: str
    verdict: Verdict
    named_deal: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a mail belongs.

    Parameters
    ----------
    deal_id
        The deal, None if it is about none or about several.
    several
        The deals among which nothing decides.
    thread
        The id of the thread's first mail.
    writer
        Who wrote it, as far as the address book knows better.
    person
        The customer's address, None if there is none.
    """

    deal_id: str | None
    several: tuple[str, ...] = ()
    thread: str
    writer: Writer
    person: str | None


@dataclass(kw_only=True)
class AddressBook:
    """Whose address, domain or subject is which deal's.

    Parameters
    ----------
    deals
        Deals by address, by ``@domain``, or by ``subject:`` and the subject.
    our_domains
        Domains whose addresses are ours.

    Examples
    --------
    >>> book = AddressBook.of([("Ada@Customer.example", "D-1"), ("@customer.example", "D-2")])
    >>> sorted(book.deals_of("ada@customer.example")), sorted(book.deals_of("bo@customer.example"))
    (['D-1'], ['D-2'])
    """

    deals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    our_domains: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, entries: Iterable[tuple[str | None, str | None]], our_domains: Iterable[str] = ()
    ) -> AddressBook:
        """A book of (address, deal) pairs; pairs without either are passed over."""
        deals: dict[str, set[str]] = {}
        for address, deal in entries:
            if address and deal:
                deals.setdefault(_entry(address), set()).add(deal)
        return cls(
            deals={address: frozenset(names) for address, names in deals.items()},
            our_domains=frozenset(domain.casefold() for domain in our_domains),
        )

    def deals_of(self, address: str) -> frozenset[str]:
        """The deals of an address, or else of its domain."""
        if domain_of(address) in self.our_domains:
            return frozenset()
        own = self.deals.get(address.casefold())
        return own or self.deals.get(f"@{domain_of(address)}", frozenset())

    def deals_of_subject(self, subject: str) -> frozenset[str]:
        """The deals of a subject, whatever marks of an answer stand before it."""
        return self.deals.get(SUBJECT_MARK + plain_subject(subject), frozenset())

    def known_deals(self) -> frozenset[str]:
        """All deals of the book."""
        return frozenset().union(*self.deals.values())


def _entry(address: str) -> str:
    address = address.strip().casefold()
    if address.startswith(SUBJECT_MARK):
        return SUBJECT_MARK + plain_subject(address.removeprefix(SUBJECT_MARK))
    return address if "@" in address else f"@{address}"


def plain_subject(subject: str) -> str:
    """A subject without the marks of an answer, in lower case.

    Examples
    --------
    >>> plain_subject("AW: Re: Pilot  offer")
    'pilot offer'
    """
    return " ".join(ANSWER_MARKS.sub("", subject).split()).casefold()


def place_mails(mails: Sequence[Mail], book: AddressBook) -> list[Place]:
    """Say of every mail which deal and thread it belongs to.

    A mail belongs to the deal that it names in a header or in the +tag of an address of ours;
    else to the one deal of its addresses; else, or where these have several, to the deal of
    its thread or subject.

    Parameters
    ----------
    mails
        All mails, in any order.
    book
        Who belongs to which deal.

    Returns
    -------
    list
        One place for each mail.
    """
    roots = _threads(mails)
    deals = book.known_deals()
    named = [_named(mail, book, deals) for mail in mails]
    by_address = [_of_addresses(mail, book) for mail in mails]
    of_thread: dict[str, set[str]] = {}
    for root, own, candidates in zip(roots, named, by_address, strict=True):
        if own or len(candidates) == 1:
            of_thread.setdefault(root, set()).update([own] if own else candidates)
    places = []
    for mail, root, own, candidates in zip(mails, roots, named, by_address, strict=True):
        found = {own} if own else set(candidates)
        if len(found) != 1:
            for hint in (book.deals_of_subject(mail.subject), of_thread.get(root, set())):
                nearer = (found & hint) if found else set(hint)
                if nearer:
                    found = nearer
                if len(found) == 1:
                    break
        places.append(_place(mail, root, found, book))
    return places


def _place(mail: Mail, root: str, found: set[str], book: AddressBook) -> Place:
    outside = [a for a in mail.recipients if book.deals_of(a)]
    writer = mail.verdict.writer
    if (
        writer == Writer.HUMAN
        and not book.our_domains
        and outside
        and not book.deals_of(mail.sender)
    ):
        writer = Writer.OURS  # not a customer's, but to one
    theirs = mail.sender if writer != Writer.OURS else (outside[0] if outside else None)
    return Place(
        deal_id=next(iter(found)) if len(found) == 1 else None,
        several=tuple(sorted(found)) if len(found) > 1 else (),
        thread=root,
        writer=writer,
        person=theirs or None,
    )


def _named(mail: Mail, book: AddressBook, deals: frozenset[str]) -> str:
    """The deal that the mail itself names."""
    if mail.named_deal:
        return mail.named_deal
    by_folded = {deal.casefold(): deal for deal in deals}
    for address in mail.recipients:
        local = address.rpartition("@")[0]
        tag = local.partition("+")[2]
        if tag and (domain_of(address) in book.our_domains or tag in by_folded):
            return by_folded.get(tag, tag)
    return ""


def _of_addresses(mail: Mail, book: AddressBook) -> frozenset[str]:
    return frozenset().union(*(book.deals_of(a) for a in (mail.sender, *mail.recipients)))


def _threads(mails: Sequence[Mail]) -> list[str]:
    """The first mail's id of each mail's thread: mails that refer to one another are one."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for mail in mails:
        names = [*mail.references, mail.message_id]
        for name in names[1:]:
            first, other = root(names[0]), root(name)
            if first != other:
                parent[other] = first
    return [root([*mail.references, mail.message_id][0]) for mail in mails]
