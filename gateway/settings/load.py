"""The configuration, read: the top file, the program files it names, and all that is wrong in any of them.

`load` never raises for what a file holds. It gives back as much as could be read, so that the rooms' compilers can
add what they find; what has an error anywhere must not be served (`Loaded.failed`).
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.checks import Named, check_apart, check_gateway, check_program
from gateway.settings.models import GatewaySettings, ProgramSettings
from gateway.settings.problems import KeyPath, Problem, Report
from gateway.settings.salvage import validate
from gateway.settings.tree import Tree, read
from gateway.settings.units import Secret

_OTHER_TOP_FILES = "-c PATH, $GATEWAY_CONFIG, or gateway init DIR"


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """One program file. With an error in it, `settings` has defaults where the error stands."""

    settings: ProgramSettings
    report: Report
    file: Path


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as far as it could be read.

    settings: None when nothing could be made of the top file.
    programs: without those of which nothing could be made; in the order of the patterns, then by name.
    problems: live; compilers add to it through the reports.
    """

    file: Path
    settings: GatewaySettings | None
    programs: tuple[LoadedProgram, ...]
    problems: list[Problem]
    report: Report
    broken: frozenset[tuple[Path, KeyPath]] = frozenset()  # values that could not be had, which is told

    @property
    def failed(self) -> bool:
        """Whether an error (not only a warning) was found so far."""
        return self.report.failed

    def findings(self) -> list[Problem]:
        """The problems as people read them: the top file first, each file from top to bottom, nothing twice."""
        told: set[tuple[Path, KeyPath]] = set()
        kept = []
        for problem in dict.fromkeys(self.problems):
            ends = (problem.path[:length] for length in range(len(problem.path) + 1))
            cause = next((one for end in ends if (one := (problem.place.file, end)) in self.broken), None)
            # What could not be had was told first; all else about it only follows from that.
            if cause is None or cause not in told:
                kept.append(problem)
            if cause is not None:
                told.add(cause)
        return sorted(kept, key=self._order)

    def _order(self, problem: Problem) -> tuple[bool, str, int, int, bool]:
        place = problem.place
        return place.file != self.file, str(place.file), place.line, place.column, problem.warning


def load(path: Path) -> Loaded:
    """Read the configuration whose top file is `path`. Opens files only; needs no network and no event loop."""
    problems: list[Problem] = []
    tree = read(path, problems, instead=_OTHER_TOP_FILES)
    report = tree.report(problems)
    if tree.data is None:
        return Loaded(path, None, (), problems, report)
    settings = None
    if (found := validate(GatewaySettings, tree, report)) is not None:
        check_gateway(found, report)
        settings = found.settings
        if settings.id_key is None:  # an error, told; no compiler is to complain of it again
            settings = settings.model_copy(update={"id_key": Secret("never used, since nothing is served")})
    broken = {(path, one) for one in tree.broken}
    programs = _programs(tree, report, broken)
    return Loaded(path, settings, programs, problems, report, frozenset(broken))


def _programs(top: Tree, report: Report, broken: set[tuple[Path, KeyPath]]) -> tuple[LoadedProgram, ...]:
    programs = []
    named = []
    for file in _files(top, report):
        tree = read(file, report.problems, verbatim="answers")
        broken.update((file, one) for one in tree.broken)
        if tree.data is None:
            continue
        here = tree.report(report.problems)
        if (found := validate(ProgramSettings, tree, here)) is not None:
            check_program(found, here)
            named.append(Named(found, here))
            programs.append(LoadedProgram(found.settings, here, file))
    check_apart(named)
    return tuple(programs)


def _files(top: Tree, report: Report) -> Iterator[Path]:
    """The program files that the top file names, each once. Read from its data: another error must not hide them."""
    patterns = top.data.get("programs") if top.data is not None else None
    seen = set()
    for place, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if not isinstance(pattern, str):
            continue  # told by the model
        found = _matches(top.file.parent, pattern)
        if not found:
            report.at("programs", place).error("names no file", "files relative to this one; * ? and […] match names")
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def _matches(base: Path, pattern: str) -> list[Path]:
    if not pattern or "\0" in pattern:
        return []
    # Only the pattern is one: the folder of the configuration may have brackets in its name. An absolute pattern
    # replaces it.
    whole = Path(glob.escape(str(base))) / pattern
    return sorted(Path(match) for match in glob.glob(str(whole)))
