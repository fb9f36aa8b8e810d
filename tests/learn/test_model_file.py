"""A saved model comes back to the last bit, and what is no model is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xent
from xent.learn import SoftmaxRegression

X = np.random.default_rng(3).normal(size=(60, 3)) * [1.0, 1e-3, 1e4]
CODES = np.arange(60) % 3


def fitted(classes=("a", "b", "c"), **parameters):
    return SoftmaxRegression(standardize=True, **parameters).fit(X, np.array(classes)[CODES % len(classes)])


@pytest.mark.parametrize("classes", [("a", "b", "ü"), (3, -1, 7), (False, True), (0.0, 1.0, 2.0)])
@pytest.mark.parametrize("standardize", [True, False])
def test_predictions_come_back_to_the_last_bit(tmp_path, classes, standardize):
    model = fitted(classes).set_params(standardize=standardize, tol=1.0)
    model.fit(X, np.array(classes)[CODES % len(classes)])
    model.save(tmp_path / "model.json")
    loaded = SoftmaxRegression.load(tmp_path / "model.json")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.classes_.dtype == model.classes_.dtype
    assert (loaded.n_iter_, loaded.converged_, loaded.n_features_in_) == (model.n_iter_, model.converged_, 3)


def test_parameters_come_back(tmp_path):
    model = fitted(class_weight={"a": 2.0, "b": 0.5}, l2=0.25, tol=1e-3, max_iter=77, warm_start=True)
    model.save(tmp_path / "model.json")
    assert SoftmaxRegression.load(tmp_path / "model.json").get_params() == model.get_params()


def test_class_weights_of_integer_classes_come_back_as_integers(tmp_path):
    model = fitted((0, 1, 2), class_weight={0: 2.0})
    model.save(tmp_path / "model.json")
    assert SoftmaxRegression.load(tmp_path / "model.json").class_weight == {0: 2.0}


def test_a_loaded_model_goes_on_by_warm_start(tmp_path):
    model = fitted(warm_start=True)
    model.save(tmp_path / "model.json")
    again = SoftmaxRegression.load(tmp_path / "model.json").fit(X, np.array(["a", "b", "c"])[CODES])
    assert again.n_iter_ == 0


def test_the_file_is_json_that_states_its_format_and_version(tmp_path):
    fitted().save(tmp_path / "model.json")
    document = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert (document["format"], document["version"]) == ("xent.learn.SoftmaxRegression", 1)
    assert np.array(document["coef"]).shape == (3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.json"
    fitted().save(path)
    before = path.read_text(encoding="utf-8")

    def fails(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        fitted().save(path)
    assert path.read_text(encoding="utf-8") == before
    assert [found.name for found in tmp_path.iterdir()] == ["model.json"]


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression().save(tmp_path / "model.json")
    assert str(caught.value) == "only a fitted model can be saved; this one has no coef_. Call fit first."


def test_classes_that_json_cannot_hold_are_refused(tmp_path):
    model = fitted()
    model.classes_ = model.classes_.astype("S1")
    with pytest.raises(xent.ArgumentError) as caught:
        model.save(tmp_path / "model.json")
    assert str(caught.value) == (
        "classes must be booleans, numbers or strings to be saved; they have dtype |S1. Fit with y.astype(str)."
    )


def changed(tmp_path, **entries):
    """A saved model whose entries are replaced (removed where None)."""
    path = tmp_path / "model.json"
    fitted().save(path)
    document = json.loads(path.read_text(encoding="utf-8")) | entries
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}), encoding="utf-8")
    return path


REFUSALS = {
    "another version": (
        {"version": 2},
        "its version is 2 and this xent reads version 1. Upgrade xent, or fit the model again.",
    ),
    "another format": (
        {"format": "pickle"},
        'its "format" is not "xent.learn.SoftmaxRegression". Pass the path of a model.json.',
    ),
    "a missing entry": (
        {"intercept": None},
        "it does not fit together (KeyError: 'intercept'). Save the model again.",
    ),
    "weights of another shape": (
        {"intercept": [0.0]},
        "it does not fit together (ValueError: intercept has shape (1,), not (3,)). Save the model again.",
    ),
    "weights that are not finite": (
        {"intercept": [0.0, float("nan"), 0.0]},
        "it does not fit together (ValueError: intercept is not finite). Save the model again.",
    ),
    "one column name too few": (
        {"columns": ["a", "b"]},
        "it does not fit together (ValueError: 2 column names for 3 columns). Save the model again.",
    ),
    "an unknown parameter": (
        {"parameters": {"class_weight": None, "power": 3}},
        "it does not fit together (TypeError: SoftmaxRegression.__init__() got an unexpected keyword argument 'power'). "
        "Save the model again.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_model_is_refused(tmp_path, case):
    entries, reason = REFUSALS[case]
    path = changed(tmp_path, **entries)
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression.load(path)
    assert str(caught.value) == f"{path} must hold a saved SoftmaxRegression; {reason}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("not json", "it is no JSON (Expecting value: line 1 column 1 (char 0)). Pass the path of a model.json."),
        ("[1, 2]", 'its "format" is not "xent.learn.SoftmaxRegression". Pass the path of a model.json.'),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, reason):
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression.load(path)
    assert str(caught.value) == f"{path} must hold a saved SoftmaxRegression; {reason}"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(xent.ArgumentError, match=r"reading it gives: No such file or directory\. Pass the path"):
        SoftmaxRegression.load(tmp_path / "model.json")


def frames():
    """The same rows as a table of every kind that is installed: other order, and a column that is none of ours."""
    columns = {"extra": np.array(["?"] * 60), "z": X[:, 2], "x": X[:, 0], "y": X[:, 1]}
    yield pa.table(columns)
    pandas = pytest.importorskip("pandas")
    yield pandas.DataFrame(columns)


def test_a_data_frame_is_matched_by_name_and_an_array_by_position(tmp_path):
    model = fitted()
    model.column_names_ = ("x", "y", "z")
    model.save(tmp_path / "model.json")
    loaded = SoftmaxRegression.load(tmp_path / "model.json")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    for frame in frames():
        np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(X))


def test_a_data_frame_without_a_column_of_the_model_is_an_error():
    model = fitted()
    model.column_names_ = ("x", "y", "z")
    with pytest.raises(xent.ArgumentError) as caught:
        model.predict(pa.table({"x": X[:, 0], "z": X[:, 2]}))
    assert str(caught.value) == (
        "a data frame must hold the columns that the model was trained on; 'y' is missing (1 of 3). Add or rename it."
    )


def test_names_of_a_data_frame_fitted_to_come_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["x", "y", "z"])
    model = SoftmaxRegression(standardize=True).fit(frame, CODES)
    model.save(tmp_path / "model.json")
    loaded = SoftmaxRegression.load(tmp_path / "model.json")
    assert loaded.column_names_ == ("x", "y", "z")
    np.testing.assert_array_equal(loaded.predict_proba(frame[["z", "x", "y"]]), model.predict_proba(frame))
