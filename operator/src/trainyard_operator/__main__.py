"""`python -m trainyard_operator`: run the operator until SIGTERM."""

import trainyard_operator.lean  # noqa: F401  # first: keeps kopf from importing what it can do without
from trainyard_operator.process import main

if __name__ == "__main__":
    main()
