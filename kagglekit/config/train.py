"""`train:`, one fold's training, and `train.augment:`, augmentation."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from kagglekit.config.base import Count, Positive, Section, Share


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    """Return the range.

    Raises:
        ValueError: its second number is smaller than its first.
    """
    if pair[0] > pair[1]:
        raise ValueError(f"the first number, {pair[0]:g}, must not be above the second, {pair[1]:g}")
    return pair


HertzRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]


class Augment(Section):
    """Augmentation of training batches. 0 disables a setting.

    `domain: waveform` augments waveforms and computes a log-mel network's log-mels in the batch, so that
    noise, filters and mixtures are those of sounds; networks on waveforms have that domain in any case.
    Masks and noise were halved and cut to a third for log-mel networks trained for tens of epochs
    (docs/RESULTS.md, "Less augmentation"); for networks on waveforms the defaults were not measured.
    """

    domain: Literal["input", "waveform"] = "input"
    """What is augmented. input: the network's input, cached log-mels or waveforms. waveform: the waveform, of
    which the log-mels are then computed; masks, pitch and filter_db follow on the log-mels."""
    shift_ms: Annotated[float, Field(ge=0, le=10_000)] = 100.0
    """Maximum time shift in ms, drawn uniformly in both directions."""
    speed: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Maximum change of speed: a factor drawn uniformly from 1 - speed to 1 + speed."""
    pitch: Annotated[float, Field(ge=0, le=8)] = 0.0
    """Maximum pitch shift of a log-mel in mel bands, drawn uniformly in both directions."""
    gain_db: Annotated[float, Field(ge=0, le=40)] = 6.0
    """Maximum change of loudness in dB, drawn uniformly in both directions."""
    filter_db: Annotated[float, Field(ge=0, le=30)] = 3.0
    """Standard deviation in dB of a random smooth filter over the mel bands, as another microphone would
    have (similar to FilterAugment, arXiv:2110.03282)."""
    noise: Share = 0.15
    """Share of clips with background noise, added in the power domain."""
    noise_from: Literal["silence", "files", "clips"] = "silence"
    """Source of the background noise. silence: the pieces of data.noise from which silence is cut; none where
    there is no silence class. files: data.noise, with or without a silence class. clips: the fold's training
    clips of `noise_class`."""
    noise_class: str = ""
    """For noise_from clips: the class whose clips are background, such as nocall; empty: clips without any
    class, where clips may have several."""
    noise_snr_db: tuple[float, float] = (0.0, 30.0)
    """Signal-to-noise ratio in dB, drawn uniformly between the two."""
    clutter: Share = 0.5
    """Share of silence clips (log-mels) with synthetic clatter: short bursts of random colour, for noises
    that are not in the noise recordings."""
    time_mask: Annotated[int, Field(ge=0, le=100)] = 10
    """SpecAugment: maximum width in frames of each of two time masks (arXiv:1904.08779)."""
    freq_mask: Annotated[int, Field(ge=0, le=100)] = 2
    """SpecAugment: maximum width in mel bands of each of two frequency masks."""
    polarity: Share = 0.0
    """Share of clips with their sign inverted (waveforms)."""
    lowpass: Share = 0.0
    """Share of clips with a low-pass filter of 12 dB per octave (waveforms)."""
    highpass: Share = 0.0
    """Share of clips with a high-pass filter of 12 dB per octave (waveforms)."""
    bandpass: Share = 0.0
    """Share of clips with both (waveforms)."""
    lowpass_hz: HertzRange = (1500.0, 8000.0)
    """Cut-off of the low-pass filter in Hz, drawn between the two, uniformly in octaves."""
    highpass_hz: HertzRange = (50.0, 800.0)
    """Cut-off of the high-pass filter in Hz, drawn between the two, uniformly in octaves."""
    eq: Share = 0.0
    """Share of clips with a random equaliser: a smooth curve over the octaves (waveforms)."""
    eq_db: Annotated[float, Field(ge=0, le=30)] = 6.0
    """Standard deviation in dB of the equaliser's curve."""
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Mixup: alpha of the Beta(alpha, alpha) distribution (arXiv:1710.09412)."""
    mixup_ratio: Literal["amplitude", "loudness"] = "amplitude"
    """What mixup's ratio says. amplitude: the factors on the two inputs. loudness: how loud each is heard,
    whatever their levels were, and the mixture is as loud as they are (arXiv:1711.10282)."""
    cutmix: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Cutmix in time: alpha of the Beta distribution of the share that stays (arXiv:1905.04899). With mixup
    too, half of the batches have the one and half the other."""
    mix_share: Share = 1.0
    """Share of a batch's clips that mixup and cutmix change."""
    mix_labels: Literal["weighted", "union"] = "weighted"
    """Targets of a mixture. weighted: by the ratio. union: every class of either clip, as both are heard."""
    double_words: Share = 0.15
    """Share of a batch replaced by artificial filler words, the first part of one word joined to the second
    part of another (4th place of the 2018 challenge)."""
    reversed_words: Share = 0.0
    """Share of a batch replaced by artificial filler words, played backwards."""


class Train(Section):
    """Training of one fold."""

    epochs: Count = 40
    """Number of epochs."""
    batch_size: Count = 128
    """Clips per batch."""
    optimizer: Literal["adamw", "adam", "adamax", "sgd", "rmsprop", "lbfgs"] = "adamw"
    """Optimizer; sgd with momentum 0.9. lbfgs, for heads on embeddings: all clips at once until the loss no
    longer falls, with `l2`, and without epochs, batches, learning rate, weight_decay, EMA, mixup, balance."""
    l2: Annotated[float, Field(gt=0, le=1e9)] | Literal["auto"] = "auto"
    """L2 penalty of lbfgs on weights, beside the loss summed over clips (1/C of scikit-learn's
    LogisticRegression); auto: each fold takes the best on folds of the clips that it trains on."""
    lr: Positive = 2e-3
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    """Weight decay."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after warm-up: cosine decay to zero, or constant."""
    warmup: Share = 0.1
    """Share of the steps with a linearly rising learning rate; 0.3 with cosine is one-cycle."""
    loss: Literal["crossentropy", "mse", "bce", "focal", "softmax"] = "crossentropy"
    """Loss. One label per clip: crossentropy, or mse between probabilities and one-hot labels. Several: bce,
    binary cross-entropy of each class (also where crossentropy stands here, the default); focal, bce with
    less weight on easy pairs; softmax, cross-entropy over the classes, of which a clip's share the target,
    with a sigmoid at inference."""
    focal_gamma: Annotated[float, Field(ge=0, le=5)] = 2.0
    """For focal: power of a pair's error in its weight (arXiv:1708.02002); 0 is bce."""
    class_weight: Share = 0.0
    """Weight of a class in the loss: its number of clips to the power of minus this; 0.5 is usual for rare
    classes, 0 weighs all alike."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Label smoothing: towards all classes alike for crossentropy and softmax, towards 0.5 for bce and focal;
    mse has none."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Maximum gradient norm; 0 disables clipping."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the EMA of the weights, which is evaluated and saved; 0 disables it."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs without a better validation score; 0 disables early stopping."""
    balance: Share = 0.0
    """Class balance of the batches: 0 as in the data, 1 all classes equally often. A clip of several classes
    is drawn as often as one of its rarest class."""
    tta_ms: tuple[float, ...] = ()
    """Test-time augmentation: time shifts in ms; predictions are averaged over them and the original."""
    labels: Literal["targets", "words", "words_threshold", "cascade", "zero_shot"] = "words"
    """Outputs of the network. targets: the classes. words: every word, summed to classes. words_threshold:
    every word; below `thresholds` a clip is filler or silence. cascade: one network for silence and filler,
    then one for the targets. zero_shot: the labels of a pretrained checkpoint, without training."""
    thresholds: tuple[Share, Share] | Literal["fit"] = (0.5, 0.3)
    """For words_threshold and zero_shot: largest probability below which a clip is filler, and below which
    it is silence; fit: those with the best CV score."""
    only: tuple[str, ...] = ()
    """Classes to train and score on, to study a part of the problem; empty: all."""
    soft_targets: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""
    """Key of the test clips with soft targets from `pseudo` or `distill` to train on; empty: labels only."""
    soft_share: Annotated[float, Field(ge=0, le=0.95)] = 0.0
    """Share of an epoch's clips that are drawn anew from those without labels, where soft_targets has such;
    0: all of them join every epoch."""
    soft_mix: Share = 0.0
    """Share of a batch's labelled clips to which one of its clips without labels is added, at a ratio
    drawn from augment.noise_snr_db; the targets are the larger of both."""
    bf16: bool | Literal["auto"] = "auto"
    """Autocast to bfloat16; auto: where the hardware supports it natively."""
    seed: int = 0
    """Random seed of weights, batches and augmentation."""
    augment: Augment = Augment()
    """Augmentation of training batches."""

    @model_validator(mode="before")
    @classmethod
    def _version_0_1(cls, values: Any) -> Any:
        """Read `teaching`, the name of soft_targets in version 0.1."""
        if isinstance(values, dict) and "teaching" in values:
            kept = {name: value for name, value in values.items() if name != "teaching"}
            return {**kept, "soft_targets": values["teaching"]}
        return values
