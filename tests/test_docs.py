"""The documentation is true: its examples run, and its table of commands is the command line's."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.sources import parse
from model.sources.ready import load_mapping, ready_mappings
from model.sources.rows import Header
from service.cli import COMMANDS
from training.inputs import needed_of

README = Path(__file__).parents[1] / "README.md"
CHECKER = doctest.OutputChecker()
AS_SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUNNABLE = {"console", "python"}
SHOWN_ONLY = {"text", "mermaid", "json", "csv", "toml"}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a Markdown page, and what the comment before it says of its test."""

    line: int
    language: str
    text: str
    directive: str  # "run", "output", "exit N", "file NAME" or "skip because REASON"

    def __str__(self) -> str:
        return f"{self.language}-line{self.line}"


def blocks(markdown: str) -> list[Block]:
    fenced = re.compile(
        r"(?:^<!-- test: (?P<directive>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(
            line=markdown.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            text=match["text"],
            directive=match["directive"] or "run",
        )
        for match in fenced.finditer(markdown)
    ]


def commands(text: str) -> list[tuple[str, str]]:
    """Pair each `$ ` line, with its continuations, with the output shown below it."""
    found: list[tuple[str, str]] = []
    continued = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif continued:
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        else:
            assert found, f"output before the first command: {line}"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
        continued = not found[-1][1] and line.endswith("\\")
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder in which a reader tries the examples from top to bottom."""
    return tmp_path_factory.mktemp("desk")


@pytest.mark.parametrize(
    "block",
    [
        block
        for block in blocks(README.read_text(encoding="utf-8"))
        if (block.language in RUNNABLE or block.directive != "run")
        and not block.directive.startswith("skip")
    ],
    ids=str,
)
def test_an_example_of_the_readme_runs(
    block: Block, desk: Path, user_environment: dict[str, str]
) -> None:
    verb, _, detail = block.directive.partition(" ")
    if verb == "file":
        (desk / detail).write_text(block.text, encoding="utf-8")
        return
    assert verb in {"run", "output", "exit"}, f"unknown directive: {block.directive}"
    steps = (
        [([sys.executable, "-W", "error", "-c", block.text], "")]
        if block.language == "python"
        else [(["sh", "-e", "-c", line], output) for line, output in commands(block.text)]
    )
    for arguments, shown in steps:
        ran = subprocess.run(
            arguments,
            cwd=desk,
            env=user_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{arguments[-1]}\n{ran.stdout}{ran.stderr}"
        assert ran.returncode == (int(detail) if verb == "exit" else 0), said
        if verb == "output":
            assert CHECKER.check_output(shown, ran.stdout, AS_SHOWN), said


def test_an_example_that_is_left_out_says_why() -> None:
    for block in blocks(README.read_text(encoding="utf-8")):
        if block.directive.startswith("skip"):
            assert re.match(r"skip because \w+", block.directive), f"README line {block.line}"


def test_every_block_of_the_readme_is_run_or_of_a_kind_that_cannot_be() -> None:
    languages = {block.language for block in blocks(README.read_text(encoding="utf-8"))}

    assert languages <= RUNNABLE | SHOWN_ONLY
    assert "console" in languages


def test_the_readme_s_table_of_commands_is_the_command_line_s() -> None:
    listed = re.findall(r"^\| `redflare ([\w-]+)` \|", README.read_text(encoding="utf-8"), re.M)

    assert listed == list(COMMANDS)


def test_the_changelog_has_room_for_the_next_release() -> None:
    changelog = README.with_name("CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changelog, re.M)

    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in headings[1:])


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!\w+:|#)([^)#]+)", README.read_text(encoding="utf-8"))

    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_a_block_knows_its_line_and_its_directive() -> None:
    page = "words\n\n<!-- test: exit 1 -->\n```console\n$ false\n```\n```text\nas it is\n```\n"

    assert blocks(page) == [
        Block(line=4, language="console", text="$ false\n", directive="exit 1"),
        Block(line=7, language="text", text="as it is\n", directive="run"),
    ]


def test_a_command_goes_on_after_a_backslash_and_its_output_follows() -> None:
    assert commands("$ echo one \\\n    two\none two\n$ true\n") == [
        ("echo one \\\n    two", "one two\n"),
        ("true", ""),
    ]


def table_rows(first: str) -> list[list[str]]:
    """The cells of the README's table whose header begins so."""
    text = README.read_text("utf-8")
    table = text[text.index(f"| {first} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]


def test_the_readme_names_every_column_that_a_ready_mapping_must_have() -> None:
    shown = {
        (m.strip("`"), record): columns.split(", ")
        for m, record, columns in table_rows("mapping | record | columns that it must have")
    }
    for mapping in ready_mappings():
        what = load_mapping(mapping)
        for part in (*what.records, *what.lookups):
            needed = needed_of(part)
            if (mapping, part.title) not in shown:
                assert " of " in part.title or part.files  # another's shape, or no table at all
                continue
            names = shown.pop((mapping, part.title))
            assert Header(tuple(names), ()).lacking(needed) == []
            for name in names:
                others = tuple(other for other in names if other != name)
                assert Header(others, ()).lacking(needed), name
    assert shown == {}


def test_the_readme_names_every_key_of_a_mapping() -> None:
    source = Path(parse.__file__).read_text("utf-8")
    taken = re.findall(
        r"""(?:eys|stages|opens|mail)\.(?!error|given|table)\w+\(\s*"(\w+)""", source
    )
    shown = {
        name for row in table_rows("key | says") for name in re.findall(r"\w+", row[0] + row[1])
    }
    assert len(set(taken)) > 40
    assert sorted(set(taken) - shown - {"kind"}) == []
