"""TrainingFlow: raw rows in, a gated and registered model out.

python flows/training.py run                                        the embedded synthetic book
python flows/training.py run --data FOLDER                          the lender's own files
python flows/training.py run --portfolio my.toml --data my.csv      a book of one's own
"""

from launch import parallel, plainly, prepare, reason, reporter, verdict
from metaflow import FlowSpec, Parameter, card, catch, current, resources, step, trigger
from orchestration import TRIGGER

from credit.portfolio import DEFAULT  # at module top, so that Metaflow packs `credit` for a cluster


@trigger(event=TRIGGER)  # on Argo Workflows, an alert of MonitoringFlow starts this flow; elsewhere it does nothing
class TrainingFlow(FlowSpec):
    """Train candidates side by side, choose by business cost, judge once on test, gate, register.

    1. start: read, check, turn into features, split; nothing is fitted yet
    2. select: the features worth their place, inside train
    3. fit: each candidate searches and calibrates inside train, side by side
    4. choose: the lowest validation cost wins, and the threshold is picked
    5. evaluate: the one look at the test rows; the trained model is kept in the workspace
    6. register: the gate compares with the champion; the version is registered either way
    7. end: print the summary
    """

    data = Parameter("data", default=None, help="A folder, a file or a database URL; default: synthetic rows.")
    portfolio = Parameter("portfolio", default=DEFAULT, help="A portfolio's name or its TOML file.")
    clients = Parameter("clients", default=10_000, type=int, help="Size of the synthetic book.")
    seed = Parameter("seed", default=None, type=int, help="For everything random; default: the portfolio's.")
    candidates = Parameter("candidates", default="", help="Only these, separated by commas.")
    accept_new_contract = Parameter(
        "accept-new-contract",
        default=False,
        type=bool,
        help="Promote although the champion cannot be scored on today's features.",
    )
    monitoring = Parameter("monitoring", default="", help="The run of MonitoringFlow that asked for this one, if any.")

    @card(type="blank", id="data")
    @step
    def start(self):
        """Read, check, turn into features, split."""
        import cards

        from credit.home import Home
        from credit.portfolio import load
        from credit.training.candidates import candidates, competing
        from credit.training.dataset import embedded, prepare

        with plainly():
            self.book = load(self.portfolio).seeded(self.seed)
            named = candidates(self.book, tuple(name for name in self.candidates.split(",") if name))
            workspace = Home.here().workspace
            source = self.data or embedded(self.book, self.clients, workspace)
            self.dataset = prepare(self.book, source, workspace)
            self.field = competing(named, self.book, self.dataset.tables)
        cards.data(current.card["data"], self.book, self.dataset)
        self.next(self.select)

    @card(type="blank", id="selection", refresh_interval=15)
    @step
    def select(self):
        """Find the features worth their place, for the candidates that read only those."""
        import cards

        from credit import cores
        from credit.features import definitions
        from credit.training.selection import select

        features = definitions(self.book, self.dataset.tables)
        with plainly():
            bar = cards.progress(current.card["selection"], "Selection of features")
            report = reporter("selection", bar)
            self.selection = None
            if any(candidate.features == "selected" for candidate in self.field):
                train = self.dataset.load("train")
                self.selection = select(train, self.book, features, threads=cores.available(), report=report)
        cards.selection(current.card["selection"], self.selection, features, self.dataset)
        self.next(self.fit, foreach="field")

    @catch(var="failure")
    @resources(cpu=1, memory=4000)
    @card(type="blank", id="candidate", refresh_interval=15)  # a refresh is a process of its own
    @step
    def fit(self):
        """Search, stop early and calibrate one candidate inside train."""
        import cards

        from credit import cores
        from credit.features import definitions
        from credit.training.candidates import read_by
        from credit.training.search import fit

        self.candidate = self.input
        threads = cores.share(parallel(len(self.field)))
        features = read_by(self.candidate, definitions(self.book, self.dataset.tables), self.book, self.selection)
        with plainly():
            report = reporter(self.candidate.name, cards.progress(current.card["candidate"], self.candidate.label.en))
            train, self.validation = self.dataset.load("train"), self.dataset.load("validation")
            self.fitted = fit(self.candidate, train, self.book, features, threads=threads, report=report)
            self.probability = self.fitted.predict(self.validation)
        cards.candidate(
            current.card["candidate"], self.fitted, self.validation, self.probability, self.dataset, self.book
        )
        self.next(self.choose)

    @card(type="blank", id="leaderboard")
    @step
    def choose(self, inputs):
        """Pick the lowest validation cost, and the threshold."""
        import cards

        from credit.training.choice import choose

        self.merge_artifacts(inputs, include=["book", "dataset", "selection"])
        done = [task for task in inputs if not task.failure]
        self.failures = {task.input.name: reason(task.failure) for task in inputs if task.failure}
        with plainly():
            outcomes = self.dataset.load("validation")[self.book.target]
            self.fitted = {task.candidate.name: task.fitted for task in done}
            references = frozenset(name for name, fitted in self.fitted.items() if fitted.candidate.reference)
            predicted = {task.candidate.name: task.probability for task in done}
            self.choice = choose(outcomes, predicted, references, self.book.costs)
        cards.leaderboard(current.card["leaderboard"], self.choice, self.failures, self.dataset)
        self.next(self.evaluate)

    @card(type="blank", id="evaluation")
    @step
    def evaluate(self):
        """Judge the winner on the test rows, once, and keep it in the workspace."""
        import cards

        from credit.features import definitions
        from credit.governance.assessment import assess
        from credit.governance.keeping import keep
        from credit.home import Home
        from credit.scoring.export import export

        features = definitions(self.book, self.dataset.tables)
        with plainly():
            winner, train = self.fitted[self.choice.winner], self.dataset.load("train")
            scorer = export(winner, self.book, features, self.choice.threshold, train)
            self.assessment = assess(scorer, self.fitted, self.choice, self.dataset, self.book, features)
            figures = cards.figures(self.assessment, self.choice, self.dataset, self.book)
            run = (self.fitted, self.choice, self.assessment, self.dataset, self.book)
            asked = {"monitoring_run": self.monitoring} if self.monitoring else {}
            self.release = keep(scorer, *run, Home.here(), current.pathspec, figures, asked)
        cards.evaluation(current.card["evaluation"], self.assessment, self.choice, self.dataset, figures)
        self.next(self.register)

    @card(type="blank", id="verdict")
    @step
    def register(self):
        """Gate against the champion; register either way."""
        import cards
        import summary

        from credit.governance import submission
        from credit.home import Home

        with plainly():
            done = submission.submit(self.release, Home.here(), accept_new_contract=self.accept_new_contract)
        self.verdict, self.version = done.verdict, done.version.number
        cards.verdict(current.card["verdict"], self.verdict, self.version, self.dataset)
        self.summary = summary.gather(self, cards.kpis(self.assessment.kpis))
        self.next(self.end)

    @step
    def end(self):
        """Print the summary, and how to see more."""
        import summary

        summary.show(self.summary, current.run_id)


if __name__ == "__main__":
    prepare()
    with verdict():
        TrainingFlow()
