"""`models`: what the API offers, as the running supervisor sees it."""

from __future__ import annotations

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json
from supervisor.cli.place import HERE, Place


def models(
    *,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """List the models that the API offers.

    Args:
        as_json: Print the API's own document.
        place: Which supervisor.
    """
    document = Connection(place.settings()).get("/v1/models", patience=45.0)
    if as_json:
        print_json(document)
        return
    for model in document.get("data", []):
        print(model.get("id"))
