"""The command `gembench`: its subcommands, and what a person sees when one fails."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from gembench.cli.exit_codes import FAILED, INTERRUPTED
from gembench.cli.export import export
from gembench.cli.gems import gems
from gembench.cli.import_ import import_
from gembench.cli.info import info
from gembench.cli.interruption import remember_ctrl_c
from gembench.cli.leaderboard import leaderboard
from gembench.cli.recommend import recommend
from gembench.cli.record import record
from gembench.cli.rescore import rescore
from gembench.cli.search import search
from gembench.cli.simulate import simulate
from gembench.cli.synth import synth
from gembench.cli.tensors import tensors
from gembench.cli.tune import tune
from gembench.errors import GembenchError

DEBUG_VARIABLE = "GEMBENCH_DEBUG"


class Commands(click.Group):
    """A group whose failures are one line on stderr and an exit code, never a traceback."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit with its code."""
        sys.exit(self.run(args, prog_name or "gembench"))

    def run(self, args: Sequence[str] | None, prog_name: str) -> int:
        """Run a command and return its exit code: 0 done, 1 failed, 2 usage, 130 interrupted."""
        try:
            command_line = list(sys.argv[1:] if args is None else args)
            exit_code = super().main(args, prog_name, standalone_mode=False, obj=command_line)
            sys.stdout.flush()
        except (click.Abort, KeyboardInterrupt):
            return _explain("interrupted.", INTERRUPTED)
        except click.ClickException as error:
            return _explain_usage(error)
        except GembenchError as error:
            return _explain(f"error: {error}", error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has gone, as `head` does; Python's last flush must not meet the closed pipe again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:
            summary = f"{type(error).__name__}: {error}".splitlines()[0]
            return _explain(
                f"error: unexpected {summary} (set {DEBUG_VARIABLE}=1 to see where, and please report it)", FAILED
            )
        return exit_code if isinstance(exit_code, int) else 0


def _explain(message: str, exit_code: int) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    click.echo(f"gembench: {message}", err=True)
    return exit_code


def _explain_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message += f" Try '{error.ctx.command_path} --help'."
    return _explain(f"error: {message}", error.exit_code)


@click.group(
    cls=Commands,
    context_settings={
        "auto_envvar_prefix": "GEMBENCH",
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
    epilog="Every option can be set by a variable: --runs of simulate is GEMBENCH_SIMULATE_RUNS.",
)
@click.version_option(package_name="gembench", prog_name="gembench")
def cli() -> None:
    """Find the best fine-tuned checkpoints with the fewest queries: record once, replay for ever.

    Example: gembench simulate qwen2.5-3b --policy ucb_e --policy uniform
    """


for command in (
    simulate,
    recommend,
    tune,
    search,
    leaderboard,
    record,
    import_,
    export,
    rescore,
    tensors,
    info,
    gems,
    synth,
):
    cli.add_command(command)


def main() -> NoReturn:
    """The entry point of the `gembench` script."""
    remember_ctrl_c()
    exit_code = cli.run(None, "gembench")
    if exit_code == INTERRUPTED:
        # Threads that compute in XLA cannot be stopped, and a normal exit would wait for them.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)
