{{/* airflow.cfg: what `config` says, and what other values decide. Go ranges over a map in sorted order. */}}
{{- define "airflow-wall.config" -}}
{{- range $section, $options := mergeOverwrite (deepCopy .Values.config) (include "airflow-wall.config.own" . | fromJson) -}}
[{{ $section }}]
{{ range $option, $value := $options -}}
{{- /* A number is a float here; as text a large one would be 8.64e+07. */ -}}
{{ $option }} = {{ if kindIs "float64" $value }}{{ toJson $value }}{{ else }}{{ $value }}{{ end }}
{{ end }}
{{ end -}}
{{- end -}}

{{/* Whether users are those of Airflow's simple auth manager; else empty. */}}
{{- define "airflow-wall.simpleUsers" -}}
{{- if contains ".simple." (dig "core" "auth_manager" ".simple." .Values.config) }}yes{{ end -}}
{{- end -}}

{{/* What other values decide, as JSON. */}}
{{- define "airflow-wall.config.own" -}}
{{- $name := include "airflow-wall.fullname" . -}}
{{- $executors := include "airflow-wall.executors" . | fromJson -}}
{{- $own := dict
  "core" (dict
    "executor" .Values.executor
    "execution_api_server_url" (printf "http://%s-api-server.%s.svc:%v%s/execution/" $name .Release.Namespace (int .Values.apiServer.service.port) (include "airflow-wall.basePath" .)))
  "scheduler" (dict "enable_health_check" "True")
  "dag_processor" (dict "dag_bundle_config_list" (toJson .Values.dagProcessor.dagBundleConfigList))
  "wall" (dict "environment" .Values.environment)
-}}
{{- if include "airflow-wall.simpleUsers" . -}}
{{- $_ := set $own "core" (merge $own.core (dict
  "simple_auth_manager_users" (join "," .Values.users.simple)
  "simple_auth_manager_passwords_file" (printf "%s/auth/passwords.json" .Values.airflowHome))) -}}
{{- end -}}
{{- if .Values.statsd.enabled -}}
{{- /* Tags in InfluxDB's way, of which the exporter makes labels. */ -}}
{{- $_ := set $own "metrics" (dict
  "statsd_on" "True"
  "statsd_host" (printf "%s-statsd.%s.svc" $name .Release.Namespace)
  "statsd_port" "9125"
  "statsd_influxdb_enabled" "True"
  "legacy_names_on" "False") -}}
{{- end -}}
{{- with .Values.logs.remote.folder -}}
{{- $remote := dict "remote_logging" "True" "remote_base_log_folder" . -}}
{{- with $.Values.logs.remote.connId }}{{ $_ := set $remote "remote_log_conn_id" . }}{{ end -}}
{{- $_ := set $own "logging" $remote -}}
{{- end -}}
{{- if $executors.kubernetes -}}
{{- $_ := set $own "kubernetes_executor" (dict
  "namespace" (default .Release.Namespace .Values.workers.kubernetes.namespace)
  "pod_template_file" (printf "%s/pod_template.yaml" .Values.airflowHome)
  "worker_container_repository" .Values.images.airflow.repository
  "worker_container_tag" (default .Chart.AppVersion .Values.images.airflow.tag)) -}}
{{- if .Values.images.airflow.digest -}}
{{- /* Airflow joins the two by a colon, which no digest has before it; the template's image is used without them. */ -}}
{{- $_ := set $own "kubernetes_executor" (omit $own.kubernetes_executor "worker_container_repository" "worker_container_tag") -}}
{{- end -}}
{{- end -}}
{{- toJson $own -}}
{{- end -}}

{{/* Option of airflow.cfg to what sets it. What is secret, and what other values decide, is not for `config`. */}}
{{- define "airflow-wall.config.elsewhere" -}}
core.executor: executor
core.simple_auth_manager_users: users.simple
core.simple_auth_manager_passwords_file: users.passwordsSecretName
core.fernet_key: fernetKeySecretName
core.execution_api_server_url: apiServer.service
database.sql_alchemy_conn: data.metadataSecretName
celery.broker_url: data.brokerUrlSecretName
celery.result_backend: data.resultBackendSecretName
celery.worker_concurrency: workers.celery.concurrency
celery.worker_autoscale: workers.celery.keda
api.secret_key: apiSecretKeySecretName
api_auth.jwt_secret: jwtSecretName
dag_processor.dag_bundle_config_list: dagProcessor.dagBundleConfigList
triggerer.capacity: triggerer.capacity
scheduler.enable_health_check: nothing (the probe needs it)
metrics.statsd_on: statsd.enabled
metrics.statsd_host: statsd.enabled
metrics.statsd_port: statsd.enabled
metrics.statsd_influxdb_enabled: nothing (the exporter needs it)
metrics.legacy_names_on: nothing (alerts and dashboards use the new names)
logging.remote_logging: logs.remote.folder
logging.remote_base_log_folder: logs.remote.folder
logging.remote_log_conn_id: logs.remote.connId
kubernetes_executor.namespace: workers.kubernetes.namespace
kubernetes_executor.pod_template_file: workers.kubernetes
kubernetes_executor.worker_container_repository: images.airflow.repository
kubernetes_executor.worker_container_tag: images.airflow.tag
wall.environment: environment
{{- end -}}
