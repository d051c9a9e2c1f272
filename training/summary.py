"""What became of the rows of an import, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.reading import InputError


@dataclass(kw_only=True)
class Summary:
    """What became of the rows.

    Parameters
    ----------
    mapping
        What said what the columns mean.
    rows_read
        Rows of all files.
    events_written, events_there, events_superseded
        New events, events that were there already, and those that a better source replaced.
    rejected
        Rows rejected, by reason.
    left_out
        Rows that the mapping leaves out, by file: other lifecycles, deleted records, dropped
        activities.
    never_opened
        Rows of deals that were never opened, by file.
    openings_repeated
        Openings of a deal at another time than the first, which stands.
    closings_repeated
        Closings after the one that stands.
    values_emptied
        Changes to nothing, which no event can say.
    known_defaulted
        Rows without a known_at of their own: occurred_at stands for it.
    known_raised
        Events whose known_at lay before occurred_at and was raised to it.
    known_later, latest_known
        Events of the log known after the import itself, and when the last of all became known.
    export_only
        Columns that say only how things stood when exported: left out.
    lacks_addresses
        Whether mails were read without any file that says whose addresses are which deal's.
    files_ignored
        Files that the mapping leaves alone.
    files_empty
        Files without a row.
    tells_endings
        Whether the event log tells now of any deal won or lost.
    tells_more_than_openings
        Whether it tells now of anything but openings.
    """

    mapping: str = ""
    rows_read: int = 0
    events_written: int = 0
    events_there: int = 0
    events_superseded: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    never_opened: dict[str, int] = field(default_factory=dict)
    openings_repeated: int = 0
    closings_repeated: int = 0
    values_emptied: int = 0
    known_defaulted: int = 0
    known_raised: int = 0
    known_later: int = 0
    latest_known: str = ""
    export_only: list[str] = field(default_factory=list)
    lacks_addresses: bool = False
    files_ignored: list[str] = field(default_factory=list)
    files_empty: list[str] = field(default_factory=list)
    tells_endings: bool = True
    tells_more_than_openings: bool = True

    @property
    def rows_rejected(self) -> int:
        """Rows rejected for any reason."""
        return sum(self.rejected.values())

    @property
    def rows_left_out(self) -> int:
        """Rows that the mapping leaves out."""
        return sum(self.left_out.values())

    @property
    def rows_never_opened(self) -> int:
        """Rows of deals that were never opened."""
        return sum(self.never_opened.values())

    def as_json(self) -> dict[str, Any]:
        """All counts, for programs."""
        return {
            **asdict(self),
            "rows_rejected": self.rows_rejected,
            "rows_left_out": self.rows_left_out,
            "rows_never_opened": self.rows_never_opened,
        }


def summary_lines(summary: Summary, rejects: Path) -> list[str]:
    """The summary for people: what was read, what was written, and what was not, by reason.

    Examples
    --------
    >>> print(summary_lines(Summary(rows_read=3, events_written=3), Path("rejects.csv"))[0])
    3 rows read, 3 events written
    """
    lines = [
        ", ".join(
            (
                f"{_count(summary.rows_read, 'row')} read",
                f"{_count(summary.events_written, 'event')} written",
            )
        )
    ]
    told = (
        (summary.events_there, "event", "already there"),
        (summary.events_superseded, "event", "replaced by what a history knows better"),
        (
            summary.rows_left_out,
            "row",
            f"left out, as mapping {summary.mapping} says: {_by_file(summary.left_out)}",
        ),
        (
            summary.rows_never_opened,
            "row",
            f"skipped, of deals that were never opened: {_by_file(summary.never_opened)}",
        ),
        (summary.openings_repeated, "opening", "later than the deal's first left out"),
        (summary.closings_repeated, "closing", "after the one that stands left out"),
        (summary.values_emptied, "change", "to nothing left out"),
        (summary.known_defaulted, "row", "without a known_at: occurred_at stands for it"),
        (summary.known_raised, "event", "known before it occurred: known_at raised to occurred_at"),
    )
    lines += [f"{_count(number, what)} {text}" for number, what, text in told if number]
    if summary.export_only:
        lines.append(
            "point-in-time training is not possible on "
            + ", ".join(summary.export_only)
            + ": known only as exported, with no history of them, and left out"
        )
    if not summary.tells_endings:
        lines.append(
            "training is not possible on this event log yet: no deal in it was won or lost; import "
            "what tells how deals ended"
        )
    if summary.known_later:
        lines.append(
            f"warning: {_count(summary.known_later, 'event')} of the log known only after today, "
            f"as late as {summary.latest_known}: until then nothing tells when the record has "
            "become old; correct wrong times in the files, and import them into a new log"
        )
    if summary.files_ignored:
        lines.append("left alone: " + ", ".join(summary.files_ignored))
    if summary.files_empty:
        lines.append("without a row: " + ", ".join(summary.files_empty))
    if summary.rejected:
        lines.append(f"{_count(summary.rows_rejected, 'row')} rejected, listed in {rejects}:")
        ordered = sorted(summary.rejected.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {number:,} {reason}" for reason, number in ordered]
    return lines


def nothing_imported(summary: Summary, files: Sequence[Path], rejects: Path) -> InputError:
    """The error of an import that no row became an event of, with what to do about most of them.

    Examples
    --------
    >>> print(nothing_imported(Summary(), [Path("log.csv")], Path("rejects.csv")))
    log.csv, no rows: expected at least one row that is an event. Remedy: export it again.
    """
    given = ", ".join(str(path) for path in files)
    expected = "at least one row that is an event"
    if not summary.rows_read:
        return InputError(f"{given}, no rows", expected, "export it again")
    told = (
        (summary.rows_rejected, "rejected", f"see the reasons in {rejects}"),
        (
            summary.rows_never_opened,
            "of deals never opened",
            'import what tells the openings too, or say [opens] first = "any" in the mapping',
        ),
        (
            summary.rows_left_out,
            f"left out, as mapping {summary.mapping} says",
            "check its where, unless, rules and activities against the file",
        ),
        (
            summary.closings_repeated + summary.values_emptied,
            "that say nothing new",
            "check the mapping",
        ),
    )
    _, _, remedy = max(told, key=lambda each: each[0])
    if summary.lacks_addresses and remedy == told[2][2]:
        remedy = "add a CSV of the columns address,deal_id that says whose mails they are"
    counts = ", ".join(f"{number:,} {what}" for number, what, _ in told if number)
    return InputError(
        f"{given}, {_count(summary.rows_read, 'row')}, none imported: {counts or 'none used'}",
        expected,
        remedy,
    )


def _by_file(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} of {file}" for file, number in counts.items())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
