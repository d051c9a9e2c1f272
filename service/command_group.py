"""A group of commands that tells of a mistyped one which there are, and which was meant."""

from __future__ import annotations

from difflib import get_close_matches

import click


class CommandGroup(click.Group):
    """A group that answers an unknown command with those there are and the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with, or name those that there are."""
        there = self.list_commands(ctx)
        if args[0] not in there and not args[0].startswith("-"):
            near = get_close_matches(args[0], there, 1)
            meant = "".join(f" Remedy: {ctx.command_path} {each}, perhaps." for each in near)
            ctx.fail(f"command {args[0]!r}: expected one of {', '.join(there)}.{meant}")
        return super().resolve_command(ctx, args)
