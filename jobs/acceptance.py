"""How many attempts the open slots of a run still need, from what was accepted so far in each cell and expression."""

# Notation: the attempts at a slot are draws of its cell's acceptance p ~ Beta(a, b) with a = m k and b = (1 - m) k. m belongs to the expression,
# k to the run; both are fitted to all cells (beta-binomial model, empirical Bayes). A cell with s accepted and f rejected has Beta(a + s, b + f).

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CELLS = 10_000  # cells beyond are counted in their expression only
MAX_EXPRESSIONS = 1_000
OTHER = "other"  # expressions beyond
MEANS = np.linspace(0.01, 0.99, 50)  # values of m that are weighed
CONCENTRATIONS = np.array([2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0])  # values of k that are weighed; above 1, as `expected_tries` needs
USUAL_K = 32.0  # what k is before slots were tried twice, which is when they tell anything about it (cells alike over 0.3 to 0.9 have 7, equal ones infinity)
SPREAD_OF_K = 0.8  # standard deviation of log k
RUN_WEIGHT = 4.0  # attempts that the run's mean counts as, in the mean of an expression
MAX_FITTED = 400  # attempts of a cell that the fit looks at; a cell with more speaks for itself


@dataclass(kw_only=True)
class Tally:
    """Attempts of a cell or an expression."""

    expression: str
    accepted: int = 0
    rejected: int = 0
    begun: int = 0  # slots whose first attempt was answered

    @property
    def attempts(self) -> int:
        """Accepted and rejected ones."""
        return self.accepted + self.rejected


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed of a cell before its own attempts."""

    means: Mapping[str, float]  # expression -> m
    mean: float  # of the run, for expressions without attempts
    concentration: float  # k

    def belief(self, expression: str, accepted: int = 0, rejected: int = 0) -> tuple[float, float]:
        """(a, b) of a cell of the expression after its attempts."""
        m = self.means.get(expression, self.mean)
        return m * self.concentration + accepted, (1 - m) * self.concentration + rejected


def expected_tries(a: float, b: float, limit: int) -> float:
    """Attempts at a slot until one is accepted or `limit` were made, expected over p ~ Beta(a, b) with a + b > 1.

    The sum over j < limit of E[(1 - p)^j] = (b)_j / (a + b)_j telescopes to (c - 1) / (a - 1) * (1 - (b)_limit / (c - 1)_limit), c = a + b.
    """
    if abs(a - 1) < 1e-6:
        a = 1 + 1e-6
    c = a + b
    ratio = math.exp(math.lgamma(b + limit) - math.lgamma(b) - math.lgamma(c - 1 + limit) + math.lgamma(c - 1))
    return (c - 1) / (a - 1) * (1 - ratio)


def unfilled_share(a: float, b: float, limit: int) -> float:
    """Chance that none of `limit` attempts is accepted, expected over p ~ Beta(a, b)."""
    return math.exp(math.lgamma(b + limit) - math.lgamma(b) - math.lgamma(a + b + limit) + math.lgamma(a + b))


def fit_prior(cells: Iterable[Tally]) -> Prior:
    """m of every expression and k of the run, weighed by their likelihood on a grid.

    Attempts at a slot end with the first accepted one; that doesn't matter to a likelihood, as it would to shares of accepted attempts.
    """
    groups: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for cell in cells:
        shrink = min(1.0, MAX_FITTED / max(1, cell.attempts))
        groups[cell.expression][round(cell.accepted * shrink), round(cell.rejected * shrink)] += 1
    likelihoods = {name: _log_likelihood(counts) for name, counts in groups.items()}  # (K, M) each
    everything = sum(likelihoods.values(), start=np.zeros((len(CONCENTRATIONS), len(MEANS))))
    mean = float((_normalised(everything) * MEANS).sum())
    pull = RUN_WEIGHT * (mean * np.log(MEANS) + (1 - mean) * np.log(1 - MEANS))  # (M,)
    weighed = {name: likelihood + pull for name, likelihood in likelihoods.items()}
    of_k = -0.5 * (np.log(CONCENTRATIONS / USUAL_K) / SPREAD_OF_K) ** 2
    for table in weighed.values():
        top = table.max()
        of_k += top + np.log(np.exp(table - top).sum(axis=1))
    share = _normalised(of_k)  # (K,)
    k = float(np.exp((share * np.log(CONCENTRATIONS)).sum()))
    means = {}
    for name, table in weighed.items():
        of_m = np.array([_normalised(row) for row in table])  # (K, M)
        means[name] = float((share[:, None] * of_m * MEANS).sum())
    return Prior(means=means, mean=mean, concentration=k)


def _log_likelihood(counts: Mapping[tuple[int, int], int]) -> NDArray[np.float64]:
    """Of (accepted, rejected) -> cells, for every k and m, (K, M); rising factorials as sums of logarithms over the numbers of cells that reach them."""
    number = np.array(list(counts.values()), dtype=np.float64)
    pairs = np.array(list(counts), dtype=np.int64)
    k = CONCENTRATIONS[:, None, None]
    m = MEANS[None, :, None]
    total = np.zeros((len(CONCENTRATIONS), len(MEANS)))
    for sign, start, reached in ((1, m * k, pairs[:, 0]), (1, (1 - m) * k, pairs[:, 1]), (-1, k + 0 * m, pairs.sum(axis=1))):
        steps = np.arange(int(reached.max(initial=0)))
        cells = (number[:, None] * (reached[:, None] > steps)).sum(axis=0)
        total += sign * (np.log(start + steps) * cells).sum(axis=2)
    return total


def _normalised(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


@dataclass(kw_only=True)
class _Waiting:
    """A slot whose attempts failed so far."""

    cell: int
    expression: str
    failed: int


class Acceptance:
    """Tallies of cells and expressions, and what they let expect; memory is bounded by MAX_CELLS and by the slots that wait for another attempt."""

    def __init__(self, *, max_attempts: int) -> None:
        self.max_attempts = max_attempts
        self.cells: dict[int, Tally] = {}
        self.expressions: dict[str, Tally] = {}
        self._waiting: dict[int, _Waiting] = {}

    def answered(self, *, slot: int, attempt: int, cell: int, expression: str, accepted: bool) -> None:
        """Takes the verdict of one attempt."""
        overall = self.expressions.get(expression)
        if overall is None:
            expression = expression if len(self.expressions) < MAX_EXPRESSIONS else OTHER
            overall = self.expressions.setdefault(expression, Tally(expression=expression))
        own = self.cells.get(cell)
        if own is None:
            own = Tally(expression=expression)
            if len(self.cells) < MAX_CELLS:
                self.cells[cell] = own
        for tally in (overall, own):
            tally.accepted += accepted
            tally.rejected += not accepted
            tally.begun += attempt == 0
        waiting = self._waiting.get(slot)
        failed = waiting.failed + 1 if waiting else attempt + 1
        if accepted or failed >= self.max_attempts:
            self._waiting.pop(slot, None)
        elif waiting:
            waiting.failed = failed
        else:
            self._waiting[slot] = _Waiting(cell=cell, expression=expression, failed=failed)

    def settled(self, start: int, stop: int) -> None:
        """Slots start .. stop-1 need no more attempts: their shard is committed."""
        for slot in [slot for slot in self._waiting if start <= slot < stop]:
            del self._waiting[slot]

    def expected_attempts(self, open_slots: int) -> float | None:
        """Attempts that so many open slots need on average, those that wait for another attempt among them. None: nothing was answered yet."""
        if not self.expressions:
            return None
        prior = fit_prior(self.cells.values())
        needed = 0.0
        again: Counter[tuple[str, int, int, int]] = Counter()
        for slot in self._waiting.values():
            cell = self.cells.get(slot.cell)
            accepted, rejected = (cell.accepted, cell.rejected) if cell else (0, slot.failed)
            again[slot.expression, accepted, rejected, self.max_attempts - slot.failed] += 1
        for (expression, accepted, rejected, left), number in again.items():
            needed += number * expected_tries(*prior.belief(expression, accepted, rejected), left)
        return needed + max(0, open_slots - len(self._waiting)) * self._tries_of_a_fresh_slot(prior)

    def worst_cells(self, number: int) -> list[tuple[int, Tally]]:
        """Cells with the lowest acceptance, each believed as far as its attempts go."""
        mean = self._mean()
        return heapq.nsmallest(number, self.cells.items(), key=lambda item: (item[1].accepted + RUN_WEIGHT * mean) / (item[1].attempts + RUN_WEIGHT))

    def worst_expressions(self, number: int) -> list[Tally]:
        """As `worst_cells`, of expressions."""
        mean = self._mean()
        return heapq.nsmallest(number, self.expressions.values(), key=lambda tally: (tally.accepted + RUN_WEIGHT * mean) / (tally.attempts + RUN_WEIGHT))

    def _tries_of_a_fresh_slot(self, prior: Prior) -> float:
        """Mean over the slots that were begun: the planner shuffles slots, so those are a sample of all."""
        begun: Counter[tuple[str, int, int]] = Counter()
        beyond = Counter({name: tally.begun for name, tally in self.expressions.items()})  # slots of cells that aren't kept
        for tally in self.cells.values():
            begun[tally.expression, tally.accepted, tally.rejected] += tally.begun
            beyond[tally.expression] -= tally.begun
        begun.update({(name, 0, 0): number for name, number in beyond.items() if number > 0})
        total = begun.total()
        if not total:  # only later attempts were answered, as in a run that is taken up again
            return expected_tries(*prior.belief(""), self.max_attempts)
        tries = sum(number * expected_tries(*prior.belief(*key), self.max_attempts) for key, number in begun.items() if number)
        return tries / total

    def _mean(self) -> float:
        accepted = sum(tally.accepted for tally in self.expressions.values())
        return accepted / max(1, sum(tally.attempts for tally in self.expressions.values()))
