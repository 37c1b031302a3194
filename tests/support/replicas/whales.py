"""Two whale competitions: clips of two seconds at 2 kHz, with a right whale's up-call or without."""

from __future__ import annotations

import numpy as np

from support.replicas.host import HostFolder, csv_text
from support.replicas.sounds import Samples, draw, encode, usage

RATE = 2000
DAYS = ("20090328", "20090329", "20090330", "20090331")


def _clip(rng: np.random.Generator, whale: bool, seconds: float) -> Samples:
    """An up-call rises from 100 to 250 Hz; else the sea, and now and then a ship's tone."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = rng.normal(0, 0.02, len(time))
    if whale:
        start = rng.uniform(0.2, 0.6)
        inside = (time > start) & (time < start + 1)
        sound += 0.3 * inside * np.sin(2 * np.pi * (100 + 75 * (time - start)) * (time - start))
    elif rng.uniform() < 0.3:
        sound += 0.1 * np.sin(2 * np.pi * 600 * time)
    return sound.clip(-1, 1)


def whale_2013(host: HostFolder) -> None:
    """whale_data.zip: data/train/train1.aiff, data/test/test1.aiff, data/train.csv."""
    labels, members = draw(host.rng, ["0", "1"], 24), {}
    for number, label in enumerate(labels, 1):
        members[f"data/train/train{number}.aiff"] = encode(_clip(host.rng, label == "1", 2), RATE, "AIFF")
    answers = draw(host.rng, ["0", "1"], 12)
    for number, label in enumerate(answers, 1):
        members[f"data/test/test{number}.aiff"] = encode(_clip(host.rng, label == "1", 2), RATE, "AIFF")
    train = [(f"train{number}.aiff", label) for number, label in enumerate(labels, 1)]
    host.zip("whale_data.zip", {"data/train.csv": csv_text(["clip_name", "label"], train), **members})
    test = [(f"test{number}.aiff", label) for number, label in enumerate(answers, 1)]
    _submission(host, test)


def whale_redux_2013(host: HostFolder) -> None:
    """train2.zip and test2.zip: names of day, time, number and, in training, label; lengths differ."""
    train, test, answers = {}, {}, []
    for number, label in enumerate(draw(host.rng, ["0", "1"], 24)):
        name = f"{DAYS[number % 4]}_000000_{number:03d}s3ms_TRAIN{number}_{label}.aif"
        clip = _clip(host.rng, label == "1", host.rng.uniform(1.4, 2.3))
        train[f"train2/{name}"] = encode(clip, RATE, "AIFF")
    for number, label in enumerate(draw(host.rng, ["0", "1"], 12)):
        name = f"20090404_000000_{number:03d}s0ms_Test{number}.aif"
        clip = _clip(host.rng, label == "1", host.rng.uniform(1.4, 2.3))
        test[f"test2/{name}"] = encode(clip, RATE, "AIFF")
        answers.append((name, label))
    host.zip("train2.zip", train)
    host.zip("test2.zip", test)
    _submission(host, answers)


def _submission(host: HostFolder, answers: list[tuple[str, str]]) -> None:
    host.table("sampleSubmission.csv", ["clip", "probability"], [(name, 0) for name, _ in answers])
    rows = [(name, label, usage(number // 2)) for number, (name, label) in enumerate(answers)]
    host.solution(["clip", "probability"], rows)
