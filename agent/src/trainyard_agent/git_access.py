"""What git may reach, and with whose credentials: settings and variables of its processes."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from trainyard_agent.errors import SourceError

# Addresses of submodules and of LFS are written in repositories: none leads to this pod's files
# (file) or to a command (ext).
_PROTOCOLS = "http:https:ssh:git"
# A server that says nothing for so long is gone; one that packs a large repository says something.
_SILENCE = 300
_ALIVE = f"-o ConnectTimeout=30 -o ServerAliveInterval=30 -o ServerAliveCountMax={_SILENCE // 30}"
_SERVER = re.compile(r"(https?)://(?:[^/@]*@)?([^/]+)")


def environment(url: str, credentials: Path | None, *, scratch: Path) -> dict[str, str]:
    """Return the environment of git for a repository and all that it refers to.

    Args:
        credentials: Folder of a mounted Secret; None for a public repository.
        scratch: Empty folder that git sees as its home.
    """
    settings = {"safe.directory": "*", "init.defaultBranch": "main", "advice.detachedHead": "false"}
    made = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(scratch),
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": str(_SILENCE),
        "GIT_SSH_COMMAND": f"ssh {_ALIVE}",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
    }
    if credentials is not None:
        _add_credentials(credentials, url, scratch=scratch, to=made, settings=settings)
    return with_settings(made, settings)


def with_settings(variables: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with more settings of git in it."""
    made = dict(variables)
    first = int(made.get("GIT_CONFIG_COUNT", "0"))
    for index, (key, value) in enumerate(settings.items(), first):
        made[f"GIT_CONFIG_KEY_{index}"] = key
        made[f"GIT_CONFIG_VALUE_{index}"] = value
    made["GIT_CONFIG_COUNT"] = str(first + len(settings))
    return made


def shown(url: str) -> str:
    """Return a URL, or a text with some, without the passwords in it and fit to be printed."""
    return re.sub(r"//[^/@\s]*@", "//", url).encode("utf-8", "replace").decode()


def _add_credentials(
    folder: Path, url: str, *, scratch: Path, to: dict[str, str], settings: dict[str, str]
) -> None:
    key = folder / "ssh-privatekey"
    if key.is_file():
        # ssh refuses a key that others can read, and a mounted Secret is group-readable.
        private = scratch / "key"
        private.write_bytes(key.read_bytes().rstrip() + b"\n")
        private.chmod(0o600)
        hosts = folder / "known_hosts"
        checking = (
            f"-o UserKnownHostsFile={hosts} -o StrictHostKeyChecking=yes"
            if hosts.is_file()
            else "-o StrictHostKeyChecking=accept-new"
        )
        to["GIT_SSH_COMMAND"] = f"ssh {_ALIVE} -i {private} -o IdentitiesOnly=yes {checking}"
        return
    secret = next((folder / n for n in ("password", "token") if (folder / n).is_file()), None)
    if secret is None:
        raise SourceError(
            "the Secret of source.git.credentialsSecret has neither password, token nor"
            " ssh-privatekey: add one of these keys",
            reason="ConfigMissing",
        )
    user = folder / "username"
    # The helper reads the files itself: secrets stay out of arguments and environment.
    name = f"cat '{user}'" if user.is_file() else "echo x-access-token"
    helper = f'!f() {{ echo "username=$({name})"; echo "password=$(cat \'{secret}\')"; }}; f'
    # For the server of the Run's own URL only: a submodule may be anywhere.
    server = _SERVER.match(url)
    if server:
        # A server that is asked without TLS may lead to itself with it.
        for scheme in sorted({server[1], "https"}):
            settings[f"credential.{scheme}://{server[2]}.helper"] = helper
