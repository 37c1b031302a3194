"""Split a recording into windows of a clip's length, and join them again."""

import numpy as np
import numpy.typing as npt

from kagglekit.config import Audio

Int16 = npt.NDArray[np.int16]


def split_windows(pcm: Int16, audio: Audio) -> Int16:
    """Split a recording longer than a window into (windows, audio.samples); the last window ends with it."""
    starts = window_starts(min(len(pcm), audio.max_samples), audio)
    return np.stack([pcm[start : start + audio.samples] for start in starts])


def join_windows(rows: Int16, samples: int, audio: Audio) -> Int16:
    """Undo `split_windows`, as far as samples were kept: (windows, audio.samples) to (samples or fewer,)."""
    kept = max(min(samples, audio.max_samples), audio.samples)  # shorter recordings are padded
    pcm = np.empty(kept, np.int16)
    for start, row in zip(window_starts(kept, audio), rows, strict=True):
        pcm[start : start + audio.samples] = row
    return pcm


def window_starts(samples: int, audio: Audio) -> list[int]:
    """Return the first sample of each window of a recording of `samples` samples; [0] if it is no longer."""
    last = max(min(samples, audio.max_samples) - audio.samples, 0)
    return [*range(0, last, audio.hop_samples), last]
