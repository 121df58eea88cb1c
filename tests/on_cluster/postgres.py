"""Start the PostgreSQL that tests use, on the local cluster, and wait until it answers."""

import os
import subprocess
from pathlib import Path

from trainyard_cluster.paths import kubeconfig
from trainyard_cluster.tools import kubectl

FILE = Path(__file__).with_name("postgres.yaml")
WAIT = "-n trainyard-system rollout status deployment/trainyard-postgres --timeout=120s"


def main() -> None:
    environment = os.environ | {"KUBECONFIG": str(kubeconfig())}
    for words in (["apply", "-f", str(FILE)], WAIT.split()):
        subprocess.run([kubectl(), *words], env=environment, check=True)


if __name__ == "__main__":
    main()
