"""The shape of the code: imports point inward, and the mathematics asks nobody what day it is."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("model", "training", "service")
FOLDERS = {*PACKAGES, "tests"}
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
COMPOSITION_ROOT = ROOT / "service" / "cli.py"

# Modules that come with Python and reach beyond their arguments.
NETWORK = {"asyncio", "ftplib", "http", "imaplib", "smtplib", "socket", "ssl", "urllib", "xmlrpc"}
MACHINE = {"getpass", "locale", "multiprocessing", "platform", "signal", "subprocess", "tempfile"}
OUTSIDE_WORLD = NETWORK | MACHINE | {"logging", "random", "secrets", "sqlite3", "time", "uuid"}
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getcwd", "urandom", "getlogin"})
CLOCK = frozenset({"now", "today", "utcnow"})
SEEDED = frozenset({"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"})


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, by its full name."""
    package = path.relative_to(ROOT).parent.parts
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*outer, *filter(None, [node.module])])
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return names


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def of_package(*packages: str) -> pytest.MarkDecorator:
    paths = [path for path in MODULES if path.relative_to(ROOT).parts[0] in packages]
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


@of_package("model")
def test_the_model_imports_neither_learning_nor_serving(path: Path) -> None:
    assert not tops(path) & {"training", "service", "tests"}


@of_package("training")
def test_learning_never_imports_serving(path: Path) -> None:
    assert not tops(path) & {"service", "tests"}


@of_package("service")
def test_serving_never_imports_learning_but_where_the_command_is_composed(path: Path) -> None:
    assert not tops(path) & {"tests"}
    assert path == COMPOSITION_ROOT or "training" not in tops(path)


@of_package(*PACKAGES)
def test_imports_stand_in_the_open_but_where_the_command_is_composed(path: Path) -> None:
    called = {
        ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)
    }

    assert path == COMPOSITION_ROOT or not called & {
        "__import__",
        "import_module",
        "importlib.import_module",
    }


@of_package("model")
def test_the_model_needs_numpy_and_the_standard_library_alone(path: Path) -> None:
    """Arrow is let in where whole event tables come in, and nowhere else."""
    allowed = {"model", "numpy"}
    tables = {ROOT / "model" / "event_table.py", ROOT / "model" / "history.py"}
    if path in tables or path.is_relative_to(ROOT / "model" / "sources"):
        allowed.add("pyarrow")

    assert tops(path) - sys.stdlib_module_names <= allowed


@of_package("model")
def test_the_model_reaches_for_nothing_outside_its_arguments(path: Path) -> None:
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute | ast.Name)
    }

    assert not tops(path) & OUTSIDE_WORLD
    assert not names & ENVIRONMENT


@of_package("model")
def test_the_model_never_asks_the_clock(path: Path) -> None:
    for call in (node for node in ast.walk(parse(path)) if isinstance(node, ast.Call)):
        assert not (isinstance(call.func, ast.Attribute) and call.func.attr in CLOCK), call.lineno
        texts = {each.value for each in call.args if isinstance(each, ast.Constant)}
        if ast.unparse(call.func).endswith("datetime64"):
            assert not texts & CLOCK, call.lineno


@of_package("model", "training")
def test_chance_comes_from_a_given_seed(path: Path) -> None:
    assert not tops(path) & {"random", "secrets"}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("random"):
            assert node.attr in SEEDED, f"line {node.lineno}: np.random.{node.attr}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng"):
            assert node.args or node.keywords, f"line {node.lineno}: no seed"


def test_no_other_folder_holds_code(tracked: list[Path]) -> None:
    code = [path.relative_to(ROOT) for path in tracked if path.suffix in {".py", ".pyi", ".ipynb"}]

    assert {path.parts[0] for path in code} <= FOLDERS


def test_scoring_loads_numpy_alone(loaded_by: Callable[[str], set[str]]) -> None:
    assert not loaded_by("import model.scorer") & {"sklearn", "pandas", "scipy", "pyarrow"}


def test_the_web_application_loads_nothing_of_learning(
    loaded_by: Callable[[str], set[str]],
) -> None:
    loaded = loaded_by("import service.app")

    assert not loaded & {
        "training",
        "mlflow",
        "sklearn",
        "matplotlib",
        "jinja2",
        "pandas",
        "pyarrow",
    }


def test_no_command_line_loads_what_only_reports_draw_with(
    loaded_by: Callable[[str], set[str]],
) -> None:
    code = "import service.cli, service.commands, service.serve_command, training.cli"

    assert not loaded_by(code) & {"matplotlib", "jinja2"}


@of_package(*PACKAGES)
def test_everything_public_has_a_docstring(path: Path) -> None:
    module = parse(path)
    public = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]

    assert ast.get_docstring(module), "the file says what it is"
    assert [node.name for node in public if ast.get_docstring(node) is None] == []


# Spelt in pieces, so that this file passes its own test.
PLACES_OF_ONE_MACHINE = [
    *(rf"(?<![\w.:/~>}}-])/{top}/\w" for top in ("work", "tmp", "opt", "root", "home", "Users")),
    r"\.\./" + "shared",
]
PACKAGE_INDEXES = [
    re.escape(".".join(host))
    for host in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("anaconda", "org"),
    )
] + ["--" + "(extra-)?index" + "-url", "find" + "-links"]


def test_no_file_names_a_place_on_one_machine_or_a_package_index(tracked: list[Path]) -> None:
    forbidden = re.compile("|".join(PLACES_OF_ONE_MACHINE + PACKAGE_INDEXES))
    found = []
    for path in tracked:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert found == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("cp x /" + "tmp/y", True),
        ("'/" + "home/ann/events.csv'", True),
        ("../" + "shared/data", True),
        ("https://example.com/work/1", False),
        ("a/tmp/b", False),
        ("https://" + "pypi" + ".org/simple", True),
    ],
)
def test_the_search_for_such_names_finds_them(line: str, caught: bool) -> None:
    assert bool(re.search("|".join(PLACES_OF_ONE_MACHINE + PACKAGE_INDEXES), line)) is caught


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b", {"a.b"}),
        ("from a import b", {"a.b"}),
        ("def f():\n    import a", {"a"}),
        ("from . import b", {"model.sources.b"}),
        ("from ..events import Event", {"model.events.Event"}),
    ],
)
def test_imports_are_found_wherever_they_stand(
    source: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model" / "sources" / "crm.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)

    assert imported(path) == names
