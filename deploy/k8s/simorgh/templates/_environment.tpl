{{/* The variables of each process: only those that it needs. Secrets come from Secrets alone. */}}

{{/* (list secret key variable [optional]) */}}
{{- define "simorgh.fromSecret" }}
- name: {{ index . 2 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 0 }}
      key: {{ index . 1 }}
      {{- if gt (len .) 3 }}
      optional: true
      {{- end }}
{{- end -}}

{{/* (list $ need) */}}
{{- define "simorgh.environment.of" -}}
{{- $root := index . 0 -}}
{{- $need := index . 1 -}}
{{- if eq $need "database" -}}
{{- $secret := include "simorgh.secret.database" $root -}}
{{- include "simorgh.fromSecret" (list $secret "database-url" "SIMORGH_DATABASE_URL") -}}
{{- include "simorgh.fromSecret" (list $secret "database-direct-url" "SIMORGH_DATABASE_DIRECT_URL" true) -}}
{{- else if eq $need "database-owner" -}}
{{- include "simorgh.fromSecret" (list (include "simorgh.secret.database" $root) "database-owner-url" "SIMORGH_DATABASE_OWNER_URL") }}
- name: SIMORGH_DATABASE_APP_ROLE
  value: {{ $root.Values.database.appRole | quote }}
{{- else if eq $need "broker" -}}
{{- include "simorgh.fromSecret" (list (include "simorgh.secret.broker" $root) "redis-url" "SIMORGH_REDIS_URL") -}}
{{- else if eq $need "storage" -}}
{{- $secret := include "simorgh.secret.storage" $root -}}
{{- include "simorgh.fromSecret" (list $secret "access-key-id" "SIMORGH_S3_ACCESS_KEY_ID") -}}
{{- include "simorgh.fromSecret" (list $secret "secret-access-key" "SIMORGH_S3_SECRET_ACCESS_KEY") -}}
{{- with include "simorgh.storageUrl" $root }}
- name: SIMORGH_S3_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
- name: SIMORGH_S3_BUCKET
  value: {{ $root.Values.storage.bucket | quote }}
- name: SIMORGH_S3_REGION
  value: {{ $root.Values.storage.region | quote }}
{{- else if eq $need "public-storage" -}}
{{- with include "simorgh.publicStorageUrl" $root }}
- name: SIMORGH_S3_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
{{- else if eq $need "signing-key" -}}
{{- $secret := include "simorgh.secret.keys" $root -}}
{{- include "simorgh.fromSecret" (list $secret "signing-key" "SIMORGH_SIGNING_KEY") -}}
{{- include "simorgh.fromSecret" (list $secret "verification-keys" "SIMORGH_VERIFICATION_KEYS" true) -}}
{{- else if eq $need "manifest-key" -}}
{{- include "simorgh.fromSecret" (list (include "simorgh.secret.keys" $root) "manifest-key" "SIMORGH_MANIFEST_KEY") -}}
{{- else if eq $need "internal-key" -}}
{{- include "simorgh.fromSecret" (list (include "simorgh.secret.keys" $root) "internal-key" "SIMORGH_INTERNAL_KEY") -}}
{{- else if eq $need "inference" -}}
{{- include "simorgh.environment.of" (list $root "internal-key") }}
- name: SIMORGH_INFERENCE_URL
  value: http://{{ include "simorgh.fullname" $root }}-inference:8100
{{- end -}}
{{- end -}}

{{- define "simorgh.storageUrl" -}}
{{- if .Values.storage.bundled -}}
http://{{ include "simorgh.fullname" . }}-seaweedfs:8333
{{- else -}}
{{- .Values.storage.endpointUrl -}}
{{- end -}}
{{- end -}}

{{- define "simorgh.publicStorageUrl" -}}
{{- if .Values.storage.publicUrl -}}
{{- .Values.storage.publicUrl -}}
{{- else if .Values.ingress.storageHost -}}
{{- ternary "https" "http" (not (empty .Values.ingress.storageTlsSecret)) }}://{{ .Values.ingress.storageHost -}}
{{- end -}}
{{- end -}}

{{/* What every process of ours is told. */}}
{{- define "simorgh.environment.common" }}
- name: SIMORGH_ENVIRONMENT
  value: {{ .Values.environment }}
- name: SIMORGH_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: PYTHONUNBUFFERED
  value: "1"
- name: HOME
  value: /tmp  # the user has none, and the root is read-only
{{- with .Values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Values of the operator's: all processes' first, then this one's, which win. (list $ values) */}}
{{- define "simorgh.environment.given" -}}
{{- range $name, $value := merge (dict) (index . 1).env (index . 0).Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* All variables of a process: (list $ name process). */}}
{{- define "simorgh.environment" -}}
{{- $root := index . 0 -}}
{{- $process := index . 2 -}}
{{- $values := index $root.Values.processes (index . 1) -}}
{{- include "simorgh.environment.common" $root }}
- name: SIMORGH_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: {{ $process.listens.host }}
  value: "0.0.0.0"
- name: {{ $process.listens.port }}
  value: {{ $process.port.number | quote }}
{{- range $variable, $folder := $process.folders }}
- name: {{ $variable }}
  value: /var/lib/simorgh/{{ $folder }}
{{- end }}
{{- range $process.needs }}
{{- include "simorgh.environment.of" (list $root .) }}
{{- end }}
{{- /* All of the pod's time to give work back or to answer, but for preStop's 10 s and for what ending itself takes. */}}
{{- if or $process.queues (eq $process.port.name "http") }}
- name: SIMORGH_DRAIN_GRACE_S
  value: {{ sub (int $values.terminationGracePeriodSeconds) (ternary 20 10 (eq $process.port.name "http")) | quote }}
{{- end }}
{{- if $process.torch }}
- name: OMP_WAIT_POLICY
  value: PASSIVE
- name: GOMP_SPINCOUNT
  value: "0"
{{- /* Libraries count the node's processors: the container's are what its limit says (without one, the node's). */}}
- name: OMP_NUM_THREADS
  valueFrom:
    resourceFieldRef:
      resource: limits.cpu
      divisor: "1"
{{- end }}
{{- include "simorgh.environment.given" (list $root $values) }}
{{- end -}}
