"""Ship what programs print to the tracking service, as it is printed.

One follower per pod of an attempt: the API server's log of `main`, with timestamps, is read as a
stream and appended by offset. The tracking service's offset and the place in the log that was
reached are the only state, so a follower that is killed anywhere goes on where the last append
ended; decision 0002 says why there is no sidecar.

    log?follow ─▶ lines: without stamps ─▶ spool: read ahead ─▶ PATCH at offset (≤ 1 s, ≤ 2 MiB)
                                                                tail ─▶ POST finish

What all logs of a process may hold together, and who has to wait for a turn: limits.py.
"""
