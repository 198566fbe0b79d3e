"""Two import contracts for import-linter: pure modules, and outside libraries that have one room.

Both pass over modules that do not exist yet, so the lists may name a room before it is built.
"""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def is_within(module: str, package: str) -> bool:
    """Whether `module` is `package` or lies in it."""
    return module == package or module.startswith(f"{package}.")


class ReportingContract(Contract):
    """A contract whose metadata is one list of findings."""

    def render_broken_contract(self, check: ContractCheck) -> None:
        for finding in check.metadata["findings"]:
            output.print_error(f"- {finding}")
            output.new_line()


class PureContract(ReportingContract):
    """The modules listed import, of their own package, only each other, and nothing that is forbidden."""

    type_name = "pure"

    package = fields.StringField()
    modules = fields.SetField(subfield=fields.StringField())
    forbidden_modules = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        package: Any = self.package
        pure: Any = self.modules
        forbidden: Any = self.forbidden_modules
        findings = []
        for module in sorted(set(pure) & graph.modules):
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if is_within(imported, package) and imported not in pure:
                    findings.append(f"{module} is pure and imports {imported}, which is not")
                elif any(is_within(imported, name) for name in forbidden):
                    findings.append(f"{module} is pure and imports {imported}")
        return ContractCheck(kept=not findings, metadata={"findings": findings})


class OwnersContract(ReportingContract):
    """`library: room, room`: only these rooms import the library."""

    type_name = "owners"

    owners = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        owners: Any = self.owners
        findings = []
        for entry in owners:
            library, _, rooms = (part.strip() for part in entry.partition(":"))
            allowed = [room.strip() for room in rooms.split(",")]
            importers = (
                graph.find_modules_that_directly_import(library) if library in graph.modules else set()
            )
            for importer in sorted(importers):
                if not any(is_within(importer, room) for room in allowed):
                    findings.append(f"{importer} imports {library}, whose room is {' or '.join(allowed)}")
        return ContractCheck(kept=not findings, metadata={"findings": findings})
