"""In a real browser no slide is larger than a projector of 1024 x 768, and nothing is fetched.

Needs Playwright and a browser, as test_browser does, and the extra `book` for the decks.
"""

import pytest
import slides
import test_browser

pytest.importorskip("sphinx_revealjs", reason='slides need: pip install -e ".[book]"')
browser = test_browser.browser  # a fixture of another file is known by the name that it has here

ENDS = """number => {
    Reveal.slide(number, 0, 99);
    const shown = [...Reveal.getCurrentSlide().querySelectorAll("*")]
        .filter(e => !e.closest("aside")).map(e => e.getBoundingClientRect());
    return [Math.max(...shown.map(e => e.right)), Math.max(...shown.map(e => e.bottom))];
}"""


def test_slides_fit_a_projector(browser, tmp_path):
    assert slides.main(["--out", str(tmp_path)]) == 0
    page = browser.new_page(viewport={"width": 1024, "height": 768})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    decks = sorted(tmp_path.glob("*.html"))
    assert len(decks) == 5
    for deck in decks:
        page.goto(deck.as_uri())
        page.wait_for_function("() => window.Reveal && Reveal.isReady()")
        for number in range(page.evaluate("() => Reveal.getTotalSlides()")):
            right, bottom = page.evaluate(ENDS, number)
            assert right <= 1024 and bottom <= 768, f"{deck.stem}, slide {number + 1}"
    assert not complaints and not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()
