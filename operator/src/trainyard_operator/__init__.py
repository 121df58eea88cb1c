"""The operator: observes Trainyard's resources and takes each a step closer to its spec."""
