"""The `armature` program: its verbs, and how errors are told."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from armature.cli.convert import convert
from armature.cli.doctor import doctor
from armature.cli.evaluate import evaluate
from armature.cli.extract import extract
from armature.cli.generate import generate
from armature.cli.inspect import inspect
from armature.cli.prepare import prepare
from armature.cli.train import train
from armature.errors import ArmatureError
from armature.version import __version__

# As for wrong options, which the option parser refuses itself.
BAD_INPUT = 2


class Verbs(TyperGroup):
    """Commands whose errors are one line on stderr, without a traceback; a recipe's mistakes are one line each."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; exit code 2 for what the library refuses."""
        try:
            return super().invoke(ctx)
        except ArmatureError as error:
            for line in getattr(error, "lines", (str(error),)):
                typer.echo(f"armature: {' '.join(line.split())}", err=True)
            # A training that was stopped by a signal says so as shells do.
            raise typer.Exit(getattr(error, "status", BAD_INPUT)) from error
        except Exception as error:
            # By name: torch's own class is known only once torch is imported, which most verbs do without.
            if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
                raise
            typer.echo("armature: out of memory; use a smaller --size, or --dtype float16 on a GPU.", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="armature",
    cls=Verbs,
    help="Structure control for frozen Stable Diffusion models, with T2I-Adapters.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with all local values helps nobody who did not write the code.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (generate, extract, inspect, convert, prepare, train, evaluate, doctor):
    app.command()(verb)


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
    app(prog_name="armature")
