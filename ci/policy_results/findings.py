"""What the tables say of gem: its ratios at a glance, where it loses, and who does best."""

from policy_results.plan import Row, Section
from policy_results.races import NO_HISTORY
from policy_results.tables import Lookup, Ratio

_HEAD = "| | history | {columns} |\n|---|---|{rules}"


def findings(lookup: Lookup, sections: list[Section]) -> list[str]:
    """The summary as lines of Markdown."""
    numbers = sorted({number for section in sections for number in section.num_each})
    head = _HEAD.format(columns=" | ".join(f"N = {n}" for n in numbers), rules="---|" * len(numbers)).split("\n")
    at_a_glance: list[str] = []
    best: list[str] = []
    losses: list[str] = []
    for section in sections:
        for history in dict.fromkeys(row.history for row in section.rows):
            rows = [row for row in section.rows if row.history == history]
            start = f"| {section.title} | {'no' if history == NO_HISTORY else 'yes'} |"
            gems = [row for row in rows if row.name == "gem"]
            at_a_glance += [f"{start} {_joined(lookup, section, row, numbers)} |" for row in gems]
            if len(rows) > len(gems) + 1:
                best.append(f"{start} {' | '.join(_best(lookup, section, rows, number) for number in numbers)} |")
            for row in gems:
                losses += _losses(lookup, section, row)
    return [
        "### gem at a glance",
        "",
        *head,
        *at_a_glance,
        "",
        "### Where gem loses",
        "",
        *(losses or ["Nowhere by these intervals."]),
        "",
        "### The lowest mean rank",
        "",
        *head,
        *best,
        "",
    ]


def _joined(lookup, section, row, numbers) -> str:
    found = [lookup.ratio(section, row, number) for number in numbers]
    return " | ".join("" if ratio is None else str(ratio) for ratio in found)


def _best(lookup: Lookup, section: Section, rows: list[Row], num_each: int) -> str:
    """Whose ratio is the lowest, and the ratio; the reference's is 1."""
    ratios = {row.name: lookup.ratio(section, row, num_each) for row in rows}
    known = {name: ratio.value for name, ratio in ratios.items() if ratio is not None}
    if not known:
        return ""
    lowest = min(known.values())
    first, *others = (name for name, value in known.items() if value == lowest)
    return f"`{first}`{f' and {len(others)} more' if others else ''}<br>{lowest:.2f}"


def _losses(lookup: Lookup, section: Section, row: Row) -> list[str]:
    """A line for each race and N where gem's mean rank is above the reference's, the whole interval."""
    lost = []
    for race in section.races:
        alone = Section(section.key, section.title, (race,), section.rows, section.num_each)
        for num_each in section.num_each:
            ratio: Ratio | None = lookup.ratio(alone, row, num_each)
            if ratio is not None and ratio.is_worse:
                name = section.title if len(section.races) == 1 else f"{section.title}, family {race.split('/')[-1]}"
                lost.append(
                    f"- {name}, {row.label} at N = {num_each}: {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})."
                )
    return lost
