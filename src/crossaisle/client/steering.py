"""`SteeringCalls`: results, experiments, rules, models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crossaisle.api_types import (
    AuditLine,
    CoverageOfLists,
    ExperimentResults,
    Health,
    Models,
    NumberedList,
    RulesInForce,
    StoredRule,
    Totals,
    read,
)
from crossaisle.client.calls import Calls, path_part


class SteeringCalls(Calls):
    """Calls for managers, merchandisers and operators; most need a key with a scope of its own."""

    # Results

    def totals(self, days: int = 30) -> Totals:
        """What followed from recommendations, by day, placement and arm; needs a key with the scope admin."""
        found: Totals = read(Totals, self._ask("GET", "/api/console/totals", query={"days": days}))
        return found

    def coverage(self, days: int = 30) -> CoverageOfLists:
        """How much of the catalogue the lists showed, by placement; needs a key with the scope admin."""
        found: CoverageOfLists = read(
            CoverageOfLists, self._ask("GET", "/api/console/coverage", query={"days": days})
        )
        return found

    # Experiments

    def start_experiment(
        self, name: str, arms: Sequence[Mapping[str, Any]], **more: Any
    ) -> ExperimentResults:
        """Starts an experiment; `more` may contain `kind`, `placement`, `goal`, `metric`, `window_hours`."""
        body = {"name": name, "arms": [dict(arm) for arm in arms], **more}
        found: ExperimentResults = read(ExperimentResults, self._ask("POST", "/api/experiments", body=body))
        return found

    def experiments(self) -> tuple[ExperimentResults, ...]:
        """All experiments with their results, latest first."""
        answer = self._ask("GET", "/api/experiments")
        found: tuple[ExperimentResults, ...] = read(tuple[ExperimentResults, ...], answer)
        return found

    def experiment(self, name: str) -> ExperimentResults:
        """An experiment and its results."""
        answer = self._ask("GET", f"/api/experiments/{path_part(name)}")
        found: ExperimentResults = read(ExperimentResults, answer)
        return found

    def stop_experiment(self, name: str) -> ExperimentResults:
        """Ends an experiment."""
        answer = self._ask("POST", f"/api/experiments/{path_part(name)}/stop")
        found: ExperimentResults = read(ExperimentResults, answer)
        return found

    def exposures(self, name: str) -> Iterator[NumberedList]:
        """The exposure log: every list shown, with its probabilities."""
        after = 0
        while True:
            answer = self._ask("GET", f"/api/experiments/{path_part(name)}/exposures", query={"after": after})
            found: tuple[NumberedList, ...] = read(tuple[NumberedList, ...], answer)
            if not found:
                return
            yield from found
            after = found[-1].seq

    # A merchandiser's rules

    def rules(self) -> RulesInForce:
        """The merchandiser's rules, and what each matches."""
        found: RulesInForce = read(RulesInForce, self._ask("GET", "/api/rules"))
        return found

    def put_rules(self, rules: Iterable[Mapping[str, Any]]) -> RulesInForce:
        """Replaces all rules; each needs an `id`, an `action` and `items`. If one is invalid, nothing
        changes."""
        body = {"rules": [dict(rule) for rule in rules]}
        found: RulesInForce = read(RulesInForce, self._ask("PUT", "/api/rules", body=body))
        return found

    def put_rule(self, rule: str, **fields: Any) -> StoredRule:
        """Creates or replaces a rule."""
        found: StoredRule = read(StoredRule, self._ask("PUT", f"/api/rules/{path_part(rule)}", body=fields))
        return found

    def patch_rule(self, rule: str, **fields: Any) -> StoredRule:
        """Changes some fields of a rule; None removes a field."""
        found: StoredRule = read(StoredRule, self._ask("PATCH", f"/api/rules/{path_part(rule)}", body=fields))
        return found

    def delete_rule(self, rule: str) -> None:
        """Deletes a rule."""
        self._ask("DELETE", f"/api/rules/{path_part(rule)}")

    def reset_rules(self) -> RulesInForce:
        """Restores the rules that were saved with the model."""
        found: RulesInForce = read(RulesInForce, self._ask("DELETE", "/api/rules"))
        return found

    # State

    def models(self) -> Models:
        """The served model, the previous one, and those that can be activated."""
        found: Models = read(Models, self._ask("GET", "/api/models"))
        return found

    def activate(self, model: str) -> Models:
        """Switches to another saved model."""
        found: Models = read(Models, self._ask("POST", "/api/models/activate", body={"name": model}))
        return found

    def roll_back(self) -> Models:
        """Switches back to the previous model."""
        found: Models = read(Models, self._ask("POST", "/api/models/roll-back"))
        return found

    def audit(self) -> tuple[AuditLine, ...]:
        """Who deleted what and who switched models, newest first."""
        found: tuple[AuditLine, ...] = read(tuple[AuditLine, ...], self._ask("GET", "/api/audit"))
        return found

    def ready(self) -> Health:
        """Whether a model is loaded and warm."""
        found: Health = read(Health, self._ask("GET", "/api/health/ready"))
        return found
