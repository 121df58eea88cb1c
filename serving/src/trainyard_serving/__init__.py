"""The model server: one model, two protocols, one process."""
