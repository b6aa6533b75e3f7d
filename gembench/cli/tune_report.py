"""What `gembench tune` prints: the best settings in training and validation, the test, and the winner to paste."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from gembench.cli.plain_table import plain_table
from gembench.cli.tables import cell
from gembench.tuning.report import Tuning, to_jsonable
from gembench.tuning.splits import PARTS

if TYPE_CHECKING:
    from rich.table import Table

    from gembench.tuning.ratios import Ratio
    from gembench.tuning.splits import Splits


def say_what_is_shared(splits: Splits) -> None:
    """A line on stderr on the sizes of the parts, and on what of the test is new."""
    sizes = ", ".join(f"{len(part.races)} for {name}" for name, part in splits.parts.items())
    kind = "families" if splits.are_drawn else "tensors"
    num_models, num_shared = len(splits.test.models), splits.num_shared_models
    is_new = (
        "none of the test's models races"
        if not num_shared
        else (f"{num_shared:,} of the test's {num_models:,} models race")
    )
    click.echo(f"gembench: {kind}: {sizes}; {is_new} in another part.", err=True)


def to_json(tuning: Tuning) -> str:
    """The tuning as JSON text."""
    return json.dumps(to_jsonable(tuning), indent=1) + "\n"


def print_tuning(tuning: Tuning) -> None:
    """The tables, and what they say."""
    console = Console(highlight=False, markup=False)
    for table, caption in (_candidates(tuning), _test(tuning)):
        console.print(table)
        console.print(Text(caption, style="table.caption"), "", sep="\n")
    console.print(Text(_verdict(tuning), style="bold"))
    click.echo(tuning.choice.winner)


def _candidates(tuning: Tuning) -> tuple[Table, str]:
    question, trials = tuning.question, tuning.choice.trials
    table = plain_table(title=f"Best of {len(trials)} trials, and the policy as it was")
    table.add_column("policy")
    for name in PARTS[:2]:
        table.add_column(f"{name} ratio", justify="right", no_wrap=True)
    for candidate in tuning.choice.candidates:
        is_default = candidate.policy == question["policy"]
        table.add_row(
            candidate.policy + " (as it was)" * is_default, _cell(candidate.training), _cell(candidate.validation)
        )
    num_stopped = sum(trial.is_stopped for trial in trials)
    return table, (
        f"Ratios: geometric means of the mean rank relative to that of {question['reference']}, over "
        f"{_races(tuning, 0)} and {_races(tuning, 1)}, {question['num_runs']:,} runs each, seed {question['seed']}. "
        f"Below each its 95% interval, {_speaks_of(tuning)}, which knows nothing of the choice: the best of many are "
        f"flattered by it. {num_stopped} trials were stopped early."
    )


def _test(tuning: Tuning) -> tuple[Table, str]:
    table = plain_table(title="Test, used once")
    table.add_column("N", justify="right")
    for header in ("winner", "as it was", "winner / as it was", "worst race"):
        table.add_column(header, justify="right", no_wrap=True)
    for result in tuning.test:
        table.add_row(
            "all" if result.queries_per_model is None else f"{result.queries_per_model:,g}",
            _cell(result.winner),
            _cell(result.default),
            _cell(result.change),
            f"{result.change.worst:.2f}",
        )
    return table, (
        f"The same ratios over {_races(tuning, 2)}, and that of the two. Below each its 95% interval, "
        f"{_speaks_of(tuning)}; worst race: the highest winner / as it was."
    )


def _speaks_of(tuning: Tuning) -> str:
    return "for other families like these" if tuning.are_drawn else "for other runs on these tensors"


def _verdict(tuning: Tuning) -> str:
    default, change = tuning.question["policy"], tuning.test[0].change
    if not tuning.is_changed:
        return f"Nothing that was tried is better than {default} in validation. Keep it:"
    if change.interval is None:
        return f"There are too few {'families' if tuning.are_drawn else 'runs'} to say more. The winner:"
    if tuning.is_better:
        return f"The winner is better than {default} for certain:"
    if tuning.is_worse:
        return f"The winner is worse in the test than {default}, for certain. Keep that. What was tested:"
    return f"The test cannot tell the winner from {default}:"


def _races(tuning: Tuning, part: int) -> str:
    name = PARTS[part]
    num_races = len(tuning.races[name])
    kinds = ("family", "families") if tuning.are_drawn else ("tensor", "tensors")
    return f"{num_races} {kinds[num_races != 1]} for {name}"


def _cell(ratio: Ratio) -> Text:
    return cell(ratio.value, ratio.interval, ".2f")
