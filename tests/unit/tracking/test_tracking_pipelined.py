"""Requests that are sent before the answer to the one before know nothing of it."""

import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from builders.tracking import SCIENTIST
from builders.tracking_side import Side


def test_a_search_after_that_of_a_run_finds_what_is_of_others(world: Any) -> None:
    mine, theirs = Side(world), Side(world)
    found = world.client.get(f"/api/2.0/mlflow/runs/get?run_id={mine.run_id}", headers=mine.headers)
    body = json.dumps({"experiment_ids": [found.json()["run"]["info"]["experiment_id"]]})
    to = urlsplit(world.url)
    run = mine.headers["Authorization"].removeprefix("Bearer ")
    with socket.create_connection((to.hostname, to.port), timeout=10) as connection:
        for token, end in ((run, "keep-alive"), (SCIENTIST, "close")):
            head = (
                "POST /api/2.0/mlflow/runs/search HTTP/1.1\r\nHost: x\r\n"
                "X-MLFLOW-WORKSPACE: team\r\n"
                f"Authorization: Bearer {token}\r\nConnection: {end}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(f"{head}{body}".encode())
        answers = b"".join(iter(lambda: connection.recv(1 << 16), b"")).split(b"HTTP/1.1 ")[1:]

    ids = [set(re.findall(rb'"run_id": ?"([0-9a-f]{32})"', one)) for one in answers]
    assert ids[0] == {mine.run_id.encode()}
    assert ids[1] >= {mine.run_id.encode(), theirs.run_id.encode()}
