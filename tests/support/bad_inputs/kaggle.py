"""Kaggle without network or credentials."""

from __future__ import annotations

import socket

from support.bad_box import Box
from support.bad_inputs.case import section

case = section("Kaggle")
ON_KAGGLE = "fetch --set competition.host=kaggle"


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@case("no network", slow=True)
def _no_network(box: Box) -> None:
    nowhere = f"http://127.0.0.1:{_closed_port()}"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
    signed_in = {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": "0" * 32, "HOME": str(box.folder)}
    proxies = dict.fromkeys(names, nowhere)
    box.bad(
        f"{ON_KAGGLE} --set network.tries=1",
        "no network: could not ",
        "check the connection",
        run=lambda c: box.run_apart(c, **signed_in, **proxies),
    )


@case("no credentials", slow=True)
def _no_credentials(box: Box) -> None:
    box.bad(
        ON_KAGGLE,
        "not signed in to Kaggle: no credential found",
        "to get one:",
        run=lambda c: box.run_apart(c, HOME=str(box.folder)),
    )
