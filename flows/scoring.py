"""ScoringFlow: a whole book of applications in, a file of decisions and one of rejected rows out.

python flows/scoring.py run --data FOLDER --out OUT            raw tables: their features are built first
python flows/scoring.py run --data FILE --no-history true --out OUT        applications alone
python flows/scoring.py run --features FILE --out OUT          features that are there: Parquet or CSV, one row a client
python flows/scoring.py resume                                 after a run that was killed or failed
"""

from launch import parallel, plainly, prepare, reporter, verdict
from metaflow import FlowSpec, Parameter, card, current, resources, step

from credit.portfolio import DEFAULT  # at module top, so that Metaflow packs `credit` for a cluster


class ScoringFlow(FlowSpec):
    """Score a book in shards, each in memory that does not grow with the book.

    1. start: open the model; raw rows become features, on disk; the rows are looked at and divided
    2. score: each shard is judged, scored and written, whole or not at all; what is there already stays
    3. join: one file of decisions, one of rejected rows, one event in the ledger
    4. end: print the summary
    """

    data = Parameter("data", default=None, help="Raw tables: a folder, a file of applications, or a database URL.")
    features = Parameter("features", default=None, help="Instead: a file or folder of features, Parquet or CSV.")
    out = Parameter("out", required=True, help="The folder for decisions.parquet and rejected.csv.")
    portfolio = Parameter("portfolio", default=DEFAULT, help="A portfolio's name or its TOML file.")
    version = Parameter("version", default=0, type=int, help="The registered version; default: the champion.")
    shard_rows = Parameter("shard-rows", default=1_000_000, type=int, help="Rows scored by one task, about.")
    reasons = Parameter("reasons", default=False, type=bool, help="Also the codes of the reasons of who is declined.")
    no_history = Parameter("no-history", default=False, type=bool, help="Nobody has rows in the other tables.")
    labelled = Parameter("labelled", default=False, type=bool, help="Raw applications with a known outcome.")
    memory = Parameter("memory", default="2GB", help="What the engine may use; the rest goes to temporary files.")

    @step
    def start(self):
        """Open the model, make features of raw rows, and divide the rows."""
        import scoring_steps

        with plainly():
            self.model = scoring_steps.open_model(self.portfolio, self.version)
            decider = scoring_steps.decider(self.model)
            self.prepared = scoring_steps.features(self, decider)
            self.plan = scoring_steps.divide(self, decider)
        self.shards = list(self.plan.shards)
        self.next(self.score, foreach="shards")

    @resources(cpu=1, memory=4000)
    @card(type="blank", id="shard", refresh_interval=15)  # a refresh is a process of its own
    @step
    def score(self):
        """Judge, score and write one shard."""
        import cards
        import scoring_steps

        from credit import cores
        from credit.scoring import shards

        threads = cores.share(parallel(len(self.plan.shards)))
        with plainly():
            title = f"Shard {self.input.number + 1} of {len(self.plan.shards)}"
            report = reporter(title, cards.progress(current.card["shard"], title))
            options = {"reasons": self.reasons, "threads": threads, "report": report}
            self.done = shards.score(self.plan, self.input, scoring_steps.decider(self.model), **options)
        self.next(self.join)

    @card(type="blank", id="book")
    @step
    def join(self, inputs):
        """Put the parts together, and record the run."""
        import cards
        import scoring_steps

        self.merge_artifacts(inputs, include=["model", "prepared", "plan"])
        with plainly():
            self.total = scoring_steps.add(self, inputs)
            self.files = scoring_steps.join(self)
            self.summary = scoring_steps.summary(self)
            self.summary["event"] = scoring_steps.record(self.summary)
        cards.scoring(current.card["book"], self.summary)
        self.next(self.end)

    @step
    def end(self):
        """Remove what was needed on the way, and print the summary."""
        import scoring_steps

        scoring_steps.clear(self)
        scoring_steps.show(self.summary, current.run_id)


if __name__ == "__main__":
    prepare()
    with verdict():
        ScoringFlow()
