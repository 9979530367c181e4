{{/* What all pods share, also those of programs other than Airflow: placement, probes, and how they are replaced. */}}

{{/* Where a pod may run, and with what: (list . VALUES). Null means none, and what is empty is that of all pods. */}}
{{- define "airflow-wall.placement" -}}
{{- $own := index . 1 -}}
{{- range $key := list "nodeSelector" "affinity" "tolerations" }}
{{- $removed := and (hasKey $own $key) (kindIs "invalid" (get $own $key)) }}
{{- with ternary nil (default (get (index $ 0).Values $key) (get $own $key)) $removed }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "hostAliases" }}
{{- with get $own $key }}
{{ $key }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod of a program other than Airflow, but its containers and volumes: (dict "root" . "values" .Values.statsd "uid"
65534). Where `securityContexts.pod` leaves the uid to the platform (OpenShift), so do these. */}}
{{- define "airflow-wall.sidePod" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- with .root.Values.securityContexts.pod -}}
{{- if not (kindIs "invalid" .runAsUser) }}{{ $_ := set $context "runAsUser" $.uid }}{{ end -}}
{{- if not (kindIs "invalid" .runAsGroup) }}{{ $_ := set $context "runAsGroup" $.uid }}{{ end -}}
{{- if not (kindIs "invalid" .fsGroup) }}{{ $_ := set $context "fsGroup" $.uid }}{{ end -}}
{{- end -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml $context | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "airflow-wall.placement" (list .root .values) }}
{{- end -}}

{{/* Labels and annotations of such a pod: (dict "values" .Values.statsd "of" ... "annotations" ...). */}}
{{- define "airflow-wall.sidePodMetadata" -}}
labels:
  {{- include "airflow-wall.labels" .of | nindent 2 }}
  {{- with .values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (default dict .values.podAnnotations) (default dict .annotations) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A probe with the times that the component's values change: (list VALUES "livenessProbe" PROBE). */}}
{{- define "airflow-wall.probe" -}}
{{- toYaml (mergeOverwrite (deepCopy (index . 2)) (default dict (get (index . 0) (index . 1)))) -}}
{{- end -}}

{{/* How a Deployment replaces its pods: (list VALUES DEFAULT). */}}
{{- define "airflow-wall.strategy" -}}
{{- with default (index . 1) (index . 0).strategy -}}
strategy: {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}
