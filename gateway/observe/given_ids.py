"""Which IDs a legacy endpoint has given to which leads: the same one for two leads is worth an alarm.

The platform takes the ID for an order's, so the second conversion would be dropped as a repetition of the first.
Only hashes are kept, of the last ones, for as long as the process lives.
"""

from __future__ import annotations

from collections import OrderedDict

_MOST = 10_000


class GivenIds:
    """The IDs of one program."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._leads: OrderedDict[int, int] = OrderedDict()

    def repeated(self, legacy_id: str, pairs: tuple[tuple[str, str], ...]) -> bool:
        """Whether this ID was given to another lead before; remembers it for this one if not."""
        # Python's string hash is keyed anew in each process, so that nothing can be looked up from it.
        key, lead = hash(legacy_id), hash(pairs)
        known = self._leads.setdefault(key, lead)
        if len(self._leads) > self._most:
            self._leads.popitem(last=False)
        return known != lead
