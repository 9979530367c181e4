{{/* Parts of NetworkPolicies. A component's own file says which it has. */}}

{{/* The head of a policy: (list . "worker" "heavy"). */}}
{{- define "airflow-wall.networkPolicy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "airflow-wall.fullname" $root }}-{{ rest . | join "-" }}
  namespace: {{ ternary (default $root.Release.Namespace $root.Values.workers.kubernetes.namespace) $root.Release.Namespace (eq (index . 1) "task") }}
  labels: {{- include "airflow-wall.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "airflow-wall.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Peers within the release: (list . "scheduler" "worker"). They name its namespace, since task pods may be in another. */}}
{{- define "airflow-wall.peers" -}}
{{- $root := index . 0 -}}
- podSelector:
    matchLabels: {app.kubernetes.io/name: airflow-wall, app.kubernetes.io/instance: {{ $root.Release.Name }}}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ rest . | toJson }}}
  namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ $root.Release.Namespace }}}
{{- end -}}

{{/* Task pods, which may be in another namespace. */}}
{{- define "airflow-wall.taskPods" -}}
- podSelector:
    matchLabels: {{- include "airflow-wall.selector" (list . "task") | nindent 6 }}
  namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ default .Release.Namespace .Values.workers.kubernetes.namespace }}}
{{- end -}}

{{- define "airflow-wall.to.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end -}}

{{- define "airflow-wall.to.database" -}}
{{- if .Values.pgbouncer.enabled -}}
- to: {{- include "airflow-wall.peers" (list . "pgbouncer") | nindent 4 }}
  ports: [{port: 6543, protocol: TCP}]
{{- else -}}
{{ include "airflow-wall.to.databaseItself" . }}
{{- end -}}
{{- end -}}

{{- define "airflow-wall.to.databaseItself" -}}
- ports: [{port: {{ .Values.networkPolicies.databasePort }}, protocol: TCP}]
{{- if .Values.dev.enabled }}
  to: {{- include "airflow-wall.peers" (list . "postgres") | nindent 4 }}
{{- else if .Values.networkPolicies.database }}
  to: {{- toYaml .Values.networkPolicies.database | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "airflow-wall.to.broker" -}}
- ports:
  {{- range .Values.networkPolicies.brokerPorts }}
    - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- if .Values.dev.enabled }}
  to: {{- include "airflow-wall.peers" (list . "redis") | nindent 4 }}
{{- else if .Values.networkPolicies.broker }}
  to: {{- toYaml .Values.networkPolicies.broker | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "airflow-wall.to.kubernetesApi" -}}
- ports:
  {{- range .Values.networkPolicies.kubernetesApiPorts }}
    - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- with .Values.networkPolicies.kubernetesApi }}
  to: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "airflow-wall.to.statsd" -}}
{{- if .Values.statsd.enabled -}}
- to: {{- include "airflow-wall.peers" (list . "statsd") | nindent 4 }}
  ports: [{port: 9125, protocol: UDP}]
{{- end -}}
{{- end -}}

{{- define "airflow-wall.to.apiServer" -}}
- to: {{- include "airflow-wall.peers" (list . "api-server") | nindent 4 }}
  ports: [{port: 8080, protocol: TCP}]
{{- end -}}

{{- define "airflow-wall.to.data" -}}
{{- with .Values.networkPolicies.data -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}
