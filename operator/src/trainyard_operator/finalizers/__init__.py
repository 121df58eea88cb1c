"""Finalizers: what holds an object that is being deleted, and what lets it go."""
