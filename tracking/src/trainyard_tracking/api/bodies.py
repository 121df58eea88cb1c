"""The bodies of the private routes, checked; nothing is done with them here."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from trainyard_tracking.errors import Refused

RUN_ID = TypeAdapter(Annotated[str, Field(pattern="^[0-9a-f]{32}$")])
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


class FinishBody(_WithParameters):
    """How a Run ended; `end_time` is in milliseconds since 1970, `logs` are attempts' numbers."""

    status: Literal["FINISHED", "FAILED", "KILLED"]
    end_time: int
    logs: list[Annotated[int, Field(ge=0)]] = []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


async def read(request: Request, kind: type[RunBody] | type[FinishBody]) -> Any:
    """Read the body of a request.

    Raises:
        Refused: it is not what the route takes; names the field.
    """
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as exc:
        raise Refused(_first(exc)) from exc


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
