"""Two processes at once, and Ctrl-C."""

from __future__ import annotations

import signal
import time

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("Processes")


@case("two processes at once", "fetched", slow=True)
def _two_processes(box: Box) -> None:
    command = "train --model gru"
    with box.started(command) as first, box.started(command) as second:
        shown = [box.finished(command, process) for process in (first, second)]
    assert [s.code for s in shown] == [0, 0], shown
    assert shown[0].out.splitlines()[1:] == shown[1].out.splitlines()[1:]
    assert len(list(box.workspace.glob("runs/gru/*/metrics.json"))) == 1


@case("Ctrl-C in training", "prepared", slow=True)
def _ctrl_c(box: Box) -> None:
    command = "train --model gru --set train.epochs=3000"
    with box.started(command) as process:
        deadline = time.monotonic() + 60
        while not list(box.workspace.glob("runs/gru/*/fold_0/last.safetensors")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown = box.finished(command, process)
    assert shown.code == 130 and "Traceback" not in shown.err
    assert shown.err == "stopped\nhint:  nothing is lost: the same command goes on from here\n"
