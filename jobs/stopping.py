"""Asked to stop: by the first signal a run stops when what it has begun is answered, by the second one at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Set by the first SIGINT or SIGTERM inside a `with` block; the second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def install(self) -> None:
        """Takes the signals back from who took them meanwhile, as Ray does when it starts."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL if self.asked else self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.install()
