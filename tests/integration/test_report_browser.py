"""The report in a real browser: silent, in both themes, and no wider than a phone."""

import html
import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageStat

from tests.builders_report import written_report
from tests.chromium import CHROMIUM, QUIET

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="There is no Chromium here; apt-get install chromium brings one."
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return written_report(tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("report"))


def chromium(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        return subprocess.run(
            [
                CHROMIUM,
                *QUIET,
                "--enable-logging=stderr",
                f"--user-data-dir={profile}",
                *arguments,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": profile},
        )


def screenshot(page: Path, picture: Path, theme: int) -> tuple[Image.Image, str]:
    """Return what the page looks like in a theme (0 dark, 1 light), and what the console says."""
    done = chromium(
        f"--blink-settings=preferredColorScheme={theme}",
        "--window-size=1200,3000",
        f"--screenshot={picture}",
        page.as_uri(),
    )
    return Image.open(picture).convert("RGB"), done.stderr


def test_the_page_is_silent_in_both_themes_and_each_is_its_own(page, tmp_path):
    light, said = screenshot(page, tmp_path / "light.png", theme=1)
    dark, said_dark = screenshot(page, tmp_path / "dark.png", theme=0)
    assert "CONSOLE" not in said + said_dark
    brightness = [ImageStat.Stat(shot.convert("L")).mean[0] for shot in (light, dark)]
    assert brightness[0] > 200
    assert brightness[1] < 70
    # The colours of accepted and of review are there in either theme: the charts are not blank.
    for shot, colours in ((light, ("#0072b2", "#d55e00")), (dark, ("#56b4e9", "#e69f00"))):
        pixels = np.asarray(shot)
        assert (pixels[:16] == pixels[0, 0]).all(), "The page begins right at the edge of the window."
        for colour in colours:
            assert (pixels == list(bytes.fromhex(colour[1:]))).all(axis=2).sum() > 500, colour


@pytest.mark.parametrize("width_px", [360, 768, 1200])
def test_nothing_is_wider_than_the_screen_or_beyond_its_edge_and_no_text_is_below_12_px(
    page, tmp_path, width_px
):
    # A window may not be as narrow as a phone, a frame may: the frame is the phone.
    probe = tmp_path / "probe.html"
    probe.write_text(
        f'<iframe style="width:{width_px}px;height:800px;border:0" '
        f'srcdoc="{html.escape(page.read_text(encoding="utf-8"))}"></iframe>'
        "<output></output><script>onload=()=>{const d=document.querySelector('iframe').contentDocument;"
        "d.querySelectorAll('details').forEach(e=>e.open=true);"
        "const wide=[...d.body.querySelectorAll('*')].filter(e=>!e.closest('.scroll,pre,svg *')"
        f"&&e.getBoundingClientRect().right>{width_px}+1).map(e=>e.tagName+'.'+e.className);"
        "const small=[...d.body.querySelectorAll('*')].filter(e=>!e.closest('title,desc,style,.unseen')"
        "&&[...e.childNodes].some(n=>n.nodeType===3&&n.textContent.trim())).map(e=>{const s=e.closest('svg');"
        "const px=parseFloat(d.defaultView.getComputedStyle(e).fontSize)"
        "*(s?s.getBoundingClientRect().width/s.viewBox.baseVal.width:1);"
        "return [px,e.tagName+'.'+(e.closest('section')||e).id]}).filter(([px])=>px<11.95);"
        "const out=[...d.querySelectorAll('.chart text')].filter(e=>e.getBoundingClientRect().left<8)"
        ".map(e=>e.textContent);"
        "document.querySelector('output').textContent="
        "JSON.stringify([d.documentElement.scrollWidth,wide.slice(0,5),small.slice(0,5),out])}</script>",
        encoding="utf-8",
    )
    dom = chromium("--window-size=1400,900", "--dump-dom", probe.as_uri()).stdout
    found = re.search(r"<output>(.*?)</output>", dom)
    assert found
    assert found[1] == f"[{width_px},[],[],[]]"


def test_no_reason_is_broken_within_a_word_and_a_long_key_stays_in_its_card(page, tmp_path):
    probe = tmp_path / "probe.html"
    script = (
        "<output></output><script>onload=()=>{document.querySelector('output').textContent="
        "[...document.querySelectorAll('#rejects tbody th, #failures tbody th')].map(e=>{"
        "const r=document.createRange();r.selectNodeContents(e);"
        "return e.textContent+' '+r.getClientRects().length})"
        ".concat([...document.querySelectorAll('#rejects .scroll, #failures .scroll')].map(e=>"
        "'hidden '+(e.scrollWidth-e.clientWidth)))}</script>"
    )
    text = page.read_text(encoding="utf-8").replace("default-src 'none';", "")
    probe.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    dom = chromium("--window-size=1280,900", "--dump-dom", probe.as_uri()).stdout
    found = re.search(r"<output>(.*?)</output>", dom)
    assert found
    *words, hidden_px, also_hidden_px = (entry.rsplit(" ", 1) for entry in found[1].split(","))
    assert max(int(hidden_px[1]), int(also_hidden_px[1])) <= 30
    reasons = dict(words)
    assert "unsupported_format" in reasons
    assert set(reasons.values()) == {"1"}, reasons


def test_the_page_prints_in_light_colours_on_a_few_sheets(page, tmp_path):
    target = tmp_path / "report.pdf"
    chromium(
        "--blink-settings=preferredColorScheme=0",
        "--no-pdf-header-footer",
        f"--print-to-pdf={target}",
        page.as_uri(),
    )
    data = target.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(data) < 2_000_000
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 8
