"""Three bird competitions of 2013: ragged labels, a recording a class, one column a class; long submissions."""

from __future__ import annotations

from support.replicas.host import HostFolder, csv_text
from support.replicas.sounds import Voices, draw_sets, encode, usage

ESSENTIAL = "mlsp_contest_dataset/essential_data"
SPECIES = (
    *("Brown Creeper", "Pacific Wren", "Pacific-slope Flycatcher", "Red-breasted Nuthatch"),
    *("Dark-eyed Junco", "Olive-sided Flycatcher", "Hermit Thrush", "Chestnut-backed Chickadee"),
    *("Varied Thrush", "Hermit Warbler", "Swainson's Thrush", "Hammond's Flycatcher", "Western Tanager"),
    *("Black-headed Grosbeak", "Golden Crowned Kinglet", "Warbling Vireo", "MacGillivray's Warbler"),
    *("Stellar's Jay", "Common Nighthawk"),
)


def mlsp_2013(host: HostFolder) -> None:
    """One archive: 16 kHz, ten seconds; tables name recordings by number, `?` hides the test's labels."""
    classes = [str(number) for number in range(len(SPECIES))]
    voices = Voices(classes, 16_000, host.rng)
    labels = draw_sets(host.rng, classes, 40, most=4, none=0.1)
    members: dict[str, bytes | str] = {"mlsp_contest_dataset/README.txt": "MLSP 2013 Bird Challenge\n"}
    names, hidden, folds = [], ["rec_id,[labels]"], []
    for rec_id, some in enumerate(labels):
        name = f"PC{(1, 2, 4, 5, 7, 8, 10, 11)[rec_id % 8]}_2009{rec_id % 3 + 5:02d}06_0500{rec_id:02d}_0010"
        members[f"{ESSENTIAL}/src_wavs/{name}.wav"] = encode(voices.sound(some, 10), 16_000, "WAV")
        test = rec_id % 10 in (2, 5, 8)
        names.append((rec_id, name))
        folds.append((rec_id, int(test)))
        hidden.append(",".join([str(rec_id), *(["?"] if test else some)]))
    members[f"{ESSENTIAL}/rec_id2filename.txt"] = csv_text(["rec_id", "filename"], names)
    members[f"{ESSENTIAL}/CVfolds_2.txt"] = csv_text(["rec_id", "fold"], folds)
    members[f"{ESSENTIAL}/rec_labels_test_hidden.txt"] = "\n".join(hidden) + "\n"
    species = [
        (number, "".join(w[:2] for w in name.split()).upper(), name) for number, name in enumerate(SPECIES)
    ]
    members[f"{ESSENTIAL}/species_list.txt"] = csv_text(["class_id", "code", "species"], species)
    tests = [rec_id for rec_id, fold in folds if fold]
    old = [(rec_id, number, 0) for rec_id in tests for number in range(len(SPECIES))]
    members[f"{ESSENTIAL}/sample_submission.csv"] = csv_text(["rec_id", "species", "probability"], old)
    members["mlsp_contest_dataset/supplemental_data/histogram_of_segments.txt"] = (
        "rec_id,[histogram]\n0,1,2\n"
    )
    host.zip("mlsp_contest_dataset.zip", members)
    host.file("README.txt", "MLSP 2013 Bird Challenge\n")
    rows = [
        (rec_id * 100 + number, int(str(number) in labels[rec_id]), usage(place))
        for place, rec_id in enumerate(tests)
        for number in range(len(SPECIES))
    ]
    host.solution(["Id", "Probability"], rows)


def icml_2013(host: HostFolder) -> None:
    """A training recording for each of 35 species; test recordings with several; clip,species,probability."""
    names = [
        f"{genus}_{kind}"
        for genus in ("parus", "turdus", "sylvia", "corvus", "cuculus")
        for kind in "abcdefg"
    ]
    numbers = [str(number) for number in range(1, len(names) + 1)]
    voices = Voices(numbers, 44_100, host.rng)
    train = {
        f"train_set/{name}.wav": encode(voices.sound([number], host.rng.uniform(5, 6)), 44_100, "WAV")
        for name, number in zip(names, numbers, strict=True)
    }
    test, labels = {}, {}
    for place, some in enumerate(draw_sets(host.rng, numbers, 10, most=5)):
        name = f"A_20090324_0{place}3100.wav"
        labels[name] = some
        test[f"test_set/{name}"] = encode(voices.sound(some, host.rng.uniform(5, 9)), 44_100, "WAV")
    host.zip("train_set.zip", train)
    host.zip("test_set.zip", test)
    host.table("species_numbers.csv", ["species", "number"], zip(names, numbers, strict=True))
    pairs = [(name, number) for name in labels for number in numbers]
    host.table("sample_submission.csv", ["clip", "species", "probability"], [(*pair, 0) for pair in pairs])
    places = list(labels)
    rows = [(name, number, int(number in labels[name]), usage(places.index(name))) for name, number in pairs]
    host.solution(["clip", "species", "probability"], rows)


def nips_2013(host: HostFolder) -> None:
    """Tar archives; a headless table of number, 87 classes and seconds; `Empty` recordings have no class."""
    classes = [str(number) for number in range(1, 88)]
    voices = Voices(classes, 44_100, host.rng)
    root, wavs = "NIPS4B_BIRD_CHALLENGE_TRAIN_LABELS", "NIPS4B_BIRD_CHALLENGE_TRAIN_TEST_WAV"
    rows: list[list[object]] = []
    members: dict[str, bytes | str] = {}
    groups = [[str(1 + (7 * i + 29 * k) % 87) for k in range(4)] for i in range(44)]  # each class twice
    for number, some in enumerate([*groups, [], []], 1):
        seconds = round(float(host.rng.uniform(1, 2)), 3)
        members[f"{wavs}/train/nips4b_birds_trainfile{number:03d}.wav"] = encode(
            voices.sound(some, seconds), 44_100, "WAV"
        )
        rows.append([number, *(int(name in some) for name in classes), seconds])
    labels = draw_sets(host.rng, classes, 9, most=6)
    for number, some in enumerate(labels, 1):
        sound = voices.sound(some, host.rng.uniform(1, 2))
        members[f"{wavs}/test/nips4b_birds_testfile{number:04d}.wav"] = encode(sound, 44_100, "WAV")
    host.tar(f"{wavs}.tar.gz", members)
    species = [(name, f"Specie{name}_song", f"Bird {name}", f"Avis {name}", "bird") for name in classes]
    head = ["class number", "class name", "English name", "Scientific name", "type"]
    ids = [
        (f"nips4b_birds_testfile{number:04d}.wav_classnumber_{name}", int(name in some), usage(number))
        for number, some in enumerate(labels, 1)
        for name in classes
    ]
    sample = [(one, 0) for one, _, _ in ids]
    tables = {
        "numero_file_train.csv": csv_text([], rows),
        "nips4b_birdchallenge_espece_list.csv": csv_text(head, [("none", "Empty", "", "", ""), *species]),
        "example_NIPS4B13_submission_format_test_prediction.csv": csv_text(["ID", "Probability"], sample),
    }
    host.tar(f"{root}.tar", {f"{root}/{name}": text for name, text in tables.items()})
    host.solution(["ID", "Probability"], ids)
