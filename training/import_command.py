"""The command `import`: files and a mapping in, an event log and the rejected rows out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from tqdm import tqdm

from model.person_key import SUFFIX, VARIABLE, given_key, kept_key

DONE: Final = 0
DONE_IN_PART: Final = 1


@click.command("import")
@click.argument("mapping")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Event log to add to.")
@click.option(
    "--rejects", type=click.Path(path_type=Path), help="Rejected rows; rejects.csv beside --out."
)
@click.option(
    "--person-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"Secret under which people are hashed; else {VARIABLE}, else a file beside --out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_files(
    mapping: str,
    files: tuple[Path, ...],
    out: Path,
    rejects: Path | None,
    person_key_file: Path | None,
    as_json: bool,
) -> int:
    """Turn FILES into an event log, as MAPPING says what their columns mean.

    MAPPING is a TOML file or the name of a ready mapping. The events are added to those that
    --out holds; importing the same file again changes nothing, and of two imports into one log the
    second waits for the first. Rows that cannot be used are
    listed with file, line, column, value and reason, and the rest is imported; the list keeps
    what earlier imports rejected of other files. Where no row becomes an event, nothing is written
    and the exit status is 2.

    People are known by a keyed hash. The same key tells the same person everywhere; without
    one, a random key is made once and kept beside --out, with the ending .person-key.
    """
    from model.errors import RedflareError
    from model.event_table import check_suffix
    from model.events import microseconds
    from model.places import check_writable
    from model.sources.ready import load_mapping
    from training.importing import import_files as add_files
    from training.lock import written_alone
    from training.reading import InputError
    from training.rejects import Reject, read_rejects, write_rejects
    from training.summary import nothing_imported, summary_lines

    what = load_mapping(mapping)
    place = rejects or out.with_name("rejects.csv")
    check_suffix(out)
    check_writable("--out", out)
    check_writable("--rejects", place)
    if is_same(place, out):
        raise InputError(
            f"{out} as both --out and --rejects", "two files", "name another --rejects"
        )
    read_rejects(place)  # refused now, not after the reading, where it is something else
    own = {str(path) for path in files}
    size = sum(path.stat().st_size for path in files if path.is_file())

    def keep(rejected: list[Reject]) -> None:
        # Imports into other logs of the folder share the file of rejects.
        with written_alone(place, note):
            if rejected or place.exists():
                others = [reject for reject in read_rejects(place) if reject.file not in own]
                write_rejects([*others, *rejected], place)

    with (
        alone(out),
        tqdm(
            total=size, desc="importing", unit="B", unit_scale=True, disable=None, leave=False
        ) as bar,
    ):
        try:
            summary, rejected = add_files(
                what,
                files,
                out,
                person_key=lambda: person_key(out, person_key_file),
                keep_rejects=keep,
                progress=bar.update,
                now=microseconds(datetime.now(UTC)),
            )
        except RedflareError:
            keep([])  # what an earlier import rejected of these files tells nothing of this one
            raise
    if as_json:
        click.echo(json.dumps(summary.as_json(), indent=2))
    else:
        click.echo("\n".join(summary_lines(summary, place)))
    if summary.events_written == summary.events_there == 0:
        raise nothing_imported(summary, files, place)
    return DONE if summary.tells_more_than_openings and not rejected else DONE_IN_PART


def note(words: str) -> None:
    """Say something on standard error."""
    click.echo(f"note: {words}", err=True)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Be the only import into an event log, and clear away what killed ones left."""
    from model.places import remove_parts
    from training.lock import written_alone

    with written_alone(out, note):
        remove_parts(out)
        yield


def is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, there or not.

    Examples
    --------
    >>> is_same(Path("events.csv"), Path("made", "..", "events.csv"))
    True
    """
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def person_key(out: Path, given: Path | None) -> bytes:
    """The secret of the company: from a file, the environment, or made once beside `out`.

    Parameters
    ----------
    out
        The event log.
    given
        The file that the user names, if any.

    Raises
    ------
    RedflareError
        If the file is empty.
    """
    from training.reading import InputError

    if given is not None:
        key = given.read_bytes().strip()
        if not key:
            raise InputError(f"{given}, an empty file", "a secret", "write one, or leave it out")
        return key
    from_environment = given_key(os.environ)
    if from_environment is not None:
        return from_environment
    return kept_key(out.with_suffix(SUFFIX), os.urandom)
