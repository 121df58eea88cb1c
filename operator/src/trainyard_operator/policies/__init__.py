"""One decision per module: pure functions of plain values. No Kubernetes calls, no clock."""
