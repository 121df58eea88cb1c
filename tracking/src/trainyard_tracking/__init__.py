"""The tracking service: MLflow's own server, extended.

MLflow is composed, never copied: its app factory is wrapped, its stores are chosen by their
entry points, its tables are read with its own models. What is ours: who may do what, the
registry on Kubernetes resources, and the private routes that the operator and the pods use.
"""
