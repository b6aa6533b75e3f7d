"""`gembench leaderboard check`: the contract test for a policy in a file of its own."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from gembench.leaderboard.contract_checks import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
_WIDTH = max(map(len, _COLOURS))


@click.command(short_help="Test whether a policy's file keeps the contract.")
@click.argument("policy", metavar="FILE.py[:CLASS[:KEY=VALUE,…]]")
@json_option
@click.pass_context
def check(context: click.Context, policy: str, json_path: Path | None) -> None:
    """Test a policy's file on small problems, in a sandbox: some ten seconds.

    An error breaks the contract, and the command fails. A warning costs the policy rank or seconds.
    """
    if json_path is not None:
        check_output(json_path)

    from gembench.leaderboard.check import check_file
    from gembench.leaderboard.policy_file import read_policy_file

    file = read_policy_file(policy)
    findings = []
    for finding in check_file(file):
        findings.append(finding)
        if str(json_path) != STDOUT:
            _print(finding)
    if json_path is not None:
        report = {
            "version": version("gembench"),
            "policy": policy,
            "file_sha256": file.sha256,
            "findings": [asdict(finding) for finding in findings],
        }
        write_output(json_path, json.dumps(report, indent=1) + "\n")
    context.exit(int(any(finding.verdict == "error" for finding in findings)))


def _print(finding: "Finding") -> None:
    verdict = click.style(f"{finding.verdict:{_WIDTH}}", fg=_COLOURS[finding.verdict])
    click.echo(" ".join(filter(None, (f"{verdict}  {finding.check}: {finding.message}", finding.advice))))
