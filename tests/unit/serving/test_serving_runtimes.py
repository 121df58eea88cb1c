"""Loading what MLflow saved, and saying why when it can't be loaded."""

import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import yaml
from builders.serving import columns
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from trainyard_serving import runtimes
from trainyard_serving.batch import Batch
from trainyard_serving.errors import LoadError
from trainyard_serving.protocols import mlflow as protocol
from trainyard_serving.runtimes.boosted import names_of
from trainyard_serving.runtimes.pyfunc import PyfuncModel
from trainyard_serving.runtimes.sklearn import SklearnModel, _takes_arrays
from trainyard_serving.signature import Signature

pytestmark = [
    # The runtime installs this filter itself; pytest removes it after each test.
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]


def table(frame: pd.DataFrame) -> Batch:
    return Batch({str(n): frame[n].to_numpy() for n in frame.columns}, len(frame))


def broken(saved: Path, tmp_path: Path, **changes) -> Path:
    """A copy of a saved model with another MLmodel file."""
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    document = yaml.safe_load((folder / "MLmodel").read_text()) | changes
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    return folder


def test_a_scikit_learn_model_predicts_as_mlflow_does(saved, frame, estimator):
    model, signature, name = runtimes.load(saved)
    theirs = mlflow.pyfunc.load_model(str(saved)).predict(frame)

    assert name == "sklearn"
    assert [c.name for c in signature.columns] == ["a", "b"]
    assert model.predict(table(frame)).tolist() == theirs.tolist()


def test_the_input_example_is_a_request(saved):
    _, signature, _ = runtimes.load(saved)
    example = runtimes.example_request(saved)

    assert protocol.read(example, "application/json", signature).rows == 2


def test_the_method_named_when_saving_is_called(saved, tmp_path, frame, estimator):
    flavors = yaml.safe_load((saved / "MLmodel").read_text())["flavors"]
    flavors["python_function"]["predict_fn"] = "predict_proba"

    model, _, _ = runtimes.load(broken(saved, tmp_path, flavors=flavors))

    assert np.allclose(model.predict(table(frame)), estimator.predict_proba(frame))


def test_arrays_and_frames_give_the_same(frame, estimator):
    as_array = SklearnModel(estimator, "predict_proba", as_array=True).predict(table(frame))
    as_frame = SklearnModel(estimator, "predict_proba", as_array=False).predict(table(frame))

    assert np.allclose(as_array, as_frame)


def test_names_matter_to_column_transformers_and_other_orders(frame, estimator):
    mixed = pd.DataFrame({"a": [1.0, 2.0], "s": ["x", "y"]})
    selecting = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["a"]), ("c", OneHotEncoder(), ["s"])]),
        LinearRegression(),
    ).fit(mixed, [0.0, 1.0])
    numeric = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["a"])]), LinearRegression()
    ).fit(frame, [0, 0, 1, 1])

    assert _takes_arrays(estimator, columns(a="double", b="long"))
    assert not _takes_arrays(estimator, columns(b="long", a="double"))
    assert not _takes_arrays(estimator, columns("b", a="double", b="long"))
    assert not _takes_arrays(selecting, columns(a="double", s="string"))
    assert not _takes_arrays(numeric, columns(a="double", b="long"))
    result = SklearnModel(selecting, "predict", as_array=False).predict(table(mixed))
    assert np.allclose(result, [0.0, 1.0])


def test_names_that_only_a_later_step_knows_are_kept(frame):
    passing = Pipeline([("pass", "passthrough"), ("model", LinearRegression())])
    for estimator in (passing, MultiOutputRegressor(passing)):
        estimator.fit(frame, frame)

        assert not _takes_arrays(estimator, columns(b="long", a="double"))


def test_categories_beyond_the_integers_of_a_float_keep_their_type():
    ids = np.array([2**53, 2**53 + 1] * 4)
    rows = pd.DataFrame({"shop": ids, "x": 0.5})
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression())
    estimator.fit(rows, ids % 2)
    signature = columns(shop="long", x="double")
    model = SklearnModel(estimator, "predict", as_array=_takes_arrays(estimator, signature))

    assert np.allclose(model.predict(table(rows)), estimator.predict(rows))


class ByPosition(BaseEstimator):
    """Takes columns as they come, as LightGBM's models do, whose names it keeps in its own way."""

    def fit(self, rows: pd.DataFrame, _: Any = None) -> "ByPosition":
        self.names_ = [name.replace(" ", "_") for name in rows.columns]
        return self

    def predict(self, rows: pd.DataFrame) -> Any:
        return rows.to_numpy() @ [1.0, 10.0, 100.0]

    @property
    def booster_(self) -> Any:
        return self

    def feature_name(self) -> list[str]:
        return self.names_


THREE = pd.DataFrame({"b": [1.0, 2.0], "a x": [3.0, 4.0], "c": [5.0, 6.0]})
OTHERWISE = THREE[["c", "b", "a x"]]


@pytest.mark.parametrize(
    "inside", [lambda m: m, lambda m: Pipeline([("p", "passthrough"), ("m", m)])]
)
def test_columns_stand_as_in_training_whatever_their_order_in_a_request(inside):
    estimator = inside(ByPosition()).fit(THREE)
    served = SklearnModel(estimator, "predict", as_array=False)
    as_function = PyfuncModel(estimator, Signature(), by_row=True, order=names_of(estimator))

    for model in (served, as_function):
        assert model.predict(table(OTHERWISE)).tolist() == estimator.predict(THREE).tolist()


@pytest.mark.parametrize("names", [["b", "a x", "d"], ["b", "a x"], []])
def test_columns_that_are_not_those_of_training_stay_as_they_came(names):
    served = PyfuncModel(ByPosition(), Signature(), by_row=True, order=names)

    expected = ByPosition().predict(OTHERWISE).tolist()
    assert served.predict(table(OTHERWISE)).tolist() == expected


def test_any_other_model_is_loaded_as_a_python_function(tmp_path):
    folder = tmp_path / "ranks"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about type hints

        class Ranks(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input: pd.DataFrame, params=None):
                return model_input.rank()

        mlflow.pyfunc.save_model(str(folder), python_model=Ranks(), pip_requirements=["pandas"])
        model, signature, name = runtimes.load(folder)
        result = model.predict(table(pd.DataFrame({"x": [3.0, 1.0]})))

    assert name == "pyfunc"
    assert not model.row_independent
    assert signature.columns == ()
    assert result["x"].tolist() == [2.0, 1.0]


def test_a_wrapped_scikit_learn_model_is_loaded_by_its_wrapper():
    flavors = {"sklearn": {}, "python_function": {"loader_module": "mlflow.pyfunc.model"}}

    assert runtimes.chosen({"flavors": flavors}) == "pyfunc"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flavors": {"r": {}}}, "flavors r"),
        ({"flavors": None}, "no flavors"),
        ({"signature": {"inputs": "{"}}, "signature"),
        ({"flavors": {"sklearn": {"serialization_format": "joblib"}}}, "joblib"),
        ({"flavors": {"sklearn": {"pickled_model": "gone.pkl"}}}, "gone.pkl"),
    ],
)
def test_a_model_that_can_not_be_loaded_says_why(saved, tmp_path, changes, reason):
    with pytest.raises(LoadError, match=reason) as caught:
        runtimes.load(broken(saved, tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("flavors: " + "[" * 5000, id="nested"),
        pytest.param("flavors: {sklearn: {}}\ncreated: 2020-99-99", id="no date"),
        pytest.param("flavors: {1: {}}", id="a number for a flavor"),
        pytest.param("flavors: {sklearn: {}}\nsignature: [1]", id="a list for a signature"),
        pytest.param("flavors: {python_function: [1]}", id="a list for a flavor"),
        pytest.param("flavors: {python_function: {loader_module: [1]}}", id="a list for a module"),
        pytest.param(
            'flavors: {sklearn: {}}\nsignature: {inputs: "' + "[" * 100_000 + '"}',
            id="a nested signature",
        ),
    ],
)
@pytest.mark.parametrize("allowed", [(), ("sklearn",)])
def test_whatever_an_mlmodel_file_holds_the_reason_is_told(tmp_path, text, allowed):
    (tmp_path / "MLmodel").write_text(text)

    with pytest.raises(LoadError) as caught:
        runtimes.load(tmp_path, allowed=allowed)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(saved, tmp_path):
    flavors = {"sklearn": {"pickled_model": "m.pkl", "serialization_format": "pickle"}}
    folder = broken(saved, tmp_path, flavors=flavors)
    (folder / "m.pkl").write_bytes(b"cnosuchpackage.models\nModel\n.")

    with pytest.raises(LoadError, match="nosuchpackage"):
        runtimes.load(folder)


def test_a_damaged_file_is_a_load_error(saved, tmp_path):
    flavors = {"sklearn": {"pickled_model": "m.pkl", "serialization_format": "cloudpickle"}}
    folder = broken(saved, tmp_path, flavors=flavors)
    (folder / "m.pkl").write_bytes(pickle.dumps({"a": 1})[:-3])

    with pytest.raises(LoadError, match="can't be loaded"):
        runtimes.load(folder)


def test_a_folder_without_mlmodel_is_a_load_error(tmp_path):
    with pytest.raises(LoadError, match="no MLmodel"):
        runtimes.load(tmp_path)


@pytest.mark.parametrize(
    ("flavors", "refused"),
    [
        ({"sklearn": {}, "python_function": {"loader_module": "mlflow.pyfunc.model"}}, "pyfunc"),
        ({"sklearn": {}, "python_function": {"loader_module": "loading"}}, "pyfunc"),
        ({"sklearn": {}, "python_function": {"code": "code"}}, "pyfunc"),
        ({"onnx": {}, "python_function": {"loader_module": "mlflow.onnx"}}, "onnx"),
        ({"python_function": {"loader_module": "mlflow.sklearn"}}, "pyfunc"),
    ],
)
def test_a_format_that_is_not_allowed_is_refused_before_anything_is_loaded(
    saved, tmp_path, flavors, refused
):
    folder = broken(saved, tmp_path, flavors=flavors)
    (folder / "model.pkl").unlink(missing_ok=True)

    with pytest.raises(LoadError, match=f"of the format {refused}, .* nothing of it"):
        runtimes.load(folder, allowed=["sklearn"])


def test_an_allowed_format_is_loaded(saved):
    assert runtimes.load(saved, allowed=["sklearn"])[2] == "sklearn"
