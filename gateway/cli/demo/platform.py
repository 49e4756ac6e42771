"""The demo's stand-in for the platform: forwards a partner's lead and records what the answer says.

It does what DESIGN section 1 says of impact.com's Data Post: a partner posts to a tracking URL, the lead goes
on to the brand's endpoint with the credential that the brand configured, the answer is read with the regular
expressions (JSON) or XPaths (XML) of the event type, and a valid lead becomes a conversion. Nothing is
imitated beyond that.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, dataclass, field

import aiohttp
from aiohttp import web
from lxml import etree

#: What a brand's engineer enters in the event type, for an endpoint that answers JSON …
REGEX = {
    "valid": r'"valid":\s*(true|false)',
    "order_id": r'"uniqueid":\s*"([^"]+)"',
    "amount": r'"sale_amount":\s*"([^"]+)"',
    "customer_id": r'"customerid":\s*"([^"]+)"',
    "note": r'"note":\s*"([^"]+)"',
}
#: … and for one that answers XML.
XPATH = {
    "valid": "string(/dataPostResponse/valid)",
    "order_id": "string(/dataPostResponse/uniqueid)",
    "amount": "string(/dataPostResponse/sale_amount)",
    "customer_id": "string(/dataPostResponse/customerid)",
    "note": "string(/dataPostResponse/note)",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What the platform records, and pays for."""

    order_id: str
    amount: str
    customer_id: str


@dataclass(slots=True)
class Platform:
    """The stand-in; `gateway` is the URL that leads are forwarded to, credentials are the brand's."""

    gateway: str
    user: str
    password: str
    conversions: list[Conversion] = field(default_factory=list)

    def application(self) -> web.Application:
        """The web application: POST /track, GET /conversions."""
        application = web.Application(client_max_size=256 * 1024)
        application.router.add_post("/track", self._track)
        application.router.add_get("/conversions", self._list)
        return application

    async def _track(self, request: web.Request) -> web.Response:
        """Forward one lead as it came, and show what would be recorded."""
        body = await request.read()
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Content-Type": request.headers.get("Content-Type", ""), "Authorization": f"Basic {token}"}
        if accept := request.headers.get("Accept"):
            headers["Accept"] = accept
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self.gateway, data=body, headers=headers) as answer,
        ):
            text = await answer.text()
            found = read(text, answer.content_type)
            status = answer.status
        conversion = None
        if found["valid"] == "true":
            conversion = Conversion(found["order_id"], found["amount"], found["customer_id"])
            self.conversions.append(conversion)
        shown = {
            "the endpoint answered": {"status": status, "body": text},
            "the platform records": asdict(conversion) if conversion else "no conversion",
            "the partner is told": found["note"],
        }
        return web.json_response(shown, dumps=_pretty)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(one) for one in self.conversions], dumps=_pretty)


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read(text: str, content_type: str) -> dict[str, str]:
    """What the configured expressions find in an answer; a member that is not found is empty."""
    if "xml" in content_type:
        root = etree.fromstring(text.encode())
        return {name: str(root.xpath(path)) for name, path in XPATH.items()}
    return {name: found[1] if (found := re.search(pattern, text)) else "" for name, pattern in REGEX.items()}
