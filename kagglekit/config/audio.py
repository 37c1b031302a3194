"""What competition.yaml says about sound: `audio:`, what a clip is, and `features:`, its log-mel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Count, Positive, Section

MAX_WINDOWS = 120  # a minute of windows of one second, half a second apart


class Audio(Section):
    """What a clip is after decoding: mono int16 of fixed length.

    Keys of caches and runs are made of it: what is added must be left out of model_dump where it is not used.
    """

    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    """Hz. Clips of another rate are resampled."""
    seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Shorter clips are padded with zeros at the end."""
    longer: Literal["cut", "windows"] = Field(default="cut", exclude_if=lambda longer: longer == "cut")
    """What longer clips become: cut at the end; or windows of `seconds`, of which training hears one drawn
    anew each time, and a prediction is the mean of all."""
    hop_seconds: Annotated[float, Field(gt=0, le=60)] | None = Field(
        default=None, exclude_if=lambda hop: hop is None
    )
    """From the start of a window to that of the next, half of one by default; the last ends with the clip."""
    max_windows: Count = Field(default=MAX_WINDOWS, exclude_if=lambda most: most == MAX_WINDOWS)
    """Of one clip; what lies beyond is cut, and counted as a problem of `prepare`."""

    @model_validator(mode="after")
    def _windows_fit(self) -> Audio:
        if self.longer == "cut" and (self.hop_seconds is not None or self.max_windows != MAX_WINDOWS):
            raise ValueError("hop_seconds and max_windows are of longer: windows, but clips are cut")
        if self.hop_seconds is not None and self.hop_seconds > self.seconds:
            raise ValueError(
                f"hop_seconds {self.hop_seconds:g} is more than seconds {self.seconds:g}: "
                "no window would hear what lies between"
            )
        return self

    @property
    def samples(self) -> int:
        """Samples in a clip, 16,000 for one second at 16 kHz."""
        return round(self.sample_rate * self.seconds)

    @property
    def hop_samples(self) -> int:
        """Samples from window to window."""
        return max(round(self.sample_rate * (self.hop_seconds or self.seconds / 2)), 1)

    @property
    def most_samples(self) -> int:
        """Samples of a clip beyond which it is cut."""
        return self.samples + (self.longer == "windows") * (self.max_windows - 1) * self.hop_samples


class Features(Section):
    """Log-mel spectrogram."""

    n_mels: Annotated[int, Field(ge=8, le=256)] = 40
    window_ms: Annotated[float, Field(ge=5, le=200)] = 30.0
    hop_ms: Annotated[float, Field(ge=1, le=100)] = 10.0
    fmin: Annotated[float, Field(ge=0)] = 20.0
    """Hz, lower edge of the first mel filter."""
    fmax: Positive = 7600.0
    """Hz, upper edge of the last mel filter."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the cache; float16 halves the disk it takes, at +-0.004."""

    @model_validator(mode="after")
    def _band(self) -> Features:
        if self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        return self
