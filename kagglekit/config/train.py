"""What competition.yaml says about training: `train:`, and within it `augment:`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kagglekit.config.base import Count, Positive, Section, Share


class Augment(Section):
    """What happens to a training batch of cached log-mels. 0 switches a line off.

    Masks and noise are a half and a third of what they were: networks that hear log-mels and train for tens
    of epochs need less (docs/RESULTS.md, "Less augmentation"). Of waveforms it was not measured.
    """

    shift_ms: Annotated[float, Field(ge=0, le=500)] = 100.0
    """Time shift, uniform in +-shift_ms."""
    speed: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Speed, uniform in 1 +- speed."""
    pitch: Annotated[float, Field(ge=0, le=8)] = 0.0
    """Pitch of a log-mel, uniform in +-pitch mel bands."""
    gain_db: Annotated[float, Field(ge=0, le=40)] = 6.0
    """Loudness, uniform in +-gain_db."""
    filter_db: Annotated[float, Field(ge=0, le=30)] = 3.0
    """Another microphone for each clip: a random smooth curve over the mel bands of a log-mel, with
    this standard deviation (like FilterAugment, arXiv:2110.03282)."""
    noise: Share = 0.15
    """Share of clips that get background noise, added in the power domain."""
    noise_snr_db: tuple[float, float] = (0.0, 30.0)
    """Signal-to-noise ratio, uniform between the two."""
    clutter: Share = 0.5
    """Share of silence clips (log-mels) that get made-up clatter: short bursts of any colour, for the noises
    that no recording holds."""
    time_mask: Annotated[int, Field(ge=0, le=100)] = 10
    """SpecAugment: two masks of up to so many frames (arXiv:1904.08779)."""
    freq_mask: Annotated[int, Field(ge=0, le=100)] = 2
    """SpecAugment: two masks of up to so many mel bands."""
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    """alpha of Beta(alpha, alpha) (arXiv:1710.09412)."""
    double_words: Share = 0.15
    """Share of a batch that becomes a filler made of the first part of one word and the second
    part of another: the words that no training clip contains (4th place of the 2018 challenge)."""
    reversed_words: Share = 0.0
    """Share of a batch that is played backwards and becomes a filler."""


class Train(Section):
    """One fold's training."""

    epochs: Count = 40
    batch_size: Count = 128
    optimizer: Literal["adamw", "adam", "adamax", "sgd", "rmsprop"] = "adamw"
    lr: Positive = 2e-3
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    schedule: Literal["cosine", "constant"] = "cosine"
    """After warm-up: down to zero along a cosine, or level."""
    warmup: Share = 0.1
    """Share of the steps with a rising learning rate; 0.3 with cosine is one-cycle."""
    loss: Literal["crossentropy", "mse", "bce"] = "crossentropy"
    """mse is between probabilities and one-hot labels, as the report had it; bce, a yes or no for each class,
    is what competitions with several labels a clip get."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Largest gradient norm; 0 clips nothing."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the running mean of the weights that is evaluated and kept; 0: the weights themselves."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better CV score; 0 never stops early."""
    balance: Share = 0.0
    """How evenly the classes are drawn: 0 as the data has them, 1 all equally often."""
    tta_ms: tuple[float, ...] = ()
    """Test-time augmentation: predict each clip also when shifted by so many ms, and take the mean."""
    labels: Literal["targets", "words", "words_threshold", "cascade", "zero_shot"] = "words"
    """What the outputs are: the classes; every word, summed into the classes; words alone, a clip with none
    above `thresholds` being filler or silence; a network for silence and filler before one for the targets;
    the labels of a pretrained checkpoint, used as it is."""
    thresholds: tuple[Share, Share] | Literal["fit"] = (0.5, 0.3)
    """Of words_threshold and zero_shot: the best word's probability below which a clip is filler, and that
    below which it is silence; fit: those with the best CV score."""
    only: tuple[str, ...] = ()
    """Classes to train and score on, for a look at a part of the problem; empty: all."""
    teaching: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""
    """Key of test clips and soft targets to learn from, which `pseudo` and `distill` make; empty: the labels
    alone."""
    bf16: bool | Literal["auto"] = "auto"
    """Autocast to bfloat16; auto: where the hardware multiplies it natively."""
    seed: int = 0
    augment: Augment = Augment()
