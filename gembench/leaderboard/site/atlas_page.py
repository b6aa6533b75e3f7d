"""An atlas as a page: the model tree as a picture, the search's stages on it, and both once more as tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from gembench.gem_card.words import NONE, counted, percent
from gembench.leaderboard.site.atlas import Atlas, Node
from gembench.leaderboard.site.atlas_drawing import NUM_COLOURS, Circle, draw
from gembench.leaderboard.site.atlas_replay import ReplayStage
from gembench.leaderboard.site.rendering import render

NUM_BEST = 20
"""Models in the table, beside the gems, the bases and the recommended one."""


@dataclass(frozen=True)
class _ColourKey:
    """A colour of the legend, and the accuracies that have it."""

    colour: int
    text: str


@dataclass(frozen=True)
class _StageRow:
    """A stage in words; `label` says it all in one line."""

    number: int
    label: str
    left: str
    queries: str
    pulls: str
    gems: str
    best: str


@dataclass(frozen=True)
class _Mark:
    """A model of the picture and of the table, with all that is said of it."""

    node: Node
    circle: Circle
    parent: Node | None
    tags: str
    facts: str
    fate: str

    @property
    def is_listed(self) -> bool:
        """Whether it is more than one of many."""
        return self.tags != "" or self.node.is_recommended


def render_atlas(atlas: Atlas) -> str:
    """The page of an atlas: one file of HTML that needs nothing else."""
    drawing = draw(atlas.nodes)
    marks = [_mark(atlas, node, circle) for node, circle in zip(atlas.nodes, drawing.circles, strict=True)]
    return render(
        "atlas.html.jinja",
        section="atlas",
        has_atlases=True,
        styles=("atlas.css",),
        scripts=("atlas.js",),
        atlas=atlas,
        drawing=drawing,
        marks=marks,
        listed=[mark for place, mark in enumerate(marks) if place < NUM_BEST or mark.is_listed],
        num_best=NUM_BEST,
        colours=_colour_keys(marks),
        stages=_stage_rows(atlas),
        end=_end(atlas),
    )


def _mark(atlas: Atlas, node: Node, circle: Circle) -> _Mark:
    downloads = "downloads unknown" if node.downloads is None else counted(node.downloads, "download")
    return _Mark(
        node=node,
        circle=circle,
        parent=None if node.parent is None else atlas.nodes[node.parent],
        tags=_tags(node),
        facts=f"accuracy {percent(node.accuracy)}, rank {node.rank} of {len(atlas.nodes)}, {downloads}",
        fate=_fate(atlas, node),
    )


def _tags(node: Node) -> str:
    names = (
        ("base", node.is_base),
        ("most accurate", node.rank == 1),
        ("hidden gem", node.is_gem),
    )
    return ", ".join(name for name, is_so in names if is_so)


def _fate(atlas: Atlas, node: Node) -> str:
    """What became of a model in the search."""
    if node.last_stage == 0:
        return "never asked"
    num_stages = len(atlas.replay.stages)
    answers = f"{node.num_right} right of {counted(node.num_asked, 'query')}"
    if node.is_recommended:
        return f"{answers}, recommended"
    return f"{answers}, {'lost' if node.last_stage == num_stages else 'fell'} after stage {node.last_stage}"


def _colour_keys(marks: Sequence[_Mark]) -> list[_ColourKey]:
    keys = []
    for colour in reversed(range(NUM_COLOURS)):
        accuracies = [mark.node.accuracy for mark in marks if mark.circle.colour == colour]
        if accuracies:
            low, high = percent(min(accuracies)), percent(max(accuracies))
            keys.append(_ColourKey(colour, low if low == high else f"{low} to {high}"))
    return keys


def _stage_rows(atlas: Atlas) -> list[_StageRow]:
    rows = []
    for number, stage in enumerate(atlas.replay.stages, start=1):
        left = [node for node in atlas.nodes if node.last_stage >= number]
        num_gems = sum(node.is_gem for node in left)
        rows.append(
            _StageRow(
                number=number,
                label=_label(atlas, number, stage),
                left=f"{stage.num_left:,}",
                queries=_queries(stage),
                pulls=f"{stage.pulls:,}",
                gems=f"{num_gems} of {atlas.num_gems}" if atlas.num_gems else NONE,
                best="left" if any(node.rank == 1 for node in left) else "fallen",
            )
        )
    return rows


def _label(atlas: Atlas, number: int, stage: ReplayStage) -> str:
    asked = "each" if stage.num_asked == stage.num_left else f"{stage.num_asked:,} of them asked"
    word = "query" if _queries(stage) == "1" else "queries"
    return (
        f"Stage {number} of {len(atlas.replay.stages)}: {counted(stage.num_left, 'model')} left, {asked} "
        f"{_queries(stage)} {word} more, {stage.pulls:,} of {atlas.replay.budget:,} pulls"
    )


def _queries(stage: ReplayStage) -> str:
    fewest, most = stage.num_queries
    return f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"


def _end(atlas: Atlas) -> str:
    chosen = atlas.recommended
    return (
        f"The end: {chosen.name} is recommended, accuracy {percent(chosen.accuracy)}, rank {chosen.rank} of "
        f"{len(atlas.nodes)}, after {atlas.replay.pulls:,} of {atlas.replay.budget:,} pulls"
    )
