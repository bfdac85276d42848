"""Look every pinned dependency up in the database of known vulnerabilities.

A finding fails. Where the database cannot be reached nothing can be said, which is said, and does
not fail: no change of ours would help.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PINNED = Path(__file__).resolve().parents[1] / "constraints.txt"
_SECONDS = 300
_UNREACHED = ("ConnectionError", "ConnectTimeout", "Max retries exceeded", "ReadTimeout")


def main() -> str | None:
    """What is wrong, or None."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(_PINNED)),
        *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if any(sign in done.stderr for sign in _UNREACHED):
            return _not_audited()
        return f"pip-audit failed:\n{done.stderr}"
    return verdict(dependencies)


def verdict(dependencies: list[dict[str, Any]]) -> str | None:
    """What pip-audit found, or None where that is nothing."""
    looked_up = [each for each in dependencies if "skip_reason" not in each]
    if not looked_up:
        return _not_audited()
    findings = [
        f"  {each['name']} {each['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no release'}"
        for each in looked_up
        for vulnerability in each["vulns"]
    ]
    if findings:
        return "\n".join(["Known vulnerabilities:", *findings])
    print(f"{len(looked_up)} of {len(dependencies)} dependencies audited: nothing known.")
    return None


def _not_audited() -> None:
    print("NOT AUDITED: the database of vulnerabilities cannot be reached from here.")


if __name__ == "__main__":
    sys.exit(main())
