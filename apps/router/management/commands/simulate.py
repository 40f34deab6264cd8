"""Runs the router's core over simulated instances and traffic, and compares rules."""

import json
import os
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.router.core.selection.rules import RULES
from apps.router.simulator.faults import FAULTS
from apps.router.simulator.measures import Objective
from apps.router.simulator.runs import CONDITIONS, Scenario, ScenarioError, compare
from apps.router.simulator.tables import Cell, as_data, standing, summary, table
from apps.router.simulator.traffic import TraceError


class Command(BaseCommand):
    """`manage.py simulate`: the same core as in production, in virtual time."""

    help = (
        "Simulate the router over a trace or Poisson traffic. Without more words the rule that "
        "ships runs once; --compare all compares every rule in nine cells: three loads, each "
        "steady, with churn, and with faults."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        scenario = Scenario()
        parser.add_argument("--trace", help="a CSV of requests; else Poisson arrivals")
        parser.add_argument("--jobs", type=int, default=scenario.jobs, help="requests by seed")
        parser.add_argument("--fleet", default=scenario.fleet, help="mixed:N, same:N, or .json")
        parser.add_argument("--load", default="", help="shares of the capacity: 0.5,0.8,0.95")
        parser.add_argument("--rate", type=float, help="requests a second, in place of --load")
        parser.add_argument("--conditions", default="", help=", ".join(CONDITIONS))
        parser.add_argument("--faults", help=f"of your choice: {', '.join(FAULTS)}")
        parser.add_argument("--rule", default=scenario.rule, help=", ".join(RULES))
        parser.add_argument("--compare", help="rules to compare, or all")
        parser.add_argument("--seed", type=int, default=scenario.seed)
        parser.add_argument("--seeds", type=int, default=0, help="runs measured together")
        parser.add_argument("--users", type=int, default=scenario.users)
        parser.add_argument("--demo-share", type=float, default=scenario.demo_share)
        parser.add_argument("--follow-ups", type=float, default=scenario.follow_ups)
        parser.add_argument("--first-token-s", type=float, default=Objective().first_token_s)
        parser.add_argument("--token-s", type=float, default=Objective().token_s)
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="a core setting"
        )
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--json", type=Path, help="write all figures here")
        parser.add_argument("--plots", type=Path, help="write SVG and PNG into this folder")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run, and print the table."""
        try:
            cells = self._cells(options)
        except (ScenarioError, TraceError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(table(cells))
        rules = list(cells[0].by_rule)
        if len(rules) > 1:
            self.stdout.write("\n" + summary(standing(cells, rules[0])))
        if options["json"]:
            options["json"].write_text(json.dumps(as_data(cells), indent=1))
        if options["plots"]:
            from apps.router.simulator.plots import draw  # takes a second to import

            files = draw(cells, options["plots"])
            self.stdout.write(f"{len(files)} pictures in {options['plots']}")

    def _cells(self, options: dict[str, Any]) -> list[Cell]:
        rules = _rules(options)
        is_comparison = len(rules) > 1
        base = Scenario(
            fleet=options["fleet"],
            trace=options["trace"],
            jobs=options["jobs"],
            rate=options["rate"],
            seed=options["seed"],
            users=options["users"],
            demo_share=options["demo_share"],
            follow_ups=options["follow_ups"],
            settings=_settings(options["set"]),
        )
        loads = _loads(options, default="0.5,0.8,0.95" if is_comparison else "0.8")
        planned = [
            (condition, _load_words(scenario), replace(scenario, rule=rule))
            for condition, faults in _conditions(options, is_comparison=is_comparison)
            for scenario in (replace(base, faults=faults, load=load) for load in loads)
            for rule in rules
        ]
        measures = compare(
            [scenario for _, _, scenario in planned],
            seeds=options["seeds"] or (4 if is_comparison else 1),
            objective=Objective(first_token_s=options["first_token_s"], token_s=options["token_s"]),
            processes=options["processes"],
            progress=self._progress,
        )
        cells: dict[tuple[str, str], Cell] = {}
        for (condition, load, scenario), found in zip(planned, measures, strict=True):
            cell = cells.setdefault((condition, load), Cell(condition, load, {}))
            cell.by_rule[scenario.rule] = found
        return list(cells.values())

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done} of {total} simulations", ending="")
            if done == total:
                self.stderr.write("")


def _rules(options: dict[str, Any]) -> list[str]:
    asked = options["compare"] or options["rule"]
    names = list(RULES) if asked == "all" else asked.split(",")
    for name in names:
        if name not in RULES:
            raise CommandError(f"no rule {name!r}; there are {', '.join(RULES)}")
    return names


def _conditions(
    options: dict[str, Any], *, is_comparison: bool
) -> list[tuple[str, tuple[str, ...]]]:
    if options["faults"] is not None:
        faults = tuple(name for name in options["faults"].split(",") if name)
        for name in faults:
            if name not in FAULTS:
                raise CommandError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        return [("+".join(faults) or "steady", faults)]
    names = options["conditions"] or (",".join(CONDITIONS) if is_comparison else "steady")
    for name in names.split(","):
        if name not in CONDITIONS:
            raise CommandError(f"no condition {name!r}; there are {', '.join(CONDITIONS)}")
    return [(name, CONDITIONS[name]) for name in names.split(",")]


def _loads(options: dict[str, Any], *, default: str) -> list[float]:
    if options["rate"] is not None:
        return [0.0]
    try:
        return [float(load) for load in (options["load"] or default).split(",")]
    except ValueError as error:
        raise CommandError(f"--load: {error}") from error


def _load_words(scenario: Scenario) -> str:
    return f"{scenario.rate:g} a second" if scenario.rate else f"{scenario.load:.0%}"


def _settings(pairs: list[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}
    except ValueError as error:
        raise CommandError(f"--set NAME=NUMBER: {error}") from error
