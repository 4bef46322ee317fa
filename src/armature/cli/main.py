"""The `armature` program: its verbs, and how errors are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from armature.cli.convert import convert
from armature.cli.doctor import doctor
from armature.cli.evaluate import evaluate
from armature.cli.extract import extract
from armature.cli.generate import generate
from armature.cli.inspect import inspect
from armature.cli.list import list_things
from armature.cli.prepare import prepare
from armature.cli.train import train
from armature.errors import ArmatureError
from armature.version import __version__

# As for wrong options, which the option parser refuses itself.
BAD_INPUT = 2
# As shells say it of a program that SIGINT ended.
STOPPED = 130


@dataclass(frozen=True)
class _Answer:
    """How a verb's failure is told."""

    as_json: bool

    def tell(self, error: Exception, lines: Iterable[str]) -> None:
        plain = [printable(line) for line in lines]
        if self.as_json:
            typer.echo(json.dumps({"error": {"type": type(error).__name__, "message": " ".join(plain)}}))
            return
        for line in plain:
            typer.echo(f"armature: {line}", err=True)


def printable(text: str) -> str:
    """One line that no letter of a foreign file or name can steer the terminal with."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))


class Verbs(TyperGroup):
    """Commands whose errors are one line on stderr, without a traceback; a recipe's mistakes are one line each.

    A verb that was asked for JSON answers with JSON on stdout then, too: {"error": {"type": ..., "message": ...}}.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember whether the verb is to answer in JSON, before it takes its options."""
        ctx.obj = _Answer(as_json="--json" in args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; exit code 2 for what the library refuses."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            ctx.obj.tell(error, ("stopped by Ctrl-C.",))
            raise typer.Exit(STOPPED) from error
        except ArmatureError as error:
            ctx.obj.tell(error, getattr(error, "lines", (str(error),)))
            # A training that was stopped by a signal says so as shells do.
            raise typer.Exit(getattr(error, "status", BAD_INPUT)) from error
        except BrokenPipeError:  # whoever read our output has gone; the option parser ends quietly
            raise
        except OSError as error:
            where = f"{error.filename!r}: " if error.filename is not None else ""
            ctx.obj.tell(
                error, (f"{where}{error.strerror or error}; choose another place, or change its permissions.",)
            )
            raise typer.Exit(BAD_INPUT) from error
        except Exception as error:
            # By name: torch's own class is known only once torch is imported, which most verbs do without.
            if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
                raise
            ctx.obj.tell(error, ("out of memory; use a smaller --size, or --dtype float16 on a GPU.",))
            raise typer.Exit(1) from error


app = typer.Typer(
    name="armature",
    cls=Verbs,
    help="Structure control for frozen Stable Diffusion models, with T2I-Adapters.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # A traceback with all local values helps nobody who did not write the code.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (generate, extract, inspect, convert, prepare, train, evaluate, doctor):
    app.command()(verb)
app.command("list")(list_things)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"armature {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Structure control for frozen Stable Diffusion models, with T2I-Adapters."""


def main() -> None:
    """The console script."""
    # File names may hold bytes that are no text; they leave as they came.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    app(prog_name="armature")
