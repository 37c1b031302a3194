"""Predict recordings: decoded ahead in threads, their windows batched across recordings, batches in threads.

What is kept of a recording is the logits of its windows.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from kagglekit.config import Audio
from kagglekit.data.cuts import Cut, Cutter, segment
from kagglekit.data.decode import at_rate_of, padded
from kagglekit.data.samples import Int16
from kagglekit.data.sound_file import Sound, read_sound
from kagglekit.files.lookup import File
from kagglekit.files.resolve import stream
from kagglekit.files.workspace import Workspace
from kagglekit.inference.clock import Stages
from kagglekit.inference.graphs import Float32, RunningGraph
from kagglekit.inference.pooling import Meaning, join_windows_of_rows
from kagglekit.parallel.in_order import InOrder
from kagglekit.parallel.processes import cores

WEIGHT = 20  # memory that decoding a file takes, in multiples of its size: Ogg is a tenth of int16
AHEAD = 2  # batches that wait for a core, for each one


class PredictedRows(NamedTuple):
    """The rows of the test, in the order of their recordings."""

    cuts: list[Cut]
    paths: list[str]
    """(rows,), the recording of each."""
    logits: dict[str, Float32]
    """Of each run (`model/id`), (rows, folds, classes); one fold where its graph has averaged them."""
    unread: list[str]
    """Paths of recordings that cannot be read; they have no rows here."""
    seconds: float
    """The commonest length of a recording."""


class _Decoded(NamedTuple):
    """A recording at every rate that a graph takes."""

    path: str
    pcm: dict[int, Int16]
    sound: Sound
    seconds: float


class _Batches:
    """Collects windows for a graph, and runs full batches in threads."""

    def __init__(self, graph: RunningGraph, pool: ThreadPoolExecutor, ahead: int, stages: Stages) -> None:
        self.graph, self._pool, self._ahead, self._stages = graph, pool, ahead, stages
        self._windows: list[Int16] = []
        self._waiting: list[Future[list[Float32]]] = []
        self._done = 0
        self._counts: list[int] = []

    def add(self, windows: Int16) -> None:
        """Add the windows of a row, (windows, samples)."""
        self._counts.append(len(windows))
        for window in windows:
            self._windows.append(window)
            if len(self._windows) == self.graph.batch:
                self._flush()

    def _flush(self) -> None:
        batch, self._windows = self._windows, []
        self._waiting.append(self._pool.submit(self._run, batch))
        if len(self._waiting) - self._done > self._ahead:
            self._waiting[self._done].result()
            self._done += 1

    def _run(self, batch: Sequence[Int16]) -> list[Float32]:
        with self._stages.thread("networks"):
            return self.graph.run(batch)

    def logits(self, multi: bool, classes: int) -> dict[str, Float32]:
        """Return the logits of each run, (rows, folds, classes)."""
        if self._windows:
            self._flush()
        answers = [future.result() for future in self._waiting]
        if not answers:
            return {one.run: np.empty((0, 1, classes), np.float32) for one in self.graph.outputs}
        logits = {}
        for one, *parts in zip(self.graph.outputs, *answers, strict=True):
            joined = np.concatenate(parts)
            joined = joined if one.by_fold else joined[:, None]
            takes: Meaning = "log_probs" if one.rule is not None else "log_odds" if multi else "logits"
            rows = join_windows_of_rows(joined, np.array(self._counts), one.pool, takes)
            logits[one.run] = one.ruled(rows)
        return logits


class RecordingPredictor:
    """Takes recordings one after the other, in a `with` block."""

    def __init__(self, audio: Audio, cutter: Cutter, graphs: Sequence[RunningGraph], stages: Stages) -> None:
        self._cutter, self._stages = cutter, stages
        self._audios = {
            g.sample_rate: audio.model_copy(update={"sample_rate": g.sample_rate}) for g in graphs
        }
        self._rate = audio.sample_rate
        self._pool = ThreadPoolExecutor(cores())
        self._batches = [_Batches(graph, self._pool, AHEAD * cores(), stages) for graph in graphs]
        self.cuts: list[Cut] = []
        self.paths: list[str] = []
        self.unread: list[str] = []
        self._lengths: Counter[float] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def decode(self, item: tuple[str, bytes]) -> _Decoded:
        """Decode a file; several threads do so."""
        path, content = item
        with self._stages.thread("decoding"):
            sound, pcm = read_sound(content), {}
            for rate, audio in self._audios.items():
                pcm[rate], resampled = at_rate_of(audio, sound)
                if not len(pcm[rate]):
                    return _Decoded(path, {}, resampled, 0.0)
            # as `prepare` counts it, where a graph takes the competition's rate
            rate, samples = sound.rate, len(sound.waveform)
            if self._rate in pcm:
                rate, samples = self._rate, len(pcm[self._rate])
            return _Decoded(path, pcm, sound._replace(waveform=sound.waveform[:0]), samples / rate)

    def add(self, file: _Decoded) -> None:
        """Cut a recording into the windows of its rows."""
        if not file.pcm:
            self.unread.append(file.path)
            return
        self._lengths[round(file.seconds, 1)] += 1
        for cut in self._cutter(file.path, file.seconds):
            for batches in self._batches:
                audio = self._audios[batches.graph.sample_rate]
                clip = padded(segment(file.pcm[audio.sample_rate], cut, audio), audio)
                batches.add(np.atleast_2d(clip))
            self.cuts.append(cut)
            self.paths.append(file.path)

    def finish(self, multi: bool, classes: int) -> PredictedRows:
        """Wait for the last batch, and join the windows of each row."""
        logits: dict[str, Float32] = {}
        for batches in self._batches:
            logits |= batches.logits(multi, classes)
        ((seconds, _),) = self._lengths.most_common(1) or [(0.0, 0)]
        return PredictedRows(self.cuts, self.paths, logits, self.unread, seconds)


def predict_files(
    workspace: Workspace,
    files: Collection[File],
    cutter: Cutter,
    graphs: Sequence[RunningGraph],
    stages: Stages,
) -> PredictedRows:
    """Predict the rows of the test's files, which are read where they lie.

    Raises:
        KagglekitError: a file cannot be opened, or ONNX Runtime fails.
    """
    config = workspace.config
    paths = {file.path for file in files}
    multi, classes = config.labels.kind == "multi", len(config.labels.all_classes)
    with RecordingPredictor(config.audio, cutter, graphs, stages) as predictor:
        with InOrder(predictor.decode, predictor.add) as decoded:
            stream(
                workspace,
                config.data.test.files,
                lambda file, content: decoded.put((file.path, content), WEIGHT * len(content)),
                paths,
            )
        return predictor.finish(multi, classes)
