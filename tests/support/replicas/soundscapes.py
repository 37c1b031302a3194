"""Bird calls: labelled recordings of single birds, and soundscapes of which every five seconds are a row."""

from __future__ import annotations

import json
from collections.abc import Sequence

from support.replicas.host import HostFolder
from support.replicas.sounds import Voices, draw_sets, encode, usage

RATE = 32_000
EVERY = 5
METADATA = (
    *("primary_label", "secondary_labels", "type", "latitude", "longitude", "scientific_name"),
    *("common_name", "author", "license", "rating", "url", "filename"),
)
AUTHORS = ("Ana Silva", "B. O'Hara", "Chen, Li", 'D. "Doc" Ek', "Émile Roy", "F. Gómez")


class Scene:
    """A soundscape: its windows' classes, for the solution."""

    def __init__(self, name: str, windows: list[list[str]]) -> None:
        self.name = name
        self.windows = windows

    @property
    def ends(self) -> list[int]:
        """Return the end of each window in seconds."""
        return [EVERY * (number + 1) for number in range(len(self.windows))]


def singles(
    host: HostFolder,
    voices: Voices,
    classes: Sequence[str],
    folder: str,
    *,
    each: int = 7,
    ending: str = "ogg",
    rate: int = RATE,
) -> list[dict[str, object]]:
    """Write a folder of recordings for each class, and return rows with the columns of METADATA.

    Every third recording has another class in the background, as its secondary labels say.
    """
    rows: list[dict[str, object]] = []
    for number, name in enumerate(name for name in classes for _ in range(each)):
        others = [str(host.rng.choice([one for one in classes if one != name]))] if number % 3 == 0 else []
        sound = voices.sound([name, *others], host.rng.uniform(3.2, 7.4))
        file = f"XC{100_000 + 37 * number}.{ending}"
        host.file(f"{folder}/{name}/{file}", encode(sound, rate, ending.upper()))
        values: list[object] = [name, str(others), "['call']", 9.8 + number / 100, -75.4, f"Avis {name}"]
        values += [f"Bird {name}", AUTHORS[number % len(AUTHORS)], "CC BY-NC-SA 4.0", number % 6 / 2 + 2.5]
        values += [f"https://xeno-canto.org/{100_000 + 37 * number}", f"{name}/{file}"]
        rows.append(dict(zip(METADATA, values, strict=True)))
    return rows


def scenes(
    host: HostFolder,
    voices: Voices,
    classes: Sequence[str],
    folder: str,
    names: Sequence[str],
    windows: int = 3,
) -> list[Scene]:
    """Write a soundscape for each name, a third of whose windows has no bird."""
    written = []
    for name in names:
        parts = draw_sets(host.rng, classes, windows, most=2, none=0.34)
        host.file(f"{folder}/{name}.ogg", encode(voices.scene(parts, EVERY), RATE, "OGG"))
        written.append(Scene(name, parts))
    return written


def metadata(
    host: HostFolder, name: str, rows: list[dict[str, object]], columns: Sequence[str] = METADATA
) -> None:
    host.table(name, columns, [[row[column] for column in columns] for row in rows])


def birdsong_2020(host: HostFolder) -> None:
    """MP3; rows that test.csv names; at site_3 a row is a whole recording."""
    classes = ("aldfly", "ameavo", "amebit", "amecro")
    voices = Voices(classes, RATE, host.rng)
    rows = singles(host, voices, classes, "train_audio", ending="mp3")
    for row in rows:
        row["ebird_code"], row["recordist"] = row["primary_label"], row["author"]
        row["filename"] = str(row["filename"]).rpartition("/")[2]
    columns = ("rating", "ebird_code", "filename", "secondary_labels", "author", "primary_label", "recordist")
    metadata(host, "train.csv", rows, columns)
    test, solution = [], []
    for number in range(6):
        site, audio_id = f"site_{number % 3 + 1}", f"{number * 99_991:032x}"
        parts = draw_sets(host.rng, classes, 2 if site == "site_3" else 3, most=2, none=0.3)
        host.file(f"test_audio/{audio_id}.mp3", encode(voices.scene(parts, EVERY), RATE, "MP3"))
        whole = sorted({name for part in parts for name in part})
        named = [(f"{site}_{audio_id}_{EVERY * (i + 1)}", EVERY * (i + 1), p) for i, p in enumerate(parts)]
        for row_id, seconds, part in [(f"{site}_{audio_id}", "", whole)] if site == "site_3" else named:
            test.append((site, row_id, seconds, audio_id))
            solution.append((row_id, " ".join(part) or "nocall", usage(number)))
    host.table("test.csv", ["site", "row_id", "seconds", "audio_id"], test)
    host.table("sample_submission.csv", ["row_id", "birds"], [(row[1], "a m e c r o") for row in test[:3]])
    host.solution(["row_id", "birds"], solution)


def birdclef_2021(host: HostFolder) -> None:
    """Files <audio_id>_<site>_<date>.ogg; labelled soundscapes; nocall; a sample of three rows."""
    classes = ("acafly", "acowoo", "aldfly", "ameavo")
    voices = Voices(classes, RATE, host.rng)
    rows = singles(host, voices, classes, "train_short_audio")
    for row in rows:
        row["filename"] = str(row["filename"]).rpartition("/")[2]
    metadata(host, "train_metadata.csv", rows)
    tables: dict[str, list[tuple[object, ...]]] = {}
    for part, numbers in (("train", (7019, 2782, 26746, 57610)), ("test", (10534, 11254, 18003, 20152))):
        names = [f"{number}_{('COR', 'SSW')[i % 2]}_2019090{i + 1}" for i, number in enumerate(numbers)]
        tables[part] = []
        for scene in scenes(host, voices, classes, f"{part}_soundscapes", names):
            audio_id, site, _ = scene.name.split("_")
            for end, labels in zip(scene.ends, scene.windows, strict=True):
                birds = " ".join(labels) or "nocall"
                tables[part].append((f"{audio_id}_{site}_{end}", site, audio_id, end, birds))
    head = ["row_id", "site", "audio_id", "seconds", "birds"]
    host.table("train_soundscape_labels.csv", head, tables["train"])
    host.table("test.csv", head[:4], [row[:4] for row in tables["test"]])
    host.table(
        "sample_submission.csv", ["row_id", "birds"], [(row[0], "nocall") for row in tables["test"][:3]]
    )
    solution = [(row[0], row[4], usage(number // 3)) for number, row in enumerate(tables["test"])]
    host.solution(["row_id", "birds"], solution)


def birdclef_2022(host: HostFolder) -> None:
    """A row for each soundscape, scored bird and five seconds, True or False; some are not scored."""
    classes = ("afrsil1", "akekee", "akepa1", "akiapo", "apapan")
    scored = classes[1:4]
    voices = Voices(classes, RATE, host.rng)
    rows = singles(host, voices, classes, "train_audio", each=6)
    metadata(host, "train_metadata.csv", rows)
    host.file("scored_birds.json", json.dumps(list(scored)))
    names = [f"soundscape_{number}" for number in (453028782, 1000170626, 2133600110, 1782382107)]
    test, solution = [], []
    for place, scene in enumerate(scenes(host, voices, scored, "test_soundscapes", names)):
        for bird in scored:
            for end, labels in zip(scene.ends, scene.windows, strict=True):
                row_id = f"{scene.name}_{bird}_{end}"
                test.append((row_id, scene.name, bird, end))
                used = "Ignored" if (place, bird) == (3, scored[0]) else usage(len(test))
                solution.append((row_id, bird in labels, used))
    host.table("test.csv", ["row_id", "file_id", "bird", "end_time"], test)
    host.table("sample_submission.csv", ["row_id", "target"], [(row[0], False) for row in test[:3]])
    host.solution(["row_id", "target"], solution)


def _with_columns(
    host: HostFolder, classes: Sequence[str], table: str, voices: Voices, prefix: str = "soundscape_"
) -> None:
    """Write what 2023 to 2026 have in common: single birds, hidden soundscapes, a column for each class."""
    rows = singles(host, voices, [name for name in classes if name != UNHEARD], "train_audio")
    metadata(host, table, rows)
    host.table("taxonomy.csv", ["primary_label", "class_name"], [(name, "Aves") for name in classes])
    names = [f"{prefix}{number}" for number in (29201, 8358733, 1446779, 50112)]
    answers = [
        (f"{scene.name}_{end}", labels, usage(number))
        for number, scene in enumerate(scenes(host, voices, classes, "test_soundscapes", names))
        for end, labels in zip(scene.ends, scene.windows, strict=True)
    ]
    level = 1 / len(classes)
    sample = [(row_id, *[level] * len(classes)) for row_id, _, _ in answers[:3]]
    host.table("sample_submission.csv", ["row_id", *classes], sample)
    host.solution(
        ["row_id", *classes],
        [(row_id, *(int(name in labels) for name in classes), used) for row_id, labels, used in answers],
    )


UNHEARD = "1491113"
"""A class of 2026 without a recording of its own."""


def birdclef_2023(host: HostFolder) -> None:
    """A sample of three rows, a column for each class."""
    classes = ("abethr1", "abhori1", "abythr1", "afbfly1")
    _with_columns(host, classes, "train_metadata.csv", Voices(classes, RATE, host.rng))


def birdclef_2024(host: HostFolder) -> None:
    """The same, and soundscapes without labels."""
    classes = ("asbfly", "ashdro1", "ashpri1", "ashwoo2")
    voices = Voices(classes, RATE, host.rng)
    _with_columns(host, classes, "train_metadata.csv", voices)
    scenes(host, voices, classes, "unlabeled_soundscapes", ["460830", "1084040"], windows=2)


def birdclef_2025(host: HostFolder) -> None:
    """Classes that look like numbers."""
    classes = ("1139490", "126247", "amakin1", "yehcar1")
    voices = Voices(classes, RATE, host.rng)
    _with_columns(host, classes, "train.csv", voices)
    scenes(host, voices, classes, "train_soundscapes", ["H02_20230420_074000"], windows=2)


def birdclef_2026(host: HostFolder) -> None:
    """Labelled windows of soundscapes, each row twice; a class that only they have."""
    classes = (UNHEARD, "22961", "greani1", "ocbfly1")
    voices = Voices(classes, RATE, host.rng)
    _with_columns(host, classes, "train.csv", voices, prefix="BC2026_Test_0001_S05_20250227_")
    names = [
        f"BC2026_Train_{i:04d}_S{site}_20211231_201500" for i, site in enumerate((22, 8, 22, 13, 8, 13), 39)
    ]
    names += ["BC2026_Train_0001_S08_20250606_030007"]  # without labels
    labels = []
    for scene in scenes(host, voices, classes, "train_soundscapes", names)[:-1]:
        for end, some in zip(scene.ends, scene.windows, strict=True):
            if some:
                row = (f"{scene.name}.ogg", f"00:00:{end - EVERY:02d}", f"00:00:{end:02d}", ";".join(some))
                labels += [row, row]
    host.table("train_soundscapes_labels.csv", ["filename", "start", "end", "primary_label"], labels)
