"""`python -m trainyard_operator`: run the operator until SIGTERM."""

import sys

# kopf imports the official Kubernetes client if it is installed, though it needs nothing of it;
# the SDK, which shares the distribution, brings it. Without it the process is 60 MB smaller.
sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]  # None makes imports fail

from trainyard_operator.process import main  # noqa: E402  # after what it must not import

if __name__ == "__main__":
    main()
