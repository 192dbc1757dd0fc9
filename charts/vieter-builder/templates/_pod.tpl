{{/*
The pod: {root, test}. `test` is that of `helm test`: the same pod, but it only looks, and its daemon
leaves the storage of the nightly one alone.
*/}}
{{- define "vieter-builder.pod" -}}
{{- $root := .root }}
{{- $v := .root.Values }}
{{- $test := .test }}
{{- $own := include "vieter-builder.ownDaemon" $root }}
{{- $sharded := gt (int $v.shards) 0 }}
{{- $podSecurity := include "vieter-builder.podSecurityContext" $root | fromYaml }}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "vieter-builder.numbers" (dict "indent" 0 "numbers" (pick $v "terminationGracePeriodSeconds")) }}
{{- if $v.serviceAccountName }}
serviceAccountName: {{ $v.serviceAccountName | quote }}
{{- end }}
{{- if $v.priorityClassName }}
priorityClassName: {{ $v.priorityClassName | quote }}
{{- end }}
{{- if $v.runtimeClassName }}
runtimeClassName: {{ $v.runtimeClassName | quote }}
{{- end }}
{{- if not (kindIs "invalid" $v.hostUsers) }}
hostUsers: {{ $v.hostUsers }}
{{- end }}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "vieter-builder.nodeSelector" $root | fromYaml }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "vieter-builder.affinity" . | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $podSecurity | nindent 2 }}
{{- if $own }}
initContainers:
  {{- include "vieter-builder.daemon" (dict "root" $root "test" $test "group" $podSecurity.fsGroup) | trim | nindent 2 }}
{{- end }}
containers:
  - name: vieter
    image: {{ include "vieter-builder.image" (dict "image" $v.image "tag" $root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    args: [{{ ternary "doctor" "build" $test }}]
    {{- with $v.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- include "vieter-builder.env" . | trim | nindent 6 }}
    securityContext:
      {{- toYaml $v.securityContext | nindent 6 }}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: FallbackToLogsOnError
    {{- with $v.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if include "vieter-builder.apiKeySecret" $root }}
      - name: api-key
        mountPath: /run/secrets/vieter
        readOnly: true
      {{- end }}
      {{- if include "vieter-builder.listFromFile" $root }}
      - name: repos
        mountPath: /etc/vieter
        readOnly: true
      {{- end }}
      {{- if $v.repository.enabled }}
      - name: repository
        mountPath: /repository
      {{- end }}
      {{- if $v.cache.enabled }}
      - name: cache
        mountPath: /var/cache/vieter
      {{- end }}
      {{- if $v.reports.enabled }}
      - name: reports
        mountPath: /var/lib/vieter/reports
        {{- if $sharded }}
        subPathExpr: shard-$(JOB_COMPLETION_INDEX)
        {{- end }}
      {{- end }}
      {{- if $own }}
      - name: socket
        mountPath: /socket
        readOnly: true
      {{- end }}
      {{- if eq $v.docker.mode "hostSocket" }}
      - name: socket
        mountPath: /var/run/docker.sock
      {{- end }}
      {{- if and (eq $v.docker.mode "remote") $v.docker.remote.tlsSecret }}
      - name: docker-tls
        mountPath: /run/secrets/docker
        readOnly: true
      {{- end }}
      {{- with $v.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "vieter-builder.volumes" . | trim | nindent 2 }}
{{- end }}

{{/*
Volumes belong to a group that the builder has. In rootless mode that must be the daemon's own group, since
its user namespace knows no other. OnRootMismatch: `Always` would change the owner and mode of every
file of every image in the daemon's storage, each night.
*/}}
{{- define "vieter-builder.podSecurityContext" -}}
{{- $v := .Values }}
{{- $group := ternary 1000 $v.securityContext.runAsGroup (eq $v.docker.mode "rootless") }}
{{- if kindIs "invalid" $group }}{{ $group = 10001 }}{{ end }}
{{- $context := dict "fsGroup" $group "fsGroupChangePolicy" "OnRootMismatch" }}
{{- if and (eq $v.docker.mode "hostSocket") (not (kindIs "invalid" $v.docker.hostSocket.group)) }}
{{- $_ := set $context "supplementalGroups" (list $v.docker.hostSocket.group) }}
{{- end }}
{{- range $key, $value := $v.podSecurityContext }}
{{- $_ := set $context $key $value }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* A claim that only one node can mount keeps the pods of `shards` together: elsewhere they would wait for ever. */}}
{{- define "vieter-builder.affinity" -}}
{{- $affinity := deepCopy .root.Values.affinity }}
{{- if and (not .test) (include "vieter-builder.oneNodeClaims" .root) }}
{{- $labels := include "vieter-builder.selectorLabels" .root | fromYaml }}
{{- $together := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) }}
{{- $pods := get $affinity "podAffinity" | default dict }}
{{- $key := "requiredDuringSchedulingIgnoredDuringExecution" }}
{{- $_ := set $pods $key (append (get $pods $key | default list) $together) }}
{{- $_ := set $affinity "podAffinity" $pods }}
{{- end }}
{{- toYaml $affinity }}
{{- end }}

{{- define "vieter-builder.nodeSelector" -}}
{{- $selector := dict }}
{{- if .Values.architecture }}
{{- $_ := set $selector "kubernetes.io/arch" .Values.architecture }}
{{- end }}
{{- range $key, $value := .Values.nodeSelector }}
{{- $_ := set $selector $key $value }}
{{- end }}
{{- toYaml $selector }}
{{- end }}

{{/* The Docker daemon, a native sidecar: up before the builder starts, stopped when it has ended. */}}
{{- define "vieter-builder.daemon" -}}
{{- $v := .root.Values }}
{{- $rootless := eq $v.docker.mode "rootless" }}
{{- $storage := ternary "/home/rootless/.local/share/docker" "/var/lib/docker" $rootless }}
{{- $data := ternary "data-$(JOB_COMPLETION_INDEX)" "data" (gt (int $v.shards) 0) }}
- name: docker
  image: {{ include "vieter-builder.image" (dict "image" $v.docker.image "tag" (ternary "29-dind-rootless" "29-dind" $rootless)) | quote }}
  imagePullPolicy: {{ $v.docker.image.pullPolicy }}
  restartPolicy: Always
  # `dockerd` as the first word keeps the image's start script from opening a TCP port. --group: who may
  # use the socket; group 0 of the rootless daemon's user namespace is group 1000 outside.
  args:
    - dockerd
    - --host=unix:///socket/docker.sock
    - --group={{ if $rootless }}0{{ else }}{{ int64 .group }}{{ end }}
    - --data-root={{ $storage }}/{{ $data }}
    {{- if not (kindIs "invalid" $v.docker.mtu) }}
    - --mtu={{ int64 $v.docker.mtu }}
    {{- end }}
    {{- with $v.docker.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    - name: DOCKER_HOST
      value: unix:///socket/docker.sock
    {{- if $rootless }}
    - name: HOME
      value: /home/rootless
    {{- end }}
    {{- if and .test (gt (int $v.shards) 0) }}
    - name: JOB_COMPLETION_INDEX
      value: "0"
    {{- end }}
    {{- with $v.docker.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  securityContext:
    {{- if not (kindIs "invalid" $v.docker.securityContext) }}
    {{- toYaml $v.docker.securityContext | nindent 4 }}
    {{- else if $rootless }}
    # Still privileged: that lifts seccomp, AppArmor and the masks on /proc, without which no user namespace
    # can be made here. As user 1000 the daemon holds no capability on the node.
    privileged: true
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    {{- else }}
    privileged: true
    runAsUser: 0
    runAsGroup: 0
    {{- end }}
  startupProbe:
    exec:
      command: [docker, info]
    {{- include "vieter-builder.numbers" (dict "indent" 4 "numbers" $v.docker.startupProbe) }}
  {{- with $v.docker.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - name: socket
      mountPath: /socket
    - name: docker
      mountPath: {{ $storage }}
{{- end }}

{{- define "vieter-builder.env" -}}
{{- $root := .root }}
{{- $v := .root.Values }}
{{- $env := dict "HOME" "/tmp" "TMPDIR" "/tmp" "VIETER_RUN_TIMEOUT" $v.runTimeout }}
{{- if include "vieter-builder.ownDaemon" $root }}
{{- $_ := set $env "DOCKER_HOST" "unix:///socket/docker.sock" }}
{{- else if eq $v.docker.mode "remote" }}
{{- $_ := set $env "DOCKER_HOST" $v.docker.remote.host }}
{{- if $v.docker.remote.tlsSecret }}
{{- $_ := set $env "DOCKER_TLS_VERIFY" "1" }}
{{- $_ := set $env "DOCKER_CERT_PATH" "/run/secrets/docker" }}
{{- end }}
{{- else }}
{{- $_ := set $env "DOCKER_HOST" "unix:///var/run/docker.sock" }}
{{- end }}
{{- if $v.repository.enabled }}
{{- $_ := set $env "VIETER_ADDRESS" "file:///repository" }}
{{- $_ := set $env "VIETER_LOCK_FILE" "/repository/.vieter.lock" }}
{{- else }}
{{- $_ := set $env "VIETER_ADDRESS" $v.server.address }}
{{- end }}
{{- if include "vieter-builder.apiKeySecret" $root }}
{{- $_ := set $env "VIETER_API_KEY_FILE" "/run/secrets/vieter/api-key" }}
{{- end }}
{{- if include "vieter-builder.listFromFile" $root }}
{{- $_ := set $env "VIETER_REPOS_FILE" "/etc/vieter/repos.json" }}
{{- end }}
{{- if $v.cache.enabled }}
{{- $_ := set $env "VIETER_CACHE_DIR" "/var/cache/vieter" }}
{{- end }}
{{- if $v.reports.enabled }}
{{- $_ := set $env "VIETER_REPORT_DIR" "/var/lib/vieter/reports" }}
{{- end }}
{{- if gt (int $v.shards) 0 }}
{{- $_ := set $env "VIETER_SHARD_COUNT" (printf "%d" (int $v.shards)) }}
{{- if .test }}
{{- $_ := set $env "JOB_COMPLETION_INDEX" "0" }}
{{- end }}
{{- end }}
{{- range $key, $value := $v.config }}
{{- $_ := set $env $key (include "vieter-builder.text" $value) }}
{{- end }}
{{- range $key, $value := $env }}
- name: {{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "vieter-builder.volumes" -}}
{{- $root := .root }}
{{- $v := .root.Values }}
- name: tmp
  emptyDir: {{ $v.tmp | toJson }}
{{- with include "vieter-builder.apiKeySecret" $root }}
- name: api-key
  secret:
    secretName: {{ . | quote }}
    items:
      - key: {{ ternary "api-key" $v.server.existingSecretKey (empty $v.server.existingSecret) | quote }}
        path: api-key
    defaultMode: 0440
{{- end }}
{{- if include "vieter-builder.listFromFile" $root }}
- name: repos
  configMap:
    name: {{ $v.existingReposConfigMap | default (printf "%s-repos" (include "vieter-builder.fullname" $root)) | quote }}
{{- end }}
{{- if $v.repository.enabled }}
- name: repository
  persistentVolumeClaim:
    claimName: {{ include "vieter-builder.claim" (dict "root" $root "name" "repository" "volume" $v.repository) | quote }}
{{- end }}
{{- range $name := list "cache" "reports" }}
{{- if (index $v $name).enabled }}
- name: {{ $name }}
  {{- if $.test }}
  emptyDir: {}
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ include "vieter-builder.claim" (dict "root" $root "name" $name "volume" (index $v $name)) | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- if include "vieter-builder.ownDaemon" $root }}
- name: socket
  emptyDir: {}
- name: docker
  {{- if or .test (not $v.docker.persistence.enabled) }}
  emptyDir: {{ $v.docker.emptyDir | toJson }}
  {{- else if $v.docker.persistence.hostPath }}
  hostPath:
    path: {{ $v.docker.persistence.hostPath | quote }}
    type: DirectoryOrCreate
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ include "vieter-builder.claim" (dict "root" $root "name" "docker" "volume" $v.docker.persistence) | quote }}
  {{- end }}
{{- else if eq $v.docker.mode "hostSocket" }}
- name: socket
  hostPath:
    path: {{ $v.docker.hostSocket.path | quote }}
    type: Socket
{{- else if $v.docker.remote.tlsSecret }}
- name: docker-tls
  secret:
    secretName: {{ $v.docker.remote.tlsSecret | quote }}
    defaultMode: 0440
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
