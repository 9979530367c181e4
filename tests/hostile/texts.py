"""Texts that would cost a reader without bounds seconds, gigabytes or its life."""

from __future__ import annotations

MB = 1 << 20
T = "dag_id: a\ntasks:\n  - id: t\n"


def listed(number: int, text: str = "{}") -> str:
    """`number` texts in a flow list, `{}` the number of each."""
    return "[" + ",".join(text.replace("{}", str(index)) for index in range(number)) + "]"


def lines(number: int, text: str) -> str:
    """`number` lines, `{}` the number of each."""
    return "".join(text.replace("{}", str(index)) + "\n" for index in range(number))


USES = T + "    uses: a.B\n"
GROUPS = "dag_id: a\ntasks:\n - id: g\n   matrix: {a: %s}\n   tasks: [{id: x}]\n - id: h\n   needs: g\n   matrix: {b: %s}\n   tasks: [{id: t}]\n"
SCHEMA = "$schema: https://airflow.apache.org/schemas/dag/2026-10-30.json\n"

HOSTILE: dict[str, str] = {
    "a million nested lists": "dag_id: a\nx: " + "[" * (MB - 20),
    "nested mappings": "dag_id: a\nx: " + "{a: " * 200_000,
    "nested block lists": "dag_id: a\nx:\n" + "".join(" " * depth + "-\n" for depth in range(1_400)),
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
    + ",".join(f"k{index}: 1" for index in range(90_000))
    + "}",
    "huge key": T + '"' + "k" * 65_000 + '": 1\n',
    "many huge keys": T + lines(100, '"{}' + "k" * 9_000 + '": 1'),
    "empty documents": "---\n" * 250_000,
    "documents with faults": "--- {dag_id: a}\n" * 65_000,
    "documents without faults": "--- {dag_id: a, tasks: [{id: t}]}\n" * 30_000,
    "directives": lines(60_000, "%TAG !a{}! x") + "---\ndag_id: a\n",
    "unknown directives": "%FOO x\n" * 100_000 + "---\ndag_id: a\n",
    "aliases of aliases": "dag_id: a\nvars:\n a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f" a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
    "anchors": "dag_id: a\nvars:\n" + lines(50_000, " a{}: &a{} 1"),
    "matrix of thousands of names": T
    + "    matrix: {"
    + ", ".join(f"m{index}: [1,2,3,4,5,6,7,8,9,10]" for index in range(6_000))
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
    + ",".join(f"a{index}: b" for index in range(45_000))
    + "}}\n",
    "matrix over a wide group": T
    + "    matrix: {a: "
    + listed(900)
    + "}\n    default_args: {executor_config: {x: "
    + listed(95_000, "1")
    + "}}\n    tasks: [{id: x}]\n",
    "text of texts": "dag_id: a\nvars: {s: "
    + "x" * 65_000
    + "}\ntasks:\n - id: t\n   uses: a.B\n   with:\n"
    + "".join(f"     a{index}: '" + "${{ vars.s }}" * 4_500 + "'\n" for index in range(15)),
    "ids of long texts": "dag_id: a\nvars: {s: "
    + "x" * 65_000
    + "}\ntasks:\n - id: t\n   matrix: {a: "
    + listed(1_000, "'${{ vars.s }}'")
    + "}\n",
    "groups that need groups": GROUPS % (listed(249), listed(249)),
    "tasks that need all before": "dag_id: a\ntasks:\n"
    + "".join(
        f" - {{id: t{index}, needs: [{','.join(f't{other}' for other in range(max(0, index - 95), index))}]}}\n"
        for index in range(1_000)
    ),
    "one need again and again": "dag_id: a\ntasks:\n - id: g\n   tasks:\n    - id: x\n      matrix: {a: "
    + listed(990)
    + "}\n - id: h\n   needs: "
    + listed(90_000, "g")
    + "\n",
    "unknown needs": "dag_id: a\ntasks:\n"
    + "".join(
        f" - {{id: some_task_{index}, needs: [{','.join(f'some_tusk_{other}' for other in range(60))}]}}\n"
        for index in range(900)
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
    "duration of many digits": T + "default_args: {retry_delay: '" + "9" * 60_000 + "s'}\n",
    "date of many digits": T + "start_date: '2013-" + "1" * 60_000 + "'\n",
    "number of many digits": T + "max_active_runs: " + "9" * 60_000 + "\n",
    "long name": "dag_id: " + "a" * 60_000 + "\ntasks: [{id: t}]\n",
    "circle of a thousand": "dag_id: a\ntasks:\n"
    + "".join(f" - {{id: t{index}, needs: t{(index + 1) % 1_000}}}\n" for index in range(1_000)),
    "chain of a thousand": "dag_id: a\ntasks:\n"
    + "".join(f" - {{id: t{index}, needs: t{index + 1}}}\n" for index in range(999))
    + " - id: t999\n",
    "one id": "dag_id: a\ntasks:\n" + " - {id: t}\n" * 990,
    "one key": T + "tags: [a]\n" * 90_000,
    "one key in the long form": T + "? a\n" * 200_000,
    "ambiguous numbers": T + "tags: " + listed(90_000, "0123") + "\n",
    "open expressions": USES + "    with: {a: '" + "${{ " * 15_000 + "'}\n",
    "expression of spaces": USES + "    with: {a: '${{" + " " * 60_000 + "'}\n",
    "expression of dots": USES + "    with: {a: '${{ a" + ".a" * 30_000 + " }}'}\n",
    "braces": USES + "    with: {a: '" + "{{ " * 20_000 + "'}\n",
    "template of parentheses": USES + "    with: {a: {$t: '{{ " + "(" * 60_000 + "'}}\n",
    "template of many names": USES + "    with: {a: {$t: '" + "{{ds}}" * 10_000 + "'}}\n",
    "template of many attributes": USES + "    with: {a: {$t: '{{ params" + ".a" * 30_000 + " }}'}}\n",
    "template of many filters": USES + "    with: {a: {$t: '{{ ds" + "|trim" * 12_000 + " }}'}}\n",
    "template of many digits": USES + "    with: {a: {$t: '{{ " + "9" * 60_000 + " }}'}}\n",
    "merges of merges": SCHEMA
    + "dag_id: a\nx: &x {a: 1}\n"
    + "".join(f"m{n}: &m{n}\n  <<: [{','.join([f'*m{n - 1}' if n else '*x'] * 10)}]\n  k{n}: 1\n" for n in range(9)),
    "merges of a wide mapping": SCHEMA
    + "dag_id: a\nx: &x {"
    + ",".join(f"k{index}: 1" for index in range(9_000))
    + "}\ny:\n"
    + " - {<<: *x}\n" * 100,
    "numbers of YAML 1.1": SCHEMA + "dag_id: a\nx: " + "9" * 60_000 + "\ny: 1" + ":59" * 10_000 + "\n",
    "documents of YAML 1.1": SCHEMA + "--- {dag_id: a}\n" * 7_000,
    "scalars of YAML 1.1": SCHEMA + "dag_id: a\nx: " + listed(15_000, "1:59:59") + "\n",
    "param with a slow pattern": T + "params: {a: {type: string, default: '" + "a" * 40 + "!', pattern: '(a+)+$'}}\n",
    "params": T + "params:\n" + lines(20_000, " a{}: {type: string, default: x}"),
    "tags": T + "tags: " + listed(90_000, "t{}") + "\n",
    "escapes": T + 'description: "' + "\\u0041" * 100_000 + '"\n',
    "comments": "# x\n" * 200_000 + T,
    "blank lines": "\n" * 900_000 + T,
    "block text": T + "description: |\n" + " x\n" * 300_000,
    "text over lines": T + "description: a\n" + "  a\n" * 200_000,
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
    + ",".join(f"k{index}: 1" for index in range(7_000))
    + "}\ntasks: "
    + listed(300, "{id: t{}, extends: a}")
    + "\n",
    "templates of our own": "dag_id: a\ntemplates:\n a: {with: {"
    + ",".join(f"k{index}: 1" for index in range(50_000))
    + "}}\ntasks: "
    + listed(900, "{id: t{}, uses: a.B, extends: a}")
    + "\n",
}
