"""The bodies of the private routes, checked; nothing is done with them here."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from starlette.requests import ClientDisconnect, Request

from trainyard_tracking.errors import Refused, TooLarge, Unavailable

_T = TypeVar("_T")
RUN_ID = TypeAdapter(Annotated[str, Field(pattern="^[0-9a-f]{32}$")])
MOST = 999_999_999
"""The largest number of an attempt or of one of its pods."""
Milliseconds = Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
"""Since 1970, before the year 10000: databases take no more than 63 bits."""
Attempt = Annotated[int, Field(ge=0, le=MOST)]
NUMBER = TypeAdapter(Attempt)
Bytes = Annotated[int, Field(ge=0, lt=1 << 53)]
OFFSET = TypeAdapter(Bytes)
_KEY = Annotated[str, Field(min_length=1, max_length=250)]
_LONGEST_PARAMETER = 6000
"""Characters, as MLflow's own clients cut them."""
_LONGEST_TAG = 8000
LARGEST = 32 << 20
DIGEST = TypeAdapter(Annotated[str, Field(pattern="^[0-9a-f]{64}$")])


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


_Parameter = str | bool | Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | float


def _cut(text: str, longest: int) -> str:
    """Shorten a text so that it looks shortened, as MLflow's autologging does."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


class _WithParameters(_Body):
    parameters: dict[_KEY, _Parameter] = {}

    def texts(self) -> dict[str, str]:
        """Write the parameters as MLflow keeps them; what is longer than it takes is cut."""
        return {
            key: _cut(_text(value), _LONGEST_PARAMETER) for key, value in self.parameters.items()
        }


class PreviousBody(_Body):
    """How the attempt before ended; `end_time` is in milliseconds since 1970."""

    status: Literal["FINISHED", "FAILED", "KILLED"] = "FAILED"
    end_time: Milliseconds | None = None


class RunBody(_WithParameters):
    """A Run to record, for an attempt; `start_time` is in milliseconds since 1970."""

    name: _KEY
    experiment: _KEY
    tags: dict[
        _KEY, Annotated[str, AfterValidator(lambda tag: _cut(_text(tag), _LONGEST_TAG))]
    ] = {}
    start_time: Milliseconds
    attempt: Annotated[int, Field(ge=1, le=MOST)] = 1
    previous: PreviousBody = PreviousBody()


class TailBody(_Body):
    """The last bytes of a log, in base64; they begin at `offset` and end at `place`."""

    model_config = ConfigDict(val_json_bytes="base64")

    offset: Bytes
    place: Annotated[str, Field(max_length=1000)]
    data: Annotated[bytes, Field(max_length=1 << 20)]


class LogBody(_Body):
    """A log to archive, of an attempt's pod; a mere number is the attempt of the first one's."""

    # What comes in is Python's by then, but its bytes are JSON's.
    model_config = ConfigDict(val_json_bytes="base64")

    attempt: Attempt
    index: Attempt = 0
    tail: TailBody | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_number(cls, given: Any) -> Any:
        return {"attempt": given} if isinstance(given, int) else given


class FinishBody(_WithParameters):
    """How a Run ended; `end_time` is in milliseconds since 1970."""

    status: Literal["FINISHED", "FAILED", "KILLED"]
    end_time: Milliseconds
    logs: Annotated[list[LogBody], Field(max_length=10_000)] = []


def _text(value: str | bool | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # No database keeps a NUL in a text, and PostgreSQL refuses the whole row.
    return str(value).replace("\0", "\ufffd")


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


async def whole(request: Request) -> bytes:
    """Read the bytes of a request of the operator, at most LARGEST.

    Raises:
        TooLarge: it has more than we take into memory.
        Unavailable: its sender went away.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST:
                raise TooLarge(f"Send at most {LARGEST >> 20} MiB at once")
    except ClientDisconnect:
        raise Unavailable("The client went away in the middle of its request") from None
    return b"".join(chunks)


def checked(adapter: TypeAdapter[_T], request: Request, name: str) -> _T:
    """Read a placeholder of the route.

    Raises:
        Refused: it has another form.
    """
    return parsed(adapter, request.path_params[name], f"{name} in the path")


def parsed(adapter: TypeAdapter[_T], text: str, what: str) -> _T:
    """Read a value that came as text, outside of a body.

    Raises:
        Refused: it has another form; says `what` it is.
    """
    try:
        return adapter.validate_strings(text)
    except ValidationError as exc:
        raise Refused(f"{what}: {_first(exc)}") from exc


def _first(exc: ValidationError) -> str:
    error = exc.errors()[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])
