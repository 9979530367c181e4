{{/* How many workers a set needs: (list . $set).

As many as its queued and running tasks fill, and no fewer than have a running one: a Deployment does not know which of
its pods is busy, so with one long task on each of two workers both stay. `executor` is NULL where a task names none, and
else what its author wrote. Callbacks of deadlines go through Celery too, to the default queue unless they name one.
Deferred tasks need no worker; that they come back is why the last one stays for `cooldownPeriod`. */}}
{{- define "airflow-wall.worker.query" -}}
{{- $root := index . 0 -}}
{{- $set := index . 1 -}}
{{- $executors := include "airflow-wall.executors" $root | fromJson -}}
{{- $names := printf "'%s'" (join "', '" $executors.celery) -}}
{{- $queues := printf "'%s'" (splitList "," $set.queue | join "', '") -}}
{{- $default := dig "operators" "default_queue" "default" $root.Values.config -}}
{{- $null := ternary "%s IS NULL OR " "" $executors.celeryIsDefault -}}
{{- $executor := "(data -> '__var' ->> 'executor')" -}}
SELECT GREATEST(ceil(SUM(work) / {{ int $set.concurrency }}.0){{ if $set.keda.protectBusyWorkers }}, SUM(busy){{ end }})::int FROM (
SELECT COUNT(*) AS work,
COUNT(DISTINCT hostname) FILTER (WHERE state IN ('running', 'restarting') AND hostname <> '') AS busy
FROM task_instance WHERE state IN ('queued', 'running', 'restarting')
AND queue IN ({{ $queues }}) AND ({{ replace "%s" "executor" $null }}executor IN ({{ $names }}))
UNION ALL
SELECT COUNT(*), 0 FROM callback WHERE type = 'executor' AND state IN ('queued', 'running')
AND COALESCE(data -> '__var' ->> 'queue', '{{ $default }}') IN ({{ $queues }})
AND ({{ replace "%s" $executor $null }}{{ $executor }} IN ({{ $names }}))
) AS needed
{{- end -}}
