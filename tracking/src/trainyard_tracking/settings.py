"""What the service is told by its environment, typed and checked once.

Nothing else reads `TRAINYARD_*`; MLflow's own variables are made from this in mlflow_env.py.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard_tracking.certificate import Files
from trainyard_tracking.errors import BadSettings

_ADDRESSING = ("auto", "path", "virtual")
_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
# By libpq nothing is noticed for minutes, or hours: seconds, and milliseconds for the last. Of a
# database without an encoding (SQL_ASCII) text would come as bytes.
_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
}
_ORIGIN = re.compile(r"https?://[^\s/*?#,]+")
_POSTGRESQL = "postgresql+psycopg"
_LONGEST_QUERY = 3600
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than clients keep theirs (5 to 15 s), or a
request that is on its way when the service closes it is lost."""


@dataclass(frozen=True, slots=True)
class ObjectStoreSettings:
    """Where files are kept; any S3 will do.

    Attributes:
        access_key: Empty, with the secret key: found by boto3, as a role of the ServiceAccount is.
        ca_bundle: File of the authorities that its certificate is checked by; empty: the usual.
        addressing: Where the bucket's name stands in a URL: `path`, `virtual`, or `auto`.
    """

    endpoint: str
    bucket: str
    region: str
    secure: bool
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    ca_bundle: str = ""
    addressing: str = "auto"

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.endpoint}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an installation may choose."""

    database_url: str
    object_store: ObjectStoreSettings
    verify_cert_file: Path
    spool_dir: Path
    port: int
    log_level: str
    largest_file: int = 1 << 40
    """Bytes of a file that is taken, at most."""
    query_seconds: float = 30.0
    """What one query of a request may take."""
    ui_origins: str = ""
    """Where browsers get MLflow's UI from, as it says them: with commas between."""
    tls: Files | None = None
    """What its port shows; none: it speaks plain HTTP."""


def read_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `env`.

    Raises:
        BadSettings: a required variable is missing or a value can't be read; names it.
    """
    return Settings(
        database_url=database_url(env.get("TRAINYARD_DATABASE_URL", "sqlite:////data/mlflow.db")),
        object_store=_object_store(env),
        verify_cert_file=Path(_required(env, "TRAINYARD_VERIFY_CERT_FILE")),
        spool_dir=Path(env.get("TRAINYARD_SPOOL_DIR", "/data/spool")),
        port=_port(env.get("TRAINYARD_PORT", "5000")),
        log_level=env.get("TRAINYARD_LOG_LEVEL", "info").lower(),
        query_seconds=_seconds(env, "TRAINYARD_QUERY_SECONDS", "30"),
        largest_file=_bytes(env, "TRAINYARD_LARGEST_FILE", "1Ti"),
        ui_origins=_origins(env.get("TRAINYARD_UI_ORIGINS", "")),
        tls=_tls(env.get("TRAINYARD_TLS_CERT_FILE", ""), env.get("TRAINYARD_TLS_KEY_FILE", "")),
    )


def database_url(value: str) -> str:
    """Name the driver that is here, and limits in which a dead server of PostgreSQL is noticed.

    Raises:
        BadSettings: a database that this service does not run on, or none at all.
    """
    scheme, marked, rest = value.strip().partition("://")
    if not marked or scheme not in {"sqlite", "postgres", "postgresql", _POSTGRESQL}:
        # Never the value: it may hold a password.
        raise BadSettings(
            f"TRAINYARD_DATABASE_URL begins with {scheme!r} where postgresql://USER:PASSWORD@HOST/"
            "DATABASE or sqlite:///FILE is expected"
            if marked
            else "TRAINYARD_DATABASE_URL is no URL: use postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    if scheme == "sqlite":
        return f"{scheme}://{rest}"
    limits = [f"{name}={value}" for name, value in _OPTIONS.items() if f"{name}=" not in rest]
    return f"{_POSTGRESQL}://{rest}{'&' if '?' in rest else '?'}{'&'.join(limits)}".rstrip("?&")


def _object_store(env: Mapping[str, str]) -> ObjectStoreSettings:
    scheme, _, rest = _required(env, "TRAINYARD_OBJECT_STORE_ENDPOINT").rpartition("://")
    secure = scheme == "https" if scheme else _flag(env, "TRAINYARD_OBJECT_STORE_SECURE")
    keys = {
        name: env.get(f"TRAINYARD_OBJECT_STORE_{name.upper()}", "")
        for name in ("access_key", "secret_key", "session_token")
    }
    if bool(keys["access_key"]) != bool(keys["secret_key"]):
        raise BadSettings(
            "TRAINYARD_OBJECT_STORE_ACCESS_KEY and TRAINYARD_OBJECT_STORE_SECRET_KEY belong"
            " together: set both, or none to use the role of the ServiceAccount"
        )
    return ObjectStoreSettings(
        endpoint=rest.rstrip("/"),
        bucket=env.get("TRAINYARD_OBJECT_STORE_BUCKET", "trainyard"),
        region=env.get("TRAINYARD_OBJECT_STORE_REGION", "us-east-1"),
        secure=secure,
        ca_bundle=env.get("TRAINYARD_OBJECT_STORE_CA_FILE", ""),
        addressing=_choice(env, "TRAINYARD_OBJECT_STORE_ADDRESSING", _ADDRESSING),
        **keys,
    )


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = env.get(name, choices[0])
    if value not in choices:
        raise BadSettings(f"{name} is {value!r}; use {', '.join(choices)}")
    return value


def _bytes(env: Mapping[str, str], name: str, default: str) -> int:
    value = env.get(name, default)
    number, unit = value.rstrip("KMGTi"), value.lstrip("0123456789")
    if not number.isdecimal() or unit not in _UNITS:
        raise BadSettings(f"{name} is {value!r}; use a whole number, with Mi, Gi or Ti behind it")
    return int(number) * _UNITS[unit]


def _seconds(env: Mapping[str, str], name: str, default: str) -> float:
    value = env.get(name, default)
    if not value.isdecimal() or not 0 < int(value) <= _LONGEST_QUERY:
        raise BadSettings(f"{name} is {value!r}; use whole seconds from 1 to {_LONGEST_QUERY}")
    return float(value)


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise BadSettings(f"{name} is not set; set it in the Deployment of the tracking service")
    return value


def _origins(value: str) -> str:
    for origin in filter(None, value.split(",")):
        if not _ORIGIN.fullmatch(origin):
            raise BadSettings(
                f"TRAINYARD_UI_ORIGINS has {origin!r}; use https://HOST, with commas between"
            )
    return value


def _tls(certificate: str, key: str) -> Files | None:
    if bool(certificate) != bool(key):
        raise BadSettings(
            "TRAINYARD_TLS_CERT_FILE and TRAINYARD_TLS_KEY_FILE belong together: set both, or none"
            " for plain HTTP"
        )
    return Files(Path(certificate), Path(key)) if certificate else None


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise BadSettings(f"{name} is {value!r}; use true or false")
    return value in {"true", "1"}


def _port(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise BadSettings(f"TRAINYARD_PORT is {value!r}; use a number from 1 to 65535")
    return int(value)
