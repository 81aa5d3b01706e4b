"""Plants copies of training pictures and exchanged labels into runs, and counts what the leakage and label checks find of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.bundle import BUNDLED
from jobs.config import load_config
from jobs.judging import open_pack
from jobs.pictures import read_attempts, read_pictures
from jobs.shards import read_markers
from jobs.summary_inputs import read_run_tables
from jobs.summary_pictures import read_gallery
from manifests.vocabulary import AFFECTNET8, find_word
from qc.alignment import recogniser_crops
from qc.dataset.hashes import close_pairs, close_to, hamming256, phash64, phash64_mirrored
from qc.dataset.label_faults import label_faults
from qc.dataset.leakage import CANDIDATE_LIMIT, CONFIRM_LIMIT, leakage
from qc.packs import FacePack
from qc.recognition import Recogniser
from qc.report.inputs import Gallery
from qc.statistics import RULE_OF
from qc.statistics.intervals import wilson
from tests.bench.machine import head, say, table
from tests.qc.leaks import BEYOND, COPIES, Rgb, copies_among, swap_singles, swap_words_of_people

SEED = 20_261_121
TARGET = "99 % of planted copies found at a false-match rate of 1e-6 where estimable; planted label swaps found"
RATES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
REPEATS = 20  # plantings of labels


@dataclass(frozen=True, kw_only=True)
class Search:
    """The training gallery and what searches it."""

    gallery: Gallery
    pack: FacePack
    auditor: Recogniser

    @property
    def of_training(self) -> NDArray[np.bool_]:
        return ~self.gallery.held_out[self.gallery.phash_owner]

    @property
    def fine(self) -> NDArray[np.uint8]:
        """Hashes of 256 bits of the training pictures (T, 32)."""
        assert self.gallery.phash256 is not None, "the bundled gallery has a column phash256"
        return self.gallery.phash256[self.of_training]

    def threshold_at(self, rate: float) -> float:
        """Cosine of held-out people against training people at a false-match rate."""
        gallery = self.gallery
        return float(np.quantile(gallery.auditor[gallery.held_out] @ gallery.auditor[~gallery.held_out].T, 1 - rate))

    def embedded(self, images: Sequence[Rgb]) -> NDArray[np.float32]:
        """By the auditor (N, D); zeros without a face."""
        found = np.zeros((len(images), self.gallery.auditor.shape[1]), np.float32)
        for k, image in enumerate(images):
            if faces := self.pack.detector.detect(image):
                found[k] = self.auditor.embed(recogniser_crops([image], [faces[0].landmarks5_px]))[0]
        return found

    def row(self, name: str, images: Sequence[Rgb], rate: float) -> list[object]:
        """How many are candidates, how many copies as the report says, and how many are found by cosine alone at `rate`."""
        hashes = self.gallery.phash64[self.of_training]
        near = [close_to(np.array([of(image) for image in images], np.uint64), hashes, CANDIDATE_LIMIT).first.tolist() for of in (phash64, phash64_mirrored)]
        confirmed = copies_among(images, hashes, self.fine)
        seen = self.embedded(images)
        cosines = (seen @ self.gallery.auditor[~self.gallery.held_out].T).max(axis=1)
        above = int((cosines >= self.threshold_at(rate)).sum())
        ci = wilson(len(confirmed), len(images))
        return [
            name,
            len(images),
            _share(len({*near[0], *near[1]}), len(images)),
            _share(len(confirmed), len(images)),
            f"{ci.low:.1%} to {ci.high:.1%}",
            _share(above, len(images)),
        ]


def copies(search: Search, training: Sequence[Rgb], made: Sequence[Rgb]) -> None:
    """Recall of each kind of copy, and what made pictures give, which are none."""
    gallery = search.gallery
    people, held = int((~gallery.held_out).sum()), int(gallery.held_out.sum())
    rate = next((rate for rate in RATES if rate * people * held >= RULE_OF), RATES[-1])
    rows = []
    for name, change in {**COPIES, **BEYOND}.items():
        draw = np.random.default_rng(SEED)
        rows.append(search.row(name + (" (beyond the hash)" if name in BEYOND else ""), [change(image, draw) for image in training], rate))
    rows.append(search.row("made pictures, no copies", made, rate))
    found = leakage(search.embedded(made), gallery.auditor[~gallery.held_out], gallery.auditor[gallery.held_out], target_fmr=1e-6, top=1)
    heads = ["planted", "n", f"candidates, {CANDIDATE_LIMIT} of 64 bits", f"copies, {CONFIRM_LIMIT} of 256 bits", "95 % interval", f"auditor alone at {rate:g}"]
    say(table(heads, rows))
    say(
        f"By cosine, {held} held-out people against {people:,} training people are {people * held:,} comparisons: a "
        f"false-match rate of 1e-6 needs {RULE_OF / 1e-6:,.0f}, "
        f"so it is {'estimable' if found.estimable else 'not estimable'}; {rate:g} is the least that is.\n"
    )


def false_matches(search: Search) -> None:
    """Pairs of different people that lie within the limits: training people among themselves, and held-out against training people."""
    gallery, of = search.gallery, search.of_training
    assert gallery.phash256 is not None
    hashes, owner, held, held_fine = gallery.phash64[of], gallery.phash_owner[of], gallery.phash64[~of], gallery.phash256[~of]
    near = close_pairs(hashes, CANDIDATE_LIMIT)
    sizes = np.bincount(owner).astype(np.int64)
    false = owner[near.first] != owner[near.second]
    within = hamming256(search.fine[near.first], search.fine[near.second])[false]
    close = close_to(held, hashes, CANDIDATE_LIMIT)
    across = hamming256(held_fine[close.first], search.fine[close.second])
    rows = [
        _false_row("training portraits of two people", (len(hashes) ** 2 - int((sizes**2).sum())) // 2, within),
        _false_row("held-out against training portraits", len(held) * len(hashes), across),
    ]
    heads = ["pairs of different people", "comparisons", "1e-6 estimable", "candidates", "rate", "copies", "rate ", "nearest, of 256 bits"]
    say(table(heads, rows))


def labels(folders: Sequence[Path]) -> None:
    """Recall and false flags of planted label faults among accepted pictures."""
    asked, probabilities, people = [], [], []
    for number, folder in enumerate(folders):
        tables = read_run_tables(folder, read_markers(folder))
        kept = tables.attempts[tables.attempts["accepted"].to_numpy(bool)].merge(tables.slots[["slot", "expression", "identity_id"]], on="slot")
        asked += [AFFECTNET8.index(find_word(word).affectnet8) if find_word(word).affectnet8 else -1 for word in kept["expression"].astype(str)]
        probabilities.append(kept[[f"obs_prob_{name}" for name in AFFECTNET8]].to_numpy(np.float64))
        people += [f"{number}/{name}" for name in kept["identity_id"].astype(str)]
    right, scores, who = np.array(asked), np.concatenate(probabilities), np.unique(people, return_inverse=True)[1]
    right, scores, who = right[right >= 0], scores[right >= 0], who[right >= 0]
    classes, draw, rows = len(AFFECTNET8), np.random.default_rng(SEED), []
    clean = label_faults(right, scores, who, classes=AFFECTNET8, top=len(right))
    rows.append(["nothing", len(right), "-", _share(clean.num_suspects, len(right)), "-", sum(pair.flagged for pair in clean.pairs)])
    for name, plant in (
        ("1 % of labels, another class", lambda: swap_singles(right, 0.01, classes, draw)),
        ("5 % of labels, another class", lambda: swap_singles(right, 0.05, classes, draw)),
        ("two words exchanged for one person", lambda: swap_words_of_people(right, who, 1, draw)),
        ("two words exchanged for every fourth person", lambda: swap_words_of_people(right, who, max(1, len(np.unique(who)) // 4), draw)),
    ):
        hits = planted = false = others = 0
        for _ in range(REPEATS):
            changed, places = plant()
            suspects = np.array([item.picture for item in label_faults(changed, scores, who, classes=AFFECTNET8, top=len(right)).suspects], np.int64)
            hit = np.isin(suspects, places)
            hits, planted, false, others = hits + int(hit.sum()), planted + len(places), false + int((~hit).sum()), others + len(right) - len(places)
        rows.append([name, planted, _share(hits, planted), _share(false, others), "-", "-"])
    found = flagged = 0
    for first in range(classes):
        for second in range(first + 1, classes):
            swap = np.arange(classes)
            swap[[first, second]] = second, first
            faults = label_faults(swap[right], scores, who, classes=AFFECTNET8, top=1)
            wanted = {AFFECTNET8[first], AFFECTNET8[second]}
            found += any(pair.flagged and {pair.first, pair.second} == wanted for pair in faults.pairs)
            flagged += sum(pair.flagged and {pair.first, pair.second} != wanted for pair in faults.pairs)
    pairs = classes * (classes - 1) // 2
    rows.append(["two classes exchanged everywhere", pairs, "-", "-", _share(found, pairs), flagged])
    say(table(["planted", "labels", "found by picture", "other pictures flagged", "pair of classes found", "other pairs flagged"], rows))


def main() -> int:
    """Prints three tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.leaks", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders of the bundled model")
    parser.add_argument("--corpus", type=Path, help="folder of training portraits; without it only labels are looked at")
    parser.add_argument("--portraits", type=int, default=300, help="training portraits that are planted in each way")
    words = parser.parse_args()
    say(head("Planted leaks and label faults", target=TARGET))
    config = load_config(words.runs[0] / "config.yaml")
    gallery = read_gallery(config)
    if words.corpus and gallery is not None:
        search = Search(gallery=gallery, pack=open_pack(config), auditor=Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name="auditor", threads=1))
        made = [image for folder in words.runs for image in _accepted(folder)]
        copies(search, _training(words.corpus, gallery, words.portraits), made)
        false_matches(search)
    labels(words.runs)
    return 0


def _training(corpus: Path, gallery: Gallery, count: int) -> list[Rgb]:
    from generator.training.corpus import load_corpus

    loaded = load_corpus(corpus, pattern="cg-00000[0-3].tar")
    known = {name for name, held in zip(gallery.identity_ids, gallery.held_out, strict=True) if not held}
    rows = np.flatnonzero([f"corpus-{number:06d}" in known for number in loaded.identity.tolist()])
    return list(loaded.images_rgb[np.random.default_rng(SEED).permutation(rows)[:count]])


def _accepted(folder: Path) -> list[Rgb]:
    attempts = read_attempts(folder)
    kept = attempts[attempts["accepted"]]
    return list(read_pictures(folder, zip(kept["slot"].tolist(), kept["attempt"].tolist(), strict=True)).values())


def _share(count: int, n: int) -> str:
    return f"{count / n:.1%}" if n else "-"


def _false_row(name: str, comparisons: int, bits256: NDArray[np.int64]) -> list[object]:
    copies = int((bits256 <= CONFIRM_LIMIT).sum())
    least = int(bits256.min()) if len(bits256) else "-"
    rates = [f"{count / comparisons:.1e}" for count in (len(bits256), copies)]
    return [name, comparisons, comparisons * 1e-6 >= RULE_OF, len(bits256), rates[0], copies, rates[1], least]


if __name__ == "__main__":
    sys.exit(main())
