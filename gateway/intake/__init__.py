"""The downstream edge: connections, limits, authentication, client address."""

from gateway.intake.edge import Intake
from gateway.intake.request import Handler, Reply, Request, Unreadable

__all__ = ["Handler", "Intake", "Reply", "Request", "Unreadable"]
