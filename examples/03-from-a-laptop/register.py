"""Train here, register there: an ordinary script that knows MLFLOW_TRACKING_URI and nothing else.

In one terminal `trainyard proxy`, in another:

    export MLFLOW_TRACKING_URI=http://127.0.0.1:5000
    python register.py
"""

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

NAME = "iris"

flowers, kinds = load_iris(return_X_y=True, as_frame=True)

mlflow.set_experiment(NAME)
with mlflow.start_run() as run:
    model = LogisticRegression(max_iter=1000).fit(flowers, kinds)
    accuracy = cross_val_score(model, flowers, kinds, cv=5).mean()
    mlflow.log_metric("accuracy", accuracy)
    logged = mlflow.sklearn.log_model(model, name="model", input_example=flowers.head(2))

version = mlflow.register_model(logged.model_uri, NAME)
print(f"accuracy {accuracy:.3f}: {NAME} version {version.version} is {version.status}")
print(f"serve it: trainyard serve {NAME}/{version.version}")
