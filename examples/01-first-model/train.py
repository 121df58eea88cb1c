"""Train a random forest on handwritten digits. Plain scikit-learn and MLflow."""

import argparse

import mlflow
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--max_depth", type=int, default=12)
parser.add_argument("--n_estimators", type=int, default=200)
args = parser.parse_args()

images, digits = load_digits(return_X_y=True)
train_x, val_x, train_y, val_y = train_test_split(images, digits, random_state=7)

mlflow.autolog()
with mlflow.start_run():
    model = RandomForestClassifier(
        max_depth=args.max_depth, n_estimators=args.n_estimators, random_state=7
    ).fit(train_x, train_y)
    accuracy = model.score(val_x, val_y)
    mlflow.log_metric("val_accuracy", accuracy)
print(f"validation accuracy: {accuracy:.4f}")
