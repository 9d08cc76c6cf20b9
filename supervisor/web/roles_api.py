"""The team over HTTP: look at the roles, and act on one by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from supervisor.errors import UnknownRole
from supervisor.team.snapshot import RoleSnapshot
from supervisor.web.document import document
from supervisor.web.hub import Hub


class RolesApi:
    """The endpoints below `/api/roles`.

    Args:
        hub: Has the team.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def list(self, request: Request) -> Response:
        """All roles, and the files that are none."""
        return document(self._hub.team.snapshot())

    def acting(self, action: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint that does one thing to a role and answers with how it stands then.

        Args:
            action: `start`, `stop`, `restart` or `reload`.
        """
        team = self._hub.team
        act = {
            "start": team.start,
            "stop": team.stop,
            "restart": team.restart,
            "reload": team.reload,
        }[action]

        async def endpoint(request: Request) -> Response:
            name: str = request.path_params["name"]
            await act(name)
            return document(self._role(name))

        return endpoint

    def _role(self, name: str) -> RoleSnapshot:
        for role in self._hub.team.snapshot().roles:
            if role.name == name:
                return role
        raise UnknownRole(f'no role is called "{name[:64]}" any more')
