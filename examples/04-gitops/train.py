"""Tell growers of wine apart. Plain scikit-learn and MLflow."""

import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

wines, growers = load_wine(return_X_y=True, as_frame=True)
train_x, val_x, train_y, val_y = train_test_split(wines, growers, random_state=7)

mlflow.autolog()
with mlflow.start_run():
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train_x, train_y)
    mlflow.log_metric("val_accuracy", model.score(val_x, val_y))
