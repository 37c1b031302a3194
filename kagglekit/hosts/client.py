"""Kaggle's official client, and every workaround that it needs, each with its reason.

Only this file imports `kaggle`. The reasons hold for versions 2.2.4 and 2.2.5.
"""

import contextlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter

from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.files.faults import is_writable
from kagglekit.files.leftovers import temporary_folder
from kagglekit.hosts.credentials import (
    NOWHERE,
    TOKEN,
    Credential,
    broken,
    config_folder,
    credential,
    home_folder,
)
from kagglekit.hosts.replies import (
    NO_HOME,
    NO_HOME_HINT,
    SIGN_IN_HINT,
    StorageError,
    UnreadableError,
    explained,
    one_line,
    reaching,
)
from kagglekit.hosts.retry import Retry

PATIENCE = Network()
SERVICES = (
    "competitions.types.competition",
    "datasets.types.dataset",
    "kernels.types.kernels",
    "blobs.types.blob",
)
HOW_TO_SIGN_IN = """to get one:
  1. kaggle.com > Settings > API: create a token
  2. save it as ~/.kaggle/access_token, or set KAGGLE_API_TOKEN to it
  3. run the same command again; `kagglekit doctor` shows which credential is used"""


class Client(NamedTuple):
    """The signed-in client. Its requests are named as in kagglesdk, such as "get_submission"."""

    api: Any
    """KaggleApi."""
    types: tuple[Any, ...]
    """The modules with the classes of kagglesdk's services, in the order of SERVICES."""

    @property
    def account(self) -> str:
        """The user's name, which owns what this client makes."""
        return str(self.api.config_values.get(self.api.CONFIG_NAME_USER) or "")

    def type(self, name: str) -> Any:
        """Return a class of kagglesdk by its name."""
        return next(getattr(module, name) for module in self.types if hasattr(module, name))

    def message(self, name: str, /, **fields: Any) -> Any:
        """Build a request, or a part of one, by the name of its class."""
        message = self.type(name)()
        for field, value in fields.items():
            setattr(message, field, value)
        return message

    def request(self, method: str, slug: str, /, **fields: Any) -> Any:
        """Build a request.

        KaggleApi has no wrapper for some requests, and prints, retries, renames or passes over errors in
        others (its data sets and kernels above all). The kagglesdk client that it builds has them all.
        """
        name = "".join(word.capitalize() for word in method.split("_"))
        request = self.message(f"Api{name}Request", **fields)
        if hasattr(request, "competition_name"):
            request.competition_name = slug
        return request

    def send(self, method: str, request: Any, timeout_s: float) -> Any:
        """Send a request once and return the reply."""
        with self._http(timeout_s) as http, decoding():
            return getattr(_service(http, request), method)(request)

    def storage_url(self, request: Any, timeout_s: float) -> str:
        """Return where storage has the file of a download request, valid for some minutes.

        The client would follow the redirect, save the file under another name ("my%20file"), and check
        nothing. So the redirect is read, and `download.Download` fetches the bytes.

        Raises:
            UnreadableError: the reply is no redirect.
        """
        words = re.findall("[A-Z][a-z]+", type(request).__name__)
        method = "_".join(words[1:-1]).lower()  # ApiDownloadDataFileRequest -> download_data_file
        with self._http(timeout_s) as http, decoding():
            session = http.http_client()._session
            session.max_redirects = 0
            try:
                reply = getattr(_service(http, request), method)(request)
            except requests.TooManyRedirects as error:
                reply = error.response
            url = session.get_redirect_target(reply)
            reply.close()  # the client asks for it as a stream
            if not url:
                raise UnreadableError("no download link")
            return str(urljoin(reply.url, url))

    def _http(self, timeout_s: float) -> Any:
        return _with_timeout(self.api.build_kaggle_client(), timeout_s)


def sign_in(network: Network = PATIENCE, sleep: Callable[[float], None] = time.sleep) -> Client:
    """Import the client and sign in with the credential that it finds.

    The import signs in, prints a banner on stdout without credentials, and creates a folder; signing in
    may call `exit`, which raises SystemExit, or NameError in IPython, which has no such builtin.

    Raises:
        HostError: no credentials, credentials that Kaggle rejects, no network, or the client's folder
            cannot be written.
    """
    used = credential()
    if used is None and broken():  # before the client stumbles over it
        raise _not_signed_in(used)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            with _without_credentials(), _with_config_folder():
                module = import_module("kaggle.api.kaggle_api_extended")
            api = _with_timeouts(module.KaggleApi, network.timeout_s)()
            # With VERBOSE=1 the client prints every request, API key included.
            api.args = [arg for arg in api.args if arg != "--verbose"]
            api.already_printed_version_warning = True
            with explained("sign in"):
                Retry(network, sleep)("sign in", decoding()(api.authenticate))
    except (SystemExit, NameError) as error:
        if isinstance(error, NameError) and error.name != "exit":
            raise
        raise _not_signed_in(used) from error
    except (ImportError, OSError) as error:
        raise HostError(
            f"Kaggle's client does not start: {one_line(str(error))}",
            hint="set KAGGLE_CONFIG_DIR to a folder you can write to, or reinstall: pip install kaggle six",
        ) from error
    # The client signs in with an API key beside a token that Kaggle rejects, and then sends the token.
    if used and used.kind == TOKEN and not api.config_values.get(api.CONFIG_NAME_TOKEN):
        raise _not_signed_in(used)
    return Client(api, tuple(import_module(f"kagglesdk.{one}_api_service") for one in SERVICES))


def _service(http: Any, request: Any) -> Any:
    """Return the service of kagglesdk that takes a request: `http.datasets.dataset_api_client`."""
    _, package, _, module = type(request).__module__.split(".")
    return getattr(getattr(http, package), f"{module.removesuffix('_api_service')}_api_client")


def _not_signed_in(used: Credential | None) -> HostError:
    if used is None and (fault := broken()):
        return HostError(f"not signed in to Kaggle: {fault[0]}", hint=fault[1])
    if used is None and home_folder() == NOWHERE:
        return HostError(f"not signed in to Kaggle: {NO_HOME}", hint=NO_HOME_HINT)
    if used is None:
        return HostError("not signed in to Kaggle: no credential found", hint=HOW_TO_SIGN_IN)
    hint = SIGN_IN_HINT
    if not used.where.startswith("KAGGLE_") and not Path(used.where).exists():  # so for a refused login
        hint = f"Kaggle's client has removed that file: sign in again with `kaggle auth login`, or {hint}"
    return HostError(f"Kaggle rejects the {used.kind} in {used.where}", hint=hint)


@contextlib.contextmanager
def _with_config_folder() -> Iterator[None]:
    """Name another folder where the client cannot make its own, which it does when it is imported."""
    folder = config_folder()
    if folder.is_dir() or (NOWHERE not in folder.parents and is_writable(folder)):
        yield
        return
    with temporary_folder() as other:
        os.environ["KAGGLE_CONFIG_DIR"] = str(other)
        try:
            yield
        finally:
            del os.environ["KAGGLE_CONFIG_DIR"]


@contextlib.contextmanager
def _without_credentials() -> Iterator[None]:
    """Keep the client from signing in during the import, where it would wait for the network without limit.

    It takes the placeholder key for a good one and does not try it. The variable of a token may name a
    file; here it names an empty one.
    """
    placeholders = dict.fromkeys(("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN"), os.devnull)
    placeholders |= dict.fromkeys(("KAGGLE_USERNAME", "KAGGLE_KEY"), "-")
    before = {name: os.environ[name] for name in placeholders if name in os.environ}
    os.environ.update(placeholders)
    try:
        yield
    finally:
        for name in placeholders:
            del os.environ[name]
        os.environ.update(before)


def _with_timeouts(kaggle_api: Any, timeout_s: float) -> Any:
    """Return KaggleApi with a time-out on the requests that it makes to sign in."""

    class Api(kaggle_api):  # type: ignore[misc]
        def build_kaggle_client(self) -> Any:
            return _with_timeout(super().build_kaggle_client(), timeout_s)

    return Api


def _with_timeout(client: Any, timeout_s: float) -> Any:
    """Give the session of a kagglesdk client a time-out, which it lacks, and check its replies."""
    http = client.http_client()
    http._init_session()
    for scheme in ("https://", "http://"):
        http._session.mount(scheme, _CheckingAdapter(timeout_s))
    return client


class _CheckingAdapter(HTTPAdapter):
    """Give up on a server that sends nothing for `timeout_s` seconds, or JSON that is not an object.

    From `[]` the client makes a reply in which every field is empty. Its requests are prepared without
    the session, so the session's hooks would not be called.
    """

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout_s
        response = super().send(request, *args, **kwargs)
        is_json = "application/json" in response.headers.get("Content-Type", "")
        if response.status_code == 200 and is_json and not isinstance(response.json(), dict):
            raise UnreadableError("JSON that is not an object")
        return response


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Raise UnreadableError for replies that the client cannot decode.

    It decodes without a check: HTML, or JSON of another shape, ends in one of these built-in errors.
    """
    try:
        yield
    except requests.JSONDecodeError as error:
        raise UnreadableError(type(error).__name__) from error
    except requests.RequestException:  # some of these are ValueErrors as well
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(type(error).__name__) from error


def upload(url: str, path: Path, timeout_s: float) -> None:
    """Send a file to storage.

    The client's own upload has no time-out, and returns a message where it fails instead of raising.

    Raises:
        requests.RequestException: storage refused it or could not be reached.
    """
    # a stream, so that the time-out holds for each piece that is sent
    with reaching(url), path.open("rb") as file:
        response = requests.put(url, data=file, timeout=timeout_s)
    if response.status_code not in (200, 201):
        raise StorageError(response=response)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise UnreadableError("a web page")
