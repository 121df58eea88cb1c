"""Import before anything that imports kopf: it keeps the process 60 MB smaller.

kopf imports the official Kubernetes client if it is installed, though it needs nothing of it;
the SDK, which shares the distribution, brings it.
"""

import sys

sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]  # None makes imports fail
