"""What the tests on a real cluster share."""
