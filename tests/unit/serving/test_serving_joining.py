"""Whose rows may share a call of the model, and whether an answer has the rows it must have."""

import asyncio
from functools import partial

import numpy as np
import pandas as pd
import pytest
from builders.serving import asked, columns, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.cluster import AffinityPropagation, Birch, KMeans, MeanShift
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import NMF, PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import Isomap, LocallyLinearEmbedding
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    NearestNeighbors,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from trainyard_serving.batch import Batch
from trainyard_serving.dataplane import Dataplane
from trainyard_serving.errors import ModelFailed
from trainyard_serving.joining import cut, refuse_other_count
from trainyard_serving.metrics import Metrics
from trainyard_serving.runtimes.own_classes import classes_of
from trainyard_serving.runtimes.sklearn import SklearnModel
from trainyard_serving.signature import Column, Signature, Tensor, signature_of

X = np.abs(np.random.default_rng(0).normal(size=(30, 3)))
Y = np.array([0, 1, 2] * 10)


def centred(x):
    return x - x.mean(axis=0)


class Centring(StandardScaler):
    """Somebody's own: it centres whatever rows come together."""

    def transform(self, X, copy=None):  # noqa: N803  # scikit-learn's name
        return centred(X)


OWN = [
    LogisticRegression(),
    RandomForestClassifier(4),
    GradientBoostingClassifier(n_estimators=3),
    HistGradientBoostingClassifier(max_iter=3),
    SVC(probability=False),
    MLPClassifier((3,), max_iter=3),
    GaussianProcessRegressor(),
    KMeans(2),
    make_pipeline(StandardScaler(), PCA(2), DecisionTreeClassifier()),
    make_pipeline(FunctionTransformer(np.log1p), LinearRegression()),
    make_pipeline(
        ColumnTransformer([("s", StandardScaler(), [0])], remainder="passthrough"),
        LogisticRegression(),
    ),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
    StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], cv=2),
    TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
]
FOREIGN = [
    make_pipeline(Centring(), LogisticRegression()),
    make_pipeline(FunctionTransformer(centred), LogisticRegression()),
    make_pipeline(
        ColumnTransformer([("c", Centring(), [0, 1])]),
        LogisticRegression(),
    ),
    FeatureUnion([("a", StandardScaler()), ("b", make_pipeline(Centring()))]),
    VotingClassifier([("a", make_pipeline(Centring(), LogisticRegression()))]),
    StackingClassifier([("a", make_pipeline(Centring(), LogisticRegression()))], cv=2),
    GridSearchCV(make_pipeline(Centring(), LogisticRegression()), {}, cv=2),
    GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"standardscaler": [Centring()]},
        cv=2,
    ),
    KNeighborsClassifier(3, weights=lambda distances: distances / distances.sum()),
    SVC(kernel=lambda a, b: a @ b.T),
    TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=centred),
    NMF(2),
    DummyClassifier(strategy="stratified", random_state=0),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", OWN, ids=lambda e: type(e).__name__)
def test_a_row_of_scikit_learns_own_classes_is_alone_what_it_is_among_others(estimator):
    estimator.fit(X, Y)
    model = SklearnModel(estimator, "predict", as_array=True)

    assert model.row_independent
    together = estimator.predict(X[:6])
    assert np.allclose(together, [estimator.predict(X[i : i + 1])[0] for i in range(6)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", FOREIGN, ids=lambda e: type(e).__name__)
def test_what_may_look_at_all_rows_is_found_at_any_depth(estimator):
    estimator.fit(X, Y)
    function = "predict" if hasattr(estimator, "predict") else "transform"

    assert classes_of(estimator) is None
    assert not SklearnModel(estimator, function, as_array=True).row_independent


def on_a_grid(count: int, seed: int) -> np.ndarray:
    """Rows of few different values, as people's data has: many are equally far from each other."""
    return np.round(np.random.default_rng(seed).integers(0, 5, (count, 3)) * 0.1, 1)


def gappy(x: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(2).random(x.shape) < 0.2, np.nan, x)


TIED = {
    "imputer": (make_pipeline(KNNImputer(), DecisionTreeRegressor(random_state=0)), gappy),
    "projected": (make_pipeline(PCA(2), KNeighborsRegressor(4)), np.array),
    "cosine": (KNeighborsRegressor(4, metric="cosine"), lambda x: x + 1),
    "stacked": (StackingRegressor([("k", KNeighborsRegressor(4, metric="cosine"))]), np.array),
}


@pytest.mark.parametrize("case", TIED)
async def test_where_neighbours_are_equally_far_a_row_gets_what_it_gets_alone(case):
    estimator, shaped = TIED[case]
    estimator.fit(shaped(on_a_grid(400, 0)), np.random.default_rng(3).random(400))
    model = SklearnModel(estimator, "predict", as_array=True)
    batches = [rows(row[np.newaxis]) for row in shaped(on_a_grid(256, 1))]

    alone = [model.predict(batch) for batch in batches]
    together = await asked(plane(model), *batches)

    assert not model.row_independent
    assert all(map(same, alone, together))


CORNERS = np.random.default_rng(0).integers(0, 2, (200, 20)) * 0.1
NEAR = {
    "labels spread": (LabelSpreading(kernel="knn", n_neighbors=3), "predict"),
    "isomap": (Isomap(n_neighbors=4), "transform"),
    "locally linear": (LocallyLinearEmbedding(n_neighbors=4), "transform"),
    "affinity": (AffinityPropagation(random_state=0), "predict"),
    "birch": (Birch(n_clusters=12, threshold=0.05), "predict"),
    "mean shift": (MeanShift(bandwidth=0.05), "predict"),
    "centroid": (NearestCentroid(), "predict"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", NEAR)
def test_what_chooses_the_nearest_of_anything_is_not_joined(case):
    estimator, function = NEAR[case]
    estimator.fit(CORNERS, np.arange(200) // 8)

    assert not SklearnModel(estimator, function, as_array=True).row_independent


def test_a_method_that_does_not_answer_by_row_is_not_joined():
    near = NearestNeighbors(n_neighbors=2).fit(X)

    assert not SklearnModel(near, "kneighbors", as_array=True).row_independent


def test_a_function_put_on_an_estimator_is_found():
    estimator = LogisticRegression().fit(X, Y)
    estimator.predict = partial(centred)

    assert classes_of(estimator) is None


def plane(model, signature=None) -> Dataplane:
    joinable = (signature or columns(a="double", b="double", c="double")).joinable
    return Dataplane(model, Metrics(), row_wise=joinable)


def rows(x: np.ndarray) -> Batch:
    return Batch({name: x[:, i].copy() for i, name in enumerate("abc")}, len(x))


class Answers:
    """A model whose answer has a shape of its own; counts its calls."""

    row_independent = any_thread = True

    def __init__(self, shape) -> None:
        self._shape = shape
        self.calls = 0

    def predict(self, batch: Batch):
        self.calls += 1
        return self._shape(np.column_stack(list(batch.arrays.values())))


SHAPES = {
    "a number": lambda x: x.sum(axis=1),
    "a matrix": lambda x: x * 2,
    "a frame": lambda x: pd.DataFrame(x, columns=list("pqr")),
    "a series": lambda x: pd.Series(x[:, 0], name="p"),
    "sparse": csr_matrix,
    "a mapping of arrays": lambda x: {"p": x[:, 0], "q": x},
    "a list of numbers": lambda x: x.sum(axis=1).tolist(),
    "two outputs": lambda x: [x, -x],
    "a pair of outputs": lambda x: (x[:, 0], x),
    "as many outputs as rows sometimes": lambda x: [x[:, 0], x[:, 1], x[:, 2]],
    "two messages": lambda x: [{"role": "a", "sum": x.sum()}, {"role": "b", "rows": len(x)}],
    "a mapping of lists": lambda x: {"p": x[:, 0].tolist(), "n": [1, 2]},
    "one number": lambda x: float(x.sum()),
    "one text": lambda x: f"{x.sum():.6f}",
}


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "toarray"):
        one, other = one.toarray(), other.toarray()
    if hasattr(one, "to_numpy"):
        one, other = one.to_numpy(), other.to_numpy()
    return bool(np.all(np.asarray(one) == np.asarray(other)))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_each_caller_gets_what_its_rows_get_alone(shape, sizes):
    batches = [rows(np.arange(s * 3.0).reshape(-1, 3) + 100 * i) for i, s in enumerate(sizes)]
    model = Answers(SHAPES[shape])
    answers = asyncio.run(asked(plane(model), *batches))

    for batch, answer in zip(batches, answers, strict=True):
        assert same(answer, Answers(SHAPES[shape]).predict(batch))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "function"),
    [
        (NearestNeighbors(n_neighbors=2), "kneighbors"),
        (MultiOutputClassifier(LogisticRegression()), "predict_proba"),
        (RandomForestClassifier(3), "predict_proba"),
        (RandomForestClassifier(3), "decision_path"),
        (make_pipeline(FunctionTransformer(centred), LinearRegression()), "predict"),
    ],
)
async def test_callers_of_real_models_get_what_their_rows_get_alone(estimator, function):
    estimator.fit(X, np.column_stack([Y, Y[::-1]]))
    model = SklearnModel(estimator, function, as_array=True)
    batches = [rows(X[:2]), rows(X[2:3]), rows(X[3:4]), rows(X[4:6])]

    answers = await asked(plane(model), *batches)

    for batch, answer in zip(batches, answers, strict=True):
        assert same(answer, model.predict(batch))


def test_only_arrays_of_all_rows_are_cut():
    assert cut([1, 2], [1, 1]) is None
    assert cut(np.array([1, 2, 3]), [1, 1]) is None
    assert cut(np.float64(1), [1]) is None
    assert cut({}, [1, 1]) is None
    assert [p.tolist() for p in cut(np.array([1, 2, 3]), [1, 2])] == [[1], [2, 3]]


@pytest.mark.parametrize(
    "result",
    [
        np.zeros(3),
        pd.DataFrame({"a": [1, 2, 3]}),
        ["x", "y", "z"],
        [np.zeros((3, 2)), np.zeros((3, 4))],
        {"a": np.zeros(3), "b": np.zeros((3, 2))},
    ],
)
def test_as_many_answers_as_rows_pass(result):
    refuse_other_count(result, 3)


@pytest.mark.parametrize(
    "result", [np.zeros(1), "text", 1.5, np.float64(1), ["x"], [np.zeros(2), np.zeros(2)], {}]
)
def test_another_number_of_answers_is_refused(result):
    with pytest.raises(ModelFailed, match="for 3 rows"):
        refuse_other_count(result, 3)


async def test_a_model_that_answers_once_for_all_rows_is_refused_in_words():
    class Names(StandardScaler):
        def transform(self, X, copy=None):  # noqa: N803  # scikit-learn's name
            return np.array([[len(name)] for name in ["text"]])

    pipeline = make_pipeline(Names(), LinearRegression()).fit([[1.0]], [0.0])
    model = SklearnModel(pipeline, "predict", as_array=False)
    texts = Batch({"text": np.array(["a", "b", "c"], dtype=object)}, 3)

    (answer,) = await asked(plane(model), texts)

    assert isinstance(answer, ModelFailed)
    assert str(answer).startswith("the model gave 1 answers for 3 rows")


@pytest.mark.parametrize(
    "build",
    [
        lambda: make_pipeline(CountVectorizer(), LogisticRegression()),
        lambda: GridSearchCV(make_pipeline(CountVectorizer(), LogisticRegression()), {}, cv=2),
        lambda: make_pipeline(
            FeatureUnion([("a", CountVectorizer()), ("b", CountVectorizer(binary=True))]),
            LogisticRegression(),
        ),
    ],
    ids=["pipeline", "search", "union"],
)
def test_a_text_pipeline_reads_the_texts_and_not_the_columns_name(build):
    texts = ["good film", "great play", "bad film", "awful play"] * 3
    pipeline = build().fit(texts, ["up", "up", "down", "down"] * 3)
    model = SklearnModel(pipeline, "predict", as_array=False)
    asked_for = np.array(["great film", "awful", "good"], dtype=object)

    for count in (1, 3):
        batch = Batch({"text": asked_for[:count]}, count)
        assert model.predict(batch).tolist() == pipeline.predict(asked_for[:count]).tolist()
    with pytest.raises(ValueError, match="one array, not"):
        model.predict(Batch({"a": asked_for[:2], "b": asked_for[:2]}, 2))


@pytest.mark.parametrize(
    ("signature", "joins"),
    [
        pytest.param(columns(a="double"), True, id="columns"),
        pytest.param(tensors(_=(-1, 2)), True, id="a tensor of any rows"),
        pytest.param(tensors(_=(2, 2)), False, id="a tensor of two rows"),
        pytest.param(Signature(), False, id="nothing is declared"),
        pytest.param(Signature(columns(a="double").columns, hinted=True), False, id="type hints"),
        pytest.param(
            Signature(columns(a="double").columns, outputs=columns(p="double").columns),
            True,
            id="an output by row",
        ),
        pytest.param(
            Signature(
                columns(a="double").columns,
                outputs=(Tensor("", columns(a="double").columns[0].kind, (2, -1)),),
            ),
            False,
            id="an output of two",
        ),
    ],
)
def test_the_signature_says_whether_rows_can_be_joined(signature, joins):
    assert signature.joinable is joins


def test_signatures_of_older_releases_say_what_is_optional():
    text = '[{"type": "long", "name": "a", "optional": true}, {"type": "long", "name": "b"}]'
    a, b = signature_of({"signature": {"inputs": text}}).columns

    assert (a.required, a.kind.nullable) == (False, True)
    assert (b.required, b.kind.nullable) == (True, False)
    assert isinstance(a, Column)
