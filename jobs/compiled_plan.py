"""The SQL of a job, and its compiled plan: the operators that its state belongs to, as a file.

A savepoint holds the state of a plan's operators. The planner of a later Flink may make other operators of the same
SQL; from the file it makes the same ones (Flink's FLIP-190, "Support Version Upgrades for Table API & SQL Programs").
The file holds no options of tables, so neither addresses nor secrets.
"""

import sys
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct
from pyflink.table import CompiledPlan, PlanReference, StatementSet, StreamTableEnvironment

from headrace.lang.executors.flink_sql import Statements
from headrace.store.files import write_durably

_RESTORED_FROM = ("execution.state-recovery.path", "execution.savepoint.path")  # the second is the older name


class JobSql(Struct, frozen=True):
    """The statements of one job, run in the order of `Statements`, all inserts in one statement set."""

    parts: tuple[Statements, ...]

    @property
    def digest(self) -> str:
        """A hash of all but the tables' options."""
        columns = (table.rpartition(") WITH (")[0] for part in self.parts for table in part.tables)
        queries = (query for part in self.parts for query in (*part.views, *part.inserts))
        return blake2b("\n".join([*columns, *queries]).encode(), digest_size=8).hexdigest()

    def declare_tables(self, environment: StreamTableEnvironment) -> None:
        """Create the tables."""
        for part in self.parts:
            for table in part.tables:
                environment.execute_sql(table)

    def statement_set(self, environment: StreamTableEnvironment) -> StatementSet:
        """Create tables and views; returns the inserts, ready to execute."""
        self.declare_tables(environment)
        inserts = environment.create_statement_set()
        for part in self.parts:
            for view in part.views:
                environment.execute_sql(view)
            for insert in part.inserts:
                inserts.add_insert_sql(insert)
        return inserts


def execute(environment: StreamTableEnvironment, sql: JobSql, plans: Path | None) -> None:
    """Start a job from its plan in a folder; without one, plan it and keep the plan. None keeps none.

    A job that was started without a plan goes on without: its state belongs to operators with other ids.
    """
    if plans is None:
        sql.statement_set(environment).execute()
        return
    file, others = plans / f"{sql.digest}.json", sorted(each.name for each in plans.glob("*.json"))
    if file.exists():
        sql.declare_tables(environment)
        plan = environment.load_plan(PlanReference.from_json_string(file.read_text()))
    elif _is_restored(environment) and not others:
        sql.statement_set(environment).execute()
        return
    else:
        if others:
            sys.stderr.write(f"{plans} has {', '.join(others)}, which are plans of other SQL: planning {file.name}\n")
        plan = sql.statement_set(environment).compile_plan()
        plans.mkdir(parents=True, exist_ok=True)
        write_durably(file, plan.as_json_string().encode())
    # PyFlink 2.3 gives a loaded plan the Java environment, whose method of its own `execute` asks for in vain.
    CompiledPlan(plan._j_compiled_plan, environment).execute()


def _is_restored(environment: StreamTableEnvironment) -> bool:
    options = environment.get_config()
    return any(options.get(name, "") for name in _RESTORED_FROM)
