"""Leads: bytes -> names and text -> typed values and faults. Decisions only; the caller owns connection and clock."""

from gateway.lead.checking import Checker, compile_checker
from gateway.lead.decoding import Decoder, compile_decoder
from gateway.lead.values import Checked, Lead, Undecodable

__all__ = ["Checked", "Checker", "Decoder", "Lead", "Undecodable", "compile_checker", "compile_decoder"]
