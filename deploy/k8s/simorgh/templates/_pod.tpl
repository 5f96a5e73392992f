{{/* Pods that satisfy PodSecurity `restricted`, and more. */}}

{{/* Of a pod: the user's number. */}}
{{- define "simorgh.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "simorgh.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What any pod has. enableServiceLinks: a Service named simorgh-api would put SIMORGH_API_PORT=tcp://… into each pod. */}}
{{- define "simorgh.podCommon" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A folder for what may go with the pod: (list name {size, storageClass}). */}}
{{- define "simorgh.scratch" -}}
- name: {{ index . 0 }}
{{- with index . 1 }}
  {{- if .storageClass }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .storageClass }}
        resources:
          requests:
            storage: {{ .size }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .size }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The pod of a process: (list $ name process extra), extra being {arguments, restartPolicy}. */}}
{{- define "simorgh.processPod" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $process := index . 2 -}}
{{- $extra := index . 3 -}}
{{- $values := index $root.Values.processes $name -}}
{{- $onGpu := include "simorgh.onGpu" (list $root $name $process) -}}
metadata:
  labels:
    {{- include "simorgh.labels" (list $root $name) | nindent 4 }}
    {{- if eq $process.port.name "metrics" }}
    simorgh/metrics: "true"
    {{- end }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $name }}
    {{- with $extra.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "simorgh.podCommon" $root | nindent 2 }}
  {{- with $extra.restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "simorgh.podSecurity" 10001 | nindent 4 }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if and $onGpu $values.gpu.runtimeClassName }}
  runtimeClassName: {{ $values.gpu.runtimeClassName }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $root.Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range $root.Values.topologySpread.topologyKeys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "simorgh.selector" (list $root $name) | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- if ne (include "simorgh.migrationMode" $root) "hook" }}
  initContainers:
    {{- include "simorgh.awaitMigrations" (list $root $process $onGpu) | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $name }}
      image: {{ include "simorgh.image" (list $root $process.image (not (empty $onGpu))) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command:
        {{- toYaml $process.command | nindent 8 }}
        {{- with $extra.arguments }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: {{ $process.port.name }}
          containerPort: {{ $process.port.number }}
      env:
        {{- include "simorgh.environment" (list $root $name $process) | trim | nindent 8 }}
      {{- include "simorgh.probes" $process | nindent 6 }}
      {{- if eq $process.port.name "http" }}
      lifecycle:
        preStop:
          sleep:
            seconds: 10  # until no proxy sends it anything new
      {{- end }}
      resources:
        {{- include "simorgh.resources" (list $values $onGpu) | nindent 8 }}
      securityContext:
        {{- include "simorgh.containerSecurity" nil | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: scratch, mountPath: /var/lib/simorgh}
        {{- if $onGpu }}
        - {name: shared-memory, mountPath: /dev/shm}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ $values.scratch.size }}
    {{- include "simorgh.scratch" (list "scratch" $values.scratch) | nindent 4 }}
    {{- if $onGpu }}
    - name: shared-memory
      emptyDir:
        medium: Memory
        sizeLimit: {{ $values.gpu.sharedMemory }}
    {{- end }}
{{- end -}}

{{/* Live: it answers. Ready: PostgreSQL, this release's schema and the storage are there. Startup: time for imports. */}}
{{- define "simorgh.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: {{ .port.name }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 90
livenessProbe:
  httpGet: {path: /livez, port: {{ .port.name }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port.name }}}
  periodSeconds: 5
  timeoutSeconds: 10
  failureThreshold: 3
{{- end -}}

{{/* (list values onGpu) */}}
{{- define "simorgh.resources" -}}
{{- $values := index . 0 -}}
{{- if index . 1 -}}
{{- $gpus := dict $values.gpu.resource (toString $values.gpu.count) -}}
requests:
  {{- merge (dict) $values.resources.requests $gpus | toYaml | nindent 2 }}
limits:
  {{- merge (dict) $values.resources.limits $gpus | toYaml | nindent 2 }}
{{- else -}}
{{- toYaml $values.resources -}}
{{- end -}}
{{- end -}}

{{/* A release that no hook goes before: its pods wait here instead of ending again and again. (list $ process onGpu) */}}
{{- define "simorgh.awaitMigrations" -}}
{{- $root := index . 0 -}}
- name: await-migrations
  image: {{ include "simorgh.image" (list $root (index . 1).image (not (empty (index . 2)))) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [simorgh-migrate, --await, {{ $root.Values.migration.deadlineSeconds | quote }}]
  env:
    {{- include "simorgh.environment.common" $root | trim | nindent 4 }}
    {{- include "simorgh.environment.of" (list $root "database") | trim | nindent 4 }}
  resources:
    {{- toYaml $root.Values.migration.resources | nindent 4 }}
  securityContext:
    {{- include "simorgh.containerSecurity" nil | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
{{- end -}}
