"""Asked to stop: by the first signal a run stops when what it has begun is answered, by the second one at once; other work stops at the first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType

from manifests.errors import StoppedError

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

    @contextlib.contextmanager
    def as_ray_answers_it(self) -> Iterator[None]:
        """Takes it as asked when Ray, which has the signal while it starts, answers SIGTERM by SystemExit."""
        try:
            yield
        except SystemExit as ended:
            if ended.code != signal.SIGTERM:
                raise
            self.asked = True

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.install()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, SIGINT or SIGTERM raises StoppedError where no StopRequest is in charge: for work whose files appear whole or not at all."""
    if threading.current_thread() is not threading.main_thread():  # no other gets signals
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt as error:  # subtle: a StoppedError from the handler could be taken for a picture that can't be read
        raise StoppedError("stopped by a signal. What was finished is saved; run the same command again.") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
