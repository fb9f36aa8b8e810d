"""The report as text: complete, harmless whatever the data are called, and with the evaluation's own numbers."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

import xent
from tests.evaluate.report.conftest import HOSTILE, logits
from xent.evaluate.display.words import meaning
from xent.evaluate.report import _data
from xent.evaluate.report._page import _columns
from xent.evaluate.report._safe import brief, json_text, labels, shown
from xent.evaluate.report._tables import between, said, signed

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Elements, attributes and texts of a page; scripts and styles are texts of their own."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.open, self.texts = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [text for place, text in self.texts if place == tag]

    @property
    def policy(self):
        return next(
            value for tag, name, value in self.attributes if tag == "meta" and name == "content" and "default-src" in value
        )

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(text for place, text in self.texts if place not in {"script", "style"}))


@pytest.fixture(scope="module")
def page(ten):
    return Page(ten.to_html(sources=["ten.parquet"]))


@pytest.fixture(scope="module")
def hostile_text(hostile):
    return hostile.to_html(sources=["<u>file</u>\u202e.parquet"], title="<s>title</s>")


def sha256(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_this_script_and_this_style_and_nothing_else(page):
    charts, script = page.of("script")
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": sha256(script),
        "style-src": sha256(page.of("style")[0]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.elements.count("script") == 2
    assert ("script", "type", "application/json") in page.attributes
    assert json.loads(charts)["charts"].keys() == {value for tag, name, value in page.attributes if name == "data-chart"}


@pytest.mark.parametrize("case", ["ten", "hostile", "infinite", "words"])
def test_nothing_is_loaded_and_no_attribute_is_code(request, case):
    found = Page(request.getfixturevalue(case).to_html())
    names = {name for _, name, _ in found.attributes}
    assert not names & {"src", "href", "srcset", "style", "action", "formaction", "data", "poster", "background"}
    assert not [name for name in names if name.startswith("on")]
    assert not set(found.elements) & {"link", "img", "iframe", "object", "embed", "base", "form", "svg", "audio", "video"}
    assert not re.search(r"url\(|@import", found.of("style")[0])
    assert not re.search(r"https?://", found.words)


def test_names_are_text_and_never_markup(hostile, hostile_text):
    plain = Page(hostile_text)
    assert not set(plain.elements) & {"img", "b", "i", "u", "s"}
    assert plain.elements.count("script") == 2
    for name in (*HOSTILE, "<b>3</b>\u202e", "<u>file</u>\u202e.parquet", "<i>by</i>", "<s>title</s>"):
        assert shown(name) in plain.words or name.startswith("<b>")
    assert "\u202e" not in hostile_text
    assert r"evil\u202egnp.exe" in plain.words
    assert {"true", "said"} <= json.loads(plain.of("script")[0])["datasets"]["confusion"][0].keys()
    assert "<" not in plain.of("script")[0]
    summary = hostile._repr_html_()
    assert Page(summary).elements.count("script") == 0
    assert not re.search(r"style=|src=|href=", summary)


def test_numbers_are_those_of_the_evaluation(ten, page):
    interval = ten.log_loss_nats
    assert f"log loss {interval.value:.4f} {interval.low:.4f} to {interval.high:.4f} nats per row" in re.sub(
        r" +", " ", page.words
    )
    assert f"accuracy {100 * ten.accuracy.value:.2f} %" in page.words
    assert f"Brier score {ten.brier.score.value:.4f}" in page.words
    for line in meaning(ten):
        assert said(line).replace("`", "") in page.words
    data = json.loads(page.of("script")[0])["datasets"]
    bins = [row for row in data["bins"] if row["class"] == -1]
    assert [row["came"] for row in bins] == pytest.approx([band.bin.frequency for band in ten.calibration.bins], rel=1e-5)
    assert sum(row["rows"] for row in data["losses"]) == pytest.approx(1.0, abs=1e-4)
    assert sum(row["rows"] for row in data["confusion"]) == ten.counted
    cells = {(row["true"], row["said"]): row["rows"] for row in data["confusion"]}
    assert cells == {(str(true), str(said)): rows for true, said, rows in ten.confusion}
    assert [part["high"] for part in data["decomposition"]][-1] == ten.baselines.uniform_nats
    assert [row["nats"] for row in data["temperature"]] == [nats for _, nats in ten.refinement.curve]


def test_rows_that_do_not_count_are_counted(infinite):
    words = Page(infinite.to_html()).words
    assert "Left out, without a label: 5 of 120 rows." in words
    assert "Left out, with NaN: 1 of 120 rows." in words
    assert "4 rows have infinite loss. The log loss of the others is 1.0986 nats" in words
    assert "The log loss is infinite: 4 rows" in words


def test_a_comparison_names_both_models_and_says_which_is_better(compared):
    result, comparison = compared
    words = re.sub(r" +", " ", Page(result.to_html(comparison)).words)
    assert "a.parquet beside b<.parquet" in words
    assert f"{comparison.log_loss_nats.difference.value:.4f}".replace("-", "−") in words
    assert "after temperature" in words
    for line in str(comparison).splitlines():
        assert said(line) in words
    assert "P(a.parquet better)" in words
    gap = comparison.log_loss_nats.difference
    assert f"{gap.low:.4f} to {gap.high:.4f}".replace("-", "−") in words.split("Differences")[1]
    assert "100.0 %" not in words.split("beside b<.parquet")[1].split("What the loss")[0]


def test_the_head_says_what_was_judged_and_when(compared):
    words = Page(compared[0].to_html(compared[1], sources=["a", "b", "c", "d", "e"], date="2026-01-02 03:04 UTC")).words
    assert re.search(r"files +a, b, c and 2 more +beside +runs/b<.parquet +rows +500 +classes +3 +predictions +logits", words)
    assert re.search(r"judged +2026-01-02 03:04 UTC", words)
    assert "judged" not in Page(compared[0].to_html()).words.split("Summary")[0]


@pytest.mark.parametrize(("tiles", "columns"), [(3, 3), (4, 4), (5, 5), (6, 6), (7, 4), (8, 4), (9, 5), (12, 6)])
def test_no_number_of_the_head_stands_alone(tiles, columns):
    assert _columns(tiles) == columns
    assert (tiles - 1) % columns > 0


def histogram(*nats):
    rows = xent.evaluate(-np.array(nats), kind="target-log-probs")
    return [row["name"] for row in _data.loss_histogram(rows) if row["rows"]], rows


def test_the_first_and_the_last_bin_of_losses_say_what_they_hold():
    assert histogram(1e-13, 1e-13)[0] == ["below 9.1e-13"]
    assert histogram(0.0)[0] == ["below 9.1e-13"]
    assert histogram(5000.0, 1e6)[0] == ["4096 and above"]
    names, _ = histogram(1e-9, 1.0, 5000.0)
    assert re.fullmatch(r"below \S+", names[0])
    assert (names[1].split(" to ")[0], names[2]) == ("1", "4096 and above")
    assert histogram(1.0, 1.01)[0] == ["1 to 1.09"]


def test_all_rows_of_finite_loss_are_in_the_histogram():
    for nats in ([1e-13, 1.0, 5000.0], [1e-9, 0.5, 4095.0, 1e9], [3.0]):
        names, result = histogram(*nats)
        rows = _data.loss_histogram(result)
        assert sum(row["rows"] for row in rows) == pytest.approx(1.0, abs=1e-5)
        assert sum(row["loss"] for row in rows) == pytest.approx(1.0, abs=1e-5)
        assert len(names) == len(nats)


def test_a_step_that_lowers_the_score_is_negative(ten):
    steps = _data.brier_steps(ten)
    assert sum(step.change for step in steps[:-1]) == pytest.approx(steps[-1].change, rel=1e-9)
    assert steps[1].change == pytest.approx(-ten.brier.resolution)
    assert f"{-ten.brier.resolution:.4f}".replace("-", "−") in Page(ten.to_html()).words


def test_a_matrix_of_weighted_rows_says_that_it_counts_rows(ten):
    values, target = logits(300, 3)
    weighted = xent.evaluate(values, target, kind="logits", weight=np.linspace(0.5, 3.0, 300))
    words = Page(weighted.to_html()).words
    assert "Cells count rows, unweighted." in words
    assert "rows, unweighted" in words.split("Cells count")[1].split("Class by class")[0]
    assert "Cells count rows." in Page(ten.to_html()).words


def test_groups_stand_worst_first_with_what_is_known_of_them(hostile, words_by_group):
    order = [row["group"] for row in _data.group_rows(words_by_group)]
    assert order == sorted(order, key=lambda name: -{row.name: row.log_loss_nats.value for row in words_by_group.by_group}[name])
    found = Page(words_by_group.to_html()).words
    assert "bits per byte" in found.split("By kind")[1]
    assert "Brier score" not in found
    assert "Brier score" in Page(hostile.to_html()).words.split("By ")[1]


def by_group(nats, groups):
    held = pa.table({"lp": -np.array(nats), "kind": groups})
    return Page(xent.evaluate(held, kind="target-log-probs", columns="lp", by="kind").to_html(title="Losses"))


def test_groups_that_no_picture_shows_are_counted(words_by_group):
    found = by_group([1.0, 2.0, np.inf, 3.0], ["Rome", "Oslo", "<Paris>", "Rome"])
    assert "Of infinite loss, and so in the table alone: 1 group (<Paris>)." in found.words
    assert "The dashed line is the log loss of all rows of finite loss." in found.words
    assert '"what":"all rows of finite loss"' in found.of("script")[0]
    many = by_group(np.ones(41), [f"g{number}" for number in range(41)]).words
    assert "No picture is drawn of more than 40 groups; here are 41 groups." in many
    assert "dashed line" not in many
    assert "41 groups; the table scrolls" in re.sub(r" +;", ";", many)
    plain = Page(words_by_group.to_html()).words
    assert "in the table alone" not in plain
    assert "The dashed line is the log loss of all rows." in plain


def test_without_classes_only_what_is_known(words):
    found = Page(words.to_html())
    assert set(json.loads(found.of("script")[0])["charts"]) == {"losses"}
    assert "bits per byte" in found.words
    assert "accuracy" not in found.words
    assert "wrong labels" not in found.words


def test_the_same_evaluation_gives_the_same_bytes(ten):
    assert ten.to_html() == ten.to_html()


def test_a_report_is_about_a_megabyte(ten):
    assert len(ten.to_html().encode()) < 1_200_000


@pytest.mark.parametrize("missing", ["altair", "jinja2", "vl_convert"])
def test_a_missing_package_names_the_line_that_installs_it(monkeypatch, ten, missing):
    import sys

    for name in [name for name in sys.modules if name.startswith("xent.evaluate.report._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(xent.MissingExtraError) as caught:
        ten.to_html()
    line = "Run in the clone of xent: pip install '.[learn,cli,data,report]'"
    assert str(caught.value) == f"a report needs optional packages; {missing} is not installed. {line}"


def test_what_cannot_be_seen_is_written_out():
    assert shown("a\u202eb\x00c\n\ud800") == r"a\u202eb\x00c\x0a\ud800"
    assert shown("שלום") == "שלום"
    assert len(shown("x" * 1000)) == 160


def test_labels_differ():
    assert labels(["a\u200b", r"a\u200b", "", "b"]) == [r"a\u200b (0)", r"a\u200b (1)", "(empty)", "b"]


def test_long_names_are_cut_where_they_stay_apart():
    assert brief(["cat", "golden retriever"], 16) == ["cat", "golden retriever"]
    assert brief(["golden retriever", "golden hamster of Syria"], 10) == ["golde…ever", "golde…yria"]
    alike = [f"a very long name of number {number} of these" for number in (1, 2, 12)]
    assert brief(alike, 16) == ["a ve…1 of these", "a ve…2 of these", "a ve…12 of these"]
    twins = brief(["x" * 40 + end + "y" * 40 for end in ("a" * 40 + "b", "a" * 40 + "c", "d")], 12)
    assert len(set(twins)) == 3
    assert max(map(len, twins)) <= 12


def test_json_ends_no_script():
    assert json_text("</script><!--&'\u2028") == r'"\u003c/script\u003e\u003c!--\u0026\u0027\u2028"'


def test_signs_are_written_as_signs_and_names_are_left_alone():
    assert signed("-0.5") == "−0.5"
    assert signed("-1.0e-05") == "−1.0e-05"
    assert between(xent.evaluate.Estimate(1.0, -2.0, float("inf"))) == "−2.0000 to ∞"
    line = "In log loss my-1.csv is better, by -0.5000 nats [-0.6, -0.4]."
    assert said(line) == "In log loss my-1.csv is better, by −0.5000 nats [−0.6, −0.4]."
