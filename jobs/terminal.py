"""The three lines that a terminal shows of a run: bar and time, figures, and what happened last."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs.pace import Counts, Rate, clock, details, fitting


class ProgressLines:
    """Draws itself at any width: the bar takes what the text leaves, and figures that don't fit are left out, the least important first."""

    def __init__(self, shown: tuple[Counts, Rate] | None, event: str | None) -> None:
        self._shown = shown
        self._event = event

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._shown is None:
            yield Text("starting the workers")
        else:
            counts, rate = self._shown
            left = "" if rate.seconds_left is None else f"  {clock(rate.seconds_left)} left"
            share = counts.resolved / counts.slots if counts.slots else 1.0
            head = Table.grid(expand=True)
            head.add_column(ratio=1)
            head.add_column(no_wrap=True)
            bar = ProgressBar(total=max(1, counts.slots), completed=counts.resolved)
            head.add_row(bar, f" {share:4.0%}  {counts.resolved:,} of {counts.slots:,} slots{left}")
            yield head
            yield Text(fitting(details(counts, rate), options.max_width), no_wrap=True, overflow="ellipsis")
        if self._event:
            yield Text(self._event, no_wrap=True, overflow="ellipsis", style="yellow")

