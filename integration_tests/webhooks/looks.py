"""Whether a page can be read: on a desk and on a phone, in light and in dark."""

from __future__ import annotations

from webhooks.browser import Page

#: Width and height in CSS pixels, dark or not
LOOKS = [(1280, 900, False), (1280, 900, True), (390, 844, False), (390, 844, True)]

# CSS pixels by which an element sticks out of the window, unless its own scrolling box holds it
STICKING_OUT = """
[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll") && !e.closest("svg")
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 80))
"""
CUT_TABLES = """
[...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)
"""
# The least contrast of a text with what is behind it, by the formula of WCAG 2
CONTRAST = """
(() => {
  const parts = color => { const found = color.match(/[0-9.]+/g).map(Number);
    return color.startsWith("color(") ? [...found.slice(0, 3).map(v => v * 255), ...found.slice(3)] : found; };
  const light = color => color.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { if (!e) return [255, 255, 255];
    const color = parts(getComputedStyle(e).backgroundColor), alpha = color.length < 4 ? 1 : color[3];
    if (alpha === 1) return color;
    const below = behind(e.parentElement);
    return below.slice(0, 3).map((v, i) => v * (1 - alpha) + color[i] * alpha); };
  const texts = [...document.querySelectorAll("body *")].filter(e => !e.closest("svg")
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  const found = texts.map(e => { const a = light(parts(getComputedStyle(e).color)), b = light(behind(e));
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)]; });
  return found.sort((a, b) => a[0] - b[0])[0];
})()
"""


def looks_right(page: Page, url: str) -> None:
    """Nothing sticks out, nothing is cut, everything can be read, and nothing was blocked."""
    for width, height, dark in LOOKS:
        page.show(width, height, dark)
        page.open(url)
        assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.value(STICKING_OUT) == []
        assert page.value(CUT_TABLES) == []
        least, where = page.value(CONTRAST)
        assert least >= 4.5, where
    assert page.problems == []
    assert page.value("document.querySelectorAll('script').length") == 0
    assert page.value("document.documentElement.lang") == "en"
    assert page.value("[...document.querySelectorAll('th')].every(e => e.scope)")
