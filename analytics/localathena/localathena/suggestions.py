"""What to write instead of a function that is not supported."""

from collections.abc import Iterable

_COUNTED = "GROUP BY x ORDER BY count(*) DESC LIMIT 10"

_ELSEWHERE = {
    "array_contains": "contains(array, x)",
    "array_first": "element_at(array, 1)",
    "array_last": "element_at(array, -1)",
    "array_length": "cardinality(array)",
    "array_sum": "reduce(array, 0e0, (s, x) -> s + x, s -> s)",
    "ascii": "codepoint(x)",
    "char_length": "length(text)",
    "charindex": "strpos(text, part)",
    "collect_list": "array_agg(x)",
    "collect_set": "array_agg(DISTINCT x)",
    "convert": "CAST(x AS type)",
    "countif": "count_if(condition)",
    "date_part": "extract(hour FROM x)",
    "date_sub": "date_add('day', -1, x)",
    "dateadd": "date_add('day', 1, x)",
    "datediff": "date_diff('day', a, b)",
    "datepart": "extract(hour FROM x)",
    "decode": "CASE x WHEN ... THEN ... END",
    "ends_with": "text LIKE '%end', or substr(text, -length(part)) = part",
    "explode": "CROSS JOIN UNNEST(x) AS t (y)",
    "first": "min_by(x, y), or first_value(x) OVER (...)",
    "get_json_object": "json_extract_scalar(x, '$.name')",
    "getdate": "now()",
    "group_concat": "listagg(x, ',') WITHIN GROUP (ORDER BY x)",
    "ifnull": "coalesce(x, y)",
    "iff": "if(condition, x, y)",
    "instr": "strpos(text, part)",
    "isnan": "is_nan(x)",
    "isnull": "coalesce(x, y), or x IS NULL",
    "last": "max_by(x, y), or last_value(x) OVER (...)",
    "lcase": "lower(text)",
    "left": "substr(text, 1, n)",
    "len": "length(text)",
    "locate": "strpos(text, part)",
    "median": "approx_percentile(x, 0.5)",
    "nvl": "coalesce(x, y)",
    "nvl2": "if(x IS NULL, y, z)",
    "percentile": "approx_percentile(x, 0.5)",
    "percentile_cont": "approx_percentile(x, 0.5)",
    "percentile_disc": "approx_percentile(x, 0.5)",
    "quantile": "approx_percentile(x, 0.5)",
    "regexp_substr": "regexp_extract(text, form)",
    "right": "substr(text, -n)",
    "rlike": "regexp_like(text, form)",
    "safe_cast": "TRY_CAST(x AS type)",
    "size": "cardinality(x)",
    "std": "stddev(x)",
    "str_to_date": "date_parse(text, '%Y-%m-%d')",
    "strftime": "date_format(x, '%Y-%m-%d')",
    "string_agg": "listagg(x, ',') WITHIN GROUP (ORDER BY x)",
    "substring_index": "split_part(text, ',', n)",
    "sysdate": "now()",
    "to_char": "date_format(x, '%Y-%m-%d')",
    "to_date": "date_parse(text, '%Y-%m-%d')",
    "to_timestamp": "date_parse(text, '%Y-%m-%d %H:%i:%s')",
    "ucase": "upper(text)",
    "unix_timestamp": "to_unixtime(x)",
}
"""Functions of other engines, which Athena does not have, and Athena's equivalents."""

_INSTEAD = {
    "approx_most_frequent": _COUNTED,
    "approx_set": "approx_distinct(x)",
    "json_array_contains": "contains(CAST(json_parse(x) AS array(varchar)), y)",
    "json_size": "json_array_length(json_extract(x, '$.name'))",
    "merge": "approx_distinct(x)",
    "numeric_histogram": "width_bucket(x, low, high, n) and GROUP BY",
    "qdigest_agg": "approx_percentile(x, 0.5)",
    "regexp_position": "strpos(text, regexp_extract(text, form))",
    "tdigest_agg": "approx_percentile(x, 0.5)",
}
"""Athena's functions that are not supported, and alternatives that both engines have."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests another function, with a leading space, or an empty text."""
    if name in _ELSEWHERE:
        return f" Athena has none of that name: write {_ELSEWHERE[name]}."
    if name in _INSTEAD:
        return f" Write {_INSTEAD[name]}."
    from difflib import get_close_matches  # only messages need it

    near = get_close_matches(name, known, 1, cutoff=0.75)
    return f" Perhaps {near[0]}?" if near else ""
