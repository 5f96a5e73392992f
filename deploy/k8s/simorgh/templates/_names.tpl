{{/* Names and labels. What goes into selectors never changes between versions: a Deployment's selector cannot. */}}

{{- define "simorgh.fullname" -}}
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

{{/* Of all pods of this release. */}}
{{- define "simorgh.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of one component's pods: (list $ component). */}}
{{- define "simorgh.selector" -}}
{{ include "simorgh.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Of any object: (list $ component). */}}
{{- define "simorgh.labels" -}}
{{- $root := index . 0 -}}
{{ include "simorgh.selector" . }}
app.kubernetes.io/version: {{ include "simorgh.tag" $root | trunc 63 | quote }}
app.kubernetes.io/part-of: simorgh
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "simorgh.tag" -}}
{{- default .Chart.AppVersion .Values.image.tag -}}
{{- end -}}

{{/* An image of ours: (list $ name gpu). A digest, where one is given for it, goes before the tag. */}}
{{- define "simorgh.image" -}}
{{- $root := index . 0 -}}
{{- $variant := ternary (printf "%s-cuda" (index . 1)) (index . 1) (index . 2) -}}
{{- $digest := get $root.Values.image.digests $variant -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end -}}
{{- $root.Values.image.repository }}/{{ index . 1 -}}
{{- if $digest -}}
@{{ $digest }}
{{- else -}}
:{{ include "simorgh.tag" $root }}{{ if index . 2 }}-cuda{{ end }}
{{- end -}}
{{- end -}}

{{/* The table of processes, of the enabled ones alone. */}}
{{- define "simorgh.processes" -}}
{{- $enabled := dict -}}
{{- range $name, $process := .Files.Get "files/processes.yaml" | fromYaml -}}
{{- if (index $.Values.processes $name).enabled -}}
{{- $_ := set $enabled $name $process -}}
{{- end -}}
{{- end -}}
{{- toYaml $enabled -}}
{{- end -}}

{{/* Whether a process runs on a GPU: (list $ name process). */}}
{{- define "simorgh.onGpu" -}}
{{- $values := index (index . 0).Values.processes (index . 1) -}}
{{- if or (index . 2).gpu (dig "gpu" "enabled" false $values) }}true{{ end -}}
{{- end -}}

{{/* The Secrets: made by the operator, or once by this chart. */}}
{{- define "simorgh.secret.keys" -}}
{{- default (printf "%s-keys" (include "simorgh.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}
{{- define "simorgh.secret.database" -}}
{{- ternary (printf "%s-postgresql" (include "simorgh.fullname" .)) .Values.database.existingSecret .Values.database.bundled -}}
{{- end -}}
{{- define "simorgh.secret.broker" -}}
{{- ternary (printf "%s-valkey" (include "simorgh.fullname" .)) .Values.broker.existingSecret .Values.broker.bundled -}}
{{- end -}}
{{- define "simorgh.secret.storage" -}}
{{- ternary (printf "%s-seaweedfs" (include "simorgh.fullname" .)) .Values.storage.existingSecret .Values.storage.bundled -}}
{{- end -}}

{{/* How the migration runs: hook (before anything else), job (beside the rest, which waits for it) or none. */}}
{{- define "simorgh.migrationMode" -}}
{{- if eq .Values.migration.mode "auto" -}}
{{- ternary "job" "hook" .Values.database.bundled -}}
{{- else -}}
{{- .Values.migration.mode -}}
{{- end -}}
{{- end -}}
