"""What an audio file may have, whatever decodes it: a kilobyte of FLAC can expand to hours."""

MIN_RATE, MAX_RATE = 1000, 1_000_000  # Hz; bats are recorded at 500,000
MAX_CHANNELS = 16
MAX_SECONDS = 3600
MAX_KEPT_SECONDS = 86_400  # of files of which windows are decoded
MAX_FRAMES = 2**26  # 256 MB as float32; an hour at 16 kHz is less


class OutOfBoundsError(Exception):
    """A file has more of something than it may have; the message names it."""


def check_format(rate: int, channels: int) -> None:
    """Raise OutOfBoundsError unless the sample rate, in Hz, and the number of channels are in bounds."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise OutOfBoundsError(f"sample rate {rate:,} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise OutOfBoundsError(f"{channels:,} channels")


def check_length(frames: int, rate: int, *, whole: bool = True) -> None:
    """Raise OutOfBoundsError if a file has too many frames to be decoded as a `whole`, or to be kept."""
    if frames >= (min(MAX_SECONDS * rate, MAX_FRAMES) if whole else MAX_KEPT_SECONDS * rate):
        raise OutOfBoundsError(f"more than {frames / rate / 60:.0f} minutes at {rate:,} Hz")
