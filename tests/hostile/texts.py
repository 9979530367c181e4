"""
Texts that would cost a reader without bounds seconds, gigabytes or its life.

Most exceed a bound early. `hostile(scale)` gives them smaller, so that some stay just within all bounds.
"""

from __future__ import annotations

from collections.abc import Callable

MB = 1 << 20
T = "dag_id: a\ntasks:\n  - id: t\n"
USES = T + "    uses: a.B\n"
GROUPS = "dag_id: a\ntasks:\n - id: g\n   matrix: {a: %s}\n   tasks: [{id: x}]\n - id: h\n   needs: g\n   matrix: {b: %s}\n   tasks: [{id: t}]\n"
SCHEMA = "$schema: https://airflow.apache.org/schemas/dag/2026-10-30.json\n"


def hostile(scale: float = 1.0) -> dict[str, str]:
    """Return the texts by name, with `scale` times as many lines and items."""

    def scaled(number: int) -> int:
        return max(1, round(number * scale))

    def listed(number: int, text: str = "{}") -> str:
        """`number` texts in a flow list, `{}` the number of each."""
        return "[" + ",".join(text.replace("{}", str(index)) for index in range(scaled(number))) + "]"

    def lines(number: int, text: str) -> str:
        """`number` lines, `{}` the number of each."""
        return "".join(text.replace("{}", str(index)) + "\n" for index in range(scaled(number)))

    def documents(text: Callable[[str], str]) -> str:
        """A hundred documents, the text of each after its id."""
        return "".join(f"---\ndag_id: a{number}\n{text(f'a{number}')}" for number in range(scaled(100)))

    return {
        "a million nested lists": "dag_id: a\nx: " + "[" * (MB - 20),
        "nested mappings": "dag_id: a\nx: " + "{a: " * scaled(200_000),
        "nested block lists": "dag_id: a\nx:\n" + "".join(" " * depth + "-\n" for depth in range(scaled(1_400))),
        "wide mapping": T + "vars:\n" + lines(80_000, " a{}: 1"),
        "unknown names among many": "dag_id: a\nvars:\n"
        + lines(60_000, " alpha{}: 1")
        + "tasks:\n"
        + lines(300, " - {id: t{}, pool: '${{ vars.alphx{} }}'}"),
        "unknown keys of the head": T + lines(90_000, "k{}: 1"),
        "unknown keys like known ones": T + lines(40_000, "max_active_runs{}: 1"),
        "unknown keys of a task": T + lines(60_000, "    k{}: 1"),
        "unknown keys of a step": T + "    uses: ingest\n    with:\n" + lines(60_000, "      k{}: 1"),
        "unknown keys on one line": "{dag_id: a, tasks: [{id: t}],"
        + ",".join(f"k{index}: 1" for index in range(scaled(90_000)))
        + "}",
        "huge key": T + '"' + "k" * scaled(65_000) + '": 1\n',
        "many huge keys": T + lines(100, '"{}' + "k" * scaled(9_000) + '": 1'),
        "empty documents": "---\n" * scaled(250_000),
        "documents with faults": "--- {dag_id: a}\n" * scaled(65_000),
        "documents without faults": "--- {dag_id: a, tasks: [{id: t}]}\n" * scaled(30_000),
        "directives": lines(60_000, "%TAG !a{}! x") + "---\ndag_id: a\n",
        "unknown directives": "%FOO x\n" * scaled(100_000) + "---\ndag_id: a\n",
        "aliases of aliases": "dag_id: a\nvars:\n a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f" a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
        "anchors": "dag_id: a\nvars:\n" + lines(50_000, " a{}: &a{} 1"),
        "matrix of thousands of names": T
        + "    matrix: {"
        + ", ".join(f"m{index}: [1,2,3,4,5,6,7,8,9,10]" for index in range(scaled(6_000)))
        + "}\n",
        "matrix in a matrix": "dag_id: a\ntasks:\n - id: g\n   matrix: {a: "
        + listed(1_000)
        + "}\n   tasks:\n    - id: h\n      matrix: {b: "
        + listed(1_000)
        + "}\n      tasks: [{id: t}]\n",
        "matrix over wide arguments": USES
        + "    matrix: {a: "
        + listed(900)
        + "}\n    with: {x: "
        + listed(95_000, "1")
        + "}\n",
        "matrix over expressions": USES
        + "    matrix: {a: "
        + listed(900)
        + "}\n    with: {x: "
        + listed(45_000, "'${{ matrix.a }}'")
        + "}\n",
        "matrix over a wide step": T
        + "    uses: transform\n    matrix: {a: "
        + listed(900)
        + "}\n    with: {entrypoint: 'a:b', target: t, inputs: {"
        + ",".join(f"a{index}: b" for index in range(scaled(45_000)))
        + "}}\n",
        "matrix over a wide group": T
        + "    matrix: {a: "
        + listed(900)
        + "}\n    default_args: {executor_config: {x: "
        + listed(95_000, "1")
        + "}}\n    tasks: [{id: x}]\n",
        "text of texts": "dag_id: a\nvars: {s: "
        + "x" * scaled(65_000)
        + "}\ntasks:\n - id: t\n   uses: a.B\n   with:\n"
        + "".join(f"     a{index}: '" + "${{ vars.s }}" * scaled(4_500) + "'\n" for index in range(15)),
        "ids of long texts": "dag_id: a\nvars: {s: "
        + "x" * scaled(65_000)
        + "}\ntasks:\n - id: t\n   matrix: {a: "
        + listed(1_000, "'${{ vars.s }}'")
        + "}\n",
        "groups that need groups": GROUPS % (listed(249), listed(249)),
        "tasks that need all before": "dag_id: a\ntasks:\n"
        + "".join(
            f" - {{id: t{index}, needs: [{','.join(f't{other}' for other in range(max(0, index - 95), index))}]}}\n"
            for index in range(scaled(1_000))
        ),
        "one need again and again": "dag_id: a\ntasks:\n - id: g\n   tasks:\n    - id: x\n      matrix: {a: "
        + listed(990)
        + "}\n - id: h\n   needs: "
        + listed(90_000, "g")
        + "\n",
        "unknown needs": "dag_id: a\ntasks:\n"
        + "".join(
            f" - {{id: some_task_{index}, needs: [{','.join(f'some_tusk_{other}' for other in range(60))}]}}\n"
            for index in range(scaled(900))
        ),
        "pairs": "dag_id: a\ntasks:\n"
        + lines(450, " - {id: c{}, uses: start_cluster, with: {cluster: {type: local}}}")
        + lines(190, " - {id: s{}, uses: stop_cluster, needs: " + listed(450, "c{}") + "}"),
        "large value where text is meant": "dag_id: a\nvars: {big: "
        + listed(90_000, "1")
        + "}\ntasks:\n"
        + lines(900, " - {id: t{}, pool: '${{ vars.big }}'}"),
        "warnings": USES + "    with:\n" + lines(30_000, "      a{}: '{{ ds }}'"),
        "warnings in a matrix": USES
        + "    matrix: {a: "
        + listed(200)
        + "}\n    with:\n"
        + lines(1_000, "      a{}: '{{ ds }}'"),
        "cron of many parts": T + "schedule: '" + ",".join(["0-59"] * 13_000) + " * * * *'\n",
        "cron of a wide range": T + "schedule: '0-99999999999 * * * *'\n",
        "cron of many years": T + "schedule: '0 0 1 1 * 0 1970-99999999'\n",
        "duration of many digits": T + "default_args: {retry_delay: '" + "9" * scaled(60_000) + "s'}\n",
        "date of many digits": T + "start_date: '2013-" + "1" * scaled(60_000) + "'\n",
        "number of many digits": T + "max_active_runs: " + "9" * scaled(60_000) + "\n",
        "long name": "dag_id: " + "a" * scaled(60_000) + "\ntasks: [{id: t}]\n",
        "circle of a thousand": "dag_id: a\ntasks:\n"
        + "".join(f" - {{id: t{index}, needs: t{(index + 1) % 1_000}}}\n" for index in range(scaled(1_000))),
        "chain of a thousand": "dag_id: a\ntasks:\n"
        + "".join(f" - {{id: t{index}, needs: t{index + 1}}}\n" for index in range(scaled(999)))
        + " - id: t999\n",
        "one id": "dag_id: a\ntasks:\n" + " - {id: t}\n" * scaled(990),
        "one key": T + "tags: [a]\n" * scaled(90_000),
        "one key in the long form": T + "? a\n" * scaled(200_000),
        "ambiguous numbers": T + "tags: " + listed(90_000, "0123") + "\n",
        "open expressions": USES + "    with: {a: '" + "${{ " * scaled(15_000) + "'}\n",
        "expression of spaces": USES + "    with: {a: '${{" + " " * scaled(60_000) + "'}\n",
        "expression of dots": USES + "    with: {a: '${{ a" + ".a" * scaled(30_000) + " }}'}\n",
        "braces": USES + "    with: {a: '" + "{{ " * scaled(20_000) + "'}\n",
        "template of parentheses": USES + "    with: {a: {$t: '{{ " + "(" * scaled(60_000) + "'}}\n",
        "template of many names": USES + "    with: {a: {$t: '" + "{{ds}}" * scaled(10_000) + "'}}\n",
        "template of many attributes": USES + "    with: {a: {$t: '{{ params" + ".a" * scaled(30_000) + " }}'}}\n",
        "template of many filters": USES + "    with: {a: {$t: '{{ ds" + "|trim" * scaled(12_000) + " }}'}}\n",
        "template of many digits": USES + "    with: {a: {$t: '{{ " + "9" * scaled(60_000) + " }}'}}\n",
        "merges of merges": SCHEMA
        + "dag_id: a\nx: &x {a: 1}\n"
        + "".join(
            f"m{n}: &m{n}\n  <<: [{','.join([f'*m{n - 1}' if n else '*x'] * 10)}]\n  k{n}: 1\n" for n in range(9)
        ),
        "merges of a wide mapping": SCHEMA
        + "dag_id: a\nx: &x {"
        + ",".join(f"k{index}: 1" for index in range(scaled(9_000)))
        + "}\ny:\n"
        + " - {<<: *x}\n" * scaled(100),
        "numbers of YAML 1.1": SCHEMA
        + "dag_id: a\nx: "
        + "9" * scaled(60_000)
        + "\ny: 1"
        + ":59" * scaled(10_000)
        + "\n",
        "documents of YAML 1.1": SCHEMA + "--- {dag_id: a}\n" * scaled(7_000),
        "scalars of YAML 1.1": SCHEMA + "dag_id: a\nx: " + listed(15_000, "1:59:59") + "\n",
        "param with a slow pattern": T
        + "params: {a: {type: string, default: '"
        + "a" * 40
        + "!', pattern: '(a+)+$'}}\n",
        "params with patterns": T
        + "params:\n"
        + lines(900, " a{}: {type: string, default: x, pattern: '^(?:{}ab?c?)*(?:abc?d?){1,20}(?:b|c)*$'}"),
        "param of many comparisons": T + "params: {a: {uniqueItems: true, default: " + listed(1_000, "[{}]") + "}}\n",
        "schemas of broken flow": '{ "a": [ ' + "$schema: " * scaled(110_000),
        "schemas of broken flow, and Airflow's": '{ "a": [ '
        + "$schema: x, airflow.apache.org/schemas/dag " * scaled(24_000),
        "blank lines, and a need that is missing": "\n" * scaled(900_000) + "dag_id: a\ntasks: [{id: t, needs: zzz}]\n",
        "accents": "dag_id: a\ntasks: [{id: 'a" + "\u0301\u0323" * scaled(15_000) + "'}]\n",
        "params": T + "params:\n" + lines(20_000, " a{}: {type: string, default: x}"),
        "tags": T + "tags: " + listed(90_000, "t{}") + "\n",
        "escapes": T + 'description: "' + "\\u0041" * scaled(100_000) + '"\n',
        "comments": "# x\n" * scaled(200_000) + T,
        "blank lines": "\n" * scaled(900_000) + T,
        "block text": T + "description: |\n" + " x\n" * scaled(300_000),
        "text over lines": T + "description: a\n" + "  a\n" * scaled(200_000),
        "unknown tasks in markers": "dag_id: a\ntasks:\n - {id: o}\n - id: t\n   uses: a.B\n   with: {a: "
        + listed(30_000, "{$x: ox}")
        + "}\n",
        "environments": T + "environments:\n" + lines(40_000, "  e{}: {sched: 1}"),
        "conditions in conditions": T + "schedule: {assets: " + "{or: [" * 14 + "x" + "]}" * 14 + "}\n",
        "assets": T + "schedule: {assets: " + listed(50_000, "'s3://b/{}'") + "}\n",
        "groups in groups": "dag_id: a\ntasks: " + "[{id: g, needs: zz, tasks: " * 13 + "[{id: t}]" + "}]" * 13 + "\n",
        "templates that extend each twice": SCHEMA
        + "dag_id: a\ntemplates:\n t0: {retries: 1}\n"
        + "".join(f" t{n}: {{extends: [t{n - 1}, t{n - 1}]}}\n" for n in range(1, 40))
        + "tasks: [{id: t, extends: t39}]\n",
        "wide templates": SCHEMA
        + "dag_id: a\ntemplates:\n a: {"
        + ",".join(f"k{index}: 1" for index in range(scaled(7_000)))
        + "}\ntasks: "
        + listed(300, "{id: t{}, extends: a}")
        + "\n",
        "templates of our own": "dag_id: a\ntemplates:\n a: {with: {"
        + ",".join(f"k{index}: 1" for index in range(scaled(50_000)))
        + "}}\ntasks: "
        + listed(900, "{id: t{}, uses: a.B, extends: a}")
        + "\n",
        "a hundred documents": lines(100, "---\ndag_id: a{}\ntasks: [{id: t}]"),
        "a hundred documents of one id": "---\ndag_id: a\ntasks: [{id: t}]\n" * scaled(100),
        "a hundred documents with params": lines(
            100, "---\ndag_id: a{}\nparams: {a: {type: string, default: x}}\ntasks: [{id: t}]"
        ),
        "a hundred documents with ten params": "".join(
            f"---\ndag_id: a{number}\nparams:\n"
            + lines(10, f" a{number}_{{}}: {{type: string, minLength: {number}, default: x}}")
            + "tasks: [{id: t}]\n"
            for number in range(scaled(100))
        ),
        "a hundred documents with patterns": lines(
            100, "---\ndag_id: a{}\nparams: {a: {type: string, pattern: '^(a?b?c?{})*$', default: x}}\ntasks: [{id: t}]"
        ),
        "a hundred documents with environments": lines(
            100,
            "---\ndag_id: a{}\nenvironments: {"
            + ", ".join(f"e{number}: {{storage: /s{number}}}" for number in range(20))
            + "}\ntasks: [{id: t}]",
        ),
        "a hundred documents of ten steps": "".join(
            f"---\ndag_id: a{number}\ntasks:\n"
            + lines(10, " - {id: t{}, uses: ingest, with: {source: landing, target: bronze/t{}}}")
            for number in range(scaled(100))
        ),
        "environments of a large pipeline": "dag_id: a\nenvironments:\n"
        + lines(20, " e{}: {storage: /s{}}")
        + "tasks:\n"
        + lines(900, " - {id: t{}, uses: ingest, with: {source: landing, target: bronze/t{}}}"),
        "many environments": T + "environments:\n" + lines(4_000, "  e{}: {storage: /s{}}"),
        "a thousand steps": "dag_id: a\ntasks:\n"
        + lines(1_000, " - {id: t{}, uses: ingest, with: {source: landing, target: bronze/t{}}}"),
        "a thousand repetitions of a step": "dag_id: a\ntasks:\n - id: t\n   uses: ingest\n   matrix: {a: "
        + listed(1_000)
        + "}\n   with: {source: landing, target: 'bronze/t${{ matrix.a }}'}\n",
        "a thousand tasks with params": "dag_id: a\ntasks:\n"
        + lines(1_000, " - {id: t{}, uses: a.B, params: {a: {type: string, maxLength: {}, default: x}}}"),
        "a thousand tasks with templates": "dag_id: a\ntasks:\n"
        + lines(1_000, " - {id: t{}, uses: a.B, with: {a: {$t: '{{ ds | replace(1, {}) }}'}}}"),
        "a thousand checks": "dag_id: a\ntasks:\n"
        + lines(500, " - {id: t{}, uses: check_integrity, with: {source: bronze/t, checks: [{row_count: {min: {}}}]}}"),
        "patterns of checks": "dag_id: a\ntasks:\n"
        + lines(
            900,
            " - {id: t{}, uses: check_integrity, with: {table: b/t, checks: [{regex: {column: a, pattern: '(\\pL.){3}{}'}}]}}",
        ),
        "templates in a long text": USES
        + "    with:\n"
        + lines(3, "      a{}: {$t: '" + "{{ ds|trim }}" * scaled(5_000) + "'}"),
        "short keys": T + "vars: {" + ",".join(f"{index:x}: 1" for index in range(scaled(30_000))) + "}\n",
        "empty values": T + "vars: {a: [" + ",".join("[]" for _ in range(scaled(60_000))) + "]}\n",
        "nested in the middle": T + "vars:\n" + lines(2_000, " a{}: {b: {c: {d: {e: {f: {g: {h: {i: {j: 1}}}}}}}}}"),
        "dates": T + "vars:\n" + lines(15_000, " a{}: 2013-01-01T00:00:00"),
        "a long line of broken flow": "dag_id: a\ntasks: [" + "a: " * scaled(60_000),
        "a long line of open quotes": "dag_id: a\ntasks: [" + "'a " * scaled(60_000),
        "keys without values": "dag_id: a\n" + "? " * scaled(60_000),
        "long keys in flow": "dag_id: a\nvars: {" + ("k" * scaled(1_000) + ",") * scaled(250) + "}\n",
        "lines of a plain text": T + "description: " + "a\n  " * scaled(60_000),
        "indented plain text": T + "description: a\n" + (" " * scaled(500) + "a\n") * scaled(400),
        "large text of YAML 1.1": SCHEMA + "dag_id: a\nx:\n" + lines(9_000, " - {a: {}}"),
        "plain text of YAML 1.1": SCHEMA + "dag_id: a\nx: " + "a " * scaled(30_000) + "\n",
        "tasks of YAML 1.1": SCHEMA
        + "dag_id: a\ntasks:\n"
        + lines(900, " - {id: t{}, uses: a.B, with: {a: 1, b: '{{ ds }}'}}"),
        "a hundred documents with unknown zones": lines(
            100, "---\ndag_id: a{}\ntimezone: Xurope/B{}\ntasks: [{id: t}]"
        ),
        "a hundred documents with unknown needs": documents(
            lambda name: (
                "tasks:\n" + lines(20, " - {id: some_task_" + name + "_{}, needs: [some_tusk_" + name + "_{}]}")
            )
        ),
        "a hundred documents with unknown vars": documents(
            lambda _: (
                "vars:\n"
                + lines(60, "  some_var_{}: 1")
                + "tasks:\n"
                + lines(30, " - {id: t{}, pool: '${{ vars.some_vor_{} }}'}")
            )
        ),
        "a hundred documents with unknown keys": documents(
            lambda _: lines(90, "max_active_runz{}: 1") + "tasks: [{id: t}]\n"
        ),
        "a hundred documents with wrong types": documents(
            lambda _: "tasks:\n" + lines(30, " - {id: t{}, retries: many, pool_slots: x, priority_weight: y}")
        ),
        "a hundred documents with faulty clusters": documents(
            lambda _: (
                "tasks:\n"
                + lines(20, " - {id: t{}, uses: start_cluster, with: {cluster: {type: emr, foo: 1, reegion: x}}}")
            )
        ),
        "a hundred documents with missing files": documents(
            lambda name: (
                "tasks:\n"
                + lines(
                    20,
                    " - {id: t{}, uses: transform, with: {sql: x{}.sql, target: b/" + name + "{}, inputs: {a: b/d}}}",
                )
            )
        ),
        "a hundred documents that write one table": documents(
            lambda _: "tasks:\n" + lines(20, " - {id: t{}, uses: ingest, with: {source: landing, target: bronze/x}}")
        ),
        "pairs of YAML 1.1": SCHEMA + "dag_id: a\nx: !!pairs " + listed(3_500, "a{}: 1") + "\n",
        "deep lists of YAML 1.1": SCHEMA + "dag_id: a\nx: " + "[" * scaled(32_000),
    }
