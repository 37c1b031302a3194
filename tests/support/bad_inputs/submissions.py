"""Wrong samples, solutions and submissions."""

from __future__ import annotations

from collections.abc import Callable

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("Submissions")


def sample_case(what: str, change: Callable[[list[str]], list[str]], message: str, hint: str) -> None:
    """A case of a sample submission that does not fit."""

    def damage(box: Box) -> None:
        path = box.host / "sample_submission.csv"
        lines = path.read_text().splitlines()
        with box.damaged(path, "".join(f"{line}\n" for line in change(lines)).encode()):
            box.good("fetch --force sample_submission.csv")
            box.bad("submit", message, hint)
        box.good("fetch --force")
        box.good("submit")

    case(what, "trained")(damage)


sample_case(
    "a sample with other ids",
    lambda s: [s[0], *(f"x{line}" for line in s[1:])],
    "24 of 24 ids without a clip",
    "fetch",
)
sample_case(
    "a sample with fewer ids",
    lambda s: s[:-2],
    "2 of 24 clips without an id ('clip_0022.wav', 'clip_0023.wav')",
    "fetch",
)
sample_case(
    "a sample with an id twice", lambda s: [*s, f"{s[-1]}x"], "1 repeated ('clip_0023.wav')", "submission.id"
)
sample_case(
    "a sample with other columns",
    lambda s: ["file,class", *s[1:]],
    "has the columns 'file', 'class', not 'fname', 'label'",
    "submission.id",
)
sample_case("a sample without rows", lambda s: s[:1], "sample_submission.csv has no rows", "fetch --force")
sample_case("an empty sample", lambda s: [], "sample_submission.csv is empty", "data.sample")


@case("a solution with ids that the sample lacks", "trained")
def _odd_solution(box: Box) -> None:
    path = box.host / "solution.csv"
    with box.damaged(path, path.read_bytes() + b"clip_9999.wav,low,Public\n"):
        box.bad(
            "submit --upload --yes",
            "has 1 id that the sample submission lacks, first 'clip_9999.wav'",
            "solution",
        )
    box.good("submit --upload --yes")


@case("the daily limit is reached", "trained")
def _limit(box: Box) -> None:
    option = "--set competition.local.daily_limit=1"
    box.good(f"submit --ensemble gru --upload --yes {option}")
    box.bad(
        f"submit --ensemble gru --upload --yes --force {option}",
        "no submissions are left today",
        "is kept: send it",
    )
    box.good("submit --ensemble gru --upload --yes --force")


@case("the deadline has passed", "trained")
def _deadline(box: Box) -> None:
    box.bad(
        "submit --upload --yes --set competition.local.deadline=2018-01-17",
        "the competition closed at 2018-01-17 00:00 UTC",
        "competition.local.deadline",
    )
    box.good("submit --upload --yes")


@case("the same predictions again", "trained")
def _twice(box: Box) -> None:
    box.good("submit --upload --yes")
    box.bad(
        "submit --upload --yes", "these predictions were sent before", "--force sends the same bytes again"
    )


@case("no answer to the question", "trained")
def _unasked(box: Box) -> None:
    box.bad("submit --upload", "not uploaded", "--yes skips the confirmation prompt", run=box.run_apart)
