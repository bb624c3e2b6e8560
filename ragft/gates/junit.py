"""Gate results as JUnit XML, which every continuous integration service shows.

Keeps to what the two schemas in use have in common (Apache Ant's, and the one of Jenkins): no attributes on
`testsuites`, times in UTC without a zone. A gate that failed is a `failure`; one that could not be compared is an
`error`, never `skipped`, because services show a skipped test as nothing to worry about.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

from ragft.gates.results import GateReport, GateResult

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def render_junit(
    report: GateReport,
    *,
    name: str,
    created_at: str,
    seconds: float = 0.0,
    properties: Mapping[str, str] | None = None,
) -> str:
    """Return the report as JUnit XML; `name` is the experiment's, `created_at` ISO 8601, `seconds` of the whole run.

    Characters that XML cannot hold become U+FFFD. ValueError for a `created_at` that is no time.
    """
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": _legal(f"ragft gates: {name}"),
            "package": "ragft",
            "id": "0",
            "hostname": "localhost",
            "timestamp": _utc(created_at),
            "tests": str(len(report.results)),
            "failures": str(len(report.of("failed"))),
            "errors": str(len(report.of("not_comparable"))),
            "skipped": "0",
            "time": f"{seconds:.3f}",
        },
    )
    listed = ET.SubElement(suite, "properties")
    for key, value in _properties(report, properties or {}).items():
        ET.SubElement(listed, "property", {"name": _legal(key), "value": _legal(value)})
    for result in report.results:
        _case(suite, result, name)
    ET.SubElement(suite, "system-out").text = _legal("\n".join(f"{r.status}: {r.title}" for r in report.results))
    ET.SubElement(suite, "system-err")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _properties(report: GateReport, given: Mapping[str, str]) -> dict[str, str]:
    properties: dict[str, str] = {"status": report.status}
    if report.baseline is not None:
        properties["baseline"] = report.baseline.source
        properties["baseline_created_at"] = report.baseline.created_at
    return {**properties, **given}


def _case(suite: ET.Element, result: GateResult, name: str) -> None:
    attributes = {
        "name": _legal(f"gate {result.number}: {result.title}"),
        "classname": _legal(f"ragft.{name}.{result.kind}"),
        "time": "0.000",
    }
    case = ET.SubElement(suite, "testcase", attributes)
    match result.status:
        case "passed":
            return
        case "failed":
            tag = "failure"
        case "not_comparable":
            tag = "error"
        case _:
            assert_never(result.status)
    told = {"message": _legal(result.message), "type": result.status}
    ET.SubElement(case, tag, told).text = _legal(result.message)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _utc(created_at: str) -> str:
    moment = datetime.fromisoformat(created_at)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
