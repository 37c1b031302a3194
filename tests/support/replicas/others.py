"""Rainforest boxes, songs that are numbers, and recordings in Parquet tables."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.replicas.host import HostFolder
from support.replicas.sounds import Voices, draw, draw_sets, encode, usage


def rfcx_2021(host: HostFolder) -> None:
    """FLAC at 48 kHz; boxes that are a species, and boxes that are not; an answer for each recording."""
    species = [str(number) for number in range(6)]
    voices = Voices(species, 48_000, host.rng)
    boxes: dict[str, list[tuple[object, ...]]] = {"tp": [], "fp": []}
    for number, name in enumerate(draw(host.rng, species, 24)):
        recording = f"{number * 40_503 + 1:09x}"
        start = float(host.rng.integers(0, 5))
        parts = [voices.sound([], start), voices.sound([name], 2), voices.sound([], 6.2 - start)]
        host.file(f"train/{recording}.flac", encode(np.concatenate(parts), 48_000, "FLAC"))
        hz, other = voices.hz[name], species[(int(name) + 1) % len(species)]
        box = (1, round(start, 4), round(hz * 0.9, 4), start + 2, round(hz * 1.1, 4))
        boxes["tp"].append((recording, name, *box))
        boxes["fp"].append((recording, other, *box))
    columns = ["recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max"]
    for part, rows in boxes.items():
        host.table(f"train_{part}.csv", columns, rows)
    names, solution = [f"s{name}" for name in species], []
    for number, labels in enumerate(draw_sets(host.rng, species, 9)):
        recording = f"{number * 92_821 + 7:09x}"
        host.file(f"test/{recording}.flac", encode(voices.sound(labels, 8.2), 48_000, "FLAC"))
        solution.append((recording, *(int(name in labels) for name in species), usage(number)))
    sample = [(row[0], *[0] * len(species)) for row in solution]
    host.table("sample_submission.csv", ["recording_id", *names], sample)
    host.solution(["recording_id", *names], solution)


def music_2022(host: HostFolder) -> None:
    """OGG; songs and genres are numbers, file names have zeros before them; one song cannot be decoded."""
    genres = ("Electronic", "Rock", "Punk", "Folk")
    voices = Voices(genres, 22_050, host.rng)

    def write(folder: str, song: int, genre: str) -> None:
        sound = voices.sound([genre], host.rng.uniform(4, 7))
        host.file(f"{folder}/{song:06d}.ogg", encode(sound, 22_050, "OGG"))

    train, test, solution = [], [], []
    for number, genre in enumerate(draw(host.rng, genres, 28)):
        song = 7 + 871 * number
        write("train", song, genre)
        train.append((song, f"{song:06d}.ogg", f"train/{song:06d}.ogg", genres.index(genre), genre))
    for number, genre in enumerate(draw(host.rng, genres, 12)):
        song = 12 + 2003 * number
        write("test", song, genre)
        test.append((song, f"{song:06d}.ogg", f"test/{song:06d}.ogg"))
        solution.append((song, genres.index(genre), usage(number)))
    host.file(f"test/{test[-1][1]}", b"OggS" + bytes(60))
    host.table("train.csv", ["song_id", "filename", "filepath", "genre_id", "genre"], train)
    host.table("test.csv", ["song_id", "filename", "filepath"], test)
    host.table("genres.csv", ["genre_id", "genre"], enumerate(genres))
    host.table("sample_submission.csv", ["song_id", "genre_id"], [(row[0], 0) for row in test])
    host.solution(["song_id", "genre_id"], solution)


def indic_2025(host: HostFolder) -> None:
    """Parquet tables with a column of wav files, as Hugging Face writes them; -1 in the test."""
    voices = Voices(["0", "1"], 16_000, host.rng)
    solution = []
    for part, count in (("train", 24), ("test", 12)):
        rows = []
        for number, label in enumerate(draw(host.rng, ["0", "1"], count)):
            one = f"{('ASM', 'BEN', 'TAM')[number % 3]}_F_{part.upper()}_{number:05d}"
            sound = encode(voices.sound([label], host.rng.uniform(1, 3)), 16_000, "WAV")
            text = {"id": one, "audio": {"bytes": sound, "path": f"{one}.wav"}, "text": "नमस्ते"}
            known = int(label) if part == "train" else -1
            rows.append({**text, "language": "Tamil", "is_tts": known})
            if part == "test":
                solution.append((one, label, usage(number // 2)))
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), buffer)
        host.file(f"data/{part}-00000-of-00001.parquet", buffer.getvalue())
    host.table("sample_submission.csv", ["id", "is_tts"], [(row[0], 0) for row in solution])
    host.solution(["id", "is_tts"], solution)
