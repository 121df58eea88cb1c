"""An ordinary script that does what MLflow clients do: the same one on every version.

    python tests/clients/program NAME FOLDER OTHER

MLFLOW_TRACKING_URI says where; nothing here knows Trainyard.
"""

import sys
from importlib import import_module
from pathlib import Path

from stepping import Seen, report

# In the order of their steps: later ones use what earlier ones made.
for part in ("runs", "models", "registry", "genai", "commands", "deleting"):
    import_module(f"steps_{part}")
report(Seen(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
