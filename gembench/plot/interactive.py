"""A report as one HTML page that needs no network, by plotly: hover for numbers, click a policy to hide it."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gembench.plot.panels import Line, Panel, caption_of, lay_out
from gembench.result import Report

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
}
_PANEL_WIDTH, _PANEL_HEIGHT = 330, 300


def to_html(report: Report) -> str:
    """The report's panels as a page: a row of them for each tensor, and one legend for all."""
    grid = lay_out(report)
    num_rows, num_columns = len(grid), len(grid[0])
    figure = make_subplots(
        rows=num_rows,
        cols=num_columns,
        subplot_titles=[f"{panel.tensor}: {panel.measure}" for row in grid for panel in row],
        horizontal_spacing=0.2 / num_columns,
        vertical_spacing=0.32 / num_rows,
    )
    figure.update_annotations(font_size=13)
    for number, row in enumerate(grid, start=1):
        for column, panel in enumerate(row, start=1):
            _draw(figure, panel, number, column)
    figure.update_layout(
        template="plotly_white",
        width=_PANEL_WIDTH * num_columns + 260,
        height=_PANEL_HEIGHT * num_rows + 140,
        margin={"t": 50, "b": 90},
        title=None,
    )
    figure.add_annotation(
        text=caption_of(report), xref="paper", yref="paper", x=0, y=0, yshift=-80, showarrow=False, font_size=12
    )
    return str(figure.to_html(include_plotlyjs=True, full_html=True, div_id="gembench"))


def _draw(figure: go.Figure, panel: Panel, number: int, column: int) -> None:
    is_first = number == 1 and column == 1
    for line in panel.lines:
        figure.add_trace(_band(line), row=number, col=column)
        figure.add_trace(_points(line, show_in_legend=is_first), row=number, col=column)
    figure.update_xaxes(type="log", title={"text": panel.x_label, "font_size": 11}, row=number, col=column)
    if panel.x_ticks:
        figure.update_xaxes(tickvals=panel.x_ticks, ticktext=[f"{x:,g}" for x in panel.x_ticks], row=number, col=column)
    if panel.log_y:
        figure.update_yaxes(type="log", dtick="D2", row=number, col=column)
    else:
        figure.update_yaxes(rangemode="tozero", tickformat=".0%", row=number, col=column)


def _points(line: Line, *, show_in_legend: bool) -> go.Scatter:
    look = line.look
    return go.Scatter(
        x=line.x,
        y=line.y,
        customdata=[
            "none" if interval is None else "{:.4g} to {:.4g}".format(*interval) for interval in line.intervals
        ],
        mode="lines+markers",
        name=line.policy,
        legendgroup=line.policy,
        showlegend=show_in_legend,
        line={"color": look.colour, "dash": "dash" if look.dashed else "solid"},
        marker={"symbol": _SYMBOLS[look.marker], "size": 8},
        hovertemplate="%{x:,.4g}: %{y:.4g}<br>95% interval: %{customdata}",
    )


def _band(line: Line) -> go.Scatter:
    known = [(x, interval) for x, interval in zip(line.x, line.intervals, strict=True) if interval is not None]
    there = [(x, high) for x, (_, high) in known]
    back = [(x, low) for x, (low, _) in reversed(known)]
    outline = there + back
    return go.Scatter(
        x=[x for x, _ in outline],
        y=[y for _, y in outline],
        fill="toself",
        mode="lines",
        line={"width": 1 if len(known) == 1 else 0, "color": line.look.colour},
        fillcolor=_transparent(line.look.colour),
        legendgroup=line.policy,
        showlegend=False,
        hoverinfo="skip",
    )


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"
