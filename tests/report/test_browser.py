"""The report in a real browser: Debian's Chromium, headless, driven through its DevTools."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import simulated

from kagglekit.files.atomic import write_text
from kagglekit.report import build, source
from kagglekit.report.serve import make_server

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="chromium and chromedriver are missing: apt-get install chromium chromium-driver",
)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install -e '.[dev]'")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--autoplay-policy=no-user-gesture-required", "--window-size=1200,900"),
)
WAIT = 20.0  # s, at most


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> source.Source:
    return source.read(simulated.whole(tmp_path_factory.mktemp("simulated")).prepared, "kagglekit")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    profile = tmp_path_factory.mktemp("chromium")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(profile)})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.downloads = profile
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(report: source.Source, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_text(path, build.render(report))
    return path.as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The report, freshly opened; at the end nothing was complained of and nobody asked."""
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get(address)
    yield browser
    assert browser.get_log("browser") == []
    assert {url.partition(":")[0] for url in requests(browser)} <= {"file", "data", "blob"}


def requests(browser: Any) -> list[str]:
    """Every address that the page asked for since the last look."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def until(what: Callable[[], Any]) -> Any:
    """The first true answer."""
    end = time.monotonic() + WAIT
    while not (answer := what()):
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.05)
    return answer


def shown(page: Any) -> list[str]:
    return page.execute_script(
        "return [...document.querySelectorAll('.page')].filter(p => !p.hidden).map(p => p.id)"
    )


def press(page: Any, keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(keys).perform()


def css(page: Any, selector: str) -> list[Any]:
    report: list[Any] = page.find_elements("css selector", selector)
    return report


def open_page(page: Any, name: str) -> None:
    css(page, f"#tab-{name}")[0].click()
    until(lambda: shown(page) == [name])


def test_every_tab_opens_and_holds_something(page: Any) -> None:
    assert shown(page) == ["overview"]
    for name in build.PAGES:
        open_page(page, name)
        assert css(page, f"#{name}")[0].text
        marks = len(css(page, f"#{name} svg.chart [data-tip]"))
        assert marks > 0 or name == "listening"
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_keys_change_the_page(page: Any) -> None:
    press(page, "3")
    until(lambda: shown(page) == ["runs"])
    css(page, "#tab-runs")[0].send_keys("\ue014")  # arrow right
    until(lambda: shown(page) == ["studies"])


def test_a_run_is_chosen_and_its_matrix_switched(page: Any) -> None:
    open_page(page, "runs")
    assert [run.text.splitlines()[0] for run in css(page, "[data-run]") if run.is_displayed()] == [
        "gru/000000000000"
    ]
    css(page, "#run option")[1].click()
    (run,) = [run for run in css(page, "[data-run]") if run.is_displayed()]
    assert run.text.startswith("tcresnet/")
    (button,) = [button for button in css(page, "[data-shows=counts]") if button.is_displayed()]
    button.click()
    assert [
        part.get_attribute("data-shown") for part in css(page, "[data-shown]") if part.is_displayed()
    ] == ["counts"]


def test_a_mark_says_what_it_is_and_a_legend_hides(page: Any) -> None:
    from selenium.webdriver import ActionChains

    open_page(page, "runs")
    ActionChains(page).move_to_element(css(page, "[data-run='0'] .cell")[0]).perform()
    assert until(lambda: css(page, "#tip")[0].text).startswith("yes → yes: ")
    key = next(key for key in css(page, "[data-run='0'] .legend") if key.text == "fold 2")
    line = key.find_element("xpath", "ancestor::*[name()='svg']//*[@data-series='2' and not(@class)]")
    assert line.is_displayed()
    key.send_keys("\ue007")  # enter
    until(lambda: not line.is_displayed())


def test_arrow_keys_walk_along_a_chart(page: Any) -> None:
    open_page(page, "leaderboard")
    chart = css(page, "#leaderboard svg.chart")[0]
    page.execute_script("arguments[0].focus()", chart)

    def walked() -> bool:
        """Go one mark to the right: the page that scrolls to the chart may hide the first tip again."""
        press(page, "\ue014")  # arrow right
        return css(page, "#tip")[0].text.startswith("gru: 0.8")

    until(walked)


def test_a_table_sorts(page: Any) -> None:
    open_page(page, "leaderboard")
    head = next(head for head in css(page, "#leaderboard th") if head.text == "public")
    head.click()
    column = [row.find_elements("tag name", "td")[3].text for row in css(page, "#leaderboard tbody tr")]
    assert column == ["0.8850", "0.8600", "0.7900"]


def test_the_filter_filters(page: Any, report: source.Source) -> None:
    open_page(page, "listening")
    rows = css(page, "#list li")
    assert len(rows) > 20
    css(page, "#by-truth option[value=up]")[0].click()
    left = css(page, "#list li")
    assert 0 < len(left) < len(rows) and all(row.text.startswith("up") for row in left)
    css(page, "#by-text")[0].send_keys("no such clip")
    until(lambda: not css(page, "#list li"))
    assert not css(page, "#stage")[0].is_displayed()
    assert css(page, "#count")[0].text == f"0 of {len(rows)}"


def test_a_clip_plays_and_is_drawn(page: Any) -> None:
    open_page(page, "listening")
    until(lambda: page.execute_script("return audio.readyState >= 2"))
    assert page.execute_script("return [audio.duration, audio.error]") == [0.25, None]
    css(page, "#play")[0].click()
    until(lambda: page.execute_script("return audio.ended || audio.currentTime > 0.1"))
    for name in ("wave", "spectrogram"):
        colours = page.execute_script(
            f"const c = document.getElementById('{name}');"
            "const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);"
            "return new Set(d).size"
        )
        assert colours > (1 if name == "wave" else 50)


def test_the_spectrogram_shows_the_tone(page: Any) -> None:
    """An independent route: a pure tone must be brightest at its own height."""
    peak = page.execute_script(
        "const rate = 16000, hz = 2000;"
        "const samples = Float32Array.from({length: rate}, (_, k) => Math.sin(2 * Math.PI * hz * k / rate));"
        "const column = spectrogram({rate, samples}, 110, 10)[5];"
        "const band = column.indexOf(Math.max(...column));"
        "const mel = (f) => 2595 * Math.log10(1 + f / 700);"
        "return [band, mel(hz) / mel(rate / 2) * 110]"
    )
    assert peak[0] == pytest.approx(peak[1], abs=1.5)


def test_keys_go_on_and_flags_are_exported(page: Any) -> None:
    open_page(page, "listening")
    first = css(page, "#facts")[0].text
    press(page, "f")
    press(page, "j")
    until(lambda: css(page, "#facts")[0].text != first)
    second = css(page, "#facts")[0].text
    press(page, "f")
    press(page, "k")
    until(lambda: css(page, "#facts")[0].text == first)
    button = css(page, "#export")[0]
    assert button.text == "Export 2 flagged as CSV"
    button.click()
    path = until(lambda: next(Path(page.downloads).glob("*.csv"), None))
    expected = ["clip_id", *(facts.partition(" · ")[0] for facts in (first, second))]
    until(lambda: path.read_text().splitlines() == expected)
    page.refresh()  # flags are remembered
    open_page(page, "listening")
    assert css(page, "#export")[0].text == "Export 2 flagged as CSV"


def test_dark_and_light(page: Any) -> None:
    def paper() -> str:
        return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    before = paper()
    css(page, "#theme")[0].click()
    assert paper() != before
    page.refresh()
    until(lambda: paper() != before)


def test_it_fits_a_telephone(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 400, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        browser.get(address)
        for name in build.PAGES:
            browser.execute_script(f"location.hash = '{name}'")
            until(lambda name=name: shown(browser) == [name])
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 400, name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_served_sounds_come_from_the_store(browser: Any, report: source.Source) -> None:
    server = make_server(build.render(report, served=True), report, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = f"http://127.0.0.1:{server.server_port}/"
    try:
        browser.get("about:blank")
        browser.get_log("browser"), browser.get_log("performance")
        browser.get(f"{own}#listening")
        until(lambda: browser.execute_script("return audio.readyState >= 2 && audio.duration === 0.25"))
        until(lambda: css(browser, "#high")[0].text == "4 kHz, mel")  # drawn from what was fetched
        assert browser.get_log("browser") == []
        asked = requests(browser)
        assert any(url.startswith(f"{own}audio/") for url in asked)
        assert all(url.startswith((own, "data:")) for url in asked)
        browser.get("about:blank")
    finally:
        server.shutdown()
        server.server_close()
