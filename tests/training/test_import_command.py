from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from service.cli import main
from tests.imports import LOG
from training import importing


class Ran(NamedTuple):
    """What a command printed and answered."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]
HEAD = "deal,at,what\n"
GOOD = HEAD + "D-1,2026-01-05T09:00:00Z,opened\nD-1,2026-01-06T09:00:00Z,won\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a folder of its own, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDFLARE_PERSON_KEY", raising=False)

    def run_here(*arguments: str) -> Ran:
        return Ran(main(arguments), *capsys.readouterr())

    return run_here


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log.toml").write_text(LOG, "utf-8")
    return tmp_path / "log.csv"


def test_all_imported_is_status_0_and_the_summary_says_what_was_written(
    run: Run, log: Path
) -> None:
    log.write_text(GOOD, "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "2 rows read, 2 events written\n2 rows without a known_at: occurred_at stands for it\n"
    )
    assert not (log.parent / "rejects.csv").exists()


def test_some_rejected_is_status_1_and_rejects_say_where_and_why(run: Run, log: Path) -> None:
    log.write_text(GOOD + 'D-1,soon,"call, or\nso"\n', "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet", "--json")
    assert ran.returncode == 1
    summary = json.loads(ran.stdout)
    assert (summary["events_written"], summary["rows_rejected"]) == (2, 1)
    assert summary["rejected"] == {"not readable as a time": 1}
    assert (log.parent / "rejects.csv").read_text("utf-8") == (
        "file,line,column,value,reason\nlog.csv,4,at,soon,not readable as a time\n"
    )


def test_a_later_import_without_rejects_leaves_no_old_ones(run: Run, log: Path) -> None:
    log.write_text(GOOD + "D-1,soon,call\n", "utf-8")
    run("import", "log.toml", "log.csv", "--out", "events.csv", "--rejects", "bad.csv")
    log.write_text(GOOD, "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.csv", "--rejects", "bad.csv")
    assert ran.returncode == 0
    assert (log.parent / "bad.csv").read_text("utf-8") == "file,line,column,value,reason\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "log.csv, an empty file: expected a file with rows"),
        (None, "log.csv: expected a file. Remedy: check its name; there is none of this name"),
        (
            b"deal,when,what\n",
            (
                "log.csv with the columns deal, when, what: expected the column at for 'log' of "
                "mapping log.toml"
            ),
        ),
        (
            (GOOD + "D-\u00e9,2026-01-06T09:00:00Z,won\n").encode("latin-1"),
            (
                "log.csv, line 4: expected UTF-8 text. Remedy: say what it is in the mapping, for "
                'instance encoding = "latin-1"'
            ),
        ),
        (GOOD.encode("utf-16"), 'UTF-8 text. Remedy: add encoding = "utf-16" to the mapping'),
        (b"deal,deal,at,what\n", "column 'deal' twice: expected columns named once"),
    ],
    ids=["empty", "missing", "column missing", "latin-1", "utf-16", "column twice"],
)
def test_an_unusable_file_is_status_2_and_nothing_is_written(
    run: Run, log: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        log.write_bytes(content)
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (log.parent / "events.parquet").exists()


def test_text_that_is_no_utf_8_is_refused_before_arrow_starts_its_threads(
    run: Run, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("Arrow's reader was opened on text that cannot be decoded")

    monkeypatch.setattr("training.reading.pa_csv.open_csv", opened)
    log.write_bytes(GOOD.encode() + b"D-\xff,2026-01-06T09:00:00Z,won\n")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert "log.csv, line 4: expected UTF-8 text" in ran.stderr


def test_facts_known_only_after_the_import_are_warned_of(run: Run, log: Path) -> None:
    log.write_text(GOOD + "D-1,2190-01-06T09:00:00Z,call\n", "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert "warning: 1 event of the log known only after today, as late as 2190-01-06" in ran.stdout
    log.write_text(GOOD, "utf-8")
    again = run("import", "log.toml", "log.csv", "--out", "events.parquet", "--json")
    assert json.loads(again.stdout)["known_later"] == 1


def test_an_unusable_file_leaves_the_event_log_as_it_was(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    run("import", "log.toml", "log.csv", "--out", "events.parquet")
    before = (log.parent / "events.parquet").read_bytes()
    log.write_bytes(GOOD.encode() + b"D-\xff,2026-01-06T09:00:00Z,won\n")
    assert run("import", "log.toml", "log.csv", "--out", "events.parquet").returncode == 2
    assert (log.parent / "events.parquet").read_bytes() == before
    assert sorted(path.name for path in log.parent.iterdir()) == [
        "events.parquet",
        "log.csv",
        "log.toml",
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "log.csv, no rows: expected at least one row that is an event. Remedy: export it"),
        (
            "D-1,soon,call\nD-1,soon,won\nD-2,2026-01-05,call\n",
            (
                "log.csv, 3 rows, none imported: 3 rejected: expected at least one row that is an "
                "event. Remedy: see the reasons in rejects.csv."
            ),
        ),
        (
            "D-1,2026-01-05T09:00:00Z,call\n",
            (
                "1 of deals never opened: expected at least one row that is an event. Remedy: "
                "import what tells the openings too"
            ),
        ),
    ],
    ids=["header alone", "all rejected", "never opened"],
)
def test_an_import_of_nothing_is_status_2_and_says_why(
    run: Run, log: Path, rows: str, said: str
) -> None:
    log.write_text(HEAD + rows, "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (log.parent / "events.parquet").exists()
    assert (log.parent / "rejects.csv").exists() is ("soon" in rows)


def test_a_file_without_rows_beside_others_is_named(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    (log.parent / "more.csv").write_text(HEAD, "utf-8")
    ran = run("import", "log.toml", "log.csv", "more.csv", "--out", "events.parquet")
    assert ran.returncode == 0
    assert "without a row: more.csv" in ran.stdout


def test_rejects_are_written_before_the_event_log(
    run: Run, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "events.parquet")

    monkeypatch.setattr(importing, "write_events", fail)
    log.write_text(GOOD + "D-1,soon,call\n", "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert "log.csv,4,at,soon" in (log.parent / "rejects.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("log.csv/events.parquet", "--out log.csv/events.parquet, where nothing can be written"),
        ("events.xlsx", "events.xlsx: expected a file ending in .parquet or .csv"),
        ("folder.csv", "--out folder.csv, a directory: expected a file to write"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
    run: Run, log: Path, out: str, said: str
) -> None:
    log.write_text("no header that fits", "utf-8")
    (log.parent / "folder.csv").mkdir()
    ran = run("import", "log.toml", "log.csv", "--out", out)
    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("holds", "remedy"),
    [
        (("a.eml", "b.MBOX", "notes.doc"), "name the files in it: exports/*.eml exports/*.mbox."),
        (("a.csv",), "name the files in it: exports/*.csv."),
        ((), "name the files in it: none ends in .csv, .tsv"),
    ],
)
def test_a_directory_is_refused_with_the_files_in_it(
    run: Run, log: Path, holds: tuple[str, ...], remedy: str
) -> None:
    (log.parent / "exports").mkdir()
    for name in holds:
        (log.parent / "exports" / name).touch()
    ran = run("import", "log.toml", "exports", "--out", "events.parquet")
    assert ran.returncode == 2
    assert f"exports, a directory: expected a file. Remedy: {remedy}" in ran.stderr


def test_the_import_of_one_file_keeps_what_was_rejected_of_another(run: Run, log: Path) -> None:
    (log.parent / "more.csv").write_text(GOOD + "D-1,never,call\n", "utf-8")
    log.write_text(GOOD + "D-1,soon,call\n", "utf-8")
    for name, out in (("more.csv", "more.parquet"), ("log.csv", "e.parquet"), ("log.csv", "e.csv")):
        run("import", "log.toml", name, "--out", out)
    rejected = (log.parent / "rejects.csv").read_text("utf-8").splitlines()[1:]
    assert [line.split(",")[:4] for line in rejected] == [
        ["more.csv", "4", "at", "never"],
        ["log.csv", "4", "at", "soon"],
    ]


@pytest.mark.parametrize("content", [b"", b"deal,at\n", b"deal,at,what\nD-\xff,2026-01-05,won\n"])
def test_a_refused_file_leaves_no_old_rejects_of_it(run: Run, log: Path, content: bytes) -> None:
    log.write_text(GOOD + "D-1,soon,call\n", "utf-8")
    run("import", "log.toml", "log.csv", "--out", "events.parquet")
    log.write_bytes(content)
    assert run("import", "log.toml", "log.csv", "--out", "events.parquet").returncode == 2
    assert (log.parent / "rejects.csv").read_text("utf-8") == "file,line,column,value,reason\n"


@pytest.mark.parametrize(
    "content", ["deal,at\nD-1,2026-01-05\n", "file,line,column,value,reason\nlog.csv,four,,,\n"]
)
def test_a_file_that_holds_something_else_is_not_overwritten_by_rejects(
    run: Run, log: Path, content: str
) -> None:
    log.write_text(GOOD + "D-1,soon,call\n", "utf-8")
    (log.parent / "deals.csv").write_text(content, "utf-8")
    ran = run(
        "import", "log.toml", "log.csv", "--out", "events.parquet", "--rejects", "deals.csv"
    )  # fmt: skip
    assert ran.returncode == 2
    assert "--rejects deals.csv, which holds something else: expected a new file" in ran.stderr
    assert (log.parent / "deals.csv").read_text("utf-8") == content


def test_openings_alone_are_status_1_and_said_to_be_of_no_use_for_training(
    run: Run, log: Path
) -> None:
    (log.parent / "deal.csv").write_text(
        "deal_id,property_createdate\n11,2026-01-05 09:00:00\n", "utf-8"
    )
    (log.parent / "history.csv").write_text(
        "deal_id,name,value,timestamp\n99,dealstage,closedwon,2026-02-05 09:00:00\n"
        "11,hs_score,3,2026-02-05 09:00:00\n",
        "utf-8",
    )
    ran = run("import", "hubspot", "deal.csv", "history.csv", "--out", "events.parquet")
    assert ran.returncode == 1
    assert ran.stdout == (
        "3 rows read, 1 event written\n"
        "1 row left out, as mapping hubspot says: 1 of history.csv\n"
        "1 row skipped, of deals that were never opened: 1 of history.csv\n"
        "training is not possible on this event log yet: no deal in it was won or lost; import "
        "what tells how deals ended\n"
    )


@pytest.mark.parametrize(
    ("mapping", "name", "header", "said"),
    [
        (
            "salesforce",
            "Opportunity.csv",
            "Id,StageName,IsClosed,IsWon,CreatedDate",
            "expected the column CloseDate for 'Opportunity' of mapping salesforce",
        ),
        (
            "salesforce",
            "opportunities.csv",
            "Id,StageName,CloseDate,IsClosed,CreatedDate",
            "expected the column IsWon for 'Opportunity' of mapping salesforce",
        ),
        (
            "salesforce",
            "OpportunityFieldHistory.csv",
            "OpportunityId,CreatedDate,Field,NewValue",
            "expected the column OldValue for 'OpportunityFieldHistory' of mapping salesforce",
        ),
        (
            "hubspot",
            "deals.csv",
            "deal_id,dealname,closedate",
            "expected the column createdate for 'deal' of mapping hubspot",
        ),
        (
            "hubspot",
            "engagement_email.csv",
            "engagement_id,deal_id",
            "expected the column email_subject for 'engagement_email' of mapping hubspot",
        ),
        (
            "mail",
            "deals.csv",
            "mail,deal_id",
            "expected the column address for 'deals' of mapping mail",
        ),
        (
            "salesforce",
            "OpportunityStage.csv",
            "MasterLabel,SortOrder,IsClosed,IsWon",
            "expected at least one file with events: Opportunity, OpportunityHistory",
        ),
    ],
)
def test_a_file_that_lacks_a_column_of_its_record_names_both(
    run: Run, log: Path, mapping: str, name: str, header: str, said: str
) -> None:
    (log.parent / name).write_text(header + "\n", "utf-8")
    ran = run("import", mapping, name, "--out", "events.parquet")
    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_can_be_said(run: Run, log: Path, encoding: str) -> None:
    (log.parent / "log.toml").write_text(f'encoding = "{encoding}"\n' + LOG, "utf-8")
    log.write_bytes(GOOD.replace("D-1", "D-\u00e9").encode(encoding))
    ran = run("import", "log.toml", "log.csv", "--out", "events.csv")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "D-\u00e9" in (log.parent / "events.csv").read_text("utf-8")


def test_a_byte_order_mark_is_no_part_of_the_first_column(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8-sig")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 0


def test_an_unknown_mapping_lists_those_that_come_ready(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    ran = run("import", "salesfroce", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert "ready mappings dynamics, hubspot, mail, pipedrive, salesforce" in ran.stderr


def test_a_mapping_that_is_no_toml_names_the_line(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    (log.parent / "log.toml").write_text("source = \n", "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 2
    assert "at line 1" in ran.stderr


def test_a_key_for_people_is_made_once_and_kept_to_its_owner(run: Run, log: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nperson = "who"')
    (log.parent / "log.toml").write_text(mapping, "utf-8")
    log.write_text("deal,at,what,who\nD-1,2026-01-05T09:00:00Z,opened,ada\n", "utf-8")
    for name in ("events.csv", "again.csv"):
        run("import", "log.toml", "log.csv", "--out", name)
    run("import", "log.toml", "log.csv", "--out", "third.csv",
             "--person-key-file", "events.person-key")  # fmt: skip
    first, again, third = (
        (log.parent / name).read_text("utf-8") for name in ("events.csv", "again.csv", "third.csv")
    )
    assert first == third != again
    key = log.parent / "events.person-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    kept = key.read_bytes()
    run("import", "log.toml", "log.csv", "--out", "events.csv")
    assert key.read_bytes() == kept


def test_a_key_is_made_where_texts_are_read_that_are_a_person_s_words_maybe(
    run: Run, log: Path
) -> None:
    mapping = """source = "crm"\ntime_zone = "UTC"\n
[[record]]\ntitle = "deals"\nrows = "deal"\ndeal_id = "deal"\nopened_at = "at"
[record.fixed]\nnext_step_changed = "next"\n"""
    (log.parent / "deals.toml").write_text(mapping, "utf-8")
    log.write_text("deal,at,next\nD-1,2026-01-05T09:00:00Z,call Ada\n", "utf-8")
    run("import", "deals.toml", "log.csv", "--out", "events.parquet")
    assert (log.parent / "events.person-key").exists()


def test_no_key_is_made_where_no_people_are_read(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert not (log.parent / "events.person-key").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.json", b'[\n{"deal": "D-1"}\n]\n', "one JSON array: expected JSON Lines"),
        ("log.csv", b"\n\n", "line 1, which is empty: expected the columns' names"),
        ("log.parquet", b"PAR1 and no more", "expected Parquet"),
        ("log.xlsx", b"PK", "expected a file ending in .csv, .tsv, .txt, .parquet"),
    ],
)
def test_a_file_of_another_form_is_told_from_a_bad_row(
    run: Run, log: Path, name: str, content: bytes, said: str
) -> None:
    (log.parent / name).write_bytes(content)
    ran = run("import", "log.toml", name, "--out", "events.parquet")
    assert ran.returncode == 2
    assert said in ran.stderr


def test_an_event_log_is_not_imported_into_itself(run: Run, log: Path) -> None:
    log.write_text(GOOD, "utf-8")
    run("import", "log.toml", "log.csv", "--out", "events.parquet")
    ran = run("import", "log.toml", "events.parquet", "--out", "events.parquet")
    assert ran.returncode == 2
    assert "as both input and --out" in ran.stderr


def test_an_empty_key_file_beside_the_log_is_no_key(run: Run, log: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nperson = "who"')
    (log.parent / "log.toml").write_text(mapping, "utf-8")
    log.write_text("deal,at,what,who\nD-1,2026-01-05T09:00:00Z,opened,ada\n", "utf-8")
    (log.parent / "events.person-key").touch()
    ran = run("import", "log.toml", "log.csv", "--out", "events.csv")
    assert ran.returncode == 2
    assert "events.person-key, which is empty" in ran.stderr


def test_an_empty_key_is_none(run: Run, log: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nperson = "who"')
    (log.parent / "log.toml").write_text(mapping, "utf-8")
    log.write_text("deal,at,what,who\nD-1,2026-01-05T09:00:00Z,opened,ada\n", "utf-8")
    (log.parent / "key").write_text("\n", "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "e.parquet", "--person-key-file", "key")
    assert ran.returncode == 2
    assert "key, an empty file: expected a secret" in ran.stderr


def test_open_deals_alone_are_status_0_and_said_to_be_of_no_use_for_training(
    run: Run, log: Path
) -> None:
    log.write_text(GOOD.replace(",won", ",call"), "utf-8")
    ran = run("import", "log.toml", "log.csv", "--out", "events.parquet")
    assert ran.returncode == 0
    assert "training is not possible on this event log yet" in ran.stdout
