"""Experiment: how its Runs stand, by phase."""
