"""A built notebook beside a competition on the loopback Kaggle, and what must be true of it."""

from __future__ import annotations

from pathlib import Path

from kagglekit.notebooks.source import kernel_spec
from kagglekit.submission.ledger import Ledger
from support import built
from support.kaggle_server import SLUG, USER, KaggleServer
from support.kaggle_site import ANSWERS, GUESSES, Done, Site, files

SHOWN = list(ANSWERS)[:4]
FOLDER = ".kagglekit/notebooks/gru-0123"
SUBMIT = f"submit --notebook {FOLDER} --upload --yes"
KERNEL = f"tester/{SLUG}-kagglekit-submit"
DATASET = f"tester/{SLUG}-kagglekit"


def server() -> KaggleServer:
    """A Kaggle of which the test's first four recordings are visible; all is done at the second look."""
    return KaggleServer(
        files=dict(files()),
        solution=ANSWERS,
        polls_pending=0,
        visible={f"test/{name}": b"" for name in SHOWN},
        hidden={f"test/{name}": b"" for name in ANSWERS},
        competition={"isKernelsSubmissionsOnly": True},
    )


class NotebookSite(Site):
    """A workspace with a built and rehearsed notebook."""

    def __init__(self, folder: Path, server: KaggleServer, **more: object) -> None:
        super().__init__(folder, server)
        yaml = folder / "competition.yaml"
        yaml.write_text(
            yaml.read_text().replace(
                "host: kaggle", "host: kaggle, delivery: notebook, limits: {minutes: 10}"
            )
        )
        self.make(**more)

    def make(self, **more: object) -> None:
        """Build the notebook; `more` are arguments of `built.make`."""
        options = {"rehearsed": {name: GUESSES[name] for name in SHOWN}, **more}
        notebook = built.make(self.folder / ".kagglekit", SLUG, GUESSES, **options)  # type: ignore[arg-type]
        self.server.run_before(
            kernel_spec(notebook, USER, "kagglekit 000000000000-0-0").source,
            SLUG,
            {
                DATASET: {
                    p.name: p.read_bytes() for p in notebook.dataset.iterdir() if "metadata" not in p.name
                }
            },
        )

    def submit(self, more: str = "", **options: object) -> Done:
        return self.run(f"{SUBMIT} {more}", **options)  # type: ignore[arg-type]

    def check_submitted(self, kernel: str = KERNEL) -> None:
        """Assert that the host has one submission, of a private version without internet, and the log has it."""
        self.check_at_most_one()
        assert len(self.server.submissions) == 1, "nothing was submitted"
        versions = self.server.kernels[kernel]
        for version in versions:
            request = version.request
            assert request["enableInternet"] is False and request["isPrivate"] is True, request
        assert all(stored.private for stored in self.server.own_datasets.values()), "a data set is public"
        (entry,) = Ledger(self.folder / "submissions" / "leaderboard.jsonl").entries()
        assert (entry.status, entry.ref, entry.notebook) == ("COMPLETE", "1", kernel), entry
        assert entry.public == 0.975 and entry.mark in entry.message, entry
        data = versions[(entry.notebook_version or 0) - 1].data
        assert set(data.get(DATASET, {})) == {"answers.json", "manifest.json"}, data

    def check_at_most_one(self) -> None:
        """Assert that nothing was submitted twice."""
        assert len(self.server.submissions) <= 1, "it was submitted twice"
