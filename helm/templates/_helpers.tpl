{{/* Names, labels, images, executors. What a pod is made of is in _pod.tpl, what may talk to whom in _network.tpl. */}}

{{/* At most 40 characters, so that a suffix such as -migrate-0123456789 still fits into a label. */}}
{{- define "airflow-wall.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of a CronJob, at most 52 characters: (list . "database-cleanup"). */}}
{{- define "airflow-wall.cronName" -}}
{{- $suffix := printf "-%s" (index . 1) -}}
{{- printf "%s%s" (include "airflow-wall.fullname" (index . 0) | trunc (int (sub 52 (len $suffix))) | trimSuffix "-") $suffix -}}
{{- end -}}

{{/* What selects the pods of one workload: (list . "scheduler"), (list . "worker" "heavy"). Never changes, because
selectors cannot. Every worker and triggerer names its set, so that no selector takes in two workloads. */}}
{{- define "airflow-wall.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: airflow-wall
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
airflow-wall/set: {{ index . 2 }}
{{- end }}
{{- end -}}

{{/* All labels of one workload; arguments as above. */}}
{{- define "airflow-wall.labels" -}}
{{- $root := index . 0 -}}
{{ include "airflow-wall.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: airflow
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
airflow-wall/airflow-version: {{ $root.Values.airflowVersion | quote }}
{{- with $root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list . "airflow") */}}
{{- define "airflow-wall.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* The executors, as JSON: {celery: [names tasks may say], celeryIsDefault, kubernetes, local}. A task's row has the
name as its author wrote it: the class, its path, or an alias; or nothing, for the default executor. */}}
{{- define "airflow-wall.executors" -}}
{{- $path := "airflow.providers.celery.executors.celery_executor.CeleryExecutor" -}}
{{- $celery := list -}}
{{- $first := false -}}
{{- $kubernetes := false -}}
{{- $local := false -}}
{{- range $index, $entry := splitList "," .Values.executor -}}
{{- $parts := splitList ":" (trim $entry) -}}
{{- $class := last (splitList "." (last $parts)) -}}
{{- if eq $class "CeleryExecutor" -}}
{{- $celery = concat $celery $parts (list $class $path) | uniq -}}
{{- if eq $index 0 }}{{ $first = true }}{{ end -}}
{{- else if eq $class "KubernetesExecutor" -}}
{{- $kubernetes = true -}}
{{- else if eq $class "LocalExecutor" -}}
{{- $local = true -}}
{{- end -}}
{{- end -}}
{{- dict "celery" $celery "celeryIsDefault" $first "kubernetes" $kubernetes "local" $local | toJson -}}
{{- end -}}

{{/* Worker sets as a JSON list, each with all that it inherits. Empty without CeleryExecutor. */}}
{{- define "airflow-wall.workerSets" -}}
{{- $sets := list -}}
{{- if (include "airflow-wall.executors" . | fromJson).celery -}}
{{- $base := omit .Values.workers.celery "sets" "enableDefault" -}}
{{- if .Values.workers.celery.enableDefault -}}
{{- $sets = append $sets (merge (dict "name" "default") $base) -}}
{{- end -}}
{{- range .Values.workers.celery.sets -}}
{{- $sets = append $sets (include "airflow-wall.setOf" (list $base .) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- toJson $sets -}}
{{- end -}}

{{/* A set with all that it inherits, as JSON: (list BASE SET). Placement is replaced as a whole, since a GPU's selector
beside that of general nodes selects no node; null removes it. */}}
{{- define "airflow-wall.setOf" -}}
{{- $set := index . 1 -}}
{{- $merged := mergeOverwrite (deepCopy (index . 0)) (deepCopy $set) -}}
{{- range list "nodeSelector" "affinity" "tolerations" "topologySpreadConstraints" "strategy" -}}
{{- if hasKey $set . }}{{ $_ := set $merged . (get $set .) }}{{ end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end -}}

{{/* The same of triggerers. */}}
{{- define "airflow-wall.triggererSets" -}}
{{- $base := omit .Values.triggerer "sets" -}}
{{- $sets := list (merge (dict "name" "default") $base) -}}
{{- range .Values.triggerer.sets -}}
{{- $sets = append $sets (include "airflow-wall.setOf" (list $base .) | fromJson) -}}
{{- end -}}
{{- toJson $sets -}}
{{- end -}}

{{/* Name of a set's workload: (list . "worker" "heavy"). */}}
{{- define "airflow-wall.setName" -}}
{{- $name := printf "%s-%s" (include "airflow-wall.fullname" (index . 0)) (index . 1) -}}
{{- if ne (index . 2) "default" }}{{ $name = printf "%s-%s" $name (index . 2) }}{{ end -}}
{{- $name -}}
{{- end -}}

{{/* Where Airflow's pods are, as JSON: the release's namespace, and that of task pods if it is another. */}}
{{- define "airflow-wall.namespaces" -}}
{{- $tasks := "" -}}
{{- if (include "airflow-wall.executors" . | fromJson).kubernetes }}{{ $tasks = .Values.workers.kubernetes.namespace }}{{ end -}}
{{- list .Release.Namespace $tasks | uniq | compact | toJson -}}
{{- end -}}

{{/* A PodDisruptionBudget: (dict "root" . "name" ... "values" ... "of" (list . "worker" "heavy")). */}}
{{- define "airflow-wall.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ (index .of 0).Release.Namespace }}
  labels: {{- include "airflow-wall.labels" .of | nindent 4 }}
spec:
  {{- toYaml .values.podDisruptionBudget.config | nindent 2 }}
  selector:
    matchLabels: {{- include "airflow-wall.selector" .of | nindent 6 }}
{{- end -}}

{{/* Name of a component's ServiceAccount: (list . "scheduler"). */}}
{{- define "airflow-wall.account" -}}
{{- $all := (index . 0).Values -}}
{{- $values := get (dict
  "api-server" $all.apiServer "scheduler" $all.scheduler "dag-processor" $all.dagProcessor "triggerer" $all.triggerer
  "worker" $all.workers.celery "task" $all.workers.kubernetes "migrate" $all.migrateDatabaseJob) (index . 1) | default dict -}}
{{- default (printf "%s-%s" (include "airflow-wall.fullname" (index . 0)) (index . 1)) (dig "serviceAccount" "name" "" $values) -}}
{{- end -}}

{{/* A ServiceAccount: (dict "root" . "component" "scheduler" "values" ...), in "namespace" if it is another. Empty if it
is somebody else's. */}}
{{- define "airflow-wall.serviceAccount" -}}
{{- if dig "serviceAccount" "create" true .values -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "airflow-wall.account" (list .root .component) }}
  namespace: {{ default .root.Release.Namespace .namespace }}
  labels: {{- include "airflow-wall.labels" (list .root .component) | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{/* Host of the metadata database itself, behind PgBouncer. */}}
{{- define "airflow-wall.databaseHost" -}}
{{- ternary (printf "%s-postgres" (include "airflow-wall.fullname" .)) .Values.pgbouncer.host .Values.dev.enabled -}}
{{- end -}}

{{/* Path below which Airflow answers, from `config.api.base_url`: empty, or e.g. /airflow. */}}
{{- define "airflow-wall.basePath" -}}
{{- (dig "api" "base_url" "" .Values.config | toString | urlParse).path | trimSuffix "/" -}}
{{- end -}}

{{/* Whether others than the release's pods reach UI and API; else empty. */}}
{{- define "airflow-wall.published" -}}
{{- if or .Values.ingress.apiServer.enabled .Values.httpRoute.enabled (ne .Values.apiServer.service.type "ClusterIP") }}yes{{ end -}}
{{- end -}}
