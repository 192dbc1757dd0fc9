{{/* Names and labels. */}}

{{- define "vieter-builder.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* A CronJob's name has at most 52 characters: the controller appends 11 of its own. */}}
{{- define "vieter-builder.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "vieter-builder.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "vieter-builder.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vieter-builder.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "vieter-builder.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vieter-builder.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
`key: number` lines for the numbers that are set: {indent, numbers}. 0 is set; null is not.
*/}}
{{- define "vieter-builder.numbers" -}}
{{- $indent := int .indent }}
{{- range $key, $value := .numbers }}
{{- if not (kindIs "invalid" $value) }}
{{- printf "%s: %d" $key (int64 $value) | nindent $indent }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value of `config` as text: numbers without an exponent. */}}
{{- define "vieter-builder.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end }}
{{- end }}

{{- define "vieter-builder.image" -}}
{{- if .image.digest -}}
{{ printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" .image.repository (.image.tag | default .tag) }}
{{- end }}
{{- end }}

{{/* "yes" when a daemon runs in the pod. */}}
{{- define "vieter-builder.ownDaemon" -}}
{{- if has .Values.docker.mode (list "sidecar" "rootless") }}yes{{ end }}
{{- end }}

{{/* "yes" when the list comes from a file. */}}
{{- define "vieter-builder.listFromFile" -}}
{{- if or .Values.repos .Values.existingReposConfigMap }}yes{{ end }}
{{- end }}

{{- define "vieter-builder.apiKeySecret" -}}
{{- if .Values.server.existingSecret -}}
{{ .Values.server.existingSecret }}
{{- else if .Values.server.apiKey -}}
{{ include "vieter-builder.fullname" . }}
{{- end }}
{{- end }}

{{/* The claim of a volume: {root, name, volume}. */}}
{{- define "vieter-builder.claim" -}}
{{ .volume.existingClaim | default (printf "%s-%s" (include "vieter-builder.fullname" .root) .name) }}
{{- end }}

{{/*
The claims that the chart makes, that all pods of `shards` have in common, and that only one node can mount at a time:
the names of their values, with commas.
*/}}
{{- define "vieter-builder.oneNodeClaims" -}}
{{- $claims := dict "cache" .Values.cache "reports" .Values.reports }}
{{- if and (include "vieter-builder.ownDaemon" .) (not .Values.docker.persistence.hostPath) }}
{{- $_ := set $claims "docker.persistence" .Values.docker.persistence }}
{{- end }}
{{- $found := list }}
{{- range $name, $volume := $claims }}
{{- if and $volume.enabled (not $volume.existingClaim) (not (has "ReadWriteMany" $volume.accessModes)) }}
{{- $found = append $found $name }}
{{- end }}
{{- end }}
{{- if gt (int .Values.shards) 1 }}{{ $found | sortAlpha | join ", " }}{{ end }}
{{- end }}

{{/* What no schema can say: values that do not go together. */}}
{{- define "vieter-builder.check" -}}
{{- $v := .Values }}
{{- if $v.repository.enabled }}
{{- if $v.server.address }}{{ fail "server.address and repository.enabled: packages go to one of them; unset the other" }}{{ end }}
{{- if not (include "vieter-builder.listFromFile" .) }}{{ fail "repository.enabled needs the list of what to build: set repos or existingReposConfigMap" }}{{ end }}
{{- if gt (int $v.shards) 1 }}{{ fail "repository.enabled and shards: several pods must not write to one static repository; use a Vieter server, or a release for each repository" }}{{ end }}
{{- else }}
{{- if not $v.server.address }}{{ fail "server.address is needed: the address of the Vieter server (or set repository.enabled)" }}{{ end }}
{{- if not (include "vieter-builder.apiKeySecret" .) }}{{ fail "server.existingSecret is needed: the Secret with the server's API key" }}{{ end }}
{{- end }}
{{- if gt (int $v.shards) 1 }}
{{- range $name, $volume := dict "cache" $v.cache "reports" $v.reports "docker.persistence" $v.docker.persistence }}
{{- if and $volume.enabled (has "ReadWriteOncePod" $volume.accessModes) }}{{ fail (printf "%s.accessModes and shards: ReadWriteOncePod is for one pod, and shards makes several; use ReadWriteOnce or ReadWriteMany" $name) }}{{ end }}
{{- end }}
{{- end }}
{{- if and $v.repos $v.existingReposConfigMap }}{{ fail "repos and existingReposConfigMap: the list comes from one of them; unset the other" }}{{ end }}
{{- if and $v.server.existingSecret $v.server.apiKey }}{{ fail "server.existingSecret and server.apiKey: the key comes from one of them; unset the other" }}{{ end }}
{{- if and (eq $v.docker.mode "remote") (not $v.docker.remote.host) }}{{ fail "docker.remote.host is needed with docker.mode=remote" }}{{ end }}
{{- end }}
