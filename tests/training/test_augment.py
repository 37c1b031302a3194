"""Augmentation does exactly what it says, in both domains."""

from __future__ import annotations

import math

import pytest
import torch
from support.augments import OFF
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import (
    DOMAINS,
    clatter,
    energy_centre,
    join,
    mask,
    shift,
    smooth_curves,
    stretch,
    transpose,
)
from kagglekit.training.augmenter import Augmenter, NoiseRecordings

LOG_MEL, WAVEFORM = DOMAINS["log_mel"], DOMAINS["waveform"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**changes: object) -> Augment:
    return OFF.model_copy(update=changes)


def sound(domain: str, batch: int = 4, time: int = 200, seed: int = 0) -> Tensor:
    shape = (batch, 6, time) if domain == "log_mel" else (batch, time)
    return torch.randn(shape, generator=seeded(seed))


both = pytest.mark.parametrize("domain", ["log_mel", "waveform"])


def impulses(domain: str, places: list[int], time: int = 50) -> Tensor:
    x = torch.zeros(len(places), time)
    x[torch.arange(len(places)), torch.tensor(places)] = 1
    return x[:, None].repeat(1, 3, 1) if domain == "log_mel" else x


@both
def test_shift_moves_an_impulse(domain: str) -> None:
    x = impulses(domain, [20, 20, 20])
    assert torch.equal(shift(x, torch.tensor([0, 7, -9])), impulses(domain, [20, 27, 11]))


def test_what_moves_in_repeats_the_edge() -> None:
    x = torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    wanted = torch.tensor([[1.0, 1, 1, 2], [3, 4, 4, 4], [4, 4, 4, 4]])
    assert torch.equal(shift(x, torch.tensor([2, -2, -9])), wanted)


@both
def test_shifts_are_uniform_up_to_the_limit(domain: str) -> None:
    x = impulses(domain, [100] * 2000, 201)
    moved = Augmenter(only(shift_ms=100), DOMAINS[domain], 200, None)(x, seeded())  # 20 steps
    places = (moved[:, 0] if domain == "log_mel" else moved).argmax(1) - 100
    assert sorted(set(places.tolist())) == list(range(-20, 21))
    assert abs(float(places.float().mean())) < 1


def decibels(domain: str, before: Tensor, after: Tensor) -> Tensor:
    ratio = DOMAINS[domain].power(after).mean(1) / DOMAINS[domain].power(before).mean(1)
    return 10 * ratio.log10()


@both
def test_gain_is_in_db(domain: str) -> None:
    x, db = sound(domain).double(), torch.tensor([-20.0, 0, 3, 6]).double()
    torch.testing.assert_close(decibels(domain, x, DOMAINS[domain].louder(x, db)), db)


def test_gain_means_the_same_in_both_domains() -> None:
    torch.testing.assert_close(
        WAVEFORM.louder(torch.ones(1, 5), torch.tensor([20.0])), torch.full((1, 5), 10.0)
    )
    log_mel = LOG_MEL.louder(torch.zeros(1, 2, 5), torch.tensor([20.0]))
    torch.testing.assert_close(log_mel, torch.full((1, 2, 5), math.log(100)))


@both
def test_gains_are_uniform_up_to_the_limit(domain: str) -> None:
    x = sound(domain, 2000, 10)
    db = decibels(domain, x, Augmenter(only(gain_db=6), DOMAINS[domain], 100, None)(x.clone(), seeded()))
    assert -6.001 < float(db.min()) < -5.9 and 5.9 < float(db.max()) < 6.001
    assert abs(float(db.mean())) < 0.3


def test_sounds_add() -> None:
    level = torch.zeros(4)  # a sound at its own level: twice the power, or twice the amplitude
    x = sound("log_mel")
    torch.testing.assert_close(LOG_MEL.mix(x, x, level), x + math.log(2))
    x = sound("waveform")
    torch.testing.assert_close(WAVEFORM.mix(x, x, level), 2 * x)


@both
@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_is_at_the_stated_snr(snr: float, domain: str) -> None:
    x = sound(domain).double()
    recordings = [7 * sound(domain, 1, 900, seed)[0].double() for seed in (5, 6)]
    if domain == "log_mel":
        recordings = [r / 7 - 9 for r in recordings]
    noisy = Augmenter(
        only(noise=1.0, noise_snr_db=(snr, snr)), DOMAINS[domain], 100, NoiseRecordings(recordings)
    )(x.clone(), seeded())
    added = noisy - x if domain == "waveform" else (noisy.exp() - x.exp()).log()
    torch.testing.assert_close(decibels(domain, added, x), torch.full((4,), snr).double(), rtol=0, atol=0.1)


def test_noise_reaches_its_share_and_spares_the_rest() -> None:
    x = sound("waveform", 1000, 20)
    noisy = Augmenter(only(noise=0.3), WAVEFORM, 100, NoiseRecordings([sound("waveform", 1, 50, 3)[0]]))(
        x.clone(), seeded()
    )
    changed = (noisy != x).any(1)
    assert 250 < int(changed.sum()) < 350
    ratio = decibels("waveform", (noisy - x)[changed], x[changed])
    assert float(ratio.min()) + 0.1 >= 0 and float(ratio.max()) < 30.1
    assert float(ratio.min()) < 2 and float(ratio.max()) > 28  # the whole of (0, 30)


def test_a_crop_of_noise_lies_in_one_recording() -> None:
    recordings = [torch.full((105,), 1.0), torch.full((103,), 2.0)]
    crops = NoiseRecordings(recordings)(200, 100, seeded())
    assert {tuple(crop.tolist()) for crop in crops} == {(1.0,) * 100, (2.0,) * 100}


def test_noise_on_digital_silence_is_finite() -> None:
    noisy = Augmenter(only(noise=1.0), WAVEFORM, 100, NoiseRecordings([torch.zeros(300), torch.ones(300)]))
    x = noisy(torch.zeros(8, 100), seeded())
    assert torch.isfinite(x).all() and float(x.abs().max()) < 1e-3
    assert torch.equal(Augmenter(only(noise=1.0), WAVEFORM, 100, None)(x, seeded()), x)


def test_masks_have_the_clips_mean_and_the_stated_widths() -> None:
    x = sound("log_mel", 500, 40)
    masked = mask(x, 5, 0, seeded())
    hidden = masked != x
    assert torch.equal(hidden.any(1), hidden.all(1))  # whole frames
    width = hidden[:, 0].sum(1)
    assert int(width.max()) <= 10 and int(width.min()) == 0
    assert 4 < float(width.float().mean()) < 5  # two of 0 ... 5 are 5 without overlap
    torch.testing.assert_close(masked[hidden], x.mean((1, 2), keepdim=True).expand_as(x)[hidden])


def test_frequency_masks() -> None:
    x = sound("log_mel", 500, 40)
    hidden = mask(x, 0, 2, seeded()) != x
    assert torch.equal(hidden.any(2), hidden.all(2))  # whole bands
    width = hidden[:, :, 0].sum(1)
    assert set(width.tolist()) == {0, 1, 2, 3, 4}
    assert hidden[:, :5, 0].any(0).all() and not hidden[:, :, 0].all(0).any()  # each band, sometimes


def test_masks_reach_the_last_band() -> None:
    x = sound("log_mel", 500, 40)
    assert (mask(x, 0, 2, seeded()) != x)[:, -1].any()


def test_masks_wider_than_the_clip_do_not_fail() -> None:
    assert mask(sound("log_mel", 50, 4), 100, 100, seeded()).shape == (50, 6, 4)


def test_waveforms_are_not_masked() -> None:
    x = sound("waveform")
    assert torch.equal(Augmenter(only(time_mask=20, freq_mask=5), WAVEFORM, 100, None)(x, seeded()), x)


def test_energy_centre() -> None:
    power = torch.full((2, 50), 0.5)
    power[0, 10:13] = 4
    power[1, 30], power[1, 40] = 10, 20
    assert energy_centre(power).tolist() == [11, round((30 * 9.5 + 40 * 19.5) / 29)]
    assert energy_centre(torch.zeros(1, 9)).tolist() == [0]


def bursts(domain: str, place: int, height: float, low: float) -> Tensor:
    """A clip numbered along its time, below a burst that is its centre of energy."""
    x = torch.full((1, 60), low)
    x[0, place - 2 : place + 3] = height
    x = x + torch.arange(60) * 1e-4
    return x[:, None].repeat(1, 3, 1) if domain == "log_mel" else x


@both
@pytest.mark.parametrize(("at_x", "at_y"), [(20, 20), (20, 32), (32, 20), (30, 21)])
def test_join_is_the_first_part_of_one_and_the_second_of_the_other(at_x: int, at_y: int, domain: str) -> None:
    x, y = bursts(domain, at_x, 3.0, 0.1), bursts(domain, at_y, 3.0, 0.2)
    power_x, power_y = (DOMAINS[domain].power(z) for z in (x, y))
    assert (energy_centre(power_x).item(), energy_centre(power_y).item()) == (at_x, at_y)
    db = 10 * torch.log10(power_x.mean(1) / power_y.mean(1))
    louder = DOMAINS[domain].louder(y, db)  # y at the loudness of x
    joined = join(x, y, DOMAINS[domain])
    meet = (at_x + at_y) // 2
    for time in range(60):
        source, place = (x, time - meet + at_x) if time < meet else (louder, time - meet + at_y)
        torch.testing.assert_close(joined[..., time], source[..., min(max(place, 0), 59)])


@both
def test_the_generator_decides_everything(domain: str) -> None:
    settings = Augment(noise=1.0)
    x, recordings = sound(domain), [sound(domain, 1, 900, 3)[0]]
    augmenter = Augmenter(settings, DOMAINS[domain], 100, NoiseRecordings(recordings))
    torch.manual_seed(1)
    first = augmenter(x.clone(), seeded(7))
    torch.manual_seed(2)
    assert torch.equal(augmenter(x.clone(), seeded(7)), first)
    assert not torch.equal(augmenter(x.clone(), seeded(8)), first)
    assert first.shape == x.shape and first.dtype == torch.float32


@both
def test_off_is_off(domain: str) -> None:
    x = sound(domain)
    assert torch.equal(Augmenter(OFF, DOMAINS[domain], 100, NoiseRecordings([x[0]]))(x, seeded()), x)


@both
def test_twice_the_speed_about_the_middle(domain: str) -> None:
    fast = stretch(impulses(domain, [25, 35], 51), torch.tensor([2.0, 2.0]))
    assert torch.equal(fast[:1], impulses(domain, [25], 51))
    places = (fast[:, 0] if domain == "log_mel" else fast).argmax(1)
    assert places.tolist() == [25, 30]


def test_between_two_steps_it_is_linear() -> None:
    x = torch.tensor([[0.0, 2, 4, 6, 8]])
    assert torch.allclose(stretch(x, torch.tensor([0.5])), torch.tensor([[2.0, 3, 4, 5, 6]]))


def test_pitch_moves_bands() -> None:
    x = torch.zeros(2, 10, 3)
    x[:, 4] = 1
    moved = transpose(x, torch.tensor([2.0, -0.5]))
    assert moved[0, :, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert moved[1, :, 0].tolist() == [0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0]


def test_a_filter_is_one_smooth_curve_for_each_clip() -> None:
    x = torch.zeros(500, 40, 7)
    curve = Augmenter(only(filter_db=6.0), LOG_MEL, 100, None)(x, seeded())
    assert torch.equal(curve[:, :, :1].expand(-1, -1, 7), curve)
    decibel = curve[:, 0, 0] * 10 / math.log(10)
    assert abs(float(decibel.std()) - 6) < 0.5 and abs(float(decibel.mean())) < 0.8
    steps = smooth_curves(50, 40, seeded()).diff(dim=1).abs()
    assert float(steps.max()) < 0.6


def test_clatter_is_added_and_dies_away() -> None:
    x = torch.full((200, 8, 101), -10.0)
    loud = clatter(x, seeded())
    assert bool((loud >= x - 1e-5).all()) and torch.isfinite(loud).all()
    assert float((loud.amax((1, 2)) > -5).float().mean()) > 0.8  # most clips hold a sound of 20 dB or more
    assert float((loud < -9).float().mean()) > 0.3  # and quiet between
