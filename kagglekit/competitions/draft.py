"""Draft a competition.yaml from what a competition shows; every guess says why, at the end of its line."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from kagglekit.competitions.answers import (
    ShownSample,
    ShownShape,
    TestRows,
    class_table,
    find_sample,
    is_sample,
    rows_of_test,
    shape_of,
)
from kagglekit.competitions.clips import audio_keys, feature_section, highest_edge
from kagglekit.competitions.look import Facts
from kagglekit.competitions.metric_names import family, metric_of
from kagglekit.competitions.recordings import Group, groups, role_of
from kagglekit.competitions.render import Guess, one_line, plain, yaml_text
from kagglekit.competitions.splits import SplitTest, split_test
from kagglekit.competitions.training_sets import NONE, Drafted, draft_sets

FOLDS = 5
TRUE = ("1", "true", "yes", "positive", "fake")
NO_CLASS = ("none", "nocall", "empty")
"""Names in a table of classes that stand for no class."""
RANKED = ("lwlrap", "auc", "average_precision", "average_precision_padded", "f1")
"""Families of metrics for several classes a row, where each class has a column."""


def draft(facts: Facts, command: str) -> str:
    """Return the text of a competition.yaml.

    Args:
        command: the command that asked for it, for the head.
    """
    sets = groups(facts)
    tests = [group for group in sets if group.role == "test"]
    trains = [group for group in sets if group.role == "train"] or [g for g in sets if not g.role][:1]
    noise = [group for group in sets if group.role == "noise"]
    sample = find_sample(facts)
    samples = [name for name in facts.tables if is_sample(name)]
    split = split_test(facts, trains[0], samples, sample) if trains and not tests else None
    if split is not None:
        tests = [trains[0]._replace(paths=split.paths, role="test")]
    drafted = draft_sets(facts, trains, sample, tests, split)
    labels = set().union(*(one.labels for one in drafted)) if drafted else set()
    known = labels | {name for names in facts.lists.values() for name in names}
    keys = split.ids if split else []
    shape = (
        shape_of(facts, sample, tests, known, keys) if sample else ShownShape("label", "there is no sample")
    )
    rows = rows_of_test(facts, sample, shape, tests) if sample else TestRows({})
    if (
        split
        and sample
        and "by_way_of" in split.keys
        and ("id*" in shape.ids or set(sample.ids) <= set(keys))
    ):
        rows = TestRows({"table": split.table, "id_column": split.file, "file": split.file})
    if "{end}" in shape.ids:
        rows = TestRows({"every": 5, "id": "{stem}_{end}"}, 5)
    elif any("low" in one.keys for one in drafted):
        pool = Guess("max", "boxes are annotated: a recording has what one window has")
        rows = rows._replace(keys={"pool": pool, **rows.keys})
    multi = _is_multi(facts, shape, drafted)
    metric, why = metric_of(facts.metric, shape.name, multi, shape.answers)
    heard = [facts.heard[path] for group in trains for path in group.paths if path in facts.heard]
    highest = highest_edge(facts, drafted)
    audio = audio_keys(heard or list(facts.heard.values()), rows.every, highest)
    sections: dict[str, Any] = {
        "competition": _competition(facts, metric, why, shape, sample),
        "data": _data(facts, sample, drafted, tests, noise, rows, split) | _unlabelled(sets, trains, drafted),
        **({"rows": rows.keys} if rows.keys else {}),
        "audio": audio,
        **feature_section(audio, highest),
        **_validation(drafted),
        "labels": _labels(facts, sample, shape, drafted, labels, multi, bool(noise)),
        "submission": _submission(sample, shape, labels),
    }
    head = (
        f"# {one_line(facts.title) or facts.slug}",
        f"# Drafted by: {one_line(command)}",
        "# A line with `# check` is a guess: correct it, or remove the mark. docs/settings.md has every key.",
        "#",
        "#   kagglekit fetch",
        "#   kagglekit prepare",
        "#   kagglekit train --model tcresnet",
    )
    return "\n".join(head) + "\n" + yaml_text(sections)


def _competition(
    facts: Facts, metric: str, why: str, shape: ShownShape, sample: ShownSample | None
) -> dict[str, Any]:
    value = {"name": metric, "k": shape.k} if metric == "map_at_k" else metric
    keys: dict[str, Any] = {"slug": facts.slug}
    if facts.local is not None:
        keys |= {"host": "local", "local": facts.local}
    keys["metric"] = Guess(value, why) if why else value
    if facts.notebook:
        keys["delivery"] = "notebook"
    elif facts.hides_test:
        keys["delivery"] = Guess("notebook", "no recordings of the test are mounted")
    solution = facts.solution
    if sample is None or solution is None or sample.id not in solution.columns:
        return keys
    if set(sample.ids) < set(solution[sample.id]):
        keys["delivery"] = Guess("notebook", "the sample has but some of the solution's rows")
    return keys


def _data(
    facts: Facts,
    sample: ShownSample | None,
    drafted: Sequence[Drafted],
    tests: Sequence[Group],
    noise: Sequence[Group],
    rows: TestRows,
    split: SplitTest | None,
) -> dict[str, Any]:
    no_sample = Guess(None, "no file is named like a sample submission; if there is one, name it")
    keys: dict[str, Any] = {"sample": sample.path if sample else no_sample}
    if sample and sample.check:
        keys["sample"] = Guess(None, sample.check)
    elif sample and rows.check and (tests or "table" in rows.keys):
        keys["sample"] = Guess(sample.path, rows.check)
    sets = [one.keys for one in drafted]
    keys["train"] = sets[0] if len(sets) == 1 else sets
    if not sets:
        keys["train"] = {
            "files": Guess("train/**/*.wav", "no recordings of train were seen"),
            "label": "folder",
        }
    test: dict[str, Any] = {"files": _test_files(facts, tests)}
    if split is not None:
        test |= split.keys
    if rows.file_pattern is not None:
        test["file_pattern"] = {"name": rows.file_pattern}
    keys["test"] = test
    if noise:
        keys["noise"] = noise[0].pattern
    for name in ("validation_list", "testing_list"):
        listed = [path for path in facts.others if PurePosixPath(path).name == f"{name}.txt"]
        if listed:
            keys[name] = listed[0]
    return keys


def _unlabelled(sets: Sequence[Group], trains: Sequence[Group], drafted: Sequence[Drafted]) -> dict[str, Any]:
    """Return the key for recordings without labels: called so, or of train, and in no table."""
    used = {plain(one.keys["files"]) for one in drafted if any("table" in each.keys for each in drafted)}
    rest = [group for group in sets if group.role == "unlabelled"]
    rest += [group for group in trains if group.role == "train" and group.pattern not in used]
    patterns = [group.pattern for group in rest if used and group.paths]
    patterns += [plain(one.keys["files"]) for one in drafted if one.unlabelled]
    return {"unlabelled": patterns[0] if len(patterns) == 1 else patterns} if patterns else {}


def _test_files(facts: Facts, tests: Sequence[Group]) -> Any:
    if tests and tests[0].check:
        return Guess(tests[0].pattern, tests[0].check)
    if len(tests) > 1:
        others = ", ".join(group.pattern for group in tests[1:3])
        return Guess(tests[0].pattern, f"or {others}")
    if tests:
        return tests[0].pattern
    folders = sorted({path.partition("/")[0] for path in facts.others if "/" in path})
    folder = next((name for name in folders if role_of(name) == "test"), "test")
    ending = PurePosixPath(facts.audio[0]).suffix if facts.audio else ".wav"
    return Guess(f"{folder}/*{ending}", "the host shows no recordings of the test")


def _validation(drafted: Sequence[Drafted]) -> dict[str, Any]:
    judging = [one for one in drafted if "domain" in one.keys] or drafted
    few = min((one.groups for one in judging if one.groups), default=FOLDS)
    return {"validation": {"folds": Guess(max(few, 2), f"{few} groups")}} if few < FOLDS else {}


def _is_multi(facts: Facts, shape: ShownShape, drafted: Sequence[Drafted]) -> bool:
    if shape.name in ("label", "top_k", "probability"):
        return False
    if shape.name in ("label_list", "long"):
        return True
    return any(one.multi for one in drafted) or family(facts.metric) in RANKED


def _labels(
    facts: Facts,
    sample: ShownSample | None,
    shape: ShownShape,
    drafted: Sequence[Drafted],
    labels: set[str],
    multi: bool,
    noise: bool,
) -> dict[str, Any]:
    if multi:
        keys: dict[str, Any] = {"kind": "multi", "classes": _classes(facts, sample, shape, labels)}
        if sample and shape.name == "probabilities" and labels and not labels & set(sample.classes):
            starts = {c.removesuffix(label) for c in sample.classes for label in labels if c.endswith(label)}
            fits = [start for start in starts if {start + label for label in labels} <= set(sample.classes)]
            if fits:
                keys["names"] = f"{fits[0]}{{label}}"
        if isinstance(keys["classes"], dict) and "column" in keys["classes"]:
            rest = set(facts.tables[keys["classes"]["table"]][keys["classes"]["column"]]) - labels
            if none := [name for name in rest if name.lower() in NO_CLASS]:
                keys["none"] = none[0]
        if shape.none or NONE in labels:
            sure = NONE in labels or (sample is not None and NONE in sample.cells)
            keys["none"] = NONE if sure else Guess(NONE, "the usual word of these competitions")
        return keys
    if shape.name == "probability":
        two = sorted(labels)
        few = two if len(two) == 2 else Guess(two or ["0", "1"], "of two classes, one is submitted")
        return {"classes": few}
    answers = set(sample.cells) if sample and len(sample.others) == 1 else set()
    if facts.solution is not None and sample and sample.others[0] in facts.solution.columns:
        answers |= set(facts.solution[sample.others[0]].drop_nulls())
    silence = next((name for name in sorted(answers) if name.lower() == "silence"), None)
    listed = sorted(answers & labels)
    filler = sorted(answers - labels - {silence})
    keys = {"classes": "from_sample" if shape.name == "probabilities" else "from_labels"}
    if facts.solution is not None and shape.name == "label" and len(filler) == 1 and listed:
        keys = {"classes": Guess(listed, "the answers of the solution"), "filler": filler[0]}
    elif silence and noise:
        keys["classes"] = Guess("from_labels", "or a list, if other words are one class: set filler, too")
    if silence and noise:
        keys["silence"] = silence
    return keys


def _classes(facts: Facts, sample: ShownSample | None, shape: ShownShape, labels: set[str]) -> Any:
    if shape.name == "probabilities":
        return "from_sample"
    for path, names in facts.lists.items():
        if shape.name == "long" and set(names) <= labels:
            return {"table": path}
    in_ids = shape.name == "long" and shape.class_column is None
    return (class_table(facts, labels) if in_ids else None) or "from_labels"


def _submission(sample: ShownSample | None, shape: ShownShape, labels: set[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {"shape": Guess(shape.name, shape.check) if shape.check else shape.name}
    if sample is not None:
        keys["id"] = sample.id
        if shape.name != "probabilities":
            keys["label"] = sample.others[-1]
    if shape.name == "top_k":
        keys["k"] = shape.k
        if shape.joiner != " ":
            keys["joiner"] = shape.joiner
    if shape.none:
        keys["none"] = shape.none
    if shape.name == "probability":
        positive = next((name for name in sorted(labels) if name.lower() in TRUE), None)
        keys["positive"] = positive or Guess(sorted(labels)[-1] if labels else "1", "the class submitted")
    if shape.name == "long":
        keys |= {"class_column": shape.class_column} if shape.class_column else {"ids": shape.ids}
        if shape.answers:
            keys["answers"] = True
    return keys
