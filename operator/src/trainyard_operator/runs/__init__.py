"""Run: one Job for each attempt, and the outcome of its container `main`."""
