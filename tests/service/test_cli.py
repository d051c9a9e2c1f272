"""The command `redflare`: quick to ask for help, plain in what it refuses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from model.errors import EventError
from service import cli

HEAVY = {"numpy", "pandas", "pyarrow", "sklearn", "scipy", "mlflow", "fastapi", "matplotlib"}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let the command `score` end in a given error."""

    def fail_with(error: BaseException) -> None:
        @click.command()
        def score() -> None:
            raise error

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: score)

    return fail_with


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let the command `score` answer a given status."""

    def answer(status: int | None) -> None:
        @click.command()
        def score() -> int | None:
            return status

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: score)

    return answer


@pytest.mark.parametrize(
    "code",
    [
        "import service.cli",
        "import service.cli; service.cli.main(['--help'])",
        "import service.cli; service.cli.main(['no-such-command'])",
    ],
)
def test_asking_for_help_loads_nothing_heavy(
    code: str, loaded_by: Callable[[str], set[str]]
) -> None:
    assert not loaded_by(code) & HEAVY


def test_help_lists_every_command_and_the_exit_statuses(redflare: Run) -> None:
    shown = redflare("--help")

    assert shown.returncode == 0
    for name, target in cli.COMMANDS.items():
        assert f"  {name}" in shown.stdout
        assert target.summary in shown.stdout
    for status in (cli.DONE, cli.DONE_IN_PART, cli.UNUSABLE, cli.FAULT, cli.INTERRUPTED):
        assert f"    {status} " in shown.stdout


def test_version_is_the_distribution_s(redflare: Run) -> None:
    assert redflare("--version").stdout == f"redflare {version('redflare')}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_of_the_list_exists_and_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(cli.cli, [name, "--help"])

    assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.exception
    assert shown.exit_code == 0
    assert f"{name} [OPTIONS]" in shown.output


def described(name: str) -> Iterator[tuple[str, click.Command]]:
    """A command of the list, and those in it, by their full names."""
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    waiting = [(name, command)]
    for full, found in waiting:
        yield full, found
        if isinstance(found, click.Group):
            waiting += [(f"{full} {each}", inner) for each, inner in found.commands.items()]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_says_what_each_option_does_and_speaks_of_the_command_s_own_alone(name: str) -> None:
    for full, command in described(name):
        options = [each for each in command.params if isinstance(each, click.Option)]
        own = {word for option in options for word in (*option.opts, *option.secondary_opts)}
        for text in (command.help, *(option.help for option in options)):
            assert text, full
            # Of another command it may speak by name: serve --no-worker.
            named = re.findall(r"(?:(\w+) )?(--[a-z][a-z-]*)", text)
            strange = [option for of, option in named if of not in cli.COMMANDS]
            assert set(strange) <= own, full


def test_an_unknown_command_is_answered_with_those_there_are(redflare: Run) -> None:
    refused = redflare("scores")

    assert refused.returncode == cli.UNUSABLE
    assert "Error: command 'scores': expected one of simulate, import, train" in refused.stderr
    assert refused.stderr.endswith("doctor. Remedy: redflare score, perhaps.\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("models",), "doctor. Remedy: redflare model, perhaps.\n"),
        (("model", "lists"), "command 'lists': expected one of "),
        (("model", "lists"), "Remedy: redflare model list, perhaps.\n"),
        (("frobnicate",), "doctor.\n"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(
    given: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(given) == cli.UNUSABLE
    assert said in capsys.readouterr().err


def test_a_refusal_is_one_line_on_standard_error(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(EventError("kind 'woon'", "one of deal_won, deal_lost", "correct the row"))

    assert cli.main(["score"]) == cli.UNUSABLE
    assert capsys.readouterr() == (
        "",
        "Error: kind 'woon': expected one of deal_won, deal_lost. Remedy: correct the row.\n",
    )


def test_a_missing_file_is_named(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(FileNotFoundError(2, "No such file or directory", "events.parquet"))

    assert cli.main(["score"]) == cli.UNUSABLE
    assert capsys.readouterr().err == "Error: events.parquet: No such file or directory\n"


def test_a_file_error_without_a_name_keeps_its_own_words(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(OSError("cannot read 'events.parquet'"))

    assert cli.main(["score"]) == cli.UNUSABLE
    assert capsys.readouterr().err == "Error: cannot read 'events.parquet'\n"


def test_an_interruption_is_no_fault(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(KeyboardInterrupt())

    assert cli.main(["score"]) == cli.INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_that_is_told_to_stop_ends_like_an_interrupted_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared: list[str] = []

    @click.command()
    def score() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleared.append("what was half done")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: score)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["score"]) == cli.STOPPED == 143
    assert capsys.readouterr() == ("", "Stopped.\n")
    assert cleared == ["what was half done"]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "/dev/full",
            "standard output: No space left on device. Remedy: free some space, or choose another",
        ),
        ("&-", "standard output, which is closed: expected a place for results. Remedy: send it"),
    ],
)
def test_results_that_cannot_be_written_are_refused(root: Path, output: str, said: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -m service.cli --help >{output}', sys.executable],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == cli.UNUSABLE
    assert ran.stderr.startswith(f"Error: {said}")
    assert ran.stderr.count("\n") == 1


def test_a_fault_of_redflare_itself_is_not_taken_for_rejected_rows(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ZeroDivisionError("at the wrong place"))

    assert cli.main(["score"]) == cli.FAULT
    assert "ZeroDivisionError: at the wrong place" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "expected"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_s_answer_is_the_exit_status(
    status: int | None, expected: int, answering: Callable[[int | None], None]
) -> None:
    answering(status)

    assert cli.main(["score"]) == expected


@pytest.fixture
def chatty(tmp_path: Path) -> Path:
    """A program of a command that prints more than a pipe holds."""
    program = tmp_path / "chatty.py"
    program.write_text(
        "import sys, click\n"
        "from service import cli\n"
        "@click.command()\n"
        "def score():\n"
        "    for _ in range(100_000):\n"
        "        click.echo('a deal')\n"
        "cli.LazyGroup.get_command = lambda *_: score\n"
        "sys.exit(cli.main(['score']))\n"
    )
    return program


def test_a_reader_that_goes_away_ends_the_command_quietly(chatty: Path, root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, chatty],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == b"a deal\n"
        writer.stdout.close()
        said = writer.stderr.read()

    assert (writer.returncode, said) == (cli.BROKEN_PIPE, b"")
