"""PySpark, for books that outgrow one machine: Parquet at any URL that Spark reads and writes; knows no feature.

All goes through DataFrames, so that a session of Spark Connect will do as well as one with a JVM of its own.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import ibis
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession, functions

from credit.console import log, step
from credit.data.files import ROW, check_names
from credit.data.rules import promised
from credit.errors import ConfigError, CreditError, DataError, ServiceError
from credit.features.dialect import SparkBackend
from credit.features.engine import Stage
from credit.portfolio import Portfolio, Table

__all__ = ["Spark", "started"]

#: Where one of these is set, the environment says which Spark it is, and nothing of it is changed.
DECIDED = ("SPARK_REMOTE", "SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "MASTER")
#: Otherwise Spark runs on all cores of this machine, and listens to nobody else.
LOCAL: dict[str, Any] = {
    "spark.master": "local[*]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
}
#: Overflow and division by zero are errors, and not other numbers.
STRICT = {"spark.sql.ansi.enabled": "true"}
NOTHING_THERE = {"PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA"}
#: Bytes of memory below which Spark refuses to start.
LEAST = 471_859_200


class Spark:
    """A Spark session as an engine; see `credit.features.engine.Engine`.

    Parameters
    ----------
    session : SparkSession
        Its SQL settings in `STRICT` are set.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        SparkBackend.register_options()
        self.tables = SparkBackend().connect(session, **STRICT)

    def present(self, portfolio: Portfolio, source: str | Path, *, labelled: bool) -> tuple[str, ...]:
        """Name the tables that have all their NAME.parquet, files or folders, below the URL."""
        main, known = portfolio.main, portfolio.tables
        wanted = {name: _places(source, table, labelled) for name, table in known.items() if table.columns}
        found = {
            name
            for name, places in wanted.items()
            if all(self._found(self.session.read.parquet, place) is not None for place in places)
        }
        if main not in found:
            raise DataError(
                f"{source}: Spark finds no {', '.join(wanted[main])}; give a folder or URL of Parquet so called."
            )
        while lost := {name for name in found - {main} if known[name].parent not in found}:
            found -= lost
        absent = [name for name in wanted if name not in found]
        if absent:
            log.info("Not given, so left out: %s", ", ".join(absent))
        return tuple(sorted(found, key=[main, *known].index))

    def fingerprint(self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]) -> str:
        """Sum 64-bit hashes of the rows over each table, of the columns that the portfolio promises."""
        found = []
        for table in (portfolio.tables[name] for name in names):
            frame = self._read(_places(source, table, labelled))
            columns = sorted(set(promised(table, labelled)).intersection(frame.columns))
            # A missing value changes no hash: say of each whether it is there.
            parts = [part for name in columns for part in (functions.col(name), functions.col(name).isNull())]
            total = functions.sum(functions.xxhash64(*parts).cast("decimal(38,0)"))
            with _patient(str(source)):
                rows, digest = frame.select(functions.count("*"), total).collect()[0]
            types = [frame.schema[column].dataType.simpleString() for column in columns]
            found.append(f"{table.name} {rows} {digest} {columns} {types}")
        return "spark " + "\n".join(found)

    def open_tables(
        self, portfolio: Portfolio, source: str | Path, *, labelled: bool, names: Sequence[str]
    ) -> dict[str, Any]:
        """Open the tables as views, their rows numbered file by file."""
        opened = {}
        for name in names:
            places = _places(source, portfolio.tables[name], labelled)
            with step(f"Reading {', '.join(places)}"), _patient(str(source)):
                frame = self._read(places)
                check_names(", ".join(places), frame.columns)
                opened[name] = self._view(_numbered(frame, portfolio.tables[name]))
        return opened

    def place(self, out: str | Path, name: str) -> str:
        """Name a folder below a folder or URL."""
        return f"{str(out).rstrip('/')}/{name}"

    def exists(self, place: str) -> bool:
        """Whether Parquet is there, which can be read."""
        try:
            return self._found(self.session.read.parquet, place) is not None
        except DataError:
            return False

    def read_text(self, place: str) -> str | None:
        """Read what `write_text` wrote."""
        found = self._found(self.session.read.text, place, wholetext=True)
        with _patient(place):
            rows = [] if found is None else found.collect()
        return str(rows[0][0]).strip() if rows else None

    def write_text(self, text: str, place: str) -> None:
        """Write the text as the one row of a folder."""
        with _patient(place):
            self.session.range(1).coalesce(1).select(functions.lit(text).alias("value")).write.mode("overwrite").text(
                place
            )

    def clear(self, place: str) -> None:
        """Write no row over what is there."""
        if self.read_text(place) is not None:
            with _patient(place):
                self.session.range(0).selectExpr("'' AS value").write.mode("overwrite").text(place)

    def write(self, table: Any, place: str) -> int:
        """Write a folder of Parquet files; what is there goes first."""
        with _patient(place):
            self._frame(table).write.mode("overwrite").parquet(place)
            return int(self.session.read.parquet(place).count())

    @contextmanager
    def staging(self, out: str | Path) -> Iterator[Stage]:
        """Keep intermediate results in the memory and on the disks of the executors; they go with the session."""
        kept = []

        def stage(table: Any, name: str) -> Any:
            with _patient(f"{out}: {name}"):
                frame = self._frame(table).persist()
                kept.append(frame)
                frame.count()
                return self._view(frame)

        try:
            yield stage
        finally:
            for frame in kept:
                frame.unpersist()

    def _frame(self, table: Any) -> Any:
        return self.session.sql(self.tables.compile(table))

    def _view(self, frame: Any) -> Any:
        name = ibis.util.gen_name("credit")
        frame.createOrReplaceTempView(name)
        return self.tables.table(name)

    def _read(self, places: Sequence[str]) -> Any:
        with _patient(", ".join(places)):
            return self.session.read.parquet(*places)

    def _found(self, read: Any, place: str, **options: Any) -> Any:
        with _patient(place):
            try:
                found = read(place, **options)
                _ = found.schema  # a remote session reads nothing before it is asked
            except AnalysisException as error:
                if error.getCondition() not in NOTHING_THERE:
                    raise
                return None
            return found


@contextmanager
def started(memory: int | None = None) -> Iterator[Spark]:
    """Take the session that exists or that the environment describes; else start one on this machine, and stop it.

    Parameters
    ----------
    memory : int, optional
        Bytes that a Spark started on this machine may use.

    Raises
    ------
    ConfigError
        If Java is missing, or `memory` is given for a Spark that is not ours to set up.
    ServiceError
        If there is no connection to the Spark that the environment describes.
    """
    with warnings.catch_warnings():
        # Each use of pandas says that PySpark is not made for pandas 3; the results are compared in the tests.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        running = SparkSession.getActiveSession()
        decided = [name for name in DECIDED if os.environ.get(name)]
        if memory is not None and (running or decided):
            raise ConfigError(
                f"memory: this Spark is set up by {decided[0] if decided else 'who started its session'}; "
                "set spark.driver.memory and spark.executor.memory there, and leave --memory out."
            )
        if memory is not None and memory < LEAST:
            raise ConfigError(f"memory: Spark does not start with less than {LEAST / 1e6:.0f}MB; allow more.")
        session = running or _start(decided, memory)
        try:
            with _patient("Spark"):
                yield Spark(session)
        finally:
            if not running:
                session.stop()


def _start(decided: Sequence[str], memory: int | None) -> Any:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None and not os.environ.get("SPARK_REMOTE"):
        raise ConfigError(
            "Spark: no Java is found" + (f" in JAVA_HOME ({home})" if home else "") + "; install Java 17 or 21 "
            "(on Debian: apt-get install default-jre-headless), or name a server by SPARK_REMOTE."
        )
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # repeats each error as a page of JSON
    builder = SparkSession.builder.appName("credit features")
    if not decided:
        builder = builder.config(map=LOCAL)
        if memory is not None:
            builder = builder.config("spark.driver.memory", f"{memory >> 20}m")
    with step(f"Starting Spark ({f'as {decided[0]} says' if decided else 'on this machine'})"), _patient("Spark"):
        return builder.getOrCreate()


def _places(source: str | Path, table: Table, labelled: bool) -> list[str]:
    stems = table.files if labelled or not table.unlabelled else table.unlabelled
    return [f"{str(source).rstrip('/')}/{stem}.parquet" for stem in stems]


def _numbered(frame: Any, table: Table) -> Any:
    """Give each row its number from 1, file after file in the order of their paths."""
    place, row = functions.col("_metadata.file_path"), functions.col("_metadata.row_index") + 1
    if len(frame.inputFiles()) > 1:
        counts = frame.groupBy(place.alias("file")).count().orderBy("file").collect()
        before = accumulate((rows for _file, rows in counts), initial=0)
        first = [
            functions.lit(part) for (file, _rows), start in zip(counts, before, strict=False) for part in (file, start)
        ]
        row = row + functions.create_map(*first)[place]
    numbered = frame.select("*", row.alias(ROW))
    key = table.key[0] if table.generated_key else ROW
    return numbered if key in numbered.columns else numbered.withColumn(key, functions.col(ROW))


@contextmanager
def _patient(what: str) -> Iterator[None]:
    """Say in one line what Spark says in a hundred."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise _fault(what, error) from error


def _fault(what: str, error: Exception) -> CreditError:
    """Find the cause, and whether it is the data's or the service's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("Caused by:", ": "))]
    reason = (causes[-1] if causes else lines[0]).removeprefix("Caused by:").removeprefix(": ").strip()
    away = ("Connect", "UnknownHost", "ClassNotFound", "No FileSystem", "NoRoute", "SocketTimeout", "UNAVAILABLE")
    if any(word in reason for word in away):
        return ServiceError(
            f"{what}: Spark cannot reach it ({reason}); check the address, and Spark's settings for it."
        )
    return DataError(f"{what}: Spark fails ({reason}); mend what it names.")
