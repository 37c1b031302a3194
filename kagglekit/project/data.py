"""The data of a competition: fetch, prepare and compute it, and read clips as tables and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.project.base import ProjectBase

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from kagglekit.config.names import InputKind
    from kagglekit.data.prepare import Prepared
    from kagglekit.doctor import Check
    from kagglekit.hosts.base import HostFile
    from kagglekit.hosts.fetch import Fetched


class ComputedFeatures(NamedTuple):
    """Features in the cache."""

    kind: InputKind
    clips: int
    shape: tuple[int, ...]
    """Of one clip's: (n_mels, frames), or (layers or steps, dim)."""
    folder: Path


class DataMethods(ProjectBase):
    """The part of `Project` that deals with data."""

    def doctor(self, *, deep: bool = False) -> list[Check]:
        """Check competition.yaml, credentials, rules, limits, disk and versions; `deep` reads every file."""
        from kagglekit.doctor import examine

        return list(examine(self.path, self.settings, deep=deep))

    def files(self) -> Sequence[HostFile]:
        """List the host's files."""
        return self.host.files()

    def fetch(self, *files: str, force: bool = False, reread: bool = True) -> list[Fetched]:
        """Download the competition's files, or only `files`; intact files stay, unless `force` is set.

        Args:
            reread: check every byte of existing files; otherwise only their size and time.
        """
        from kagglekit.hosts.fetch import fetch

        self.workspace.check_writable("workspace")
        return fetch(self.workspace, lambda: self.host, files, force=force, reread=reread)

    def fetch_checkpoints(self) -> dict[str, str]:
        """Download the pretrained weights of every model in `models:`; return the folder or file of each."""
        from kagglekit import models
        from kagglekit.config.names import InputKind
        from kagglekit.models.hub import SETTINGS, download, find_file

        paths = {}
        for model, section in self.config.models.items():
            architecture = models.load(model)
            if "checkpoint" in architecture.Config.model_fields:
                given = {"checkpoint": section.checkpoint} if section.checkpoint else {}
                config: Any = models.configure(model, section.model | given)
                name, settings = config.checkpoint, getattr(architecture, "CHECKPOINT_SETTINGS", SETTINGS)
                if name is not None and models.info(model).input is InputKind.EMBEDDING:
                    paths[model] = str(find_file(name))
                elif name is not None:
                    paths[model] = name if Path(name).is_dir() else str(download(name, settings))
        return paths

    def prepare(self) -> Prepared:
        """Decode the audio, cut silence from noise, and make the folds."""
        return self.prepared

    def features(self, model: str = "tcresnet", *, cluster: str | None = None) -> ComputedFeatures:
        """Compute a model's input for every clip into the cache: log-mels, or embeddings of a frozen network.

        Raises:
            ConfigError: the model takes waveforms, which need no cache.
        """
        from kagglekit.config.names import InputKind
        from kagglekit.data.shards import shards
        from kagglekit.models import input_kind
        from kagglekit.training.inputs import inputs_of
        from kagglekit.training.plan import resolve

        self.workspace.check_writable("workspace")
        plan = resolve(self.config, model)
        kind = input_kind(plan.model, plan.params)
        if kind is InputKind.WAVEFORM:
            raise ConfigError(
                f"{model} takes waveforms: there are no features to compute",
                hint=f"kagglekit train --model {model}; with tune: frozen it would take embeddings",
            )
        with shards(self.prepared, cluster) as shared:
            arrays = [inputs_of(self.prepared, plan, split, shared) for split in self.prepared.folders]
        shape = arrays[0][:1].shape[1:]
        return ComputedFeatures(kind, sum(map(len, arrays)), shape, self.workspace.features)

    # --- as tables and tensors ---

    @property
    def clips(self) -> pl.DataFrame:
        """The clips table: clip_id, split, word, label, part, speaker, fold ... (kagglekit.data.clips)."""
        return self.prepared.clips

    def fold(self, number: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the training and the validation rows of a fold.

        Args:
            number: 0 to validation.folds - 1.
            seed: draws filler clips, where labels.keep_fillers limits them.
        """
        from kagglekit.data.clips import training_rows, validation_rows

        if not 0 <= number < self.config.validation.folds:
            raise KagglekitError(
                f"there is no fold {number}", hint=f"the folds are 0 to {self.config.validation.folds - 1}"
            )
        return training_rows(self.clips, number, self.config, seed), validation_rows(self.clips, number)

    def audio(self, clips: pl.DataFrame) -> Tensor:
        """Return the waveforms of rows with a clip_id, in order: (clips, samples), float32 in [-1, 1)."""
        import numpy as np
        import torch

        from kagglekit.features.logmel import FULL_SCALE

        samples = np.empty((len(clips), self.config.audio.samples), np.int16)
        for split, places, rows in self._stored(clips):
            samples[places] = self.prepared.store(split).take(rows)
        return torch.from_numpy(samples).float() / FULL_SCALE

    def log_mels(self, clips: pl.DataFrame, model: str | None = None) -> Tensor:
        """Return the log-mels of clips, in their order: (clips, n_mels, frames), float32, from the cache.

        Args:
            clips: rows of any table that has a clip_id.
            model: use this model's `features:` settings; by default the competition's.
        """
        import numpy as np
        import torch

        from kagglekit.config import ModelSection, overlay
        from kagglekit.features.cache import log_mel_cache

        spec = self.config.features
        if model is not None:
            spec = overlay(spec, self.config.models.get(model, ModelSection()).features)
        out = np.empty((0,), np.float32)
        for split, places, rows in self._stored(clips):
            store, key = self.prepared.store(split), self.prepared.keys[split]
            cache = log_mel_cache(self.workspace.features, store, key, spec, self.config.audio, split)
            if not len(out):
                out = np.empty((len(clips), *cache.shape[1:]), np.float32)
            out[places] = cache[rows]
        return torch.from_numpy(out)

    def _stored(self, clips: pl.DataFrame) -> list[tuple[str, Any, Any]]:
        """Find clips by their ids: (split, places among `clips`, rows in the split's store)."""
        import polars as pl

        wanted = clips.select("clip_id").with_row_index("place")
        stored = wanted.join(self.clips.select("clip_id", "split", "row"), on="clip_id", how="left")
        if unknown := stored.filter(pl.col("split").is_null())["clip_id"].to_list():
            raise KagglekitError(f"there is no clip '{unknown[0]}'", hint="take rows of project.clips")
        return [
            (str(split), rows["place"].to_numpy(), rows["row"].to_numpy())
            for (split,), rows in stored.group_by("split", maintain_order=True)
        ]
