"""Speech commands and Freesound: archives by folder, tables beside archives, trusted and noisy training sets."""

from __future__ import annotations

from support.replicas.host import HostFolder
from support.replicas.sounds import Voices, draw, draw_sets, encode, usage

TARGETS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHERS = ("bed", "happy", "marvin")


def speech_2017(host: HostFolder) -> None:
    """7z archives: a folder for each word, speakers in the names, background noise, 16 kHz, one second."""
    words = [*TARGETS, *OTHERS]
    voices = Voices(words, 16_000, host.rng)
    speakers = [f"{number * 7919:08x}" for number in range(1, 7)]
    train: dict[str, bytes | str] = {
        f"train/audio/{word}/{speaker}_nohash_0.wav": encode(voices.sound([word], 1), 16_000, "WAV")
        for word in words
        for speaker in speakers
    }
    for name in ("white_noise", "running_tap"):
        train[f"train/audio/_background_noise_/{name}.wav"] = encode(voices.sound([], 6), 16_000, "WAV")
    lists = {"validation_list": speakers[0], "testing_list": speakers[1]}
    for name, speaker in lists.items():
        train[f"train/{name}.txt"] = "".join(f"{word}/{speaker}_nohash_0.wav\n" for word in words)
    answers = draw(host.rng, [*words, "silence"], 28)
    names = [f"clip_{number * 48_271:08x}0.wav" for number in range(1, len(answers) + 1)]
    test = {
        f"test/audio/{name}": encode(voices.sound([word] if word in words else [], 1), 16_000, "WAV")
        for name, word in zip(names, answers, strict=True)
    }
    host.sevenzip("train.7z", train)
    host.sevenzip("test.7z", test)
    sample = "fname,label\n" + "".join(f"{name},silence\n" for name in names)
    host.sevenzip("sample_submission.7z", {"sample_submission.csv": sample})
    rows = [
        (name, "unknown" if word in OTHERS else word, usage(number))
        for number, (name, word) in enumerate(zip(names, answers, strict=True))
    ]
    host.solution(["fname", "label"], rows)


def freesound_2018(host: HostFolder) -> None:
    """audio_train.zip and train.csv with manually_verified; three guesses a cell; rows that are not graded."""
    classes = ("Acoustic_guitar", "Bark", "Gunshot_or_gunfire", "Hi-hat", "Laughter", "Squeak")
    voices = Voices(classes, 44_100, host.rng)
    members, train = {}, []
    for number, label in enumerate(draw(host.rng, classes, 36)):
        name = f"{number * 2_654_435:08x}.wav"
        sound = voices.sound([label], host.rng.uniform(0.4, 3.1))
        members[f"audio_train/{name}"] = encode(sound, 44_100, "WAV")
        train.append((name, label, int(number % 5 < 2)))
    host.zip("audio_train.zip", members)
    host.table("train.csv", ["fname", "label", "manually_verified"], train)
    answers = draw(host.rng, classes, 15)
    names = [f"{number * 1_299_709:08x}.wav" for number in range(1, 16)]
    sounds = [encode(voices.sound([label], host.rng.uniform(0.4, 3.1)), 44_100, "WAV") for label in answers]
    host.zip("audio_test.zip", {f"audio_test/{n}": sound for n, sound in zip(names, sounds, strict=True)})
    host.table(
        "sample_submission.csv", ["fname", "label"], [(name, "Laughter Hi-Hat Flute") for name in names]
    )
    used = [usage(number) if number < 12 else "Ignored" for number in range(15)]
    host.solution(["fname", "label"], zip(names, answers, used, strict=True))


def freesound_2019(host: HostFolder) -> None:
    """Two training sets beside their tables, labels joined by commas, odd names; a short sample."""
    classes = (
        "Accelerating_and_revving_and_vroom",
        "Bark",
        "Drip",
        "Walk_and_footsteps",
        "Zipper_(clothing)",
    )
    voices = Voices(classes, 44_100, host.rng)
    for part, count, right in (("curated", 25, 1.0), ("noisy", 15, 0.7)):
        members, table = {}, []
        for number, labels in enumerate(draw_sets(host.rng, classes, count, most=2)):
            name = f"{(number + 100 * len(part)) * 15_485:08x}.wav"
            heard = labels if host.rng.uniform() < right else draw(host.rng, classes, 1)
            members[name] = encode(voices.sound(heard, host.rng.uniform(0.3, 3.3)), 44_100, "WAV")
            table.append((name, ",".join(labels)))
        host.zip(f"train_{part}.zip", members)
        host.table(f"train_{part}.csv", ["fname", "labels"], table)
    test, rows = {}, []
    for number, labels in enumerate(draw_sets(host.rng, classes, 12, most=2)):
        name = f"{number * 32_452:08x}.wav"
        test[name] = encode(voices.sound(labels, host.rng.uniform(0.3, 3.3)), 44_100, "WAV")
        rows.append((name, *(int(one in labels) for one in classes), usage(number)))
    host.zip("test.zip", test)
    zeros = [0] * len(classes)
    host.table("sample_submission.csv", ["fname", *classes], [(name, *zeros) for name in list(test)[:5]])
    host.solution(["fname", *classes], rows)
