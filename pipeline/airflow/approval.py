"""The task `approve`: a person decides about a model before it is promoted, where the settings want that.

It asks first what `promote` would do. Where nobody has to decide it is skipped; otherwise it waits, in the state
`awaiting_input` and without a process, for who answers under *Required Actions*. The answer is its result in XCom, so
that `promote`, its retries and its clears carry out the same one. It fails for no decision: that is left to `promote`.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException

from components.public_text import public
from components.registry.approval import DEADLINE, DECISIONS, Answer, readable, too_late
from pipeline.airflow import notifications
from pipeline.airflow.approval_body import body
from pipeline.airflow.params_form import read_settings
from pipeline.airflow.run_names import record_of
from pipeline.airflow.task import StageTask
from pipeline.airflow.task_log import Refused

TASK = "approve"
REQUEST = "request"  # the XCom with what was asked
SETTING = "promote.approval"
REASON = 1000  # characters
DOC = """\
**Where `promote.approval` wants it, a person decides whether the model is promoted.**

Skipped where nobody has to decide. Otherwise it waits under *Required Actions*: *Approve* makes the version champion,
*Reject* never promotes it, *Hold* leaves it registered, to be promoted later by *Trigger* `promote_version`. Nobody
within `promote.approval_hours`: rejected. If the champion has changed meanwhile, *Clear* this task with *downstream*.
"""


class Approve(StageTask, HITLOperator):
    """Asks a person about the version that the run has registered, beside the champion."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            stage="promote",
            subject="Promote the model?",
            options=[decision.capitalize() for decision in DECISIONS],
            defaults="Reject",
            response_timeout=timedelta(days=1),  # that of the request takes its place; with none Airflow warns
            **arguments,
        )

    def how(self, context: Context) -> dict[str, Any]:
        return {"ask": True}

    def execute(self, context: Context) -> Any:
        if self._setting(context["params"]) == "never":
            raise AirflowSkipException(f"nobody has to decide: {SETTING} is never")
        request = self.performed(context).get("request")
        if request is None:
            raise AirflowSkipException("nobody has to decide about this model")
        context["ti"].xcom_push(REQUEST, public(request))
        self.subject = f"Promote version {request['version']} of {request['name']}?"
        self.body = body(request, record_of(context["ti"]))
        self.response_timeout = datetime.fromisoformat(request["until"]) - datetime.now(UTC)
        with self.project.environment():
            notifications.waiting(context, _news(request), self._address(context))
        self.params = ParamsDict({"reason": Param("", type="string", title="Reason", maxLength=REASON)})
        return HITLOperator.execute(self, context)

    def _address(self, context: Context) -> str:
        """Where a person answers, "" where Airflow does not say under which address it is reached."""
        with suppress(ValueError):
            return self.generate_link_to_ui_from_context(context=context)
        return ""

    def _setting(self, form: Mapping[str, Any]) -> str:
        with self.project.environment():
            return str(form.get(SETTING) or read_settings()[0][SETTING])

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The answer of the person, or the rejection where the deadline has passed."""
        response = super().execute_complete(context, event)
        request = context["ti"].xcom_pull(task_ids=TASK, key=REQUEST)
        user = response["responded_by_user"]
        return {
            "decision": response["chosen_options"][0].lower(),
            "version": request["version"],
            "champion": request["champion"],
            "who": user["name"] if user else DEADLINE,
            "reason": public(response["params_input"].get("reason", "")) if user else too_late(request["until"]),
            "time": response["responded_at"].astimezone(UTC).isoformat(timespec="seconds"),
        }


def _news(request: Mapping[str, Any]) -> str:
    until = readable(request["until"])
    return f"{request['name']} version {request['version']} waits for a decision until {until}; then it is rejected"


def answer_of(context: Context) -> Answer | None:
    """What a person has decided in this run."""
    answer = context["ti"].xcom_pull(task_ids=TASK)
    return Answer(**answer) if answer else None


def undecided(reason: str) -> Refused:
    """Why `promote` fails where nobody was asked, as the champion is another one than before; *reason* is its own."""
    return Refused(f"{reason}, beside a champion that nobody was shown: *Clear* `{TASK}` with *downstream*")
