{{/* What the pods of Airflow are made of, so that a component's file says only what is its own.

They take (dict "root" . "component" "scheduler" "values" .Values.scheduler ...). */}}

{{/* The pod but its containers and volumes. Further: "of" (arguments of airflow-wall.selector), "account" (the component
whose ServiceAccount it has, by default its own), "spread" (whether the pods should be apart). */}}
{{- define "airflow-wall.pod" -}}
{{- $all := .root.Values -}}
{{- $own := .values -}}
serviceAccountName: {{ include "airflow-wall.account" (list .root (default .component .account)) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml $all.securityContexts.pod | nindent 2 }}
{{- with $all.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ int . }}
{{- end }}
{{- include "airflow-wall.placement" (list .root $own) }}
{{- with ternary (default $all.topologySpreadConstraints $own.topologySpreadConstraints) $own.topologySpreadConstraints (default false .spread) }}
topologySpreadConstraints:
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "airflow-wall.selector" $.of | fromYaml)) }}
{{- range . }}
  - {{ merge (deepCopy .) $selector | toJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod; "of" as above. "annotations" of the component's own come on top. */}}
{{- define "airflow-wall.podMetadata" -}}
labels:
  {{- include "airflow-wall.labels" .of | nindent 2 }}
  {{- with .values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ include "airflow-wall.config" .root | sha256sum }}
  {{- with merge dict (default dict .values.podAnnotations) .root.Values.airflowPodAnnotations (default dict .annotations) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The container but its name, command, ports and probes. Further: "secrets", of those in airflow-wall.env;
"pipelines", whether it reads them; "token", whether it talks to the Kubernetes API; "extra", entries of env; "mounts",
further ones. */}}
{{- define "airflow-wall.container" -}}
image: {{ include "airflow-wall.image" (list .root "airflow") }}
imagePullPolicy: {{ .root.Values.images.airflow.pullPolicy }}
securityContext: {{- toYaml .root.Values.securityContexts.container | nindent 2 }}
env: {{- include "airflow-wall.env" . | nindent 2 }}
{{- with .root.Values.extraEnvFrom }}
envFrom: {{- tpl . $.root | nindent 2 }}
{{- end }}
resources: {{- toYaml .values.resources | nindent 2 }}
volumeMounts:
  {{- $home := .root.Values.airflowHome }}
  - {name: config, mountPath: {{ $home }}/airflow.cfg, subPath: airflow.cfg, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  - {name: logs, mountPath: {{ $home }}/logs}
  {{- if .pipelines }}
  - {name: pipelines, mountPath: {{ $home }}/dags/chart, readOnly: true}
  {{- end }}
  {{- if .token }}
  - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- end }}
  {{- range .mounts }}
  - {{ toJson . }}
  {{- end }}
  {{- range concat .root.Values.volumeMounts (ternary .values.extraVolumeMounts list (kindIs "slice" .values.extraVolumeMounts)) }}
  - {{ toJson . }}
  {{- end }}
{{- end -}}

{{- define "airflow-wall.env" -}}
{{- $all := .root.Values -}}
{{- $secrets := dict
  "database" (list "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" $all.data.metadataSecretName "connection")
  "databaseAsync" (list "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC" $all.data.metadataSecretName $all.data.metadataAsyncKey)
  "fernet" (list "AIRFLOW__CORE__FERNET_KEY" $all.fernetKeySecretName "fernet-key")
  "jwt" (list "AIRFLOW__API_AUTH__JWT_SECRET" $all.jwtSecretName "jwt-secret")
  "api" (list "AIRFLOW__API__SECRET_KEY" $all.apiSecretKeySecretName "api-secret-key")
  "broker" (list "AIRFLOW__CELERY__BROKER_URL" $all.data.brokerUrlSecretName "connection")
  "result" (list "AIRFLOW__CELERY__RESULT_BACKEND" $all.data.resultBackendSecretName "connection")
-}}
# The entrypoint of Airflow's own image would wait for the database, which not every component may reach.
- {name: CONNECTION_CHECK_MAX_COUNT, value: "0"}
# Airflow wants its user's name, and a uid other than the image's has none.
- {name: USER, value: airflow}
{{- range ternary (append .secrets "databaseAsync") .secrets (has "database" .secrets) }}
{{- $secret := index $secrets . }}
- name: {{ index $secret 0 }}
  valueFrom: {secretKeyRef: {name: {{ index $secret 1 }}, key: {{ index $secret 2 }}}}
{{- end }}
{{- range .extra }}
- {{ toJson . }}
{{- end }}
{{- range $all.secret }}
- name: {{ .envName }}
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .secretKey }}}}
{{- end }}
{{- range concat $all.env (ternary .values.env list (kindIs "slice" .values.env)) }}
- {{ toJson . }}
{{- end }}
{{- with $all.extraEnv }}
{{ tpl . $.root }}
{{- end }}
{{- end -}}

{{/* "pipelines" and "token" as above; "more", volumes of the component's own. */}}
{{- define "airflow-wall.volumes" -}}
- name: config
  configMap: {name: {{ include "airflow-wall.fullname" .root }}-config}
- name: tmp
  emptyDir: {}
- name: logs
  {{- if .root.Values.logs.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ default (printf "%s-logs" (include "airflow-wall.fullname" .root)) .root.Values.logs.persistence.existingClaim }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if .pipelines }}
# The kubelet renews the files within about a minute, so pods are not restarted for them.
- name: pipelines
  projected:
    sources:
      - configMap: {name: {{ include "airflow-wall.fullname" .root }}-pipelines}
      {{- range .root.Values.pipelineConfigMaps }}
      - configMap: {name: {{ . }}}
      {{- end }}
{{- end }}
{{- if .token }}
{{ include "airflow-wall.token" . }}
{{- end }}
{{- range .more }}
- {{ toJson . }}
{{- end }}
{{- range concat .root.Values.volumes (ternary .values.extraVolumes list (kindIs "slice" .values.extraVolumes)) }}
- {{ toJson . }}
{{- end }}
{{- end -}}

{{/* What lets a container talk to the Kubernetes API: given to that container alone, not to all of the pod. */}}
{{- define "airflow-wall.token" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end -}}

{{/* Starts nothing on a database that the migration Job has not brought to this version yet. */}}
{{- define "airflow-wall.wait" -}}
- name: wait-for-migration
  args: [airflow, db, check-migrations, --migration-wait-timeout=600]
  {{- include "airflow-wall.container" (dict "root" .root "values" .values "secrets" (list "database" "fernet")) | nindent 2 }}
{{- end -}}

{{/* A probe that asks the database for this component's heartbeat: (list . "TriggererJob"). `airflow jobs check` asks
the same, for ten times the processor. */}}
{{- define "airflow-wall.heartbeatProbe" -}}
exec:
  command:
    - python
    - -c
    - |
      {{- (index . 0).Files.Get "files/heartbeat.py" | nindent 6 }}
    - {{ index . 1 }}
initialDelaySeconds: 60
periodSeconds: 120
timeoutSeconds: 60
failureThreshold: 3
{{- end -}}
