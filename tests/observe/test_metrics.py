"""Metrics: what is counted under which labels, that no stranger fills them, and that Prometheus likes the page."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.datapost.values import Fault
from gateway.observe.families import FAMILIES
from gateway.observe.metrics import AtZero, Histogram, Metrics, ProgramMetrics

ROOT = Path(__file__).parents[2]
OPENMETRICS = "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def metrics() -> Metrics:
    at_zero = AtZero((Reason.ACCEPTED,), ((Delivery.SENT, Outcome.UNKNOWN),))
    return Metrics(partners=2, at_zero=at_zero, clock=lambda: 1234.5)


@pytest.fixture
def program(metrics: Metrics) -> ProgramMetrics:
    return metrics.program("auto", users=["acme", "beta", "gamma"], rules=["ok", "sorry"], fields=["email", "phone"])


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name that are not 0, by their label values in order of label names."""
    text, _ = metrics.render()
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name and sample.value
    }


def accepted(
    program: ProgramMetrics, partner: str = "acme", total_s: float = 0.5, upstream_s: float | None = 0.4
) -> None:
    program.submission(partner, Reason.ACCEPTED, Delivery.ANSWERED, Outcome.ACCEPTED, total_s, upstream_s)


def test_a_submission_is_counted_by_program_partner_and_reason(metrics: Metrics, program: ProgramMetrics) -> None:
    accepted(program)
    accepted(program)
    program.submission("", Reason.UNAUTHORIZED, Delivery.NOT_SENT, Outcome.NONE, 0.001)
    metrics.unrouted.submission("", Reason.NOT_FOUND, Delivery.NOT_SENT, Outcome.NONE, 0.001)
    assert samples(metrics, "gateway_submissions_total") == {
        ("acme", "auto", "accepted"): 2,
        ("", "auto", "unauthorized"): 1,
        ("", "", "not_found"): 1,
    }
    assert samples(metrics, "gateway_delivery_total") == {
        ("answered", "accepted", "auto"): 2,
        ("not_sent", "", "auto"): 1,
        ("not_sent", "", ""): 1,
    }


def test_partners_beyond_the_limit_share_a_label_in_file_order(metrics: Metrics, program: ProgramMetrics) -> None:
    second = metrics.program("home", users=["gamma", "acme"])
    for partner in ("acme", "beta", "gamma", "never heard of"):
        accepted(program, partner)
    for partner in ("gamma", "acme"):
        accepted(second, partner)
    assert samples(metrics, "gateway_submissions_total") == {
        ("acme", "auto", "accepted"): 1,
        ("beta", "auto", "accepted"): 1,
        ("other", "auto", "accepted"): 2,
        ("other", "home", "accepted"): 1,
        ("acme", "home", "accepted"): 1,
    }


def test_with_a_limit_of_0_no_partner_has_a_label_of_its_own() -> None:
    metrics = Metrics(partners=0)
    accepted(metrics.program("auto", users=["acme"]), "acme")
    assert samples(metrics, "gateway_submissions_total") == {("other", "auto", "accepted"): 1}


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_no_text_of_a_stranger_becomes_a_label(partner: str, field: str, rule: str) -> None:
    metrics = Metrics(partners=10)
    program = metrics.program("auto", users=["acme"], rules=["ok"], fields=["email"])
    fault = Fault(field, "missing", "is missing")
    program.submission(partner, Reason.LEAD_INVALID, Delivery.NOT_SENT, Outcome.NONE, 0.1, None, (fault,))
    program.answer("text", rule)
    assert {key[0] for key in samples(metrics, "gateway_submissions_total")} <= {"", "acme", "other"}
    assert {key[1] for key in samples(metrics, "gateway_faults_total")} <= {"", "email"}
    assert {key[2] for key in samples(metrics, "gateway_answers_total")} <= {"", "ok"}


def test_each_fault_is_counted_by_its_field(metrics: Metrics, program: ProgramMetrics) -> None:
    faults = (
        Fault("email", "missing", "is missing"),
        Fault("phone", "format", "is no number"),
        Fault("", "unknown", "…"),
    )
    for _ in range(2):
        program.submission("acme", Reason.LEAD_INVALID, Delivery.NOT_SENT, Outcome.NONE, 0.1, None, faults)
    assert samples(metrics, "gateway_faults_total") == {
        ("missing", "email", "enforce", "auto"): 2,
        ("format", "phone", "enforce", "auto"): 2,
        ("unknown", "", "enforce", "auto"): 2,
    }


def test_answers_are_counted_by_kind_and_rule_and_late_ones_by_what_they_said(
    metrics: Metrics, program: ProgramMetrics
) -> None:
    program.answer("html", "ok")
    program.answer("html", "")
    program.late("accepted")
    program.late("accepted")
    assert samples(metrics, "gateway_answers_total") == {("html", "auto", "ok"): 1, ("html", "auto", ""): 1}
    assert samples(metrics, "gateway_late_answers_total") == {("auto", "accepted"): 2}


def test_overhead_is_the_time_without_the_upstream(metrics: Metrics, program: ProgramMetrics) -> None:
    accepted(program, total_s=0.5, upstream_s=0.4)
    accepted(program, total_s=0.2, upstream_s=0.3)  # clocks of two libraries: never less than nothing
    accepted(program, total_s=0.25, upstream_s=None)
    assert samples(metrics, "gateway_request_duration_seconds_sum")["auto",] == pytest.approx(0.95)
    assert samples(metrics, "gateway_upstream_duration_seconds_sum")["auto",] == pytest.approx(0.7)
    assert samples(metrics, "gateway_overhead_seconds_sum")["auto",] == pytest.approx(0.35)
    assert samples(metrics, "gateway_upstream_duration_seconds_count") == {("auto",): 2}
    assert samples(metrics, "gateway_overhead_seconds_count") == {("auto",): 3}


def test_a_submission_that_never_tried_the_upstream_has_no_upstream_time(
    metrics: Metrics, program: ProgramMetrics
) -> None:
    program.submission("acme", Reason.OVERLOADED, Delivery.NOT_SENT, Outcome.NONE, 0.1, 0.0)
    assert samples(metrics, "gateway_upstream_duration_seconds_count") == {}


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), max_size=20))
def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it(values: list[float]) -> None:
    bounds = (0.5, 1.0, 10.0)
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    cumulative = [sum(histogram.counts[: index + 1]) for index in range(len(bounds))]
    assert cumulative == [sum(value <= bound for value in values) for bound in bounds]
    assert sum(histogram.counts) == len(values)
    assert histogram.total == pytest.approx(sum(values))


def test_buckets_reach_from_a_millisecond_to_half_a_minute(metrics: Metrics, program: ProgramMetrics) -> None:
    accepted(program, total_s=8.0, upstream_s=7.9)
    buckets = samples(metrics, "gateway_request_duration_seconds_bucket")
    ends = [le for le, _ in buckets]
    assert ends == ["8.0", "10.0", "15.0", "30.0", "+Inf"]
    assert set(buckets.values()) == {1}


def test_what_others_know_is_read_when_somebody_asks(metrics: Metrics, program: ProgramMetrics) -> None:
    numbers = [3, 7]
    metrics.watch(connections=lambda: numbers[0], log_dropped=lambda: numbers[1])
    assert samples(metrics, "gateway_connections") == {(): 3}
    assert samples(metrics, "gateway_log_lines_dropped_total") == {(): 7}
    numbers[0] = 4
    assert samples(metrics, "gateway_connections") == {(): 4}
    program.in_flight += 2
    assert samples(metrics, "gateway_in_flight") == {("auto",): 2}


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("surplus_answers", "gateway_surplus_answers_total"),
        ("mapped_ids", "gateway_mapped_ids_total"),
        ("repeated_ids", "gateway_repeated_ids_total"),
        ("ignored_queries", "gateway_ignored_queries_total"),
    ],
)
def test_what_is_noticed_on_the_way_is_counted(
    metrics: Metrics, program: ProgramMetrics, attribute: str, name: str
) -> None:
    setattr(program, attribute, getattr(program, attribute) + 1)
    assert samples(metrics, name) == {("auto",): 1}


def test_the_process_itself_is_told(metrics: Metrics) -> None:
    metrics.auth("ok")
    metrics.auth("wrong_password")
    metrics.auth("ok")
    metrics.lag(0.02)
    metrics.lag(-0.001)
    assert samples(metrics, "gateway_auth_total") == {("ok",): 2, ("wrong_password",): 1}
    assert samples(metrics, "gateway_event_loop_lag_seconds_sum") == {(): 0.02}
    assert samples(metrics, "gateway_event_loop_lag_seconds_count") == {(): 2}
    assert samples(metrics, "gateway_config_last_success_timestamp_seconds") == {(): 1234.5}
    assert list(samples(metrics, "gateway_build_info").values()) == [1]


def test_what_alerts_are_about_begins_at_0(metrics: Metrics, program: ProgramMetrics) -> None:
    text = metrics.render()[0].decode()
    assert 'gateway_submissions_total{partner="acme",program="auto",reason="accepted"} 0.0' in text
    assert 'gateway_delivery_total{delivery="sent",outcome="unknown",program="auto"} 0.0' in text


def used(metrics: Metrics, program: ProgramMetrics) -> Metrics:
    """Metrics in which every family has a sample."""
    accepted(program)
    program.submission(
        "acme", Reason.LEAD_INVALID, Delivery.NOT_SENT, Outcome.NONE, 0.1, None, (Fault("email", "missing", ""),)
    )
    program.answer("text", "ok")
    program.late("unrecognized")
    metrics.auth("ok")
    metrics.lag(0.001)
    metrics.committed(0.002)
    metrics.journal("journal_recovered")
    metrics.watch(unknown=lambda: {"auto": (2, 1_700_000_000_000)})
    return metrics


def test_the_page_has_each_family_with_its_labels_and_no_other_of_ours(
    metrics: Metrics, program: ProgramMetrics
) -> None:
    shown = {
        sample.name: set(sample.labels) - {"le"}
        for family in text_string_to_metric_families(used(metrics, program).render()[0].decode())
        for sample in family.samples
        if sample.name.startswith("gateway_")
    }
    kinds = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    assert shown == {family.name + end: set(family.labels) for family in FAMILIES for end in kinds[family.kind]}


def test_every_metric_is_explained_with_its_kind_and_labels() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", page, re.MULTILINE)
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows]
    assert told == [(family.name, family.kind, family.labels) for family in FAMILIES]


def test_openmetrics_is_given_when_asked_for(metrics: Metrics, program: ProgramMetrics) -> None:
    body, content_type = used(metrics, program).render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert "gateway_submissions" in {family.name for family in parse_openmetrics(body.decode())}


@pytest.mark.parametrize("accept", [None, "", "*/*", "text/html", "text/plain;version=0.0.4", "\x00;;,,;=", "é"])
def test_any_other_accept_gives_the_text_format(metrics: Metrics, accept: str | None) -> None:
    body, content_type = metrics.render(accept)
    assert content_type.startswith("text/plain")
    assert body.startswith(b"# HELP gateway_submissions_total ")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with the package prometheus")
def test_promtool_finds_nothing_to_say(metrics: Metrics, program: ProgramMetrics) -> None:
    body, _ = used(metrics, program).render()
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_page_may_be_made_in_another_thread_while_leads_are_counted(
    metrics: Metrics, program: ProgramMetrics
) -> None:
    pages: list[bytes] = []
    reader = threading.Thread(target=lambda: pages.extend(metrics.render()[0] for _ in range(20)))
    reader.start()
    count = 0
    while reader.is_alive():
        program.answer(f"kind {count % 500}", "ok")  # dictionaries that grow and shrink: the worst case
        if count % 500 == 499:
            program.answers.clear()
        accepted(program)
        count += 1
    reader.join()
    assert len(pages) == 20
    for page in pages:
        [infinite] = re.findall(rb'request_duration_seconds_bucket{le="\+Inf",program="auto"} (\S+)', page)
        [total] = re.findall(rb'request_duration_seconds_count{program="auto"} (\S+)', page)
        assert infinite == total
