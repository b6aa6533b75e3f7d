"""A report as a PNG, by matplotlib."""

import io

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)

from gembench.plot.panels import Line, Panel, caption_of, lay_out
from gembench.result import Report

_PANEL_WIDTH, _PANEL_HEIGHT = 2.9, 2.5
_DOTS_PER_INCH = 150


def to_png(report: Report) -> bytes:
    """The report's panels as a PNG: a row of them for each tensor, and one legend."""
    grid = lay_out(report)
    num_rows, num_columns = len(grid), len(grid[0])
    figure = Figure(figsize=(_PANEL_WIDTH * num_columns, _PANEL_HEIGHT * num_rows + 1.2), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for number, row in enumerate(grid):
        for column, panel in enumerate(row):
            _draw(axes[number, column], panel)
        axes[number, 0].set_ylabel(row[0].tensor, fontweight="bold")
    _add_legend(figure, grid[0][0].lines, num_columns)
    figure.supxlabel(caption_of(report), fontsize="small", color="0.35")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def _draw(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        _draw_line(axes, line, opacity=min(0.13, 0.6 / len(panel.lines)))
    axes.set_title(panel.measure, fontsize="medium")
    axes.set_xlabel(panel.x_label, fontsize="small")
    axes.tick_params(labelsize="small")
    axes.set_xscale("log")
    if panel.x_ticks:
        axes.set_xticks(panel.x_ticks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
    else:
        _label_log_axis(axes.xaxis)
    if panel.log_y:
        axes.set_yscale("log")
        _label_log_axis(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _label_log_axis(axis: Axis) -> None:
    """Few, short labels: 1, 2 and 5 of each decade, or round numbers where the axis spans too little for those."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(4))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())


def _draw_line(axes: Axes, line: Line, opacity: float) -> None:
    look = line.look
    axes.plot(
        line.x,
        line.y,
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.4,
        linestyle="--" if look.dashed else "-",
    )
    known = [(x, interval) for x, interval in zip(line.x, line.intervals, strict=True) if interval is not None]
    if not known:
        return
    x = [at for at, _ in known]
    low, high = zip(*(interval for _, interval in known), strict=True)
    axes.fill_between(x, low, high, color=look.colour, alpha=opacity, linewidth=0)
    axes.vlines(x, low, high, color=look.colour, linewidth=0.9, alpha=0.7)


def _add_legend(figure: Figure, lines: tuple[Line, ...], num_columns: int) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=line.look.colour,
            marker=line.look.marker,
            linestyle="--" if line.look.dashed else "-",
            label=line.policy,
        )
        for line in lines
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), num_columns), frameon=False)
