"""MLflow's model registry on Model and ModelVersion resources; the SQL tables have prompts alone.

`store` is what MLflow calls, `resources` reads, `writes` writes, `pointers` moves aliases,
`searching` and `matching` search, and `entities` and `stages` turn resources into what MLflow
shows.
"""
