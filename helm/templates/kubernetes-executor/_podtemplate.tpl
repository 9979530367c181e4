{{/* The pod of a task of KubernetesExecutor. It is given no metadata database, Fernet key, JWT secret or API token. */}}
{{- define "airflow-wall.podTemplate" -}}
{{- $of := list . "task" -}}
{{- $values := .Values.workers.kubernetes -}}
{{- $evict := dict "cluster-autoscaler.kubernetes.io/safe-to-evict" (toString $values.safeToEvict) -}}
{{- if not $values.safeToEvict }}{{ $_ := set $evict "karpenter.sh/do-not-disrupt" "true" }}{{ end -}}
{{- $env := list
  (dict "name" "DUMB_INIT_SETSID" "value" "0")
  (dict "name" "AIRFLOW__CORE__EXECUTOR" "value" "LocalExecutor")
  (dict "name" "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" "value" "sqlite:////workers-have-no-database/none.db") -}}
{{- $own := dict "root" . "component" "task" "values" $values "of" $of "secrets" list "extra" $env "pipelines" true
  "annotations" $evict -}}
apiVersion: v1
kind: Pod
metadata:
  name: task
  namespace: {{ default .Release.Namespace $values.namespace }}
  {{- include "airflow-wall.podMetadata" $own | nindent 2 }}
spec:
  restartPolicy: Never
  {{- include "airflow-wall.pod" $own | nindent 2 }}
  {{- with $values.extraInitContainers }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: base
      {{- include "airflow-wall.container" $own | nindent 6 }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes: {{- include "airflow-wall.volumes" $own | nindent 4 }}
{{- end -}}
