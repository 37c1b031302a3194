"""Mistakes in competition.yaml."""

from __future__ import annotations

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("competition.yaml")


def yaml_case(what: str, old: str, new: str, message: str, hint: str = "edit competition.yaml") -> None:
    """A case that changes the YAML, and whose repair is to change it back."""

    def damage(box: Box) -> None:
        box.edit(old, new)
        box.bad("prepare", message, hint)
        box.edit(new, old)
        box.good("prepare")

    case(what, "prepared")(damage)


yaml_case(
    "a misspelt key",
    "  epochs: 12",
    "  epoch: 12",
    "competition.yaml:16 train.epoch: unknown key; did you mean 'epochs'?",
)
yaml_case("an unknown section", "search:", "research:", "research: unknown key; did you mean 'search'?")
yaml_case(
    "a word for a number", "epochs: 12", "epochs: twelve", "train.epochs: input should be a valid integer"
)
yaml_case("a number out of range", "folds: 2", "folds: 1", "greater than or equal to 2, not 1")
yaml_case(
    "a value for a section",
    "ensemble: {rounds: 10, bags: 2}",
    "ensemble: 3",
    "ensemble: must be a section, not 3",
)
yaml_case("a model that there is not", "  tcresnet:", "  tcresnett:", "did you mean 'tcresnet'?")
yaml_case("a prior above 1", "unknown: 0.4", "unknown: 0.9", "the prior adds up to 1.1, more than 1")
yaml_case("a prior for no class", "unknown: 0.4", "unknwon: 0.4", "did you mean 'unknown'?")
yaml_case(
    "host: local without its section", "  local: {", "  # local: {", "host local requires a 'local' section"
)
yaml_case(
    "a broken regular expression",
    "  test_archive: test.zip",
    "  test_archive: test.zip\n  speaker_pattern: '(['",
    "speaker_pattern: not a regular expression",
)
yaml_case(
    "a key twice",
    "  batch_size: 8",
    "  epochs: 3\n  batch_size: 8",
    "duplicate key 'epochs' (first on line 16)",
)
yaml_case("not YAML", "targets: [low, mid]", "targets: [low, mid", "competition.yaml:10 is not YAML")
yaml_case("an alias", "  epochs: 12", "  epochs: *many", "aliases (*name) are not supported")
yaml_case("a list as a key", "train:\n", "? [a, b]\n: 1\ntrain:\n", "a key must be a word")
yaml_case("a tag", "epochs: 12", "epochs: !!int twelve", "is not YAML")
yaml_case("a Python object", "epochs: 12", "epochs: !!python/object/apply:os.getcwd []", "is not YAML")
yaml_case("fmin above fmax", "fmin: 50", "fmin: 3950", "fmin 3950 Hz is not below fmax 3900 Hz")


@case("a needed key left out", "prepared")
def _missing_key(box: Box) -> None:
    box.edit("  slug: tiny\n", "")
    box.bad("prepare", "competition.slug: required", "edit competition.yaml")


@case("several problems at once", "prepared")
def _several(box: Box) -> None:
    box.edit("epochs: 12", "epoch: many")
    box.edit("folds: 2", "folds: two")
    box.edit("n_mels: 20", "n_mel: 20")
    message = box.bad("prepare", "3 problems in competition.yaml:", "edit competition.yaml").message
    assert all(dotted in message for dotted in ("train.epoch", "validation.folds", "features.n_mel"))


@case("no such file", "prepared")
def _no_yaml(box: Box) -> None:
    box.bad("-C elsewhere.yaml prepare", "there is no elsewhere.yaml", "name the file: -C FILE")
    box.bad("-C host prepare", "host cannot be read", "-C FILE")


@case("not text", "prepared")
def _binary_yaml(box: Box) -> None:
    with box.damaged(box.yaml, bytes(range(256))):
        box.bad("prepare", "competition.yaml:2 is not UTF-8: byte 0x80", "UTF-8")
    with box.damaged(box.yaml, b"a: \x00\n"):
        box.bad("prepare", "competition.yaml is not YAML", "edit")
    with box.damaged(box.yaml, b"- low\n- mid\n"):
        box.bad("prepare", "competition.yaml contains a list, not sections", "competition.yaml")
    with box.damaged(box.yaml, b""):
        box.bad("prepare", "competition: required", "edit competition.yaml")
    with box.damaged(box.yaml, b"[" * 100_000):
        box.bad("prepare", "competition.yaml is not YAML", "edit")
    with box.damaged(box.yaml, b"#" * 2_000_000):
        box.bad("prepare", "too many for a competition.yaml", "-C FILE")


@case("--set nonsense", "prepared")
def _set_nonsense(box: Box) -> None:
    box.bad("prepare --set nonsense", "not of the form a.b=value", "--set train.epochs=10")
    box.bad("prepare --set train.epoch=3", "--set train.epoch: unknown key; did you mean 'epochs'?", "")
    box.bad("prepare --set train.epochs=[", "the value is not YAML", "quote it")
    box.bad("prepare --set train.epochs.more=1", "'epochs' is a value, not a section", "shorten the path")
    box.bad("prepare --set train=5", "--set train: must be a section, not 5", "")
    box.bad("prepare --set 'train.epochs=!!int x'", "the value is not YAML", "quote it")
    box.good("prepare")
