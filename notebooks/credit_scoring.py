# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: jupytext,kernelspec,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Credit scoring in twelve steps
#
# From raw tables to one applicant's decision that can be defended a year later. Every step calls the library
# `credit`, the same code that trains, serves and watches the model in production; this notebook only says what to
# look at, and why.
#
# | | | |
# |---|---|---|
# | 1 question | 2 data | 3 contract |
# | 4 exploration | 5 split | 6 imputation and imbalance |
# | 7 candidates and search | 8 cost and threshold | 9 explanation |
# | 10 registration | 11 drift | 12 decision |
#
# Each step opens with its question, shows the mistake that is made there most often, and ends with something to try.
# Run the cells from top to bottom; all of them together take two to three minutes.
#
# **The data are synthetic** unless you name your own: no row belongs to a real person, and no figure below says
# anything about a real loan book.

# %%
import os
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from IPython import display as screen

from credit import console

console.quiet()  # no library may report anything to anybody: before the others are imported
warnings.filterwarnings("ignore", "IProgress not found")  # bars of progress are not needed here

# Yours to change, here or as environment variables.
DATA = os.environ.get("CREDIT_NOTEBOOK_DATA", "")  # a folder with Home Credit's tables; empty: synthetic clients
CLIENTS = int(os.environ.get("CREDIT_NOTEBOOK_CLIENTS", "3000"))  # how many of them
FOLDER = os.environ.get("CREDIT_NOTEBOOK_HOME", "")  # where the notebook keeps its state
SERVER = os.environ.get("MLFLOW_TRACKING_URI", "")  # MLflow; empty: a file of the notebook's own

# %% [markdown]
# **What this notebook touches.** It has a home of its own, the folder `notebook` inside `CREDIT_HOME`: features,
# ledger and, where no `MLFLOW_TRACKING_URI` is set, its MLflow too. Where one is set, as in the project's containers,
# the runs are to be seen on that server, under a registered model of another name, `credit-home_credit_notebook`. The
# real champion and the real ledger are out of reach: reading a lesson must not change who gets a loan.

# %%
import credit
from credit import plots
from credit.plots import sheet

home = credit.Home(Path(FOLDER or Path(os.environ.get("CREDIT_HOME") or ".credit") / "notebook"), tracking_uri=SERVER)
lender = credit.load_portfolio("home_credit")
name = f"{lender.name}_notebook"
book = replace(lender, name=name, text=lender.text.replace(f'name = "{lender.name}"', f'name = "{name}"', 1))


def show(figure):
    """Show a figure of `credit.plots`, with its title for those who cannot see it."""
    screen.display(screen.Image(plots.to_png(figure), alt=figure.texts[0].get_text()))


def table(frame, form="{:.3f}", **forms):
    """Show a table: numbers in one form, some columns in their own."""
    numbers = dict.fromkeys(frame.select_dtypes("float").columns, form)
    screen.display(frame.style.format(numbers | forms, na_rep="", escape="html").hide(axis="index"))


print(f"Model: credit-{book.name}, kept at {'the MLflow server' if SERVER else 'a file of this notebook'}")

# %% [markdown]
# ## 1. Question
#
# **Which applicants should get the loan they ask for?**
#
# *Prêt à dépenser* lends to people with little or no credit history. A model cannot say who will repay. It can say
# how *probable* a default is, and a decision follows once we know what each kind of error costs.
#
# | | would repay | would default |
# |---|---|---|
# | **approved** | right, costs nothing | a **missed default**: most of the principal is gone |
# | **refused** | a **lost good client**: the interest is forgone | right, costs nothing |
#
# Why it matters: the two errors are not alike. The lender puts the first at ten times the second, and everything that
# follows, from the search of settings to the threshold and the gate, is judged in that unit. The costs stand in the
# portfolio file, where a business person can read and change them.

# %%
costs = book.costs
print(f"A missed default costs {costs.false_negative:g}, a lost good client {costs.false_positive:g}.")
print(f"Refuse where the probability of default is at least {costs.threshold:.4f}: why, comes in step 8.")

# %% [markdown]
# **A mistake to avoid.** To start with "let us reach a high accuracy". Accuracy counts both errors alike; nobody who
# pays for them does.
#
# **Try it.** A second lender finances cars. When a client defaults, the car is sold and only 3 units are lost. From
# which probability on would you refuse? (Guess, then compute `replace(costs, false_negative=3).threshold`.)

# %% [markdown]
# ## 2. Data
#
# **What do we know about an applicant on the day of the application, and who says so?**
#
# Seven tables: the application itself, and histories with many rows per client: credits at other lenders, earlier
# applications, instalments paid. The target is 1 where the client had payment difficulties.
#
# Why it matters: a column is only worth something if its value was known *on that day*. In these tables days are
# counted back from the application, so a positive day lies in the future, and must never reach a model.

# %%
from credit.data.tables import open_tables

source = DATA or credit.embedded(book, CLIENTS, home.workspace)
tables = open_tables(book, source)
sizes = [(book.tables[each].label.en, rows.count().to_pandas(), len(rows.columns)) for each, rows in tables.items()]
table(pd.DataFrame(sizes, columns=["table", "rows", "columns"]), rows="{:,}")

raw = tables[book.main].limit(300).to_pandas()
shown = ["SK_ID_CURR", "TARGET", "AMT_INCOME_TOTAL", "AMT_CREDIT", "DAYS_BIRTH", "DAYS_EMPLOYED", "EXT_SOURCE_1"]
few = pd.concat([raw.head(3), raw[raw["DAYS_EMPLOYED"].astype(float) == 365_243].head(1)])
table(few[shown], "{:,.0f}", EXT_SOURCE_1="{:.3f}")

# %% [markdown]
# **Look at** `DAYS_EMPLOYED`: 365243 days would be a thousand years in a job that has not begun. It is a code for "no
# job". And `EXT_SOURCE_1`, a score from outside, is missing for many.
#
# **A mistake to avoid.** To take such codes for numbers. A mean over that column would be nonsense, and a model would
# learn a pensioner's job of a thousand years.
#
# **Try it.** `DAYS_BIRTH` is the age in days, negative. What is the age of the first client in years?

# %% [markdown]
# ## 3. Contract
#
# **Do the rows keep what was promised about them?**
#
# The portfolio file promises for each column its type, range, levels, and whether it may be missing. The contract
# holds every cell against that. What is harmless is mended and *counted*; what is not refuses the data, all
# violations at once.
#
# Why it matters: a wrong unit does not crash a model. It makes wrong decisions, quietly, for months.
#
# The next cell does the contract together with what follows it: features are computed, and the clients are dealt out
# (step 5).

# %%
dataset = credit.prepare(book, source, home.workspace)
features = credit.definitions(book, dataset.tables)
made_up = dataset.synthetic
kind = "SYNTHETIC" if made_up else "real"
print(f"{dataset.rows:,} {kind} clients, {len(features)} features each")
found = pd.DataFrame(dataset.findings)
table(found[["table", "column", "rule", "count", "remedy"]] if len(found) else found, count="{:,}")

# %% [markdown]
# Now break it. Six cells of 300 rows are spoilt, each as it happens in practice: a sign lost, a level nobody knows, a
# value from the future, an outcome that is no outcome, a client who is there twice.

# %%
from credit.data import contract
from credit.errors import ContractError

broken = raw[[each for each in raw.columns if each in book.columns]].copy()
broken.loc[[3, 8], "AMT_CREDIT"] *= -1
broken.loc[5, "NAME_EDUCATION_TYPE"] = "Academic degre"
broken.loc[7, "DAYS_BIRTH"] = 12_000
broken.loc[11, "TARGET"] = 2
broken.loc[20, "SK_ID_CURR"] = broken.loc[21, "SK_ID_CURR"]
(spoilt := home.workspace / "spoilt.csv").write_text(broken.to_csv(index=False), encoding="utf-8")
try:
    contract.check(book, open_tables(book, spoilt))
except ContractError as refusal:
    print(refusal)

# %% [markdown]
# **Look at** what each line names: where, which rule, how often, the first rows with their values, and what to do.
# Nobody has to run it five times to find five faults.
#
# **A mistake to avoid.** `dropna()` at the top of a notebook. It removes the clients with the thinnest files, the
# very people this lender wants to serve, and nobody is told how many.
#
# **Try it.** Write a number into `NAME_CONTRACT_TYPE`, or "unknown" into `AMT_INCOME_TOTAL`. Which of your faults is
# found?

# %% [markdown]
# ## 4. Exploration
#
# **Who defaults, how often, and how sure can we be?**
#
# Why it matters: pictures form the ideas that become features. That is also the danger: whoever looks at test rows
# has used them, with their own head as the model. So the clients were dealt out before the first picture, and only
# **train rows** are looked at here.

# %%
train, validation = dataset.load("train"), dataset.load("validation")
outcome = train[book.target]
counts = outcome.value_counts().reindex([0, 1])

figure, (ax,) = sheet.blank("The target is unbalanced", "Clients of train by outcome.", 2.0, synthetic=made_up)
bars = ax.barh(sheet.lines(ax, ["repaid", "defaulted"]), counts, color=[sheet.SKY, sheet.VERMILION], height=0.6)
ax.bar_label(bars, [f"{count:,}  ({count / len(train):.1%})" for count in counts], padding=4)
ax.margins(x=0.25)
show(figure)

# %% [markdown]
# ### The trap of accuracy
#
# A "model" that has learnt nothing and says *everyone repays* is right for each client who does:

# %%
from credit.evaluation.cost import losses

nobody, everybody = np.zeros(len(train), dtype=bool), np.ones(len(train), dtype=bool)
naive = [
    ("everyone repays: approve all", float(np.mean(outcome == 0)), losses(outcome, nobody, costs).mean()),
    ("nobody does: refuse all", float(np.mean(outcome == 1)), losses(outcome, everybody, costs).mean()),
]
table(pd.DataFrame(naive, columns=["policy", "accuracy", "cost per applicant"]), accuracy="{:.1%}")

# %% [markdown]
# **Look at** the first line: an accuracy that many projects would be proud of, and it is of no use to anyone: it
# finds not a single default. The cost says so. From here on the cost per applicant is the figure to beat, and both
# lines are floors that the gate of step 10 will check.
#
# ### What is missing
#
# A file with gaps is itself a fact about a client. The next picture shows the columns of the application that lack
# most, the one after it whether those who lack a value default more often.

# %%
application = [each for each in features if each.tables == {book.main}]
asked = [each for each in application if each.name in book.columns]
label = {each.name: each.label.en for each in features}
absent = train[[each.name for each in asked]].isna().mean().sort_values(ascending=False)

figure, (ax,) = sheet.blank("What is missing", "Share of train clients without a value.", 4.2, synthetic=made_up)
strongest = absent.head(12)
bars = ax.barh(sheet.lines(ax, [label[each] for each in strongest.index]), strongest, color=sheet.BLUE, height=0.6)
ax.bar_label(bars, [f"{share:.0%}" for share in strongest], padding=3, fontsize=sheet.SMALL)
ax.xaxis.set_major_formatter(sheet.percent(strongest))
show(figure)

# %%
from credit.evaluation.intervals import wilson


def rates(groups, title, subtitle, columns):
    """Draw the default rate of groups of train clients with 95% intervals, one panel for each series of groups."""
    figure, axes = sheet.blank(title, subtitle, 3.2, synthetic=made_up, columns=columns)
    highest = 0.0
    for ax, (what, series) in zip(axes, groups.items(), strict=True):
        seen = outcome.groupby(series, observed=True).agg(["sum", "count"])
        low, high = wilson(seen["sum"], seen["count"])
        rate = (seen["sum"] / seen["count"]).to_numpy()
        at = np.arange(len(seen))
        ax.errorbar(at, rate, [rate - low, high - rate], fmt="o", color=sheet.BLUE, capsize=3)
        ax.set_xticks(at, [str(each) for each in seen.index], fontsize=sheet.SMALL)
        ax.margins(x=0.15)
        highest = max(highest, float(np.max(high)))
        ax.yaxis.set_major_formatter(sheet.percent([0.2]))
        sheet.name_axes(ax, what)
    axes[0].set_ylim(0, 1.05 * highest)
    axes[0].set_ylabel("default rate", fontsize=sheet.NORMAL)
    show(figure)


def given(name):
    """Say of each train client whether a value is there."""
    return np.where(train[name].isna(), "missing", "given")


lacking = {label[each]: given(each) for each in ("EXT_SOURCE_1", "EXT_SOURCE_3", "AMT_REQ_CREDIT_BUREAU_YEAR")}
rates(lacking, "Does a gap say something?", "Default rate by whether the value is there; bars are 95% intervals.", 3)

# %% [markdown]
# **Look at** the bars before the dots. Where two bars overlap widely, the rows do not tell whether the gap means
# anything; where they are apart, to fill the gap and forget it would throw a fact away (step 6).
#
# ### Income, age, and a score from outside

# %%
FIFTHS = np.linspace(0, 1, 6)


def fifths(values, form):
    """Part train clients into five groups of about equal size, named by where they begin."""
    edges = np.unique(np.nanquantile(values, FIFTHS))
    return pd.cut(values, edges, labels=[form.format(edge) for edge in edges[:-1]], include_lowest=True)


groups = {
    "income in thousands, from": fifths(train["AMT_INCOME_TOTAL"] / 1000, "{:.0f}"),
    "age in years, from": fifths(train["DAYS_BIRTH"] / -365.25, "{:.0f}"),
    "external score 2, from": fifths(train["EXT_SOURCE_2"], "{:.2f}"),
}
rates(groups, "Who defaults", "Default rate by fifths of the train clients; bars are 95% intervals.", 3)

# %% [markdown]
# **Look at** the slopes: the external score separates clients far better than income does. Age shows a slope too, and
# age is delicate: a lender may use it within the law, so the model reads it and every report shows what becomes of
# each age group. Gender and family status are in no picture here, because no model reads them: they are kept apart,
# for the audit alone.
#
# **A mistake to avoid.** To read a pattern into dots whose bars overlap. With few defaults in a group, the rate is
# loose, however many decimals it has.
#
# **Try it.** Draw the same for `AMT_CREDIT` or `DAYS_EMPLOYED`. Would you have guessed the direction?

# %% [markdown]
# ## 5. Split
#
# **Which rows may teach the model, and which may only judge it?**
#
# * **train** teaches: features are selected, settings searched, probabilities calibrated inside it
# * **validation** chooses: which candidate, which threshold
# * **test** judges, **once**, in step 8; nothing is chosen after that look
#
# A client's fold is a salted hash of the client number, and of nothing else.

# %%
from credit.training.split import assign

split = [
    (fold, size["rows"], size["rows"] / dataset.rows, size["defaults"] / size["rows"])
    for fold, size in dataset.sizes.items()
]
table(pd.DataFrame(split, columns=["fold", "clients", "share", "default rate"]), "{:.1%}", clients="{:,}")
keys = raw[book.key].head(8).tolist()
for client, fold in zip(keys, assign(keys, book.split), strict=True):
    print(f"client {client}: {fold}; asked alone: {assign([client], book.split)[0]}")

# %% [markdown]
# Why a hash and not `train_test_split`? Because a client stays where they are when rows are added, removed or sorted.
# Next year's training will put the same people into test, so today's champion and next year's challenger can be
# compared on clients whom neither was trained on. And all rows of a client's history are on one side.
#
# ### A leak, made on purpose
#
# The next cell lets 2,000 columns of **pure noise** predict default. The twenty that go best with the outcome are
# kept and added up. One team chooses them on all its rows, "before the split"; the other inside train only. (The
# held-out rows are validation's.)

# %%
from credit.evaluation.metrics import auc_interval

rng = np.random.default_rng(0)
known = pd.concat([train, validation])[book.target].to_numpy()
noise = rng.normal(size=(len(known), 2_000))
inside = np.arange(len(known)) < len(train)


def judged(rows):
    """Choose twenty noise columns on `rows`, and judge their sum on the held-out ones."""
    along = (noise[rows] * (known[rows] - known[rows].mean())[:, None]).mean(axis=0)
    best = np.argsort(-np.abs(along))[:20]
    score = noise[~inside][:, best] @ np.sign(along[best])
    return auc_interval(known[~inside], 1 / (1 + np.exp(-score)))


print(f"AUC of noise, chosen on all rows:     {judged(np.ones(len(known), dtype=bool)):.3f}")
print(f"AUC of noise, chosen inside train:    {judged(inside):.3f}   (0.5 is a coin)")

# %% [markdown]
# **Look at** the first interval: noise "predicts". Nothing was fitted on the held-out rows, they only had a say in
# the *choice* of columns. That is enough.
#
# **A mistake to avoid.** Scaling, imputing, selecting or encoding on all rows before the split; early stopping on
# test; taking the threshold, or the best of five candidates, from test. Each makes the figure on test a promise that
# production will not keep.
#
# **Try it.** Keep 5 columns instead of 20, or draw 200 instead of 2,000. When is the leak at its worst?

# %% [markdown]
# ## 6. Imputation and imbalance
#
# **What becomes of gaps, and of the fact that defaults are rare?**
#
# Why it matters: both have a popular cure, and the popular cure can be worse than the complaint.
#
# ### Gaps
#
# `SimpleImputer` writes the median into the gap; with `add_indicator=True` it also adds a column that says where the
# gap was. A gradient boosted tree needs neither: at each split it learns on which side the missing ones belong.

# %%
from sklearn.impute import SimpleImputer

five = train[["EXT_SOURCE_1", "EXT_SOURCE_3"]].head(5)
imputer = SimpleImputer(strategy="median", add_indicator=True).fit(train[five.columns])
filled = pd.DataFrame(imputer.transform(five), columns=imputer.get_feature_names_out())
table(five.join(filled, rsuffix=" filled").rename(columns=lambda each: each.replace("missingindicator_", "gap in ")))

# %% [markdown]
# The medians come from train. Now the three ways compete, inside train, on the columns of the application: each
# client is scored by a model that has not seen them (three folds), and the imputer is fitted inside each fold, as
# part of the pipeline.

# %%
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from credit.training.candidates import build, ordered

some = train.sample(min(len(train), 20_000), random_state=book.training.seed)
known = some[book.target].to_numpy()
read = ordered(tuple(application))
names = [each.name for each in read]
ways = {each.name: each for each in credit.candidates(book, ("native", "imputed", "weighted"))}
folds = StratifiedKFold(book.training.folds, shuffle=True, random_state=book.training.seed)
levels = {"model__categorical_feature": list(range(sum(each.kind == "category" for each in read)))}


def unseen(way, rows=some, **settings):
    """Score each row by a quick model that has not seen it: its probability of default, as the model says it."""
    quick = {"model__n_estimators": 150, "model__learning_rate": 0.04, "model__num_leaves": 6}
    model = build(ways[way], read, threads=1, seed=book.training.seed).set_params(**quick, **settings)
    outcomes = rows[book.target].to_numpy()
    return cross_val_predict(model, rows[names], outcomes, cv=folds, method="predict_proba", params=levels)[:, 1]


plain = unseen("native")
gaps = {
    "as they are, LightGBM decides": plain,
    "median, with indicators": unseen("imputed"),
    "median, without indicators": unseen("imputed", prepare__numbers__add_indicator=False),
}
compared = [(what, f"{auc_interval(known, p):.3f}") for what, p in gaps.items()]
table(pd.DataFrame(compared, columns=["gaps in numbers", f"AUC inside train, {kind}"]))

# %% [markdown]
# **Look at** the intervals, not at the third decimal: with so few defaults the three can hardly be told apart. So the
# library does not decide the matter by opinion: "native" and "imputed" are both candidates of `python
# flows/training.py run`, and the cost on validation decides.
#
# **A mistake to avoid.** `imputer.fit(all_rows)`. The median would come from test rows too: a leak, if a small one.
# In a pipeline it cannot happen.
#
# ### Rare defaults
#
# Advice found everywhere: "the classes are unbalanced, so balance them": give defaults more weight, repeat them, or
# make new ones up (SMOTE draws points between defaulters). Four models, the same rows, each client scored by a model
# that has not seen them:

# %%
from credit.evaluation import metrics
from credit.evaluation.cost import cost_at
from credit.training import calibration


def repeated():
    """Do as `unseen`, with the defaults of each training part repeated until both outcomes are equally frequent."""
    score = np.empty(len(some))
    times = round((known == 0).sum() / (known == 1).sum())
    for learn, judge in folds.split(some, known):
        more = np.concatenate([learn, np.repeat(learn[known[learn] == 1], times - 1)])
        model = build(ways["native"], read, threads=1, seed=book.training.seed)
        model.set_params(model__n_estimators=150, model__learning_rate=0.04, model__num_leaves=6)
        model.fit(some[names].iloc[more], known[more], **levels)
        score[judge] = model.predict_proba(some[names].iloc[judge])[:, 1]
    return score


weighted = unseen("weighted")
half = np.arange(len(some)) % 2 == 0  # one half teaches the calibration, the other judges everybody
log_odds = np.log(weighted / (1 - weighted))
mended = calibration.fit("sigmoid", log_odds[half], known[half]).apply(log_odds)
balanced = {
    "as it is": plain,
    "weights balanced": weighted,
    "defaults repeated": repeated(),
    "weights balanced, then calibrated": mended,
}
rows = []
for what, p in balanced.items():
    said, truth = p[~half], known[~half]
    scores = (metrics.auc(truth, said), said.mean(), truth.mean(), metrics.brier(truth, said))
    paid = [cost_at(truth, said, threshold, costs) for threshold in (costs.threshold, 0.5)]
    rows.append((what, *scores, *paid))
columns = ["model", "AUC", "default rate said", "observed", "Brier", "cost at 1/11", "cost at 0.5"]
table(pd.DataFrame(rows, columns=columns), **dict.fromkeys(columns[2:4], "{:.1%}"))

# %%
figure, (ax,) = sheet.blank(
    "Weights make probabilities lie", "Five groups of clients by what was said.", 4, synthetic=made_up
)
for what, colour in zip(
    ("as it is", "weights balanced", "weights balanced, then calibrated"),
    (sheet.BLUE, sheet.VERMILION, sheet.ORANGE),
    strict=True,
):
    seen = metrics.calibration_table(known[~half], balanced[what][~half], bins=5)
    ax.plot(seen["mean_predicted"], seen["observed"], marker="o", color=colour, label=what)
ax.plot([0, 0.6], [0, 0.6], color=sheet.GREY, linestyle="--", label="perfect calibration")
ax.xaxis.set_major_formatter(sheet.percent([1]))
ax.yaxis.set_major_formatter(sheet.percent([1]))
sheet.name_axes(ax, "default rate said", "default rate observed")
ax.legend(frameon=False, fontsize=sheet.SMALL)
show(figure)

# %% [markdown]
# **Look at** four columns. *AUC*: balancing hardly changes who is ranked above whom. *Default rate said*: balanced
# models speak of a world with several times as many defaults as there are. *Cost at 1/11*: a threshold that is right
# for true probabilities refuses far too many when fed with these. *Cost at 0.5*: now 0.5 does nearly as well as 1/11
# did on true probabilities. That is no magic: balancing weighs a default some eleven times as much, which happens to
# be near the 10 to 1 of our costs. It is a threshold in disguise, and fits no other costs.
#
# Calibration, learnt on rows that the model has not seen, brings the scale back; then weighting is a candidate like
# any other, and in the flow it is one.
#
# SMOTE does the same to the scale, and makes up clients besides: half a university degree, three quarters of a child.
# This project does without.
#
# **A mistake to avoid.** To balance, then to find that 0.5 "works", and to call the score a probability.
#
# **Try it.** Calibrate "defaults repeated" the same way. Do you come to the same place?

# %% [markdown]
# ## 7. Candidates and search
#
# **Which model, with which settings, costs least on clients it was not trained on?**
#
# Why it matters: a single model has no yardstick. Here two candidates compete beside a reference, a logistic
# scorecard as banks have used for decades; if the new cannot beat it, take the old.
#
# * `HalvingGridSearchCV` gives all settings a few trees, keeps the best third, gives these three times as many, and
#   so on. What "best" means is the **business cost**, not AUC.
# * Early stopping finds the number of trees, on folds of train.
# * The scores of rows not seen choose the calibration: none, sigmoid or isotonic.
#
# All of it happens inside train. `python flows/training.py run` does the same with all eight, side by side, as many
# at a time as there are cores.

# %%
from credit.training.candidates import competing, read_by
from credit.training.selection import select

competitors = competing(credit.candidates(book, ("application", "weighted", "scorecard")), book, dataset.tables)
selection = select(train, book, features)
print(selection.method)
fitted = {}
for each in competitors:
    fitted[each.name] = credit.fit(each, train, book, read_by(each, features, book, selection))
    done = fitted[each.name]
    print(f"{each.label.en}: {len(done.features)} features, calibration {done.calibration.method}, {done.parameters}")

# %%
rounds = fitted["application"].halving
settings = [each for each in rounds if each not in ("round", "trees", "cost")]
words = rounds[settings].apply(lambda row: ", ".join(f"{each} {row[each]:g}" for each in settings), axis=1)
show(plots.halving_plot(rounds.rename(columns={"trees": "resource"}).assign(setting=words), synthetic=made_up))
show(
    plots.stopping_plot(
        fitted["application"].curve, fitted["application"].parameters["n_estimators"], synthetic=made_up
    )
)

# %% [markdown]
# **Look at** the right end of the second picture: after the dashed line the loss of unseen rows no longer falls,
# while that of the training rows (not shown) would fall for ever. And at the first: the best setting with few trees
# need not be the best with many.
#
# Now validation rows choose.

# %%
references = frozenset(each.name for each in competitors if each.reference)
predicted = {each: model.predict(validation) for each, model in fitted.items()}
choice = credit.choose(validation[book.target], predicted, references, costs)
board = choice.leaderboard
show(plots.leaderboard_plot(board.rename(columns={"candidate": "name"}), synthetic=made_up))
table(board[["candidate", "cost", "auc", "brier", "cost_at_half", "probability_cheaper"]])
print(f"Winner on validation: {choice.winner}")

# %% [markdown]
# **Look at** `probability_cheaper` (one half for the winner against itself): how sure we can be that the winner is
# cheaper than each other one, on the same clients. The intervals of the picture overlap, and yet a paired comparison
# can be sharp, because the same hard clients are in both.
#
# **A mistake to avoid.** To tune F1 and to claim a 10 to 1 cost. Or to keep searching until validation looks good:
# validation is used up by looking, only more slowly than test. That is why it does not get the last word.
#
# **Try it.** Add "monotone" to the candidates: its score may only rise where the domain says that risk rises. What
# does that certainty cost?

# %% [markdown]
# ## 8. Cost and threshold
#
# **From which probability on do we refuse?**
#
# Why it matters: the same model at another cut is another lender. No setting moves the cost as much as this one.
#
# For a client whose probability of default is *p*, approving costs 10 *p* on average, refusing costs 1 - *p*. The
# lines cross at *p* = 1/(1 + 10) = **1/11**, about 9.1%. Left of it approving is cheaper, right of it refusing.

# %%
p = np.linspace(0, 0.3, 50)
figure, (ax,) = sheet.blank(
    "Where the two errors weigh the same", "Expected cost of each decision.", 3.4, synthetic=False
)
ax.plot(p, costs.false_negative * p, color=sheet.VERMILION, label="approve")
ax.plot(p, costs.false_positive * (1 - p), color=sheet.BLUE, label="refuse")
ax.axvline(costs.threshold, color=sheet.INK, linestyle="--", label=f"threshold {costs.threshold:.1%}")
ax.xaxis.set_major_formatter(sheet.percent([0.3]))
sheet.name_axes(ax, "probability of default of one applicant", "expected cost")
ax.legend(frameon=False, fontsize=sheet.SMALL)
show(figure)

# %% [markdown]
# That is theory, and it holds for *true* probabilities. Validation rows say whether it holds for ours: each cut is
# tried, and the cheapest is set beside 1/11. Theory stays unless another threshold is *surely* cheaper, judged on
# rows it was not chosen on.

# %%
from credit.evaluation.cost import cost_curve

curve = cost_curve(validation[book.target], predicted[choice.winner], costs)
show(plots.cost_curve_plot(curve, choice.threshold, costs.threshold, synthetic=made_up))
gap = choice.gap
print(f"cheapest on validation: {gap.empirical:.4f}; theory: {gap.theoretical:.4f}")
print(f"chosen on other rows, it changes the cost by {gap.comparison.difference:+.4f}")
print(f"in use: {choice.threshold:.4f}, the {choice.rule} one")

# %% [markdown]
# **Look at** how flat the curve is around its lowest point, and how wide the interval of the "best" threshold. A
# threshold tuned to the third decimal is tuned to the accidents of a few hundred clients.
#
# ### The one look at test
#
# Model and threshold stand. Now, and only now, the test rows are read, once, and every figure is taken from that one
# look. Whatever it says, nothing is changed afterwards.

# %%
scorer = credit.export(fitted[choice.winner], book, features, choice.threshold, train)
assessment = credit.assess(scorer, fitted, choice, dataset, book, features)

policies = assessment.policies
right = 1 - (policies["false_negatives"] + policies["false_positives"]) / dataset.sizes["test"]["rows"]
told = policies.assign(accuracy=right)[["policy", "accuracy", "approval_rate", "cost", "saving", "probability_cheaper"]]
table(told, accuracy="{:.1%}", approval_rate="{:.1%}")
drawn = {
    "policies": plots.policies_plot(policies, synthetic=made_up),
    "confusion": plots.confusion_plot(assessment.confusion, synthetic=made_up),
}
for each in drawn.values():
    show(each)
cost = assessment.metrics["cost"]
print(f"Cost per {kind} applicant on test: {cost:.3f}")
print(f"Saved against refusing all: {policies.set_index('policy').loc['refuse all', 'saving']:.3f}")

# %% [markdown]
# **Look at** accuracy and cost side by side: the model is right *less* often than "approve all", and costs less. At
# 0.5 hardly anybody is refused: a calibrated probability of default above one half is rare, so 0.5 approves nearly
# everyone.
#
# The four fields of the second picture are in units of cost. A few missed defaults weigh as much as a crowd of good
# clients refused: that is what 10 to 1 means.
#
# ### Does the model rank well, and do its probabilities come true?

# %%
cuts = assessment.curve
good, bad = cuts["false_positives"].iloc[0], cuts["false_negatives"].iloc[-1]  # refusing all; approving all
hits = bad - cuts["false_negatives"]
roc = pd.DataFrame({"false_positive_rate": cuts["false_positives"] / good, "true_positive_rate": hits / bad})[::-1]
some_refused = hits + cuts["false_positives"] > 0
found = pd.DataFrame({"recall": hits / bad, "precision": hits / (hits + cuts["false_positives"])})[some_refused][::-1]
chosen = int(np.searchsorted(cuts["threshold"], scorer.threshold))
in_use = (hits[chosen] / bad, hits[chosen] / (hits[chosen] + cuts["false_positives"][chosen]))

drawn |= {
    "roc": plots.roc_plot(roc, f"{assessment.metrics['auc']:.3f}", synthetic=made_up),
    "precision_recall": plots.precision_recall_plot(
        found, f"{assessment.metrics['average_precision']:.3f}", bad / (good + bad), in_use, synthetic=made_up
    ),
    "calibration": plots.calibration_plot(assessment.calibration, synthetic=made_up),
    "scores": plots.score_plot(assessment.scores, scorer.threshold, synthetic=made_up),
}
for each in list(drawn.values())[2:]:
    show(each)
measured = [(each.replace("_", " "), f"{value:.3f}") for each, value in assessment.metrics.items()]
table(pd.DataFrame(measured, columns=["measure", f"on {kind} test clients, with 95% interval"]))

# %% [markdown]
# **Look at** each picture with its question:
#
# * *ROC*: how well are clients **ranked**? It does not see the scale, and so not whether probabilities are right.
# * *Precision and recall*: of those refused, how many would really have defaulted? Most would have repaid, and it is
#   still worth it: at 10 to 1, one default found pays for ten good clients refused. This is the picture for rare
#   defaults; ROC looks kinder.
# * *Calibration*: of those of whom we say 10%, does one in ten default? The threshold 1/11 stands or falls with this
#   line.
# * *Scores by outcome*: the two humps overlap. No model will part them; the question was only ever what to do about
#   it.
#
# **A mistake to avoid.** To see a disappointing figure here, to go back and change something, and to look again. Then
# test is validation, and there is no test any more. And: to report the saving without its interval.
#
# **Try it.** What would the cost at 1/11 be if every probability were twice too high? (Use *validation*:
# `cost_at(validation[book.target], np.minimum(2 * predicted[choice.winner], 1), costs.threshold, costs)`.)

# %% [markdown]
# ## 9. Explanation
#
# **What does the model look at, and why did this client get this score?**
#
# Why it matters: whoever is refused has a right to the principal reasons (in the United States, 12 CFR 1002.9), and
# whoever approves the model wants to see that it looks at what a lender would look at.
#
# SHAP values part a score exactly: the average score, plus one value for each feature, is the client's score.
# `mean(|value|)` over many clients is a feature's global importance.

# %%
important = assessment.importance
levels_as_grey = assessment.shap_rows.apply(pd.to_numeric, errors="coerce").to_numpy(float)
show(
    plots.importance_plot(
        important.rename(columns={"mean_abs": "importance"})[["label", "importance"]].rename(
            columns={"label": "feature"}
        ),
        synthetic=made_up,
    )
)
swarm = plots.beeswarm_plot(
    [label[each] for each in assessment.shap], assessment.shap.to_numpy(), levels_as_grey, synthetic=made_up
)
show(swarm)

# %% [markdown]
# **Look at** the second picture: each dot is a client. Yellow dots on the left say that a high value lowers the risk.
# Grey dots are clients without a value (or features that are no numbers); they have a place of their own, as step 6
# promised.
#
# ### One applicant
#
# A client of validation just above the threshold. Features are gathered into *concepts*, in which people can think.

# %%
from credit.scoring.explain import explain

above = predicted[choice.winner] - scorer.threshold
client = validation.iloc[[int(np.where(above >= 0, above, 1).argmin())]]
(explained,) = explain(scorer, features, client)
effects = [(book.concepts[each.name].en, each.log_odds, each.probability) for each in explained.concepts]
taken_apart = pd.DataFrame(effects, columns=["name", "effect", "in probability"])
ends = (explained.base, explained.base_probability), (explained.raw, explained.probability)
show(plots.waterfall_plot(taken_apart, *ends, synthetic=made_up))
table(taken_apart.head(4), "{:+.3f}", **{"in probability": "{:+.2%}"})
print(f"base + all effects = {explained.base + taken_apart['effect'].sum():+.6f}, the score {explained.raw:+.6f}")

# %% [markdown]
# ### Log-odds are not probabilities
#
# The effects add up in log-odds. The same step means something else from another place:

# %%
start = np.array([0.01, 0.05, 0.10, 0.50])
moved = 1 / (1 + np.exp(-(np.log(start / (1 - start)) + 0.5)))
steps = pd.DataFrame({"from": start, "a step of +0.5 leads to": moved, "in points": 100 * (moved - start)})
table(steps, "{:.1%}", **{"in points": "{:+.1f}"})

# %% [markdown]
# **A mistake to avoid.** To write "this feature adds 0.5 to the probability". It adds 0.5 to the log-odds, and what
# that is worth depends on all the others. The column *in probability* above shares out the whole way between average
# and applicant; the signs and ranks stay. Another: to read importance as cause. "The score from outside matters" does
# not mean that raising it would make anyone repay.
#
# **Try it.** Explain a client far below the threshold. Which concepts speak *for* them?

# %% [markdown]
# ## 10. Registration
#
# **May this model decide, and will we know in a year what it was?**
#
# Why it matters: "the file on my laptop" cannot be audited. A registered version is text, with a hash, the data's
# hash, the commit, all candidates, and the gate's verdict.
#
# The gate asks on the same test decisions: is it cheaper than treating everyone alike? are its probabilities true? is
# it as good as cross-validation said? are its errors alike between groups? And if there is a champion: is the
# challenger *surely* cheaper than it? Nobody needs to be in the room.

# %%
from credit.governance.keeping import keep
from credit.governance.submission import submit

run = f"Notebook/{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
pictures = {f"{each}.png": plots.to_png(figure) for each, figure in drawn.items()}
release = keep(scorer, fitted, choice, assessment, dataset, book, home, run, pictures)
done = submit(release, home)
print(f"Verdict: {done.verdict.summary}")
table(done.verdict.frame()[["rule", "figure", "limit", "outcome"]])

# %%
registry = credit.Registry(book.name, home)
champion = registry.champion()
print(f"Registered: {done.version}, by the verdict '{done.version.outcome}'")
print(f"Champion: {champion or 'none: the gate refused, and that is its job'}")
version = champion or done.version
if version != champion:
    print("The steps below use the refused version, to show how; it decides on nobody.")
told = [(event.kind, str(event.payload.get("version") or event.payload.get("to"))) for event in registry.history()]
table(pd.DataFrame(told, columns=["in the ledger", "version"]))

# %% [markdown]
# **Look at** "not judged" beside age: it is measured and shown in every verdict, and stops no model by itself. Others
# pass because their interval is wide: with few clients the gate cannot *prove* a difference between groups. A pass is
# not a proof that there is none.
#
# **A mistake to avoid.** To save a pickle and to load it next year, with other libraries, from a share that anybody
# can write to: unpickling runs whatever code is in it. Here nothing is unpickled, and a bundle whose hash is not the
# registered one is not opened.
#
# **Try it.** Run this step again. What does the gate say to a model that is already champion? Then set `CLIENTS` to
# 6000 and run everything: does more data make a challenger that is *surely* cheaper?

# %% [markdown]
# ## 11. Drift
#
# **Are today's applicants still those whom the model knows, and what does it cost if not?**
#
# Why it matters: a model ages in silence. Outcomes are known after months, so the first sign is in who applies and
# with what in the file.
#
# Two months of new applicants. In the second an external source fails: its score is missing for every second
# applicant. (With your own data: the clients of test stand in for new ones, nothing is planted, and the status warns
# that the others are set aside, as the model knows them.)

# %%
from credit.governance.serving import open_version
from credit.monitoring import watch, window
from credit.monitoring import world as made
from credit.scoring.baseline import Baseline

decider = open_version(registry, version)
baseline = Baseline.load(registry.load(version))
months = {"test clients": str(DATA)}
if not DATA:
    others = [each for each in dataset.tables if each != book.main]
    world = made.World.make(book, CLIENTS, 2, 600, drifts=["score"], since=2, tables=others, seed=book.training.seed)
    months = {}
    for which, month in zip(("a quiet month", "a source fails"), world.months, strict=True):
        applicants = month.tables | {book.main: month.tables[book.main].assign(**{book.target: month.outcomes})}
        folder = home.workspace / "months" / which.replace(" ", "-")
        months[which] = str(made.write(book, applicants, folder, f"notebook, {which}"))

seen, status = {}, {}
for which, where in months.items():
    seen[which] = window.from_tables(decider, baseline, where, labelled=True)
    status[which] = watch.watch(decider, baseline, seen[which], run=f"{run}/{which}")
    cost, score = status[which]["money"], status[which]["score"]
    print(f"{which}: {status[which]['status']}, {len(seen[which]):,} {kind} applicants")
    for what in ("promised", "expected", "realised"):
        print(f"    cost {what:<9} {cost[what]['estimate']:.3f} ({cost[what]['low']:.3f} to {cost[what]['high']:.3f})")
    print(f"    PSI of the score {score['psi']:.3f}, chance alone reaches {score['floor']:.3f}")
    for each in [found for found in status[which]["findings"] if found["kind"] != "data"][:4]:
        print(f"    {each['severity']}: {each['why']}")

# %%
last = list(status)[-1]
shifted = pd.DataFrame(status[last]["features"])
shifted["feature"] = shifted["feature"].map(label)
show(plots.shift_plot(shifted, book.monitoring.psi, shown=10, synthetic=made_up))
priced = pd.DataFrame(status[last]["money"]["drift"])
if len(priced):
    priced["feature"] = priced["feature"].map(label)
    show(plots.drift_cost_plot(priced, synthetic=made_up))

# %% [markdown]
# **Look at** the small black strokes of the first picture: what chance alone reaches with so many applicants. Only
# what is beyond its limit *and* beyond that stroke counts. And at the second: a large shift need not cost much. The
# population stability index (PSI) says *that* something has moved; only the cost says whether to get up for it.
#
# ### Why not p-values?
#
# A test of significance asks whether two samples could come from the same population. With enough rows the answer is
# always no:

# %%
from scipy.stats import ks_2samp

rng = np.random.default_rng(0)
rows = []
for n in (300, 3_000, 30_000, 300_000):
    then, now = rng.normal(size=n), rng.normal(0.03, size=n)
    rows.append((n, ks_2samp(then, now).pvalue, metrics.population_stability_index(then, now)))
grown = pd.DataFrame(rows, columns=["applicants", "p-value of the same small shift", "PSI"])
table(grown, "{:.4f}", applicants="{:,}", **{grown.columns[1]: "{:.2g}"})

# %% [markdown]
# **Look at** the columns: the shift is the same in every line, three hundredths of a standard deviation, of no
# consequence. The p-value goes from "nothing" to "beyond doubt" because *n* grew. The PSI falls to the size of the
# shift and stays there.
#
# **A mistake to avoid.** "p < 0.05 in 80 of 120 features: retrain!" And its opposite, to look at features only: what
# became of the decisions counts, once outcomes are known. `credit simulate` plays a whole year of it, with drift,
# outcomes, alert, retraining and gate.
#
# **Try it.** Plant another drift: `drifts=["income"]` (all incomes are half as high again) or `["risk"]` (nothing is
# to be seen in any feature, but some default far more often). Which of the two does the PSI see, and which one costs
# money?

# %% [markdown]
# ## 12. Decision
#
# **What do we tell the applicant, and can we still stand by it in a year?**
#
# Why it matters: all of the above exists for this moment. The object that decides here is the one behind the
# officer's page, the API and the batch. We take an applicant of the quiet month whom it refuses, and for whom
# something could be changed.

# %%
from credit.data.clients import Clients

first = next(iter(months))
desk = Clients(book, months[first])
numbers = pd.Series(desk.numbers(limit=1_000_000), dtype=str)


def refused():
    """Yield the refused applicants of the month, by number, with what could change the decision."""
    for number in numbers[~baseline.trained_on(numbers)]:
        application, history = desk.case(number)
        decision = decider.decide(application, history)
        if decision.decision == "decline" and decision.reasons:
            yield application, history, decision, decider.what_if(application, history)


application, history, decision, changes = next(each for each in refused() if each[3].proposals)
print(f"Decision: {decision.decision}, for a {kind} applicant")
print(f"probability of default {decision.probability:.2%}, refused from {decision.threshold:.2%} on")
for action, expected in decision.costs.items():
    print(f"    expected cost to {action}: {expected:.3f}")
print("\nPrincipal reasons")
for reason in decision.reasons:
    print(f"  {reason.code}\n    en  {reason.en}\n    fr  {reason.fr}")

# %%
print("The smallest change that leads to an approval")
print(f"    {changes.note_en}")
for each in changes.proposals:
    print(f"  {each.label_en} / {each.label_fr}")
    for column, (now, then) in each.changes.items():
        print(f"    {book.columns[column].label.en}: {now:,.0f} -> {then:,.0f}")
    print(f"    probability of default then {each.probability:.2%}: {each.decision}")

# %% [markdown]
# **Look at** what is *not* among the changes: age, education, the score from outside. Only what the applicant can
# change in the request is proposed, within what is plausible, and each proposal was scored as a whole application
# before it was shown.
#
# ### Written down, and made again
#
# The decision goes into the ledger: each entry holds the hash of the one before it, so nothing can be edited, removed
# or moved unnoticed. Then it is made again from what was recorded, by the registered version, and compared bit for
# bit.

# %%
from credit.governance.ledger import Ledger, actor
from credit.governance.records import Records
from credit.governance.replay import replay

ledger = Ledger(home.ledger_url)
records = Records(ledger)
number = records.decide(decision, application, history, by=actor(), channel="notebook")
problems = ledger.verify()
print(f"Ledger: decision {number} written; {problems or 'whole, nothing was changed'}")
again = replay(records, registry, number)
print(f"Replay of decision {number}: {'the same, bit for bit' if again.same else again.differences}")
print(f"    recorded {decision.probability.hex()}, made again {again.decision.probability.hex()}")

# %% [markdown]
# Now somebody with access to the database turns the refusal into an approval, in a copy:

# %%
import sqlite3
from contextlib import closing

forged = home.workspace / "forged.db"
forged.unlink(missing_ok=True)
with closing(sqlite3.connect(home.root / "ledger.db")) as true, closing(sqlite3.connect(forged)) as copy:
    true.backup(copy)
    for (trigger,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        copy.execute(f'DROP TRIGGER "{trigger}"')  # the database refuses the change while these are there
    copy.execute("UPDATE events SET payload = replace(payload, 'decline', 'approve') WHERE id = ?", (number,))
    copy.commit()
found = Ledger(f"sqlite:///{forged}").verify()
print(f"Forged copy: {found[0] if found else 'NOT FOUND OUT'}")

# %% [markdown]
# **A mistake to avoid.** To log "client 100004 refused, score 0.14" and to think that this will do. In a year nobody
# can say by which model, on which values, or why; and a log file can be edited. The opposite mistake is to keep
# everything for ever: what is personal lies outside the chain, under a seal, and can be erased on request without
# breaking it.
#
# **Try it.** Take the first proposed change, write it into a copy of `application` and let `decider.decide` decide.
# Then change the income by hand: does a little more income always help? (It need not: say why, from step 7.)
#
# ## Where to go next
#
# | to | run |
# |---|---|
# | train all candidates, in parallel, with a page for each step | `python flows/training.py run` |
# | decide as a credit officer does, in the browser | `python -m gradio_app` |
# | watch a model on a schedule | `python flows/monitoring.py run` |
# | see a year of drift, alerts and retraining | `credit simulate --out FOLDER` |
# | run this notebook on your own tables | `CREDIT_NOTEBOOK_DATA=FOLDER jupyter lab` |
