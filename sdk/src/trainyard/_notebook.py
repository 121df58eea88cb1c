"""Have notebooks show resources as tables, by IPython's own registry."""

import sys

from trainyard_api.meta import Resource


def show_resources() -> None:
    """Register how a Run, a Model and the others look; nothing where there is no notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return
    from trainyard.looking import table_of  # noqa: PLC0415  # which needs the client, as this does

    formatters = shell.display_formatter.formatters
    formatters["text/html"].for_type(Resource, lambda shown: table_of(shown)._repr_html_())
    formatters["text/plain"].for_type(
        Resource, lambda shown, printer, _: printer.text(str(table_of(shown)))
    )
