"""Where the events of a job lie: a file, or an address from which it is fetched first."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pa_fs

from model.errors import EventError

WEB: Final = ("http", "https")
TIMEOUT_SECONDS: Final = 60.0  # without a byte


@contextmanager
def event_file(place: str) -> Iterator[Path]:
    """The file of events; of an address a copy, which goes when it has been used.

    Parameters
    ----------
    place
        A path; ``http://`` or ``https://``; or an address that pyarrow knows: ``s3://``, ``gs://``,
        ``abfs://``, ``hdfs://``, ``file://``. Its path ends as files of events do.

    Raises
    ------
    EventError
        If what the address names cannot be fetched.

    Examples
    --------
    >>> with event_file("events.parquet") as path:
    ...     print(path)
    events.parquet
    """
    if "://" not in place:
        yield Path(place)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(urlsplit(place).path).name or "events")
        try:
            _fetch(place, path)
        except (OSError, ValueError, pa.ArrowException) as error:
            told = " ".join(str(error).split()).replace(place, shown(place))
            raise EventError(
                f"{shown(place)}, which cannot be fetched ({told[:200]})",
                "a file of events at a path, or at an address such as https://... or s3://...",
                "check the address, and what it asks for",
            ) from error
        yield path


def shown(place: str) -> str:
    """A place without what may be secret in an address: who asks, and its query.

    Examples
    --------
    >>> shown("https://ann:secret@crm.example/events.parquet?signature=0")
    'https://crm.example/events.parquet'
    """
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _fetch(place: str, path: Path) -> None:
    if urlsplit(place).scheme in WEB:
        import httpx

        try:
            with httpx.stream(
                "GET", place, follow_redirects=True, timeout=TIMEOUT_SECONDS
            ) as answer:
                if not answer.is_success:
                    raise OSError(f"{answer.status_code} {answer.reason_phrase}")
                with path.open("wb") as file:
                    for chunk in answer.iter_bytes():
                        file.write(chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(str(error)) from error
        return
    store, inside = pa_fs.FileSystem.from_uri(place)
    with store.open_input_stream(inside) as source, path.open("wb") as file:
        shutil.copyfileobj(source, file)
