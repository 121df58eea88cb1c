"""Builders: what a test does not name is ordinary. One module for each thing that tests build."""
