"""The contract with the platform: the six members, their bytes, reasons, notes and statuses. Decisions only."""

from gateway.datapost.contract import DEFAULT_CONTRACT, Conclusion, Contract, compile_contract
from gateway.datapost.headers import answer_headers, content_type
from gateway.datapost.negotiate import Format
from gateway.datapost.render import render

__all__ = [
    "DEFAULT_CONTRACT",
    "Conclusion",
    "Contract",
    "Format",
    "answer_headers",
    "compile_contract",
    "content_type",
    "render",
]
