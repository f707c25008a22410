"""MonitoringFlow: a model in use, held against what it was trained on; says what drift costs, and may act on it.

python flows/monitoring.py run                                  the last 5,000 decisions of the ledger
python flows/monitoring.py run --since 2026-10-01 --until 2026-10-31
python flows/monitoring.py run --current FOLDER                 raw tables; --labelled true where outcomes are in them
python flows/monitoring.py run --features FILE                  features that are there: Parquet or CSV
python flows/monitoring.py run --fail-on alert                  exit code 1 on an alert

Exit codes: 0 done; 1 the status is as bad as --fail-on says, or the run failed; the message tells which.
"""

import os

from launch import plainly, prepare, verdict
from metaflow import FlowSpec, Parameter, card, current, schedule, step
from orchestration import timetable

from credit.portfolio import DEFAULT  # at module top, so that Metaflow packs `credit` for a cluster

#: A run that a scheduler starts has the parameters' defaults, as they are when the flow is deployed.
RETRAIN, TRAINING_DATA = os.environ.get("CREDIT_RETRAIN", "never"), os.environ.get("CREDIT_TRAINING_DATA")


@schedule(**timetable())  # on Argo Workflows; elsewhere it does nothing
class MonitoringFlow(FlowSpec):
    """Watch a model in use.

    1. start: open the model, what it was trained on, and the window of applicants
    2. drift: what has shifted, beyond chance and beyond the limits, and what that costs
       money: what the decisions cost, as expected, as promised and as realised; champion against predecessor
       report: Evidently's report on the most important features
    3. judge: one status with ranked reasons, kept for the app and in the ledger
    4. act: where asked to, train anew on an alert, roll back on a regression, tell a webhook
    5. end: print the status
    """

    portfolio = Parameter("portfolio", default=DEFAULT, help="A portfolio's name or its TOML file.")
    version = Parameter("version", default=0, type=int, help="The registered version; default: the champion.")
    since = Parameter("since", default=None, help="Of the ledger: decisions from this day or moment (UTC).")
    until = Parameter("until", default=None, help="Of the ledger: decisions up to this day or moment (UTC).")
    last = Parameter("last", default=0, type=int, help="Of the ledger: at most so many; default: 5,000, without dates.")
    current = Parameter("current", default=None, help="Instead: raw tables, a folder, a file or a database URL.")
    no_history = Parameter("no-history", default=False, type=bool, help="Nobody in --current has other rows.")
    labelled = Parameter("labelled", default=False, type=bool, help="Applications in --current have outcomes.")
    features = Parameter("features", default=None, help="Instead: a file of features, Parquet or CSV.")
    outcomes = Parameter("outcomes", default=None, help="A file with key and target, for --current or --features.")
    seed = Parameter("seed", default=7, type=int, help="For everything that is drawn.")
    report = Parameter("report", default=True, type=bool, help="Make Evidently's report too.")
    budget = Parameter("budget", default=60, type=int, help="Seconds that Evidently's report may take, about.")
    out = Parameter("out", default=None, help="Also write the status to this JSON file.")
    fail_on = Parameter("fail-on", default="never", help="never, warn or alert: when the exit code is 1.")
    retrain = Parameter("retrain", default=RETRAIN, help="never or on-alert: start TrainingFlow; the gate decides.")
    training_data = Parameter("training-data", default=TRAINING_DATA, help="What to retrain on; with --retrain.")
    rollback = Parameter("rollback", default="propose", help="propose, or on-regression: roll back at once.")
    webhook = Parameter("webhook", default=None, help="An address told of the status; default: CREDIT_WEBHOOK_URL.")

    @step
    def start(self):
        """Open the model, what it was trained on, and the window."""
        import monitoring_steps

        with plainly():
            monitoring_steps.check(self)
            self.model = monitoring_steps.open_model(self.portfolio, self.version)
            self.window = monitoring_steps.window(self, f"{current.flow_name}/{current.run_id}")
            self.limits = monitoring_steps.limits(self)
        self.next(self.drift, self.money, self.evidently)

    @card(type="blank", id="drift")
    @step
    def drift(self):
        """Measure what has shifted, and what it costs."""
        import monitoring_cards
        import monitoring_steps

        with plainly():
            self.piece = monitoring_steps.moved(self)
        monitoring_cards.drift(current.card["drift"], self.piece.told, self.window, self.limits)
        self.next(self.judge)

    @card(type="blank", id="money")
    @step
    def money(self):
        """Work out what the decisions cost, and compare champion and predecessor."""
        import monitoring_cards
        import monitoring_steps

        with plainly():
            self.piece = monitoring_steps.paid(self)
        monitoring_cards.money(current.card["money"], self.piece.told, self.window)
        self.next(self.judge)

    @card(type="html", id="report")  # shows the artifact `html`
    @step
    def evidently(self):
        """Let Evidently report on the most important features."""
        import monitoring_steps

        with plainly():
            self.piece, self.html = monitoring_steps.report(self)
        self.next(self.judge)

    @card(type="blank", id="status")
    @step
    def judge(self, inputs):
        """Put one status together, keep it, and record it."""
        import monitoring_cards
        import monitoring_steps

        self.merge_artifacts(inputs, include=["model", "window"])
        with plainly():
            self.status = monitoring_steps.judge(self, [task.piece for task in inputs])
        monitoring_cards.status(current.card["status"], self.status)
        self.next(self.act)

    @card(type="blank", id="actions")
    @step
    def act(self):
        """Do what was asked for: retrain, roll back, tell."""
        import monitoring_cards
        import monitoring_steps

        with plainly():
            self.status = monitoring_steps.act(self, f"{current.flow_name}/{current.run_id}")
        monitoring_cards.actions(current.card["actions"], self.status)
        self.next(self.end)

    @step
    def end(self):
        """Remove the window's rows, and print the status."""
        import monitoring_steps

        monitoring_steps.clear(self)
        monitoring_steps.show(self.status, current.run_id)
        monitoring_steps.fails(self)


if __name__ == "__main__":
    prepare()
    with verdict():
        MonitoringFlow()
