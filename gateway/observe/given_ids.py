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
        self._times: dict[int, int] = {}

    def repeated(self, legacy_id: str, pairs: tuple[tuple[str, str], ...]) -> int:
        """How often this ID has now been given to another lead than its first; remembers it for this one if never."""
        # Python's string hash is keyed anew in each process, so that nothing can be looked up from it.
        key, lead = hash(legacy_id), hash(pairs)
        if self._leads.setdefault(key, lead) == lead:
            if len(self._leads) > self._most:
                self._times.pop(self._leads.popitem(last=False)[0], None)
            return 0
        self._times[key] = times = self._times.get(key, 0) + 1
        return times
