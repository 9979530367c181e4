{{/* Names, labels, image, and airflow.cfg, whose hash is wanted too. What a pod is, its own file says. */}}

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

{{/* What selects the pods of one component: (list . "scheduler"). Never changes, because selectors cannot. */}}
{{- define "airflow-wall.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: airflow-wall
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of one component: (list . "scheduler"). */}}
{{- define "airflow-wall.labels" -}}
{{- $root := index . 0 -}}
{{ include "airflow-wall.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: airflow
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
airflow-wall/airflow-version: {{ $root.Values.airflowVersion | quote }}
{{- end -}}

{{- define "airflow-wall.image" -}}
{{- $image := .Values.images.airflow -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* airflow.cfg: what `config` says, and two things the chart knows. Go ranges over a map in sorted order. */}}
{{- define "airflow-wall.config" -}}
{{- $service := printf "%s-api-server:%v" (include "airflow-wall.fullname" .) .Values.apiServer.service.port -}}
{{- $own := dict
  "core" (dict "execution_api_server_url" (printf "http://%s/execution/" $service))
  "wall" (dict "environment" .Values.environment) -}}
{{- range $section, $options := mergeOverwrite (deepCopy .Values.config) $own -}}
[{{ $section }}]
{{ range $option, $value := $options -}}
{{- /* A number is a float here; as text a large one would be 8.64e+07. */ -}}
{{ $option }} = {{ if kindIs "float64" $value }}{{ toJson $value }}{{ else }}{{ $value }}{{ end }}
{{ end }}
{{ end -}}
{{- end -}}
