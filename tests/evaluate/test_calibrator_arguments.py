"""What calibrators are given: taken as it is meant, or refused in words; and what they accept can be saved."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import xent
from xent.evaluate import IsotonicCalibration, MatrixScaling, TemperatureScaling, VectorScaling, load_calibrator

RNG = np.random.default_rng(0)
X = RNG.normal(0.0, 2.0, (60, 3))
Y = (X / 2 + RNG.gumbel(size=X.shape)).argmax(axis=1)
NAMES = ["no", "maybe", "yes"]
NAMED = np.array(NAMES)[Y]
LISTED_NAMES = tuple(NAMED.tolist())
WEIGHT = np.arange(60) % 4
HALF = np.arange(60) < 30
KEPT = ~HALF
EVERY = (TemperatureScaling, VectorScaling, MatrixScaling, IsotonicCalibration)


def fit(values=X, y=Y, weight=None, **parameters):
    return TemperatureScaling(**parameters).fit(values, y, weight)


FITTED = fit()


def objects(values):
    held = np.empty(len(values), object)
    held[:] = list(values)
    return held


def tensor(values, **options):
    return pytest.importorskip("torch").tensor(np.asarray(values), **options)


def brain(values):
    """The values in an array of bfloat16."""
    return np.asarray(values).astype(pytest.importorskip("ml_dtypes").bfloat16)


SAME = {
    "labels as objects": lambda: fit(y=objects(Y.tolist())),
    "labels as objects that are floats": lambda: fit(y=objects(Y.astype(float).tolist())),
    "labels as NumPy's objects": lambda: fit(y=objects(list(Y))),
    "labels in uint64": lambda: fit(y=Y.astype(np.uint64)),
    "labels in a tensor": lambda: fit(y=tensor(Y)),
    "labels in a tensor that requires grad": lambda: fit(y=tensor(Y.astype(float), requires_grad=True)),
    "labels in bfloat16": lambda: fit(y=tensor(Y).bfloat16()),
    "labels in an array of bfloat16": lambda: fit(y=brain(Y)),
    "labels of pandas": lambda: fit(y=pd.Series(Y, dtype="Int64")),
    "names": lambda: fit(y=NAMED, classes=NAMES),
    "names in a list": lambda: fit(y=NAMED.tolist(), classes=NAMES),
    "names as objects": lambda: fit(y=objects(NAMED.tolist()), classes=NAMES),
    "names in StringDType": lambda: fit(y=NAMED.astype(np.dtypes.StringDType()), classes=NAMES),
    "names of pandas": lambda: fit(y=pd.Series(NAMED), classes=pd.Series(NAMES)),
    "categories": lambda: fit(y=pd.Categorical(NAMED), classes=NAMES),
    "classes in a tuple of NumPy": lambda: fit(classes=tuple(np.arange(3))),
    "weights of 1": lambda: fit(weight=np.ones(60, np.int8)),
    "weights in a tensor that requires grad": lambda: fit(weight=tensor(np.ones(60), requires_grad=True)),
    "weights in bfloat16": lambda: fit(weight=tensor(np.ones(60)).bfloat16()),
    "weights in an array of bfloat16": lambda: fit(weight=brain(np.ones(60))),
    "weights as objects": lambda: fit(weight=objects([1, 1.0, True, np.float32(1), Fraction(1)] * 12)),
    "predictions as objects": lambda: fit(X.astype(object)),
    "predictions that require grad": lambda: fit(tensor(X, requires_grad=True)),
    "a frame": lambda: fit(pd.DataFrame(X, columns=NAMES).astype("Float64")),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("case", SAME)
def test_what_says_the_same_fits_the_same(case):
    fitted = SAME[case]()
    assert fitted.temperature_ == FITTED.temperature_
    np.testing.assert_array_equal(fitted.predict_proba(X), FITTED.predict_proba(X))


@pytest.mark.parametrize("make", [lambda: tensor(X).bfloat16(), lambda: brain(X)])
def test_bfloat16_is_what_it_holds(make):
    values = make()
    held = np.asarray(values.float() if hasattr(values, "float") else values, np.float32)
    assert fit(values).temperature_ == fit(held).temperature_
    np.testing.assert_array_equal(FITTED.predict_proba(values), FITTED.predict_proba(held))


def dropped(nothing, values=LISTED_NAMES, kind=list):
    return kind([nothing if out else value for out, value in zip(HALF, values, strict=True)])


MISSING = {
    "None in a list": lambda: (dropped(None), NAMES),
    "NaN in a list": lambda: (dropped(np.nan), NAMES),
    "None in an array": lambda: (dropped(None, kind=objects), NAMES),
    "NaN of pandas": lambda: (pd.Series(dropped(None)), NAMES),
    "NA of pandas": lambda: (pd.array(dropped(None, Y.tolist()), dtype="Int64"), [0, 1, 2]),
    "NaN among numbers": lambda: (np.where(HALF, np.nan, Y), [0, 1, 2]),
    "None in StringDType": lambda: (np.array(dropped(None), np.dtypes.StringDType(na_object=None)), NAMES),
    "-1 without names": lambda: (np.where(HALF, -1, Y), None),
    "-1 as objects": lambda: (dropped(-1, Y.tolist(), objects), None),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_row_without_a_label_is_left_out(case):
    y, classes = MISSING[case]()
    fitted, kept = fit(y=y, classes=classes), fit(X[KEPT], Y[KEPT])
    assert fitted.temperature_ == kept.temperature_
    assert fitted.score(X, y) == kept.score(X[KEPT], Y[KEPT])


def test_accuracy_is_the_weighted_share_of_rows_that_came_true():
    right = FITTED.predict(X) == Y
    assert FITTED.score(X, Y) == right.mean()
    assert FITTED.score(X, Y, WEIGHT) == pytest.approx(np.average(right, weights=WEIGHT), rel=1e-15)
    assert fit(y=NAMED, classes=NAMES).score(X, objects(NAMED.tolist())) == right.mean()


def masked(values):
    return np.ma.array(values, mask=np.broadcast_to(HALF.reshape(-1, *[1] * (np.ndim(values) - 1)), np.shape(values)))


def with_label(label):
    return np.where(np.arange(60) == 4, np.uint64(label), Y.astype(np.uint64))


FILL = "must be a plain array; found a masked array. Fill it, or leave these rows out."
UNNAMED = "without classes= labels must be class indices"
NAME_THEM = "Name the classes in the order of the columns: classes=[...]."
AMONG = "Does it need another spelling, or is a column missing? None leaves a row out."
REAL = "X must be real numbers"
WEIGHTS = "sample_weight must be real numbers, one a row"
RANGE = "labels must lie in [0, 3), or be -1 where a row does not count"
LISTED = "classes must be a list of names: all texts, all whole numbers, or True and False"
IN_ORDER = "Name all, in the order of the columns: classes=['no', 'yes']."
HELD = "names of classes must be Unicode that does not end in NUL, or whole numbers in int64"
SKLEARN = "X must be predictions [N, C] and y their labels [N], as scikit-learn takes them; it says: "
LEAVES = "0 leaves zeros as they are; 1e-6 serves most."
NO_PENALTY = "0 switches a penalty off."
PROBS = "Are these probabilities? Give the class that came true."
SHAPED = "Reshape your data: one row of C classes is shaped (1, C)."

REFUSED = {
    "X masked": (lambda: fit(masked(X)), xent.DTypeError, f"X {FILL}"),
    "X of masked rows": (lambda: fit(list(masked(X))), xent.DTypeError, f"X {FILL}"),
    "y masked": (lambda: fit(y=masked(Y)), xent.DTypeError, f"y {FILL}"),
    "y masked, with names": (lambda: fit(y=masked(NAMED), classes=NAMES), xent.DTypeError, f"y {FILL}"),
    "y with a masked element": (lambda: fit(y=[np.ma.masked, *Y[1:].tolist()]), xent.DTypeError, f"y {FILL}"),
    "weights masked": (lambda: fit(weight=masked(WEIGHT)), xent.DTypeError, f"sample_weight {FILL}"),
    "masked, to calibrate": (lambda: FITTED.predict_proba(masked(X)), xent.DTypeError, f"X {FILL}"),
    "masked, for logarithms": (lambda: FITTED.predict_log_proba(masked(X)), xent.DTypeError, f"X {FILL}"),
    "masked, to predict": (lambda: FITTED.predict(masked(X)), xent.DTypeError, f"X {FILL}"),
    "masked, to score": (lambda: FITTED.score(X, masked(Y)), xent.DTypeError, f"y {FILL}"),
    "weights masked, to score": (lambda: FITTED.score(X, Y, masked(WEIGHT)), xent.DTypeError, f"sample_weight {FILL}"),
    "X of text": (lambda: fit(X.astype(str)), xent.DTypeError, f"{REAL}; found <U32. Give them as floats."),
    "X with a text": (
        lambda: fit(np.where(X == X[1, 1], "1.5", X.astype(object))),
        xent.DTypeError,
        f"{REAL}; found '1.5' among them. Give them as floats.",
    ),
    "a frame of texts": (
        lambda: fit(pd.DataFrame(X).astype({1: str})),
        xent.DTypeError,
        f"{REAL}; found {str(X[0, 1])!r} among them. Give them as floats.",
    ),
    "X of dates": (lambda: fit((9 * X).astype("M8[D]")), xent.DTypeError, f"{REAL}; found datetime64[D]. Give them as floats."),
    "X of spans": (
        lambda: FITTED.predict(X.astype("m8[s]")),
        xent.DTypeError,
        f"{REAL}; found timedelta64[s]. Give them as floats.",
    ),
    "X of records": (lambda: fit(X.view([("a", float)])), xent.DTypeError, f"{REAL}; found [('a', '<f8')]. Give them as floats."),
    "X complex": (
        lambda: fit(X + 0j),
        xent.ArgumentError,
        f"{REAL}; Complex data not supported: found complex128. Give them as floats.",
    ),
    "X of one axis": (
        lambda: FITTED.predict_proba(X[0]),
        xent.ShapeError,
        f"X must be shaped [N, C], a row of predictions for each label; found (3,). {SHAPED}",
    ),
    "X of other columns": (
        lambda: FITTED.predict_proba(X[:, :2]),
        xent.ArgumentError,
        SKLEARN + "X has 2 features, but TemperatureScaling is expecting 3 features as input. Mend what it names.",
    ),
    "X with something": (
        lambda: fit(np.where(X == X[1, 1], {}, X.astype(object))),
        xent.DTypeError,
        SKLEARN + "float() argument must be a string or a real number, not 'dict'. Mend what it names.",
    ),
    "X beyond float64": (
        lambda: fit(np.where(X == X[1, 1], 10**400, X.astype(object))),
        xent.DTypeError,
        SKLEARN + "int too large to convert to float. Mend what it names.",
    ),
    "y beyond int64, -1 in its bits": (
        lambda: fit(y=with_label(2**64 - 1)),
        xent.LabelError,
        f"{RANGE}; row 4 of y holds 18446744073709551615 (1 such rows). Does the label name a class without a column?",
    ),
    "y too large": (
        lambda: fit(y=with_label(3)),
        xent.LabelError,
        f"{RANGE}; row 4 of y holds 3 (1 such rows). Do labels count from 1?",
    ),
    "y beyond int64, with names": (
        lambda: fit(y=with_label(2**64 - 1), classes=[0, 1, 2]),
        xent.LabelError,
        f"labels must be among classes; y holds 18446744073709551615. {AMONG}",
    ),
    "y a float beyond int64": (
        lambda: fit(y=np.where(np.arange(60) == 4, 1e300, Y)),
        xent.LabelError,
        f"{RANGE}; row 4 of y holds 1e+300 (1 such rows). Does the label name a class without a column?",
    ),
    "y an object beyond int64": (
        lambda: fit(y=objects([2**64, *Y[1:].tolist()])),
        xent.LabelError,
        f"{UNNAMED}; row 0 of y holds 18446744073709551616. {NAME_THEM}",
    ),
    "y with None": (
        lambda: fit(y=[None, *Y[1:].tolist()]),
        xent.LabelError,
        f"{UNNAMED}; row 0 of y holds None. -1 leaves a row out.",
    ),
    "y with NaN": (
        lambda: fit(y=np.where(HALF, Y, np.nan)),
        xent.LabelError,
        f"{UNNAMED}; row 30 of y holds nan. -1 leaves a row out.",
    ),
    "y of fractions": (
        lambda: fit(y=Y + 0.5),
        xent.LabelError,
        f"labels must be whole numbers; Unknown label type: row 0 of y holds {Y[0] + 0.5}. {PROBS}",
    ),
    "y of fractions, to score": (
        lambda: FITTED.score(X, Y + 0.5),
        xent.LabelError,
        f"labels must be whole numbers; Unknown label type: row 0 of y holds {Y[0] + 0.5}. {PROBS}",
    ),
    "y infinite": (
        lambda: fit(y=np.where(HALF, np.inf, Y)),
        xent.ArgumentError,
        SKLEARN + "Input y contains infinity or a value too large for dtype('float64'). Mend what it names.",
    ),
    "y infinite, to score": (
        lambda: FITTED.score(X, np.where(HALF, np.inf, Y)),
        xent.LabelError,
        f"{RANGE}; row 0 of y holds inf (30 such rows). Does the label name a class without a column?",
    ),
    "y of names as objects": (
        lambda: fit(y=objects(NAMED.tolist())),
        xent.LabelError,
        f"{UNNAMED}; row 0 of y holds {NAMED.tolist()[0]!r}. {NAME_THEM}",
    ),
    "y too short": (
        lambda: fit(y=Y[:5]),
        xent.ArgumentError,
        SKLEARN + "Found input variables with inconsistent numbers of samples: [60, 5]. Mend what it names.",
    ),
    "y too short, to score": (
        lambda: FITTED.score(X, Y[:5]),
        xent.ShapeError,
        "y must be shaped (60,), a label for each row of X; found (5,). Give a label a row.",
    ),
    "no label, to score": (
        lambda: FITTED.score(X, np.full(60, -1)),
        xent.ArgumentError,
        "there must be rows to judge; every row is without a class or has weight zero. Give some.",
    ),
    "a label that is a list": (
        lambda: fit(y=[["no"], *NAMED[1:].tolist()], classes=NAMES),
        xent.LabelError,
        f"labels must be among classes; y holds ['no']. {AMONG}",
    ),
    "a label that is an array": (
        lambda: fit(y=[np.array([np.nan]), *NAMED[1:].tolist()], classes=NAMES),
        xent.LabelError,
        f"labels must be among classes; y holds array([nan]). {AMONG}",
    ),
    "-1 among names": (
        lambda: fit(y=[-1, *NAMED[1:].tolist()], classes=NAMES),
        xent.LabelError,
        f"labels must be among classes; y holds -1. {AMONG}",
    ),
    "y complex": (
        lambda: fit(y=Y + 0j, classes=[0, 1, 2]),
        xent.LabelError,
        f"labels must be among classes; y holds complex128. {AMONG}",
    ),
    "y of moments": (
        lambda: fit(y=Y.astype("M8[ns]"), classes=[0, 1, 2]),
        xent.LabelError,
        f"labels must be among classes; y holds datetime64[ns]. {AMONG}",
    ),
    "weights of text": (
        lambda: fit(weight=WEIGHT.astype("U3")),
        xent.DTypeError,
        f"{WEIGHTS}; found <U3. Give them as integers or floats.",
    ),
    "weights complex": (
        lambda: fit(weight=WEIGHT + 0j),
        xent.DTypeError,
        f"{WEIGHTS}; found complex128. Give them as integers or floats.",
    ),
    "weights of time": (
        lambda: fit(weight=WEIGHT.astype("m8[s]")),
        xent.DTypeError,
        f"{WEIGHTS}; found timedelta64[s]. Give them as integers or floats.",
    ),
    "weights with None": (
        lambda: fit(weight=[1.0, None] * 30),
        xent.DTypeError,
        f"{WEIGHTS}; row 1 of sample_weight holds None. Give them as integers or floats.",
    ),
    "weights beyond float64": (
        lambda: fit(weight=[1, 10**400] * 30),
        xent.DTypeError,
        f"{WEIGHTS}; row 1 of sample_weight holds 1{'0' * 39}.... Give them as integers or floats.",
    ),
    "weights that are infinite": (
        lambda: fit(weight=[1, np.inf] * 30),
        xent.ArgumentError,
        "weights must be 0 or lie in [1e-75, 1e+75]; row 1 of sample_weight holds inf (30 such rows). 0 leaves a row out; of "
        "weights only their ratios matter, so divide all by the greatest.",
    ),
    "weights, to score": (
        lambda: FITTED.score(X, Y, -np.ones(60)),
        xent.ArgumentError,
        "weights must be 0 or lie in [1e-75, 1e+75]; row 0 of sample_weight holds -1 (60 such rows). 0 leaves a row out; of "
        "weights only their ratios matter, so divide all by the greatest.",
    ),
    "kind a list": (
        lambda: fit(kind=["logits"]),
        xent.ArgumentError,
        "kind must be one of 'logits', 'log-probs', 'probs'; found ['logits']. It says what X holds; nothing guesses.",
    ),
    "classes a number": (lambda: fit(classes=3), xent.ArgumentError, f"{LISTED}; found 3. {IN_ORDER}"),
    "classes a text": (lambda: fit(classes="abc"), xent.ArgumentError, f"{LISTED}; found 'abc'. {IN_ORDER}"),
    "classes a set": (lambda: fit(classes={"a"}), xent.ArgumentError, f"{LISTED}; found {{'a'}}. {IN_ORDER}"),
    "classes mixed": (lambda: fit(classes=[1, "1", 2]), xent.ArgumentError, f"{LISTED}; found [1, '1', 2]. Name them by texts."),
    "classes nested": (
        lambda: fit(classes=[["a"], ["b"], ["c"]]),
        xent.ArgumentError,
        f"{LISTED}; found [['a'], ['b'], ['c']]. Name them by texts.",
    ),
    "classes of floats": (
        lambda: fit(classes=[0.0, 1.0, 2.0]),
        xent.ArgumentError,
        f"{LISTED}; found [0.0, 1.0, 2.0]. Name them by texts.",
    ),
    "a class twice": (
        lambda: fit(y=NAMED, classes=["no", "no", "yes"]),
        xent.ArgumentError,
        "names of classes must differ; 'no' stands twice. Rename one of the columns.",
    ),
    "a class that ends in NUL": (
        lambda: fit(y=NAMED, classes=["no", "no\0", "yes"]),
        xent.ArgumentError,
        f"{HELD}; found 'no\\x00'. Give it another name.",
    ),
    "a class with half a character": (
        lambda: fit(y=NAMED, classes=["no", "\ud800", "yes"]),
        xent.ArgumentError,
        f"{HELD}; found '\\ud800'. Give it another name.",
    ),
    "a class beyond int64": (
        lambda: fit(classes=[0, 1, 2**63]),
        xent.ArgumentError,
        f"{HELD}; found 9223372036854775808. Give it another name.",
    ),
}

PARAMETERS = {
    "l2": (VectorScaling, ["1", None, np.ones(2), np.array(0.1), True, -1, 10**400], "a finite number of at least 0", NO_PENALTY),
    "off_diagonal": (MatrixScaling, ["x", -0.5], "a finite number of at least 0", NO_PENALTY),
    "intercept": (MatrixScaling, [[], np.inf], "a finite number of at least 0", NO_PENALTY),
    "tol": (VectorScaling, ["1", None], "a finite number of at least 0", "1e-8 is the default."),
    "max_iter": (VectorScaling, ["5", 2.5, True, 0, -1, None, 2**63], "a whole number of at least 1", "1000 is the default."),
    "floor": (IsotonicCalibration, ["0", None, False, 1, [0.1]], "a number in [0, 1/C)", LEAVES),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_rule_value_and_remedy(case):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, case in PARAMETERS.items() for value in case[1]], ids=repr)
def test_parameters_of_another_type_are_refused_when_fitted_and_when_saved(tmp_path, name, value):
    cls, _, rule, remedy = PARAMETERS[name]
    shown = repr(value) if len(repr(value)) <= 40 else repr(value)[:40] + "..."
    fitted = cls().fit(X, Y).set_params(**{name: value})
    for call in (lambda: cls(**{name: value}).fit(X, Y), lambda: fitted.save(tmp_path / "c.json")):
        with pytest.raises(xent.ArgumentError) as caught:
            call()
        assert str(caught.value) == f"{name} must be {rule}; found {shown}. {remedy}"
    assert not list(tmp_path.iterdir())


ACCEPTED = {
    "a float of NumPy": VectorScaling(l2=np.float32(0.1)),
    "a whole number": VectorScaling(l2=0, tol=Fraction(1, 10**8)),
    "a count of NumPy": MatrixScaling(max_iter=np.int64(500), off_diagonal=np.float16(0.5), intercept=Fraction(1, 3)),
    "a floor of NumPy": IsotonicCalibration(floor=np.float64(0.01)),
    "a floor that is a fraction": IsotonicCalibration(floor=Fraction(1, 100)),
    "flags": IsotonicCalibration(classes=[True, False]),
    "names of NumPy": TemperatureScaling(classes=np.array(["b", "a"])),
    "numbers of NumPy": TemperatureScaling(classes=np.array([7, -5], np.int8)),
    "an empty name": TemperatureScaling(classes=("", "é\0é")),
}


@pytest.mark.parametrize("case", ACCEPTED)
@pytest.mark.filterwarnings("ignore:L-BFGS")
def test_what_is_fitted_can_be_saved_and_loaded(tmp_path, case):
    made, y = ACCEPTED[case], (Y > 0).astype(int)
    y = y if made.classes is None else [list(made.classes)[label] for label in y]
    made.fit(X[:, :2], y).save(tmp_path / "c.json")
    loaded = load_calibrator(tmp_path / "c.json")
    np.testing.assert_array_equal(loaded.predict_proba(X[:, :2]), made.predict_proba(X[:, :2]))
    assert loaded.predict(X[:, :2]).tolist() == made.predict(X[:, :2]).tolist()


WHERE = "a calibrator is saved to a file in a folder that there is"
THERE = "Name a file that can be written there."
HOLDS = "must hold a saved calibrator"
LOAD = "a saved calibrator is loaded from a file; found"
PASS = "Pass the path of a calibrator.json."

PATHS = {
    "save to a folder": (lambda at: FITTED.save(at), f"{WHERE}; writing {{}} gives: Is a directory. {THERE}"),
    "save into a missing folder": (
        lambda at: FITTED.save(at / "no" / "c.json"),
        f"{WHERE}; writing {{}}/no/c.json gives: No such file or directory. {THERE}",
    ),
    "save to nothing": (lambda at: FITTED.save(None), f"{WHERE}; found NoneType, which is no path. {THERE}"),
    "save to a number": (lambda at: FITTED.save(1), f"{WHERE}; found int, which is no path. {THERE}"),
    "save to a path with NUL": (
        lambda at: FITTED.save("a\0b"),
        f"{WHERE}; the path 'a\\x00b' gives: embedded null byte. {THERE}",
    ),
    "load nothing": (lambda at: load_calibrator(None), f"{LOAD} NoneType, which is no path. {PASS}"),
    "load a number": (lambda at: load_calibrator(0), f"{LOAD} int, which is no path. {PASS}"),
    "load a path with NUL": (
        lambda at: load_calibrator("a\0b"),
        f"'a\\x00b' {HOLDS}; reading it gives: embedded null byte. {PASS}",
    ),
    "load a folder": (lambda at: load_calibrator(at), f"{{}} {HOLDS}; reading it gives: Is a directory. {PASS}"),
    "a text that is None": (
        lambda at: TemperatureScaling.from_json(None),
        f"the text {HOLDS}; found NoneType, which is no text. Pass what to_json wrote.",
    ),
    "a text that is read already": (
        lambda at: TemperatureScaling.from_json({}),
        f"the text {HOLDS}; found dict, which is no text. Pass what to_json wrote.",
    ),
    "a text that is a list": (
        lambda at: TemperatureScaling.from_json([]),
        f"the text {HOLDS}; found list, which is no text. Pass what to_json wrote.",
    ),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths_and_texts_that_hold_nothing_are_refused_by_their_names(tmp_path, case):
    call, message = PATHS[case]
    with pytest.raises(xent.ArgumentError) as caught:
        call(tmp_path)
    assert str(caught.value) == message.format(tmp_path)
    assert not list(tmp_path.iterdir())
    assert not list(tmp_path.parent.glob(".xent-*"))


def test_a_path_in_bytes_is_a_path(tmp_path):
    FITTED.save(os.fsencode(tmp_path / "c.json"))
    assert load_calibrator(os.fsencode(tmp_path / "c.json")).temperature_ == FITTED.temperature_


def test_a_full_disk_is_told_of_the_file_that_was_named(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device", "/tmp/.xent-hidden.tmp")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match=re.escape(f"[Errno 28] No space left on device: '{tmp_path / 'c.json'}'")):
        FITTED.save(tmp_path / "c.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": ["a", "b", "\ud800"]}, f"{HELD}; found '\\ud800'"),
        ({"classes": ["a", "b", "b\0"]}, f"{HELD}; found 'b\\x00'"),
        ({"parameters": {"l2": 0.1, "max_iter": 0, "tol": 0.1}}, "max_iter must be a whole number of at least 1; found 0"),
    ],
)
def test_what_no_fit_accepts_is_not_loaded(change, reason):
    document = json.loads(VectorScaling().fit(X, Y).to_json()) | change
    with pytest.raises(xent.ArgumentError, match=re.escape(reason)):
        VectorScaling.from_json(json.dumps(document))


def test_what_refuses_to_be_an_array_is_refused_in_words():
    class Shy:
        def __array__(self, dtype=None, copy=None):
            raise KeyError("not me")

    with pytest.raises(xent.DTypeError) as caught:
        fit(weight=Shy())
    assert str(caught.value) == "sample_weight must be readable by NumPy; it says: 'not me'. Convert it to an array."


def test_sparse_predictions_are_refused_in_the_words_of_scikit_learn():
    with pytest.raises(xent.DTypeError, match=r"Sparse data was passed for X, but dense data is required.*Mend what it names"):
        fit(scipy.sparse.csr_array(X))


@pytest.mark.parametrize("cls", EVERY)
def test_every_calibrator_takes_named_labels_with_gaps(cls):
    y = dropped(None)
    fitted, kept = cls(classes=NAMES).fit(X, y, WEIGHT + 1), cls().fit(X[KEPT], Y[KEPT], WEIGHT[KEPT] + 1)
    np.testing.assert_allclose(fitted.predict_proba(X), kept.predict_proba(X), atol=1e-12)
