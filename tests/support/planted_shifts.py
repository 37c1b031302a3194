"""Competitions of short clips whose test differs from the training data in a known way.

`PYTHONPATH=tests python -m support.planted_shifts` writes docs/results/verdict.md: the verdict on 100 seeded
cases of each kind. `--tune` shows the same of the seeds by which the thresholds in
kagglekit/verdict/verdict.py were chosen.

A case has 200 training and 150 test clips of 0.75 s at 8 kHz: tones of six classes, recorded at ten sites. A
site has its own microphone gain, noise level, noise colour, two resonances or hums and shares of the classes,
all drawn from one population, so sites differ in training, too. What is true in each kind:

none         The test is recorded at the training's own sites. Folds of single clips are as the test is: trust.
             Folds of whole sites ask more than the test does: trust, but the score may be higher.
other noise  The test's sites are 12 dB noisier, with a noise 6 dB an octave brighter, than the population that
             the training's are drawn from: no fold has heard such recordings, so it cannot be known.
other sites  The test is recorded at five other sites of the same population. Folds that hold out whole sites
             ask just that: trust. Folds of single clips have heard every site that they validate: it cannot
             be known.
new classes  About 30 % of the test clips are of three classes that the training data do not have: no model
             can be right about them, and no fold says so: it cannot be known.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kagglekit.config import Audio
from kagglekit.features.clip_statistics import ClipStatistics, clip_statistics, edges_of, spec_of
from kagglekit.scoring.metrics import make_metric
from kagglekit.verdict.classifier import parts_of
from kagglekit.verdict.comparison import OtherClips, TrainClips, compare
from kagglekit.verdict.distance import Folds
from kagglekit.verdict.evidence import Evidence
from kagglekit.verdict.facts import Groups
from kagglekit.verdict.verdict import WORDS, Verdict, judge

AUDIO = Audio(sample_rate=8000, seconds=0.75)
TRAIN, TEST = 200, 150
CLASSES, NEW_CLASSES = 6, 3
SITES, OTHER_SITES, FOLDS = 10, 5, 5
CASES = 100
TABLE_SEED, TUNING_SEED = 0, 5000
TABLE = Path(__file__).parents[2] / "docs" / "results" / "verdict.md"

KINDS: dict[tuple[str, bool], tuple[str, str]] = {
    ("none", False): ("trust", "trust"),
    ("other noise", True): ("unknown", "unseen recording conditions"),
    ("other sites", True): ("trust", "trust"),
    ("new classes", False): ("unknown", "sound like nothing"),
    ("none", True): ("trust", "may be higher"),
    ("other noise", False): ("unknown", "unseen recording conditions"),
    ("other sites", False): ("unknown", "unseen recording conditions"),
    ("new classes", True): ("unknown", "sound like nothing"),
}
"""(kind, whether folds hold out sites) -> the right level, and words of the right sentence."""


COLUMNS = (
    *("test", "folds hold out", "true", "right sentence", "trust", "ranking", "cannot be known"),
    *("CV - test, points", "AUC, far, shift, new sounds"),
)


@dataclass(frozen=True)
class Case:
    """A competition."""

    train: NDArray[np.int16]
    """(TRAIN, samples)."""
    test: NDArray[np.int16]
    group: NDArray[np.int64]
    """(TRAIN,), the site, or the clip where folds do not hold out sites."""
    label: NDArray[np.int64]
    test_label: NDArray[np.int64]


@dataclass(frozen=True)
class Site:
    """Where clips are recorded."""

    slope: float
    """Colour of the noise, dB an octave."""
    level: float
    """Of the noise, dB."""
    gain: float
    """Of the microphone, dB."""
    peaks: tuple[tuple[float, float], ...]
    """Resonances and hums: Hz, and dB above the noise."""
    classes: NDArray[np.float64]
    """Share of each class, (CLASSES,)."""


def make_case(kind: str, seed: int, *, by_site: bool) -> Case:
    """Make the case of a kind and a seed; only its groups depend on `by_site`."""
    rng = np.random.default_rng(seed)
    sites = [_site(rng) for _ in range(SITES)]
    where = rng.integers(0, SITES, TRAIN)
    label = _labels(rng, sites, where)
    train = np.stack([_clip(rng, sites[site], name) for site, name in zip(where, label, strict=True)])
    places = sites
    if kind == "other noise":
        places = [_site(rng, brighter=6.0, louder=12.0) for _ in range(SITES)]
    elif kind == "other sites":
        places = [_site(rng) for _ in range(OTHER_SITES)]
    there = rng.integers(0, len(places), TEST)
    test_label = _labels(rng, places, there)
    if kind == "new classes":
        new = rng.integers(CLASSES + 1, CLASSES + 1 + NEW_CLASSES, TEST)
        test_label = np.where(rng.random(TEST) < 0.3, new, test_label)
    test = np.stack([_clip(rng, places[site], name) for site, name in zip(there, test_label, strict=True)])
    return Case(train, test, where if by_site else np.arange(TRAIN), label, test_label)


def _labels(rng: np.random.Generator, sites: list[Site], where: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([rng.choice(CLASSES, p=sites[site].classes) for site in where])


def _site(rng: np.random.Generator, *, brighter: float = 0.0, louder: float = 0.0) -> Site:
    peaks = tuple((float(np.exp(rng.uniform(5.0, 8.16))), rng.uniform(6, 14)) for _ in range(2))
    return Site(
        slope=rng.normal(-4, 1.5) + brighter,
        level=rng.normal(-36, 4) + louder,
        gain=rng.normal(0, 2.5),
        peaks=peaks,
        classes=rng.dirichlet(np.full(CLASSES, 0.7)),
    )


def _clip(rng: np.random.Generator, site: Site, name: int) -> NDArray[np.int16]:
    wave = (_sound(rng, name) + _noise(rng, site)) * 10 ** (site.gain / 20)
    return np.clip(np.round(wave * 32768), -32768, 32767).astype(np.int16)


def _noise(rng: np.random.Generator, site: Site) -> NDArray[np.float64]:
    hertz = np.fft.rfftfreq(AUDIO.samples, 1 / AUDIO.sample_rate)
    shape = site.slope * np.log2(np.maximum(hertz, 50) / 500)
    for centre, height in site.peaks:
        shape += height * np.exp(-0.5 * (np.log2(np.maximum(hertz, 1) / centre) / 0.25) ** 2)
    wave = np.fft.irfft(np.fft.rfft(rng.normal(size=AUDIO.samples)) * 10 ** (shape / 20), AUDIO.samples)
    level = 10 ** ((site.level + rng.normal(0, 1.5)) / 20)
    scaled: NDArray[np.float64] = wave * level / np.sqrt(np.square(wave).mean())
    return scaled


def _sound(rng: np.random.Generator, name: int) -> NDArray[np.float64]:
    """A pulsating tone of one to four harmonics, whose pitch and pulse are the class's."""
    at = np.arange(AUDIO.samples) / AUDIO.sample_rate
    pitch = 200 * 1.35**name * 2 ** rng.normal(0, 0.15)
    wave = np.zeros(len(at))
    for harmonic in range(1, 2 + name % 4):
        if harmonic * pitch < 3800:
            wave += np.sin(2 * np.pi * harmonic * pitch * at + rng.uniform(0, 6.28)) / harmonic
    start, length = rng.uniform(0, 0.25), rng.uniform(0.3, 0.5)
    pulse = 0.6 + 0.4 * np.sin(2 * np.pi * (3 + 2.5 * (name % 3)) * at + rng.uniform(0, 6.28))
    there = (at > start) & (at < start + length)
    return 0.1 * wave * there * pulse * 10 ** (rng.normal(0, 3) / 20)


# --- the verdict, and what is true ---


def statistics_of(case: Case) -> tuple[ClipStatistics, ClipStatistics]:
    return clip_statistics([case.train], AUDIO), clip_statistics([case.test], AUDIO)


def verdict_of(case: Case, train: ClipStatistics, test: ClipStatistics) -> Verdict:
    """Judge a case as the verbs do, from statistics of its clips."""
    fold = parts_of(case.group, FOLDS)
    folds = Folds(fold, np.full(TRAIN, -1), np.full(TRAIN, 1 / TRAIN))
    compared = compare(
        TrainClips(train, case.group, folds, np.full(TRAIN, AUDIO.seconds)),
        OtherClips(test, np.arange(TEST), np.full(TEST, AUDIO.seconds)),
        edges_of(spec_of(AUDIO)),
    )
    share = np.bincount(case.group) / TRAIN
    groups = Groups(
        clips=TRAIN,
        groups=int((share > 0).sum()),
        named=bool(share.max() > 1 / TRAIN),
        effective=float(1 / (share @ share)),
        alone={},
        alone_share=0.0,
        test_domain=False,
    )
    evidence = Evidence(groups=groups, compared=compared)
    return judge(evidence, None, make_metric("accuracy", "single"))


def cv_and_test(case: Case, train: ClipStatistics, test: ClipStatistics) -> tuple[float, float]:
    """Return the accuracy of a small model by CV and on the test: what the verdict is about.

    The model is a ridge regression of the classes on all that the classifier hears; the mean of the folds'
    models answers for the test.
    """
    fold, spread = parts_of(case.group, FOLDS), train.heard.std(0) + 1e-9
    inputs, others = (np.column_stack([x.heard / spread, np.ones(len(x.level))]) for x in (train, test))
    target = np.eye(CLASSES)[case.label]
    right, mean = np.zeros(TRAIN, bool), np.zeros((TEST, CLASSES))
    for number in range(FOLDS):
        kept = fold != number
        gram = inputs[kept].T @ inputs[kept] + 10 * np.eye(inputs.shape[1])
        model = np.linalg.solve(gram, inputs[kept].T @ target[kept])
        right[~kept] = (inputs[~kept] @ model).argmax(1) == case.label[~kept]
        mean += others @ model
    return float(right.mean()), float((mean.argmax(1) == case.test_label).mean())


def is_right(kind: str, by_site: bool, verdict: Verdict) -> bool:
    level, words = KINDS[kind, by_site]
    return verdict.level == level and words in verdict.sentence


@dataclass(frozen=True)
class Judged:
    """The verdict on a case, and what is true."""

    verdict: Verdict
    right: bool
    difference: float
    """CV - test, accuracy of the small model."""
    seconds: float
    """To compute statistics and verdict."""


def judge_case(kind: str, by_site: bool, seed: int) -> Judged:
    case = make_case(kind, seed, by_site=by_site)
    start = time.perf_counter()
    both = statistics_of(case)
    verdict = verdict_of(case, *both)
    seconds = time.perf_counter() - start
    cv, test = cv_and_test(case, *both)
    return Judged(verdict, is_right(kind, by_site, verdict), cv - test, seconds)


def row(kind: str, by_site: bool, judged: list[Judged]) -> str:
    """Return a kind's line of the table."""
    level, _ = KINDS[kind, by_site]
    levels = Counter(one.verdict.level for one in judged)
    differences = 100 * np.array([one.difference for one in judged])
    compared = [one.verdict.evidence.compared for one in judged]
    medians = [
        np.median([getattr(each, name) for each in compared])
        for name in ("auc", "far", "shift", "new_sounds")
    ]
    cells = [
        kind,
        "sites" if by_site else "clips",
        WORDS[level],
        f"{sum(one.right for one in judged)} of {len(judged)}",
        *(str(levels[name]) for name in WORDS),
        f"{differences.mean():+.1f} ± {differences.std():.1f}",
        "{:.2f}, {:.2f}, {:.1f}, {:.2f}".format(*medians),
    ]
    return f"| {' | '.join(cells)} |"


def page(seed: int, cases: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "# The verdict on planted shifts"
    yield ""
    yield f"`PYTHONPATH=tests python -m support.planted_shifts`, seeds {seed} to {seed + cases - 1}. The thresholds"
    yield f"in `kagglekit/verdict/verdict.py` were chosen on seeds from {TUNING_SEED} on, and none on these."
    yield ""
    yield from _docstring()
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    sentences, seconds = [], []
    for kind, by_site in KINDS:
        with ProcessPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            judged = list(pool.map(partial(judge_case, kind, by_site), range(seed, seed + cases)))
        yield row(kind, by_site, judged)
        sentences.append(
            f"- {kind}, folds of {'sites' if by_site else 'clips'}: {judged[0].verdict.sentence}"
        )
        seconds += [one.seconds for one in judged]
    yield ""
    yield "A sentence is right if its level is, and it names what was planted. The difference of CV and test is that of a"
    yield "small model (a ridge regression on the statistics), mean ± standard deviation over the cases: it says that"
    yield "the levels are true on average, and how large what they warn of is. The last column has medians of what"
    yield "the verdict judges by: the AUC of the domain classifier, that of distances, the largest shift in standard"
    yield "deviations of the groups, and the share of clips that sound like nothing in the training data."
    yield ""
    yield f"A case takes {np.median(seconds):.2f} s (median; two cores that others use, too). The first of each kind:"
    yield ""
    yield from sentences


def _docstring() -> list[str]:
    """Return what is true in each kind, as a list."""
    _, *parts = (__doc__ or "").split("\n\n")
    about, kinds = parts[1], parts[2]
    lines = []
    for line in kinds.splitlines():
        lines.append(line.strip() if line.startswith(" ") else "- **" + re.sub(r"  +", "** ", line, count=1))
    lines = [line if line.startswith("-") else f"  {line}" for line in lines]
    return [*about.splitlines(), "", *(line.replace("** is", "**: is") for line in lines)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="show the seeds that thresholds are chosen on")
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    if options.tune:
        for line in page(TUNING_SEED, options.cases):
            print(line, flush=True)
    else:
        TABLE.write_text("\n".join(page(TABLE_SEED, options.cases)) + "\n", encoding="utf-8")
