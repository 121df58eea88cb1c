"""The bodies of the private routes, checked; nothing is done with them here."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from trainyard_tracking.errors import Refused, TooLarge

RUN_ID = TypeAdapter(Annotated[str, Field(pattern="^[0-9a-f]{32}$")])
LARGEST = 32 << 20
DIGEST = TypeAdapter(Annotated[str, Field(pattern="^[0-9a-f]{64}$")])


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _WithParameters(_Body):
    parameters: dict[str, Any] = {}

    def texts(self) -> dict[str, str]:
        """Write the parameters as MLflow keeps them."""
        return {key: _text(value) for key, value in self.parameters.items()}


class PreviousBody(_Body):
    """How the attempt before ended; `end_time` is in milliseconds since 1970."""

    status: Literal["FINISHED", "FAILED", "KILLED"] = "FAILED"
    end_time: int | None = None


class RunBody(_WithParameters):
    """A Run to record, for an attempt; `start_time` is in milliseconds since 1970."""

    name: str
    experiment: str
    tags: dict[str, str] = {}
    start_time: int
    attempt: Annotated[int, Field(ge=1)] = 1
    previous: PreviousBody = PreviousBody()


class TailBody(_Body):
    """The last bytes of a log, in base64; they begin at `offset` and end at `place`."""

    model_config = ConfigDict(val_json_bytes="base64")

    offset: Annotated[int, Field(ge=0)]
    place: Annotated[str, Field(max_length=1000)]
    data: Annotated[bytes, Field(max_length=1 << 20)]


class LogBody(_Body):
    """A log to archive, of an attempt's pod; a mere number is the attempt of the first one's."""

    # What comes in is Python's by then, but its bytes are JSON's.
    model_config = ConfigDict(val_json_bytes="base64")

    attempt: Annotated[int, Field(ge=0)]
    index: Annotated[int, Field(ge=0)] = 0
    tail: TailBody | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_number(cls, given: Any) -> Any:
        return {"attempt": given} if isinstance(given, int) else given


class FinishBody(_WithParameters):
    """How a Run ended; `end_time` is in milliseconds since 1970."""

    status: Literal["FINISHED", "FAILED", "KILLED"]
    end_time: int
    logs: Annotated[list[LogBody], Field(max_length=10_000)] = []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


async def read(request: Request, kind: type[RunBody] | type[FinishBody]) -> Any:
    """Read the body of a request.

    Raises:
        Refused: it is not what the route takes; names the field.
    """
    content = await whole(request)
    try:
        return kind.model_validate_json(content)
    except ValidationError as exc:
        raise Refused(_first(exc)) from exc


async def whole(request: Request, most: int | None = None) -> bytes:
    """Read the bytes of a request, which may be so many; by default LARGEST.

    Raises:
        TooLarge: it has more than we take into memory.
    """
    most = LARGEST if most is None else most
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise TooLarge(f"Send at most {most >> 20} MiB at once")
    return b"".join(chunks)


def checked(adapter: TypeAdapter[str], request: Request, name: str) -> str:
    """Read a placeholder of the route.

    Raises:
        Refused: it has another form.
    """
    try:
        return adapter.validate_python(request.path_params[name])
    except ValidationError as exc:
        raise Refused(f"{name} in the path: {_first(exc)}") from exc


def _first(exc: ValidationError) -> str:
    error = exc.errors()[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])
