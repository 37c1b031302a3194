"""Augmentation that changes nothing."""

from kagglekit.config import Augment

OFF = Augment(
    shift_ms=0,
    gain_db=0,
    filter_db=0,
    noise=0,
    clutter=0,
    time_mask=0,
    freq_mask=0,
    mixup=0,
    double_words=0,
)
