"""`sequence`: numbers, days and months from a start to an end."""

from collections.abc import Mapping

from localathena import types
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.functions.signatures import MOST_ELEMENTS
from localathena.sql import Value, fail_if
from localathena.types import BIGINT, array
from localathena.values import coerce, common, expect


def _sequence(translator: Translator, arguments: Arguments) -> Value:
    start, stop, *steps = map(translator.value, arguments)
    if steps and steps[0].type == types.UNKNOWN:
        type_ = array(common([start, stop], "sequence")[1])
        return Value(f"CAST(NULL AS {type_.duckdb})", type_)
    (start, stop), type_ = common([start, stop], "sequence")
    if type_.is_integer:
        start, stop = coerce(start, BIGINT), coerce(stop, BIGINT)
        step = expect(steps[0], BIGINT, "sequence").sql if steps else None
        type_ = BIGINT
        backwards = f"sign({stop.sql} - {start.sql}) * sign({step}) < 0 OR {step} = 0"
        default = f"(CASE WHEN {start.sql} <= {stop.sql} THEN 1 ELSE -1 END)"
        taken = f"abs(CAST({stop.sql} AS HUGEINT) - {start.sql}) // abs({step or 1})"
        ends = [start.sql, stop.sql]
    elif type_.name in ("date", "timestamp"):
        if not steps and type_.name == "timestamp":
            raise QueryRefused("sequence of timestamps needs a step, as an interval.")
        if steps and steps[0].type == types.YEAR_TO_MONTH:
            return _months(start, stop, steps[0])
        if steps:
            expect(steps[0], types.DAY_TO_SECOND, "sequence's step")
        step = steps[0].sql if steps else None
        default = f"to_days(CASE WHEN {start.sql} <= {stop.sql} THEN 1 ELSE -1 END)"
        backwards = f"epoch_ms({step}) = 0 OR (epoch_ms({step}) > 0) <> ({start.sql} <= {stop.sql})"
        ends = [f"CAST({value.sql} AS TIMESTAMP)" for value in (start, stop)]
        step_ms = f"abs(epoch_ms({step}))" if step else "86400000"
        taken = f"abs(epoch_ms({ends[1]}) - epoch_ms({ends[0]})) // {step_ms}"
    else:
        raise QueryRefused(f"sequence of {type_} is not supported.")
    many = f"{taken} >= {MOST_ELEMENTS}"
    end = f"(CASE WHEN {many} THEN NULL ELSE {ends[1]} END)"
    sql = f"CAST(generate_series({ends[0]}, {end}, {step or default}) AS {type_.duckdb}[])"
    sql = fail_if(many, f"result of sequence function must not have more than {MOST_ELEMENTS} entries", sql)
    if step and type_ == types.DATE:
        part = f"epoch_ms({step}) % 86400000 <> 0"
        sql = fail_if(part, "sequence step must be a day interval if start and end values are dates", sql)
    if step:
        backwards = f"({backwards}) AND {start.sql} <> {stop.sql}"
        sql = fail_if(backwards, "sequence stop value should be on the step's side of the start value", sql)
    return Value(sql, array(type_))


def _months(start: Value, stop: Value, step: Value) -> Value:
    """Return the start plus whole steps of months, each counted from the start."""
    months = f"(CAST(year({step.sql}) AS BIGINT) * 12 + month({step.sql}))"
    backwards = (
        f"{months} = 0 OR ({start.sql} <> {stop.sql} AND ({months} > 0) <> ({start.sql} < {stop.sql}))"
    )
    count = f"date_sub('month', {start.sql}, {stop.sql}) // {months}"
    many = f"{count} >= {MOST_ELEMENTS}"
    moved = f"CAST({start.sql} + to_months(CAST(i * {months} AS INTEGER)) AS {start.type.duckdb})"
    sql = f"list_transform(generate_series(0, CASE WHEN NOT ({many}) THEN {count} END), lambda i: {moved})"
    sql = fail_if(many, f"result of sequence function must not have more than {MOST_ELEMENTS} entries", sql)
    why = "sequence stop value should be on the step's side of the start value"
    return Value(fail_if(backwards, why, sql), array(start.type))


HANDLERS: Mapping[str, Handler] = {
    "sequence": _sequence,
}
