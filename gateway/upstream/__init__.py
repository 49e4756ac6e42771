"""The upstream edge: one lead goes to the legacy endpoint, at most once, and what is known of it comes back."""

from gateway.upstream.attempts import Attempt, Circuit
from gateway.upstream.circuit import State
from gateway.upstream.connection import OnLate
from gateway.upstream.head import Forward
from gateway.upstream.plan import UpstreamPlan, compile_upstream
from gateway.upstream.service import Upstream
from gateway.upstream.values import Exchange, Failure

__all__ = [
    "Attempt",
    "Circuit",
    "Exchange",
    "Failure",
    "Forward",
    "OnLate",
    "State",
    "Upstream",
    "UpstreamPlan",
    "compile_upstream",
]
