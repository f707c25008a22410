"""What a scheduler is told: when monitoring runs, and that an alert starts training; of no effect without one."""

import os
import sys
from typing import Any

from metaflow import metaflow_config
from metaflow.integrations import ArgoEvent
from metaflow.plugins.argo.argo_events import ArgoEventException

from credit.errors import ConfigError, ServiceError

__all__ = ["ALERT", "TRIGGER", "on_argo", "publish", "timetable"]

#: The event that an alert of monitoring is.
ALERT = "credit_alert"
#: For ``@trigger`` of TrainingFlow: these of its parameters come with the event, the others are as deployed.
TRIGGER = {"name": ALERT, "parameters": {name: name for name in ("data", "portfolio", "monitoring")}}
#: Mondays at six.
CRON = "0 6 * * 1"


def timetable() -> dict[str, str | None]:
    """Read when monitoring runs: ``@schedule``'s cron and timezone, as the environment has them at deployment.

    CREDIT_MONITORING_CRON has five fields; CREDIT_MONITORING_TIMEZONE is an IANA name, by default the cluster's.
    """
    cron = os.environ.get("CREDIT_MONITORING_CRON") or CRON
    if len(cron.split()) != 5:
        sys.exit(f"CREDIT_MONITORING_CRON={cron!r}: must have five fields (minute, hour, day, month, weekday).")
    return {"cron": cron, "timezone": os.environ.get("CREDIT_MONITORING_TIMEZONE") or None}


def on_argo() -> bool:
    """Whether this process is a task of a flow deployed on Argo Workflows."""
    return bool(os.environ.get("ARGO_WORKFLOW_TEMPLATE"))


def publish(data: str | None, portfolio: str, run: str) -> dict[str, Any]:
    """Publish the alert, which starts TrainingFlow where it is deployed; does not wait for it.

    Parameters
    ----------
    data : str or None
        What to train on; None leaves what TrainingFlow was deployed with.
    portfolio : str
        The portfolio.
    run : str
        The monitoring run that asks.

    Returns
    -------
    dict
        ``event``, its name; ``id``, by which the training run knows it.

    Raises
    ------
    ConfigError
        If Metaflow knows no address for events.
    ServiceError
        If the event source does not take it.
    """
    url = metaflow_config.ARGO_EVENTS_WEBHOOK_URL
    if not url:
        raise ConfigError("METAFLOW_ARGO_EVENTS_WEBHOOK_URL: not set; give the address of Argo Events' event source.")
    payload = {"portfolio": portfolio, "monitoring": run} | ({"data": data} if data else {})
    try:
        sent = ArgoEvent(ALERT, url=url, payload=payload).publish(ignore_errors=False)
    except ArgoEventException as error:
        raise ServiceError(f"{error}; is Argo Events' event source up, and its address right?") from error
    return {"event": ALERT, "id": sent}
