"""A local Kubernetes from nothing, and the images that run on it. Not part of the wheel."""
