"""How do I try a role? Virtual time and scripted answers: no key, no network, no waiting."""

from supervisor.testing.script import Asked, ScriptedContext, run_role
from supervisor.testing.virtual import VirtualLoop, run_virtual
from supervisor.workspace.sandbox import LocalSandbox

__all__ = ["Asked", "LocalSandbox", "ScriptedContext", "VirtualLoop", "run_role", "run_virtual"]
