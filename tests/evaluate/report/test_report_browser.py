"""The report in a browser: it draws, it answers, and it neither loads, evaluates nor executes what it should not."""

import shutil
from itertools import pairwise

import pytest

from tests.evaluate.report.conftest import HOSTILE
from xent.evaluate.report._safe import shown

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt install chromium")
CASES = ("ten", "hostile", "infinite", "words", "compared")
CORNERS = ("one_row", "one_label", "all_infinite", "great", "thousand", "words_by_group", "long_names")
SOURCES = {"long_names": ["a_rather_long_name_of_a_model_run_2026-11-22T03-00-00_seed42_lr3e-4.parquet"]}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where the report of a case is, written once."""
    directory, paths = tmp_path_factory.mktemp("reports"), {}

    def writing(case, made):
        if case not in paths:
            paths[case] = directory / f"{case}.html"
            text = made[0].to_html(made[1]) if isinstance(made, tuple) else made.to_html(sources=SOURCES.get(case, ()))
            paths[case].write_text(text, encoding="utf-8")
        return paths[case].as_uri()

    return writing


@pytest.fixture
def opened(request, browser, written):
    """Open a report in a page that records what it says, asks for and refuses."""
    pages = []

    def opening(case, **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append("dialog"), dialog.dismiss()))
        page.on("request", lambda asked: page.asked.append(asked.url))
        watch = "window.broken = []; document.addEventListener('securitypolicyviolation', e => broken.push(e.violatedDirective))"
        page.add_init_script(watch)
        page.goto(written(case, request.getfixturevalue(case)))
        page.wait_for_selector("html[data-drawn]", timeout=20_000)
        return page

    yield opening
    for page in pages:
        page.close()


@pytest.mark.parametrize("case", CASES + CORNERS)
def test_every_chart_is_drawn_and_nothing_is_said_loaded_or_refused(opened, case):
    page = opened(case)
    assert page.said == []
    assert len(page.asked) == 1
    assert page.evaluate("broken") == []
    drawn = page.evaluate("[...document.querySelectorAll('[data-chart]')].map(c => c.querySelectorAll('svg.marks path').length)")
    assert drawn
    assert min(drawn, default=1) > 0


def test_the_policy_refuses_what_it_should(opened):
    page = opened("words")
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.invalid/x.png'}))")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"x()\">')")
    page.evaluate("fetch('https://example.invalid/').catch(() => 0)")
    # Later, as the page itself would: what the driver evaluates at once may do all.
    page.evaluate("setTimeout(() => { try { Function('0')() } catch (error) { window.caught = error.name } })")
    page.wait_for_function("window.caught")
    assert page.evaluate("caught") == "EvalError"
    assert {"img-src", "style-src-attr", "script-src-attr", "connect-src", "script-src"} == set(page.evaluate("broken"))


def test_hostile_names_are_shown_and_make_no_element(opened):
    page = opened("hostile")
    assert page.said == []
    assert page.evaluate("document.querySelectorAll('img, b, i, script').length") == 2
    text = page.inner_text("body")
    for name in (*HOSTILE, "<i>by</i>"):
        assert shown(name) in text
    page.locator("#confusion .mark-text text").first.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert shown(HOSTILE[0]) in page.inner_text("#vg-tooltip-element")
    assert page.evaluate("document.querySelectorAll('img, b, i, script').length") == 2
    assert page.evaluate("broken") == []


def test_a_heading_sorts_by_number_and_back(opened, ten):
    page = opened("ten")
    table = page.get_by_role("region", name="Classes")
    recalls = [row.recall for row in ten.by_class]

    def column(place):
        return table.locator(f"tbody tr > :nth-child({place})").all_inner_texts()

    table.get_by_role("button", name="recall").click()
    assert column(6) == [f"{100 * recall:.1f} %" for recall in sorted(recalls, reverse=True)]
    assert table.locator("th[aria-sort=descending]").inner_text().startswith("recall")
    table.get_by_role("button", name="recall").press("Enter")
    assert column(6) == [f"{100 * recall:.1f} %" for recall in sorted(recalls)]
    table.get_by_role("button", name="class").click()
    assert column(1) == sorted(ten.classes)
    assert table.locator("th[aria-sort]").count() == 1


def test_a_class_is_chosen(opened, ten):
    page = opened("ten")
    points = "[...document.querySelectorAll('[data-chart=reliability] .mark-symbol path')].map(p => p.getAttribute('aria-label'))"
    assert len(page.evaluate(points)) == len(ten.calibration.bins)
    page.get_by_label("Probability of").select_option(label="4")
    page.wait_for_function(f"{points}.length === {len(ten.calibration.by_class[4])}")
    for label, one in zip(page.evaluate(points), ten.calibration.by_class[4], strict=True):
        assert f"said: {one.confidence:.3f}" in label
    assert page.said == []


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark(opened, scheme, dark):
    page = opened("ten", color_scheme=scheme)
    paper, ink = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    light = [sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) for colour in (paper, ink)]
    assert (light[0] < light[1]) == dark
    label = "getComputedStyle(document.querySelector('[data-chart=losses] .role-axis-label text')).fill"
    before = page.evaluate(label)
    page.emulate_media(color_scheme="light" if dark else "dark")
    assert page.evaluate(label) != before


CONTRAST = """() => {
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
    v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (c) => { const x = light(c); return (Math.max(x, paper) + 0.05) / (Math.min(x, paper) + 0.05); };
  const texts = [...document.querySelectorAll('p, dt, dd, li, th, td, summary, figcaption, h1, h2, h3')];
  const labels = [...document.querySelectorAll('.role-axis text, .role-legend text')];
  return Math.min(...texts.filter((e) => !e.matches('.notice')).map((e) => ratio(getComputedStyle(e).color)),
                  ...labels.map((e) => ratio(getComputedStyle(e).fill)));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened, scheme):
    assert opened("ten", color_scheme=scheme).evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("case", CASES + CORNERS)
def test_a_phone_needs_no_sideways_scrolling(opened, case):
    page = opened(case, viewport={"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    widths = page.evaluate("[...document.querySelectorAll('.chart svg.marks')].map(s => s.getBoundingClientRect().right)")
    assert max(widths, default=0) <= 375


def test_headings_are_in_order_and_charts_have_a_description(opened):
    page = opened("ten")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    said = page.evaluate(
        "[...document.querySelectorAll('[data-chart] svg.marks')].map(s => s.closest('[aria-label]')?.ariaLabel ?? '')"
    )
    assert all(len(text) > 20 for text in said)


def test_a_print_holds_the_whole_width(opened):
    page = opened("ten")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf(format="A4")) > 10_000


CELLS = "[...document.querySelectorAll('#confusion .mark-rect path')].map(p => p.getBoundingClientRect())"


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("case", ["ten", "compared", "hostile"])
def test_cells_of_the_matrix_are_squares(opened, case, width):
    cells = opened(case, viewport={"width": width, "height": 900}).evaluate(f"{CELLS}.map(c => [c.width, c.height])")
    assert all(abs(across - high) < 1.0 for across, high in cells)
    assert min(across for across, _ in cells) > 15


@pytest.mark.parametrize(("case", "upright"), [("ten", True), ("hostile", False)])
def test_names_that_fit_over_a_cell_stand_upright(opened, case, upright):
    turned = opened(case).evaluate(
        "[...document.querySelectorAll('#confusion .role-axis-label text')].some(t => /rotate/.test(t.getAttribute('transform')))"
    )
    assert turned != upright


SEEN = """() => {
  const number = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const paper = number(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('#confusion .mark-rect path')].map((p) => {
    const by = Number(getComputedStyle(p).opacity), fill = number(getComputedStyle(p).fill);
    return Math.max(...fill.map((v, n) => Math.abs(by * (v - paper[n])))); });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_faintest_mistake_is_seen(opened, scheme):
    assert min(opened("ten", color_scheme=scheme).evaluate(SEEN)) > 30


def test_the_first_column_stays_while_a_table_scrolls(opened):
    page = opened("ten", viewport={"width": 375, "height": 700})
    place = "document.querySelector('[aria-label=Classes] tbody th').getBoundingClientRect().left"
    before = page.evaluate(place)
    moved = page.evaluate("(r => { r.scrollLeft = 200; return r.scrollLeft })(document.querySelector('[aria-label=Classes]'))")
    assert moved > 50
    assert page.evaluate(place) == before


def test_numbers_of_the_head_fill_their_lines(opened):
    page = opened("ten", viewport={"width": 1200, "height": 900})
    tops = page.evaluate("[...document.querySelectorAll('.headlines > div')].map(d => d.getBoundingClientRect().top)")
    assert len(tops) == 6
    assert len(set(tops)) == 1


def test_labels_of_the_losses_are_written_alike(opened):
    texts = "[...document.querySelectorAll('[data-chart=losses] .role-axis-label text')].map(t => t.textContent)"
    found = [text for text in opened("words").evaluate(texts) if "%" not in text and text]
    assert len(found) > 1
    assert len({text.startswith("10") and not text.isdigit() for text in found}) == 1


def test_the_loss_of_all_rows_crosses_that_of_the_groups(opened):
    page = opened("words_by_group")
    assert "all rows" in page.inner_text("#groups figure")
    assert page.evaluate("document.querySelectorAll('[data-chart=groups] .mark-rule.role-mark').length") == 2


def test_numbers_of_rows_stay_in_one_line_on_a_phone(opened):
    page = opened("ten", viewport={"width": 375, "height": 700})
    rows = page.get_by_role("region", name="Most surprising rows").locator("tbody th")
    assert max(rows.evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")) < 40


def test_a_long_table_says_how_many_rows_it_has_and_fades_until_its_end(opened):
    page = opened("ten")
    assert "100 rows; the table scrolls" in page.inner_text("#rows")
    table = page.get_by_role("region", name="Most surprising rows")
    fade = table.evaluate(
        "one => { const s = getComputedStyle(one, '::after'); return [s.position, s.bottom, parseInt(s.height)] }"
    )
    assert fade == ["sticky", "0px", 48]
    assert table.evaluate("one => one.scrollHeight > one.clientHeight")
    ends = "one.getBoundingClientRect().bottom - one.querySelector('tbody tr:last-child').getBoundingClientRect().bottom"
    last = f"one => {{ one.scrollTop = 1e6; return {ends} }}"
    assert table.evaluate(last) >= 48


def test_a_short_table_is_shown_whole(opened):
    page = opened("ten")
    table = page.get_by_role("region", name="Classes")
    assert table.evaluate("one => one.scrollHeight <= one.clientHeight")
    assert page.locator("#classes .size").count() == 0


def test_a_print_holds_every_row(opened):
    page = opened("ten")
    page.emulate_media(media="print")
    table = page.get_by_role("region", name="Most surprising rows")
    assert table.evaluate("one => [...one.querySelectorAll('tbody tr')].filter(row => row.offsetHeight).length") == 100
    assert table.evaluate("one => one.scrollHeight <= one.clientHeight")
    assert "scrolls" not in page.inner_text("#rows")


@pytest.mark.parametrize("width", [390, 1280])
def test_long_names_and_ids_are_never_cut(opened, width):
    page = opened("long_names", viewport={"width": width, "height": 900})
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1).length"
    names = page.locator("#classes .sortable bdi, #rows bdi")
    assert names.count() > 150
    assert names.evaluate_all(cut) == 0
    if width > 1000:
        heights = page.locator("#rows tbody th bdi").evaluate_all("all => all.map(one => one.offsetHeight)")
        assert max(heights) < 30


def test_words_of_the_head_are_not_broken(opened):
    page = opened("long_names", viewport={"width": 390, "height": 800})
    lines = "one => { const r = document.createRange(); r.selectNodeContents(one); return r.getClientRects().length }"
    assert page.locator(".facts dt").evaluate_all(f"all => all.map({lines})") == [1, 1, 1, 1]


def test_bars_of_mistakes_name_both_classes_and_are_told_apart(opened):
    page = opened("long_names", viewport={"width": 390, "height": 800})
    labels = page.locator("[data-chart=mistakes] .role-axis-label text").all_text_contents()
    bars = [label for label in labels if "→" in label]
    assert len(set(bars)) == len(bars) == 20
    assert all(label.index("→") > 10 and len(label) > 40 for label in bars)
    page.locator("[data-chart=mistakes] .mark-rect path").first.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert page.inner_text("#vg-tooltip-element").count("of men's and women's shoes") == 2
