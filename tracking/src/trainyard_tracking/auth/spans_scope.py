"""What the code of a Run may send as OpenTelemetry spans: spans of its own traces.

Spans come as protobuf, not JSON, and name their experiment in a header.
"""

from mlflow.tracing.utils.otlp import decompress_otlp_body
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trainyard_tracking.auth.call import Call, Reply
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.run_scope import require_run
from trainyard_tracking.errors import Forbidden, Refused
from trainyard_tracking.identity import RunIdentity

MOST_TRACES = 1000
"""In one request; exporters send 512 spans at a time."""


def own_spans(call: Call, who: RunIdentity, own: Ownership) -> Reply | None:
    """Let spans through for traces that are new, or the Run's; in the Run's experiment."""
    if run_id := call.headers.get("x-mlflow-run-id"):
        require_run(run_id, who, own)
    trace_ids = _trace_ids(call)
    if len(trace_ids) > MOST_TRACES:
        raise Refused(
            f"The spans are of {len(trace_ids)} traces; {MOST_TRACES} are the most in one request:"
            " send fewer at once"
        )
    if foreign := own.foreign_trace(who, trace_ids):
        raise Forbidden(f"Trace {foreign} is not that of Run {who.name}")
    for trace_id in trace_ids:
        own.claim_trace(who, trace_id)
    call.headers["x-mlflow-experiment-id"] = who.experiment_id
    call.headers.setdefault("x-mlflow-run-id", who.run_id)
    return None


def _trace_ids(call: Call) -> set[str]:
    if call.headers.get("content-type", "").split(";")[0].strip() != "application/x-protobuf":
        raise Forbidden("A Run sends spans as application/x-protobuf")
    raw = call.raw
    if encoding := call.headers.get("content-encoding"):
        raw = decompress_otlp_body(raw, encoding.lower())
    message = ExportTraceServiceRequest()
    try:
        message.ParseFromString(raw)
    except Exception as exc:  # protobuf raises a kind of its own per backend
        raise Refused(f"The spans can't be read: {exc}") from exc
    return {
        f"tr-{span.trace_id.hex()}"
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
