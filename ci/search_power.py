"""Measures policies on families of a large tensor, beside accelerated sequential halving: a table in Markdown.

    python ci/search_power.py TENSOR.npz                        # 40 families, the history they have
    python ci/search_power.py TENSOR.npz --history shuffled     # what a history that does not predict costs
    python ci/search_power.py TENSOR.npz --history few --baseline gem   # the same, beside gem without a history
    python ci/search_power.py TENSOR.npz --history none --prior 0.3     # a number that correlates so with the accuracy

A family is a random model and those nearest to it (gembench.data.families), on 3,000 queries; its history are 900 other
models. Ratios are of mean ranks, in paired runs, as geometric means over the families, with 95% intervals by bootstrap
over families. Families 0 to 19 of each size are for testing: hyper-parameters are chosen on others, from 1,000 on.
"""

import click
import numpy as np

from gembench.jax_setup import set_up_jax

RESAMPLES = 10_000


@click.command()
@click.argument("tensor", type=click.Path(exists=True))
@click.option("-p", "--policy", multiple=True, default=("gem",), show_default=True)
@click.option(
    "--baseline", default="accelerated_sequential_halving", show_default=True, help="Told nothing beforehand."
)
@click.option("-n", "--queries-per-model", type=int, multiple=True, default=(10, 50), show_default=True)
@click.option("--size", "sizes", type=int, multiple=True, default=(300, 800), show_default=True)
@click.option("--families", type=int, default=20, show_default=True, help="Of each size.")
@click.option("--first-family", type=int, default=0, show_default=True)
@click.option("--runs", type=int, default=200, show_default=True)
@click.option(
    "--history",
    type=click.Choice(["true", "shuffled", "bits", "few", "none"]),
    default="true",
    show_default=True,
    help="The others' answers; each model's shuffled over the queries; random bits; of 20 models; nothing.",
)
@click.option("--prior", type=click.FloatRange(-1, 1), help="A prior's correlation with the accuracies; else none.")
def main(tensor, policy, baseline, queries_per_model, sizes, families, first_family, runs, history, prior):
    """Print the table."""
    set_up_jax()
    from gembench.policies.catalog import make_policy

    correct = np.load(tensor)["correct"]
    known = f"history: {history}" if prior is None else f"history: {history}, prior: {prior:g}"
    print(f"{families} families each of {' and '.join(map(str, sizes))} models, {runs} runs, {known}\n")
    print(
        "| policy | N | mean rank | ratio to the baseline | worst family | simple regret |\n|---|---|---|---|---|---|"
    )
    for num_each in queries_per_model:
        base, measured = [], {name: [] for name in policy}
        for size in sizes:
            for seed in range(first_family, first_family + families):
                race, background = cut(correct, seed, size, history)
                if prior is not None:
                    background = background._replace(prior=correlated(race.accuracy, prior, seed))
                base.append(mean_rank_and_regret(make_policy(baseline), race, num_each, runs, None))
                for name, of_families in measured.items():
                    of_families.append(mean_rank_and_regret(make_policy(name), race, num_each, runs, background))
        print(row(baseline, num_each, np.asarray(base), np.asarray(base)))
        for name, of_families in measured.items():
            print(row(name, num_each, np.asarray(of_families), np.asarray(base)), flush=True)


def cut(correct, seed, size, kind):
    """A family as a race, and its history, spoiled as `kind` says."""
    from gembench.data.families import make_family
    from gembench.query_policy import Background
    from gembench.race import Race

    family = make_family(correct, seed, num_models=size, num_queries=3000, num_histories=900)
    history = correct[np.ix_(family.history, family.queries)].astype(np.int8)
    rng = np.random.default_rng(seed)
    if kind == "shuffled":
        history = rng.permuted(history, axis=1)
    elif kind == "bits":
        history = rng.integers(0, 2, history.shape, np.int8)
    elif kind == "few":
        history = history[:20]
    elif kind == "none":
        history = history[:0]
    answers = np.ascontiguousarray(correct[np.ix_(family.models, family.queries)])
    return Race(answers, np.ones(size), np.ones(size)), Background(history, np.full(size, np.nan, np.float32))


def correlated(accuracy, correlation, seed):
    """Numbers that correlate so with the accuracies, but for chance."""
    standing = (accuracy - accuracy.mean()) / accuracy.std()
    chance = np.random.default_rng((seed, 1)).normal(size=len(accuracy))
    return (correlation * standing + np.sqrt(1 - correlation**2) * chance).astype(np.float32)


def mean_rank_and_regret(policy, race, num_each, num_runs, background):
    """Of the recommended model, over the runs."""
    from gembench.measures import measure
    from gembench.simulate import simulate

    runs = simulate(policy, race, budget=num_each * len(race.correct), num_runs=num_runs, background=background)
    measures = measure(runs, race.accuracy)
    return measures.rank.mean(), measures.simple_regret.mean()


def row(name, num_each, measured, base):
    """A policy's line: `measured` and `base` are [families, 2]."""
    log_ratio = np.log(measured[:, 0] / base[:, 0])
    drawn = np.random.default_rng(0).integers(len(log_ratio), size=(RESAMPLES, len(log_ratio)))
    low, high = np.exp(np.quantile(log_ratio[drawn].mean(axis=1), [0.025, 0.975]))
    return (
        f"| `{name}` | {num_each} | {np.exp(np.log(measured[:, 0]).mean()):.1f} | {np.exp(log_ratio.mean()):.2f} "
        f"({low:.2f} to {high:.2f}) | {np.exp(log_ratio.max()):.2f} | {measured[:, 1].mean():.4f} |"
    )


if __name__ == "__main__":
    main()
