"""Which status goes out for a reason: the policies behind `status_codes`.

`http` sends the true one. `platform` sends 200, since nobody knows whether the platform reads the bodies of
other codes and intermediaries replace or retry some, but keeps the codes that senders act upon: credentials,
size, media type, rate, and "not sent, try later". `always_200` keeps only 401, without which no client would
send its credentials. A policy is a program's: before one is matched, and where the framing of a request is
not sound, the caller sends the true status (`reason.status`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from gateway.datapost.reasons import Reason

Policy = Literal["platform", "http", "always_200"]

_KEPT: Mapping[Policy, frozenset[int]] = {
    "platform": frozenset({401, 403, 413, 415, 429, 503}),
    "http": frozenset(reason.status for reason in Reason),
    "always_200": frozenset({401}),
}


def statuses(policy: Policy) -> Mapping[Reason, int]:
    """The status of each reason under `policy`."""
    kept = _KEPT[policy]
    return MappingProxyType({reason: reason.status if reason.status in kept else 200 for reason in Reason})
