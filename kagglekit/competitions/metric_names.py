"""Names of metrics as Kaggle shows them, and ours."""

import re

NAMES = (
    (r"padded.*(cmap|average ?precision)|(cmap|average ?precision).*padded", "average_precision_padded"),
    (r"lwlrap|label.?weighted.*ranking|ranking average precision", "lwlrap"),
    (r"\bmap ?@|average precision ?@|mean average precision at", "map_at_k"),
    (r"\bauc\b|roc|receiver operating", "auc"),
    (r"kappa", "kappa"),
    (r"matthews|\bmcc\b", "mcc"),
    (r"log ?loss|multi.?class loss|cross.?entropy", "log_loss"),
    (r"average precision|\bc?map\b", "average_precision"),
    (r"\bf.?1\b|f-?score|f_?beta|\bf_\{?1", "f1"),
    (r"balanced accuracy", "balanced_accuracy"),
    (r"accuracy|categori[sz]ation", "accuracy"),
)
"""Regular expression on the name in small letters, and the metric or its family; the first that fits."""
BY_SHAPE = {
    "label": "accuracy",
    "top_k": "map_at_k",
    "label_list": "f1_rows",
    "probability": "roc_auc",
    "long": "roc_auc_micro",
}
"""The usual metric of a shape, where the host does not name one."""
AUC = {"probability": "roc_auc", "probabilities": "roc_auc_macro", "long": "roc_auc_micro"}


def family(shown: str) -> str | None:
    """Return the metric, or its family (auc, f1), that a host's name for it means; None if unknown."""
    name = shown.lower().replace("-", " ").replace("_", " ")
    return next((ours for pattern, ours in NAMES if re.search(pattern, name)), None)


def metric_of(shown: str, shape: str, multi: bool, answers: bool) -> tuple[str, str]:
    """Return the metric, and why it is a guess ("" if it is none)."""
    kind = family(shown)
    said = f"the host calls it '{shown}'" if shown else "the host does not name it"
    if kind is None:
        usual = "roc_auc_macro" if multi else "log_loss"
        return ("class_balanced_accuracy" if answers else BY_SHAPE.get(shape, usual)), said
    if kind == "auc":
        return AUC.get(shape, "roc_auc"), "" if shape == "probability" else f"{said}; which average?"
    if kind == "f1":
        f1 = "f1_rows" if shape == "label_list" else "f1_micro" if "micro" in shown.lower() else "f1_macro"
        return f1, f"{said}; which average?"
    if "accuracy" in kind and answers:
        return "class_balanced_accuracy", said
    if kind in ("accuracy", "balanced_accuracy", "kappa", "mcc") and multi:
        return ("f1_rows" if shape == "label_list" else "roc_auc_macro"), said
    return kind, ""
