"""The submodules of a checkout: where each is, and where it comes from."""

from collections.abc import Callable
from dataclasses import dataclass

from trainyard_agent.errors import SourceError

_DESCRIPTION = ".gitmodules"
_LINK = "160000"
_RELATIVE = ("./", "../")


@dataclass(frozen=True, slots=True)
class Submodule:
    """A folder that another repository fills, at the commit that the outer one recorded."""

    path: str
    commit: str
    url: str


def found(ask: Callable[..., str], *, base: str) -> list[Submodule]:
    """List the submodules of a checkout; those that say `update = none` are left out.

    Args:
        ask: Runs git in the checkout and returns what it prints.
        base: URL of the checkout, which relative ones start from.

    Raises:
        SourceError: There is one of which .gitmodules does not say where it comes from.
    """
    listed = ask("ls-files", "--stage", "-z")
    links = _links(listed)
    if not links:
        return []
    known = f"\t{_DESCRIPTION}\0" in listed
    read = ("config", "--blob", f"HEAD:{_DESCRIPTION}", "--null", "--list")
    described = _described(ask(*read)) if known else {}
    made = []
    for path, commit in links.items():
        about = described.get(path, {})
        if about.get("update") == "none":
            continue
        if not about.get("url"):
            raise SourceError(
                f"submodule {path}: .gitmodules does not say its url: add it, or remove the"
                f" entry with `git rm --cached {path}`"
            )
        made.append(Submodule(path, commit, resolved(base, about["url"])))
    return made


def resolved(base: str, url: str) -> str:
    """Return the URL of a submodule, which may be relative to that of the outer repository."""
    if not url.startswith(_RELATIVE):
        return url
    base, separator = base.rstrip("/"), "/"
    while url.startswith(_RELATIVE):
        first, _, url = url.partition("/")
        if first == "..":
            # user@host:repository has a level that ends with a colon.
            cut = max(base.rfind("/"), -1 if "://" in base else base.rfind(":"))
            if cut < 0 or base[:cut].endswith((":", ":/", "/")):
                raise SourceError(f"the relative url of a submodule, {url}, leaves its server")
            base, separator = base[:cut], base[cut]
    return f"{base}{separator}{url}"


def _links(listed: str) -> dict[str, str]:
    """Return the commit of each path that is another repository."""
    entries = (entry.partition("\t") for entry in listed.split("\0"))
    marked = ((about.split(" "), path) for about, _, path in entries)
    return {path: about[1] for about, path in marked if about[0] == _LINK}


def _described(listed: str) -> dict[str, dict[str, str]]:
    """Return what .gitmodules says of each path."""
    named: dict[str, dict[str, str]] = {}
    for entry in listed.split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule" and name:
            named.setdefault(name, {})[field] = value
    return {about["path"]: about for about in named.values() if "path" in about}
