"""MLflow's model registry on Model and ModelVersion resources; the SQL tables stay empty.

`store` is what MLflow calls, `resources` reads, `writes` writes, `pointers` moves aliases, and
`entities` and `stages` turn resources into what MLflow shows.
"""
