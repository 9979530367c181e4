{{- define "airflow-wall.checks.removed" -}}
{{- range $path, $instead := .Files.Get "removed.yaml" | fromYaml -}}
{{- $found := $.Values -}}
{{- range splitList "." $path -}}
{{- if kindIs "map" $found }}{{ $found = get $found . }}{{ else }}{{ $found = "" }}{{ end -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $found) (and (kindIs "string" $found) (eq $found ""))) -}}
{{- fail (printf "\n\n%s is not in this chart; use %s" $path $instead) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "airflow-wall.checks.config" -}}
{{- $elsewhere := include "airflow-wall.config.elsewhere" . | fromYaml -}}
{{- range $section, $options := .Values.config -}}
{{- range $option, $_ := $options -}}
{{- $instead := get $elsewhere (printf "%s.%s" $section $option | lower) -}}
{{- /* Without a folder of ours, they may name any of Airflow's handlers. */ -}}
{{- if and (hasPrefix "remote_" (lower $option)) (eq (lower $section) "logging") (not $.Values.logs.remote.folder) }}{{ $instead = "" }}{{ end -}}
{{- with $instead -}}
{{- fail (printf "\n\nconfig.%s.%s cannot be set here; use %s" $section $option .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "airflow-wall.checks.executors" -}}
{{- $executors := include "airflow-wall.executors" . | fromJson -}}
{{- if not (or $executors.celery $executors.kubernetes $executors.local) -}}
{{- fail (printf "\n\nexecutor is %s; this chart has what CeleryExecutor, KubernetesExecutor and LocalExecutor need" .Values.executor) -}}
{{- end -}}
{{- if and $executors.local (gt (int .Values.scheduler.replicas) 1) -}}
{{- fail "\n\nscheduler.replicas is above 1 with LocalExecutor, whose tasks run in the scheduler; use 1, or CeleryExecutor" -}}
{{- end -}}
{{- if and (not $executors.celery) (or .Values.workers.celery.sets .Values.workers.celery.keda.enabled) -}}
{{- fail (printf "\n\nworkers.celery.%s needs CeleryExecutor, and executor is %s" (ternary "sets" "keda" (not (empty .Values.workers.celery.sets))) .Values.executor) -}}
{{- end -}}
{{- $queues := dict -}}
{{- $names := dict -}}
{{- range $set := include "airflow-wall.workerSets" . | fromJsonArray -}}
{{- if hasKey $names .name }}{{ fail (printf "\n\ntwo worker sets are named %s; workers.celery itself is named default" .name) }}{{ end -}}
{{- $_ := set $names .name true -}}
{{- range splitList "," .queue -}}
{{- if hasKey $queues . -}}
{{- fail (printf "\n\nqueue %s is that of the worker sets %s and %s; each would be scaled for all of its tasks. Give it to one set, or let workers.celery.enableDefault be false" . (get $queues .) $set.name) -}}
{{- end -}}
{{- $_ := set $queues . $set.name -}}
{{- end -}}
{{- end -}}
{{- $default := dig "operators" "default_queue" "default" .Values.config -}}
{{- if and $executors.celery $executors.celeryIsDefault (not (hasKey $queues $default)) -}}
{{- fail (printf "\n\nno worker set takes from queue %s, to which tasks go that name none" $default) -}}
{{- end -}}
{{- end -}}

{{- define "airflow-wall.checks.scaling" -}}
{{- range include "airflow-wall.workerSets" . | fromJsonArray -}}
{{- $where := printf "worker set %s" .name -}}
{{- $grace := int .terminationGracePeriodSeconds -}}
{{- if .keda.enabled -}}
{{- if lt (int .keda.cooldownPeriod) $grace -}}
{{- fail (printf "\n\n%s: keda.cooldownPeriod is %d and terminationGracePeriodSeconds %d; it must not be shorter, because KEDA then ends all workers at once while some may still finish tasks" $where (int .keda.cooldownPeriod) $grace) -}}
{{- end -}}
{{- if lt (int .keda.cooldownPeriod) (int .keda.scaleDown.stabilizationWindowSeconds) -}}
{{- fail (printf "\n\n%s: keda.cooldownPeriod is %d and scaleDown.stabilizationWindowSeconds %d; it must not be shorter, or workers never go one by one" $where (int .keda.cooldownPeriod) (int .keda.scaleDown.stabilizationWindowSeconds)) -}}
{{- end -}}
{{- if gt (int .keda.minReplicaCount) (int .keda.maxReplicaCount) -}}
{{- fail (printf "\n\n%s: keda.minReplicaCount is above maxReplicaCount" $where) -}}
{{- end -}}
{{- end -}}
{{- $visible := dig "celery_broker_transport_options" "visibility_timeout" 86400 $.Values.config -}}
{{- if lt (int $visible) $grace -}}
{{- fail (printf "\n\n%s: config.celery_broker_transport_options.visibility_timeout is %d and terminationGracePeriodSeconds %d; Redis would hand out a task again that is still being finished" $where (int $visible) $grace) -}}
{{- end -}}
{{- end -}}
{{- $names := dict -}}
{{- range include "airflow-wall.triggererSets" . | fromJsonArray -}}
{{- if hasKey $names .name }}{{ fail (printf "\n\ntwo triggerers are named %s; triggerer itself is named default" .name) }}{{ end -}}
{{- $_ := set $names .name true -}}
{{- if gt (int .keda.minReplicaCount) (int .keda.maxReplicaCount) -}}
{{- fail (printf "\n\ntriggerer %s: keda.minReplicaCount is above maxReplicaCount" .name) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .Values.apiServer.hpa.minReplicaCount) (int .Values.apiServer.hpa.maxReplicaCount) -}}
{{- fail "\n\napiServer.hpa.minReplicaCount is above maxReplicaCount" -}}
{{- end -}}
{{- end -}}

{{/* With queues, a trigger has the queue of its task, and a triggerer takes those of its own alone: what nobody takes waits
for ever. */}}
{{- define "airflow-wall.checks.triggers" -}}
{{- $enabled := has (dig "triggerer" "queues_enabled" "false" .Values.config | toString | lower) (list "true" "t" "1") -}}
{{- $taken := dict -}}
{{- range include "airflow-wall.triggererSets" . | fromJsonArray -}}
{{- if and .queues (not $enabled) -}}
{{- fail (printf "\n\ntriggerer %s: queues need config.triggerer.queues_enabled: \"True\"" .name) -}}
{{- end -}}
{{- range splitList "," .queues }}{{ $_ := set $taken . true }}{{ end -}}
{{- end -}}
{{- if $enabled -}}
{{- $queues := list (dig "operators" "default_queue" "default" .Values.config) -}}
{{- if (include "airflow-wall.executors" . | fromJson).celery -}}
{{- range include "airflow-wall.workerSets" . | fromJsonArray }}{{ $queues = concat $queues (splitList "," .queue) }}{{ end -}}
{{- end -}}
{{- range $queues -}}
{{- if not (hasKey $taken .) -}}
{{- fail (printf "\n\nno triggerer takes the triggers of queue %s: with config.triggerer.queues_enabled, a trigger has the queue of its task. Add the queue to one of triggerer.sets" .) -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey $taken "") -}}
{{- fail "\n\nno triggerer takes the triggers without a queue, which are those of assets and deadlines; leave triggerer.queues empty and use triggerer.sets" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "airflow-wall.checks.rest" -}}
{{- if and .Values.pgbouncer.enabled (not .Values.pgbouncer.host) (not .Values.dev.enabled) -}}
{{- fail "\n\npgbouncer.enabled needs pgbouncer.host: the database itself" -}}
{{- end -}}
{{- if and .Values.backup.enabled (not .Values.backup.existingClaim) -}}
{{- fail "\n\nbackup.enabled needs backup.existingClaim: the volume for the dumps" -}}
{{- end -}}
{{- if and .Values.dev.enabled (not .Values.createSecrets.enabled) -}}
{{- fail "\n\ndev.enabled needs createSecrets.enabled, which makes the passwords" -}}
{{- end -}}
{{- if and .Values.createSecrets.enabled .Values.externalSecrets.enabled -}}
{{- fail "\n\ncreateSecrets.enabled and externalSecrets.enabled both make the same Secrets; use one" -}}
{{- end -}}
{{- if and .Values.externalSecrets.enabled (not .Values.externalSecrets.secretStoreRef.name) -}}
{{- fail "\n\nexternalSecrets.enabled needs externalSecrets.secretStoreRef.name" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled (not .Values.statsd.enabled) -}}
{{- fail "\n\nmonitoring.serviceMonitor.enabled needs statsd.enabled" -}}
{{- end -}}
{{- if and .Values.ingress.apiServer.enabled (not .Values.ingress.apiServer.hosts) -}}
{{- fail "\n\ningress.apiServer.enabled needs ingress.apiServer.hosts" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "\n\nhttpRoute.enabled needs httpRoute.parentRefs" -}}
{{- end -}}
{{- if and .Values.test.enabled (hasKey .Values.pipelines "airflow_wall_helm_test.yaml") -}}
{{- fail "\n\npipelines has an airflow_wall_helm_test.yaml, which is the pipeline of `helm test`; name it otherwise, or let test.enabled be false" -}}
{{- end -}}
{{- end -}}
