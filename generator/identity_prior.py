"""New people: identity embeddings sampled from a Gaussian fitted to training identities, kept apart from one another."""

# N identities, E embedding width of an encoder, K components

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from manifests.errors import InputError, WeightsError

Accepts = Callable[[Mapping[str, NDArray[np.float32]]], bool]  # whether somebody with these embeddings, encoder -> (E,), may be the next person


@dataclass(frozen=True, kw_only=True)
class IdentityPrior:
    """Joint Gaussian of the conditioners' embeddings, and linear predictions of what other recognisers see in such a person.

    mean (sum E,) and basis (K, sum E): a person is mean + z @ basis with z ~ N(0, 1), cut into encoders, each part made unit length.
    predictors name -> (sum E + 1, E): expected embedding of a recogniser that conditions nothing (last row: constant).
    apart: largest cosine allowed between two sampled people, by the first encoder, at the false-match rate that the card states.
    """

    dims: Mapping[str, int]
    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    predictors: Mapping[str, NDArray[np.float32]]
    apart: float

    @staticmethod
    def load(path: Path) -> IdentityPrior:
        """Reads a prior file. Raises WeightsError when it is missing or no prior."""
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})["prior"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        except (FileNotFoundError, SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f'identity prior: "{path}" can\'t be read ({error}). Run "facemint weights verify" or train it again.') from error
        predictors = {key.removeprefix("predict."): value for key, value in tensors.items() if key.startswith("predict.")}
        return IdentityPrior(dims=header["dims"], mean=tensors["mean"], basis=tensors["basis"], predictors=predictors, apart=header["apart"])

    def save(self, path: Path) -> None:
        """Writes the prior as safetensors with its header as metadata."""
        tensors = {"mean": self.mean, "basis": self.basis, **{f"predict.{name}": value for name, value in self.predictors.items()}}
        header = {"dims": dict(self.dims), "apart": self.apart}
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata={"prior": json.dumps(header)})

    def sample(
        self, count: int, seed: int, *, grown_from: Sequence[int] = (), accepts: Accepts | None = None, max_tries: int = 200
    ) -> dict[str, NDArray[np.float32]]:
        """`count` people as unit embeddings per encoder, each (count, E); predicted recognisers are further keys.

        Person i depends on (seed, i) and on the people before it, whose neighbourhood it must avoid, so a longer list starts with a shorter one.
        grown_from: rising counts that the list had before. The last bits of a predicted embedding depend on how many are predicted together, so
        people who were there before are predicted as they were.
        accepts: has the last word on each draw that keeps apart; asked in order, and whom it takes is a person.
        Raises InputError when no person can be placed within max_tries draws.
        """
        people: list[NDArray[np.float32]] = []
        first = slice(0, next(iter(self.dims.values())))
        for index in range(count):
            draw = np.random.default_rng([seed, index])
            refused = 0
            for _ in range(max_tries):
                person = self._unit_parts(self.mean + draw.standard_normal(len(self.basis), dtype=np.float32) @ self.basis)
                if people and float(np.max(np.stack(people)[:, first] @ person[first])) > self.apart:
                    continue
                if accepts is None or accepts({name: rows[0] for name, rows in self.split(person[None]).items()}):
                    break
                refused += 1
            else:
                raise InputError(
                    f"identity prior: {index} of {count} people were found, and none of {max_tries} draws can be the next one: {max_tries - refused} come "
                    f"closer than cosine {self.apart:.3f} to an earlier person and {refused} were refused by their faces. Ask for fewer people, take people "
                    "whose faces may look alike (identities.sampled.proofs=0 identities.sampled.previews=0), or give your own with identities.path."
                )
            people.append(person)
        joint = np.stack(people) if people else np.zeros((0, len(self.mean)), dtype=np.float32)
        edges = [0, *(before for before in grown_from if 0 < before < count), count]
        parts = [self.split(joint[first:last]) for first, last in pairwise(edges)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def split(self, joint: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Joint vectors (N, sum E) as one unit embedding per encoder, and the predicted ones."""
        edges = np.cumsum([0, *self.dims.values()])
        parts = {name: _unit(joint[:, a:b]) for name, a, b in zip(self.dims, edges[:-1], edges[1:], strict=True)}
        constant = np.ones((len(joint), 1), dtype=np.float32)
        predicted = {name: _unit(np.concatenate([joint, constant], axis=1) @ weight) for name, weight in self.predictors.items()}
        return {**parts, **predicted}

    def _unit_parts(self, joint: NDArray[np.float32]) -> NDArray[np.float32]:
        edges = np.cumsum([0, *self.dims.values()])
        return np.concatenate([_unit(joint[None, a:b])[0] for a, b in pairwise(edges)])


def sample_identities(
    path: Path, count: int, seed: int, *, grown_from: Sequence[int] = (), accepts: Accepts | None = None
) -> dict[str, NDArray[np.float32]]:
    """Embeddings of `count` new people from the prior in `path`: encoder -> (count, E), unit length. The rest as of `IdentityPrior.sample`."""
    return IdentityPrior.load(path).sample(count, seed, grown_from=grown_from, accepts=accepts)


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9), dtype=np.float32)
