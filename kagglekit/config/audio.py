"""`audio:`, what a clip is, and `features:`, its log-mel spectrogram."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Count, Positive, Section

MAX_WINDOWS = 120  # a minute of windows of one second, half a second apart


class Audio(Section):
    """What a clip is after decoding: mono int16 samples of fixed length.

    Cache and run keys contain its model_dump, so a new field must be excluded where it has its default.
    """

    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    """Sample rate in Hz; clips of another rate are resampled."""
    seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Length of a clip in seconds; shorter clips are padded with zeros at the end."""
    longer: Literal["cut", "windows"] = Field(default="cut", exclude_if=lambda longer: longer == "cut")
    """What to do with longer clips. cut: drop the rest. windows: split them into windows of `seconds`;
    training draws one at random in each epoch, and a prediction is the mean over all windows."""
    hop_seconds: Annotated[float, Field(gt=0, le=60)] | None = Field(
        default=None, exclude_if=lambda hop: hop is None
    )
    """Seconds between the starts of two windows, by default half a window; the last window ends with the
    clip."""
    max_windows: Count = Field(default=MAX_WINDOWS, exclude_if=lambda most: most == MAX_WINDOWS)
    """Maximum number of windows in a clip; the rest is cut, and `prepare` reports the clip as `long`."""

    store: Literal["decoded", "source"] = Field(default="decoded", exclude_if=lambda kind: kind == "decoded")
    """How `prepare` keeps recordings. decoded: int16 samples, for short clips. source: the files themselves,
    of which a window is decoded whenever it is wanted, for many hours of Ogg, MP3 or FLAC; loudness and
    damage are not looked for."""

    @model_validator(mode="after")
    def _windows_fit(self) -> Audio:
        if self.longer == "cut" and (self.hop_seconds is not None or self.max_windows != MAX_WINDOWS):
            raise ValueError("hop_seconds and max_windows require longer: windows")
        if self.hop_seconds is not None and self.hop_seconds > self.seconds:
            raise ValueError(
                f"hop_seconds {self.hop_seconds:g} is larger than seconds {self.seconds:g}: "
                "no window would contain the audio in between"
            )
        return self

    @property
    def samples(self) -> int:
        """Return the samples in a clip, 16,000 for one second at 16 kHz."""
        return round(self.sample_rate * self.seconds)

    @property
    def hop_samples(self) -> int:
        """Return the samples between the starts of two windows."""
        return max(round(self.sample_rate * (self.hop_seconds or self.seconds / 2)), 1)

    @property
    def max_samples(self) -> int:
        """Return the samples after which a clip is cut."""
        return self.samples + (self.longer == "windows") * (self.max_windows - 1) * self.hop_samples


class Features(Section):
    """Log-mel spectrogram."""

    n_mels: Annotated[int, Field(ge=8, le=256)] = 40
    """Number of mel bands."""
    window_ms: Annotated[float, Field(ge=5, le=200)] = 30.0
    """Length of the STFT window in ms; the default is longer where its frequency bins would be wider than the
    mel bands: at low sample rates, or with many bands."""
    hop_ms: Annotated[float, Field(ge=1, le=100)] = 10.0
    """Hop between two frames in ms."""
    fmin: Annotated[float, Field(ge=0)] = 20.0
    """Lower edge of the first mel filter in Hz."""
    fmax: Positive = 7600.0
    """Upper edge of the last mel filter in Hz, at most half the sample rate; the default is at most 0.95 of
    that."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the feature cache; float16 takes half the disk space, with errors up to 0.004."""

    @model_validator(mode="after")
    def _band(self) -> Features:
        if self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        return self
