"""The three commands of the README against the official client and a loopback Kaggle."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from support import tiny
from support.kaggle_server import KEY, SLUG, KaggleServer

from kagglekit.cli import main


def kagglekit(server: KaggleServer, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does; the client finds its way by the environment alone."""
    environment = {**os.environ, **server.environment(str(folder / "home"))}
    return subprocess.run(
        [sys.executable, "-m", "kagglekit", *argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_fetch_train_submit_and_leaderboard_on_kaggle(tmp_path: Path) -> None:
    yaml = tiny.make(tmp_path)
    text = (
        yaml.read_text().replace("slug: tiny\n", f"slug: {SLUG}\n").replace("host: local\n", "host: kaggle\n")
    )
    yaml.write_text("\n".join(line for line in text.splitlines() if not line.startswith("  local:")))
    files = {p.name: p.read_bytes() for p in (tmp_path / "host").iterdir() if p.name != "solution.csv"}
    with (tmp_path / "host" / "solution.csv").open() as file:
        solution = {row["fname"]: row["label"] for row in csv.DictReader(file)}
    with KaggleServer(files=files, solution=solution) as server:
        fetched = kagglekit(server, tmp_path, "fetch", "--json")
        assert main(["--quiet", "-C", str(yaml), "train", "--model", "gru"]) == 0  # asks Kaggle nothing
        sent = kagglekit(server, tmp_path, "submit", "--ensemble", "gru", "--upload", "--yes", "--json")
        log = kagglekit(server, tmp_path, "leaderboard", "--sync", "--json")
        done = [fetched, sent, log]
        assert [p.returncode for p in done] == [0] * 3, [p.stderr[-800:] for p in done]
        uploaded = next(iter(server.uploads.values()))
    assert {f["name"] for f in json.loads(fetched.stdout)["files"]} == {
        "train.zip",
        "test.zip",
        "sample_submission.csv",
    }
    answer = json.loads(sent.stdout)
    assert Path(answer["csv"]).read_bytes() == uploaded
    rows = list(csv.DictReader(uploaded.decode().splitlines()))
    right = sum(solution[row["fname"]] == row["label"] for row in rows) / len(rows)
    assert abs(answer["public"] - right) < 1e-4
    assert json.loads(log.stdout)["entries"][0]["status"] == "COMPLETE"
    assert not any(KEY in p.stdout + p.stderr for p in done)
