"""Zero-shot runs: a checkpoint that already names words predicts, without training."""

import json
import time

from kagglekit import models
from kagglekit.config import Labels
from kagglekit.data.clips import validation_rows
from kagglekit.errors import ConfigError, listed
from kagglekit.files.atomic import write_json
from kagglekit.scoring.cv import score
from kagglekit.scoring.predictions import predictions, write_predictions
from kagglekit.scoring.thresholds import rule_for
from kagglekit.terminal import console, progress
from kagglekit.training import checkpoint
from kagglekit.training.files import META, OOF, WEIGHTS
from kagglekit.training.head import Head
from kagglekit.training.loop import Fold, describe, is_trained
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device, predict


def zero_shot_head(labels: Labels, plan: Plan) -> Head:
    """Use the checkpoint's labels as outputs: those named like a class are that class, others are filler.

    Raises:
        ConfigError: no label is a target.
    """
    names = labels_of(plan.params["checkpoint"])
    class2index = {_plain(name): index for index, name in enumerate(labels.all_classes)}
    filler = len(labels.all_classes) - 1
    class_of = tuple(class2index.get(_plain(name), filler) for name in names)
    named = {labels.all_classes[index] for index in class_of}
    missing = [name for name in labels.targets if name not in named]
    if len(missing) == len(labels.targets):
        raise ConfigError(
            f"checkpoint '{plan.params['checkpoint']}' has labels {listed(names, 8)}: none is a target",
            hint="choose one fine-tuned on these words, or fine-tune it: --set train.labels=targets",
        )
    if missing:
        console.note(f"{plan.params['checkpoint']} has no label for {listed(missing)}: never predicted")
    rule = rule_for(plan.train.labels, len(labels.all_classes), class_of)
    return Head(names, class_of, labels.all_classes, words=False, double=None, rule=rule)


def labels_of(name: str) -> tuple[str, ...]:
    """Read the names of a checkpoint's outputs.

    Raises:
        KagglekitError: there is no such checkpoint, or it is no classifier.
    """
    from kagglekit.models.hub import find  # here, because it loads Hugging Face's client

    path = find(name) / "config.json"
    try:
        id2label = json.loads(path.read_text(encoding="utf-8"))["id2label"]
        return tuple(str(id2label[str(index)]) for index in range(len(id2label)))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"checkpoint '{name}' does not name its outputs",
            hint="zero_shot needs a fine-tuned checkpoint, whose config.json has id2label",
        ) from error


def _plain(name: str) -> str:
    """Strip what sets special labels apart: `_Silence_` -> `silence`."""
    return name.strip("_ ").casefold()


def predict_fold(fold: Fold) -> None:
    """Write what train_fold leaves, without training."""
    if is_trained(fold):
        return
    fold.folder.mkdir(parents=True, exist_ok=True)
    validated = validation_rows(fold.dataset.clips, fold.number)
    model = models.build(fold.plan.model, fold.plan.params, len(fold.head.outputs)).to(device())
    started = time.perf_counter()
    with progress.bar(f"{fold.plan.model} fold {fold.number}", len(validated), "clips") as advance:
        logits = predict(model, fold.dataset, validated, fold.head, fold.plan.train, advance)
    seconds = time.perf_counter() - started
    result = score(logits, validated, fold.config)
    epoch = {
        "fold": fold.number,
        "epoch": 0,
        "loss": None,
        "lr": 0.0,
        "cv": result.cv,
        "plain": result.plain,
        "seconds": 0.0,
        "clips_per_s": len(validated) / seconds,
    }
    if not fold.number:  # the same model in every fold
        checkpoint.save(fold.folder / WEIGHTS, model.state_dict())
    write_predictions(predictions(validated, logits), fold.folder / OOF)
    write_json(fold.folder / META, describe(fold, model, [epoch]), bound=True)
