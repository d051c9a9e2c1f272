"""The command `redflare`: the one place where learning and serving meet.

Commands are named here with their target and imported on use, so that `redflare --help` is
quick and serving a score never loads what only training needs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from model.errors import RedflareError
from service.arguments import spread
from service.command_group import CommandGroup
from service.own_features import declare_named

DONE: Final = 0
DONE_IN_PART: Final = 1  # rows were rejected, or deals refused; the rest is done
UNUSABLE: Final = 2
FAULT: Final = 70  # EX_SOFTWARE of sysexits.h: never mistaken for a part refused
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE
STOPPED: Final = 143  # 128 + SIGTERM
NO_ROOM: Final = frozenset({EDQUOT, EFBIG, ENOSPC})

EXIT_STATUS: Final = """\b
Exit status:
  0    done
  1    done in part: rows were rejected, deals refused, a log without any closing imported, or a
       model promoted but not written to --into, and the output says which
  2    the input cannot be used, and the message says why and what to do
  3    monitor found a reason to retrain, and says it
  70   a fault in Redflare itself, with its traceback
  130  interrupted
  143  stopped by SIGTERM"""


class Stopped(BaseException):  # like KeyboardInterrupt, so that no command takes it for an error
    """The process was told to end."""


class Target(NamedTuple):
    """Where a command lives and the line that lists it.

    Parameters
    ----------
    place
        ``module:attribute`` of the click command.
    summary
        One line for the list of commands.
    """

    place: str
    summary: str


COMMANDS: Final[dict[str, Target]] = {
    "simulate": Target("training.cli:simulate", "Make up a company's deals, with their truth."),
    "import": Target("training.import_command:import_files", "Turn CRM exports into an event log."),
    "train": Target("training.cli:train", "Learn an artifact from an event log."),
    "backtest": Target(
        "training.backtest_command:backtest", "Judge past forecasts by what came of them."
    ),
    "retrain": Target("training.retrain_command:retrain", "Train a challenger, and ask its gate."),
    "monitor": Target("training.monitor_command:monitor", "Look whether the model still holds."),
    "register": Target(
        "training.registry_commands:register", "Register a candidate that retrain kept."
    ),
    "promote": Target("training.registry_commands:promote", "Make a registered version champion."),
    "rollback": Target("training.registry_commands:rollback", "Go back to the champion before."),
    "versions": Target("training.registry_commands:versions", "List the registered versions."),
    "score": Target("service.commands:score", "Say how probably deals are won by a date, and why."),
    "explain": Target("service.commands:explain", "Lay one deal open: curve, drivers, facts."),
    "flares": Target("service.flares_command:flares", "List deals that call for action, and why."),
    "whatif": Target(
        "service.what_if_command:whatif", "Suppose an event: the probability with it."
    ),
    "review": Target(
        "service.review_command:review", "Write the weekly forecast review: page, numbers, mail."
    ),
    "serve": Target("service.serve_command:serve", "Answer score requests over HTTP."),
    "worker": Target(
        "service.worker_command:worker", "Work on deliveries in a process of its own."
    ),
    "model": Target("service.keeping_commands:model_group", "Put a model in force; list them."),
    "inbox": Target("service.keeping_commands:inbox", "See deliveries; retry those that failed."),
    "outbox": Target("service.outbox_commands:outbox", "See write-backs; retry those given up."),
    "keys": Target("service.keeping_commands:keys", "Make, list and revoke keys of the API."),
    "forget": Target("service.keeping_commands:forget", "Erase a deal or a person, with a trace."),
    "retain": Target("service.retention_command:retain", "Let go of what is old, with a trace."),
    "db": Target("service.database_commands:db", "Make, upgrade and fill the service's database."),
    "export-events": Target(
        "service.database_commands:export_events", "Write the database's events for training."
    ),
    "backup": Target("service.database_commands:backup", "Copy a SQLite database while in use."),
    "restore": Target("service.database_commands:restore", "Bring a copy of a database back."),
    "doctor": Target("service.doctor_command:doctor", "Check the service's parts, with remedies."),
}


class LazyGroup(CommandGroup):
    """A group of commands that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's first day."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the named command, or answer None where there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].place.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name].place} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from their summaries alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, target.summary) for name, target in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that has gone away ends it quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            drop_output()
            return BROKEN_PIPE


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_STATUS
)
@click.version_option(package_name="redflare", message="redflare %(version)s")
def cli() -> None:
    """Which open deals are in danger, by when, and why.

    Simulate a company or import your CRM's history, train on it, and score the open deals.
    Each command says more with --help.
    """


def drop_output() -> None:
    """Send what is still buffered for standard output nowhere.

    Else the interpreter complains of the broken pipe when it flushes at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `redflare` and answer its exit status.

    A command answers its status, or nothing when all is done. What cannot be used is told in
    one line on standard error, and only a fault of Redflare itself shows a traceback.

    Parameters
    ----------
    arguments
        What follows the word ``redflare``; by default the process's own arguments.

    Returns
    -------
    int
        The exit status, as in `EXIT_STATUS`.

    Examples
    --------
    >>> main(["scor"])  # the reason goes to standard error
    2
    """
    # Of several processes one that has grown is replaced: no matter of the user's.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
    if sys.stdout is None:  # a file opened next would take its place, and its text
        return refuse(
            "standard output, which is closed: expected a place for results. "
            "Remedy: send it to a file, or to /dev/null."
        )
    with stoppable():
        return _run(arguments)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does: what is half done is cleared away.

    Commands that serve until they are told to stop take the signal over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        given = spread(sys.argv[1:] if arguments is None else arguments)
        declare_named(os.environ)
        status = cli.main(args=given, prog_name="redflare", standalone_mode=False)
        sys.stdout.flush()
    except RedflareError as error:
        return refuse(str(error))
    except click.ClickException as error:
        error.show()
        return UNUSABLE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except Stopped:
        click.echo("Stopped.", err=True)
        return STOPPED
    except BrokenPipeError:
        drop_output()
        return BROKEN_PIPE
    except OSError as error:
        # Whoever writes a file names it; only standard output has no name.
        place = error.filename or ("standard output" if error.errno in NO_ROOM else None)
        reason = error.strerror or str(error)
        remedy = ". Remedy: free some space, or choose another place." * (error.errno in NO_ROOM)
        if place == "standard output":
            drop_output()
        return refuse(f"{reason if place is None else f'{place}: {reason}'}{remedy}")
    except Exception:  # noqa: BLE001 - the last resort, told apart from a refusal by its status
        traceback.print_exc()
        return FAULT
    return status if isinstance(status, int) else DONE


def refuse(reason: str) -> int:
    """Say on standard error why the input cannot be used.

    Examples
    --------
    >>> refuse("days 0: expected a number of days above 0")
    2
    """
    click.echo(f"Error: {reason}", err=True)
    return UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
