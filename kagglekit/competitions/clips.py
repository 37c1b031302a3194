"""Draft `audio` and `features`: what a clip is, and what a small model hears of it."""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kagglekit.competitions.look import Facts, Heard, is_number
from kagglekit.competitions.render import Guess, plain
from kagglekit.competitions.training_sets import Drafted
from kagglekit.config.following import FMAX_SHARE

RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
"""Sample rates in Hz; the first that has all annotated boxes caps the recordings' own.

On ESC-10, tcresnet had a CV of 0.827 at 16 kHz with 40 mel bands, 0.765 at 22 kHz with 64, and 0.686 at
44.1 kHz with 128 (docs/LOG.md); and models for waveforms take 16 kHz.
"""


def audio_keys(heard: Sequence[Heard], every: int | None, highest: float) -> dict[str, Any]:
    """Return the sample rate and the length of a clip.

    Args:
        heard: the recordings that were read.
        highest: the upper edge of annotated boxes in Hz; 0 if there are none.
    """
    if not heard:
        why = "no recording was read"
        return {"sample_rate": Guess(16000, why), "seconds": Guess(every or 5, why), "longer": "windows"}
    rate = Counter(one.rate for one in heard).most_common(1)[0][0]
    wanted = next((one for one in RATES if FMAX_SHARE * one / 2 >= highest), rate)
    keys: dict[str, Any] = {"sample_rate": max(rate, 1000)}
    if rate > wanted:
        why = f"they have {rate:,} Hz; for sounds above {wanted // 2:,} Hz raise it and features.fmax"
        keys["sample_rate"] = Guess(wanted, why)
    lengths = [one.seconds for one in heard]
    middle, longest = statistics.median(lengths), max(lengths)
    if every is not None:
        return {**keys, "seconds": every, "longer": "windows"}
    if longest <= 1.1 * middle and longest <= 15:  # of one length
        return {**keys, "seconds": max(round(longest, 1), 0.1)}
    seconds = max(min(round(middle), 5), 1)
    return {**keys, "seconds": Guess(seconds, f"{min(lengths):.1f} to {longest:.1f} s"), "longer": "windows"}


def feature_section(audio: dict[str, Any], highest: float) -> dict[str, Any]:
    """Return what differs from the default log-mel spectrogram, with which small models learn best."""
    rate = plain(audio["sample_rate"])
    if highest > FMAX_SHARE * RATES[0] / 2:
        return {"features": {"n_mels": 64, "fmax": round(FMAX_SHARE * rate / 2)}}
    if rate <= 4000:  # long windows tell low frequencies apart
        return {"features": {"window_ms": 128, "hop_ms": 16, "fmax": round(rate / 2)}}
    return {}


def highest_edge(facts: Facts, drafted: Sequence[Drafted]) -> float:
    """Return the highest edge of annotated boxes in Hz; 0 if there are none."""
    edges = [0.0]
    for keys in (one.keys for one in drafted if "high" in one.keys):
        cells = facts.tables[keys["table"]][keys["high"]].drop_nulls()
        edges += [float(cell) for cell in cells if is_number(cell)]
    return max(edges)
