from __future__ import annotations

import math
import re

import pytest

from jobs.exposition import MAX_LABEL_SETS, Family, Histogram, exposition

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r"[+-]?(?:Inf|[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)|NaN"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})")


def parse(text: str):
    """{family: (kind, {(sample, labels): value})}; strict: order of HELP, TYPE and samples, escapes, no sample twice, histograms that add up."""
    assert text.endswith("\n")
    families: dict[str, tuple[str, dict]] = {}
    current = helped = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert helped not in families and re.fullmatch(NAME, helped)
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current == helped and kind in ("counter", "gauge", "histogram")
            families[current] = (kind, {})
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, labels = found[1], tuple((label, re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value)) for label, value in
                                           re.findall(LABEL, found[2] or ""))  # fmt: skip
            kind, samples = families[current]
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + end for end in ends]
            assert (name, labels) not in samples
            samples[name, labels] = float(found[found.re.groups])
    for name, (kind, samples) in families.items():
        assert samples
        if kind == "histogram":
            buckets = [(float(labels[-1][1]), value) for (sample, labels), value in samples.items() if sample.endswith("_bucket")]
            assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets) and buckets[-1][0] == math.inf
            assert [value for _, value in buckets] == sorted(value for _, value in buckets)
            assert buckets[-1][1] == samples[f"{name}_count", ()]
    return families


def test_counters_and_gauges_are_told_with_help_type_and_labels():
    family = Family(name="runs_total", kind="counter", text="Runs.", labels=("state", "host"))
    family.add("done", "a")
    family.add("done", "a", amount=2.5)
    assert exposition([family]) == '# HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total{state="done",host="a"} 3.5\n'


def test_label_values_and_help_are_escaped():
    family = Family(name="x", kind="gauge", text="a \\ and\nb", labels=("name",))
    family.set(1, 'quote " backslash \\ line\nend')
    assert list(parse(exposition([family]))["x"][1]) == [("x", (("name", 'quote " backslash \\ line\nend'),))]


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.1, "0.1"), (math.inf, "+Inf"), (math.nan, "NaN"), (1e300, "1e+300"), (-2.5e-07, "-2.5e-07")])
def test_numbers_are_written_as_the_format_asks(value, text):
    family = Family(name="x", kind="gauge", text="X.")
    family.set(value)
    assert exposition([family]).splitlines()[-1] == f"x {text}"
    parse(exposition([family]))


def test_a_histogram_counts_up_to_each_bound():
    histogram = Histogram(name="seconds", text="S.", bounds=(0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    samples = parse(exposition([histogram]))["seconds"][1]
    assert [samples["seconds_bucket", (("le", bound),)] for bound in ("0.1", "1", "+Inf")] == [2, 3, 4]
    assert samples["seconds_sum", ()] == pytest.approx(7.65)


def test_label_values_beyond_the_bound_are_counted_as_other():
    family = Family(name="x_total", kind="counter", text="X.", labels=("name",))
    for number in range(MAX_LABEL_SETS + 50):
        family.add(str(number))
    assert len(family.values) == MAX_LABEL_SETS + 1
    assert family.values["other",] == 50


def test_a_family_without_values_is_left_out():
    assert exposition([Family(name="x", kind="gauge", text="X.")]) == ""


def test_prometheus_own_parser_reads_it():
    parser = pytest.importorskip("prometheus_client.parser")
    histogram = Histogram(name="seconds", text="S.", bounds=(0.1, 1.0))
    histogram.observe(0.5)
    family = Family(name="x_total", kind="counter", text="X.", labels=("name",))
    family.add('a "b" \\ c')
    read = {found.name: found for found in parser.text_string_to_metric_families(exposition([histogram, family]))}
    assert read["x"].samples[0].labels == {"name": 'a "b" \\ c'}
    assert read["seconds"].type == "histogram"
