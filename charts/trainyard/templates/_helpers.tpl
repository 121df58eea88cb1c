{{/* Names, labels, images: what every template shares. One installation per cluster, so names
     are fixed and clients find the services without being told. */}}

{{- define "trainyard.selector" -}}
app.kubernetes.io/name: trainyard
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "trainyard.labels" -}}
{{ include "trainyard.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: trainyard
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object of the release namespace: {root, component, name} */}}
{{- define "trainyard.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "trainyard.labels" . | nindent 2 }}
{{- end }}

{{/* metadata of a cluster-wide object: {root, component, name} */}}
{{- define "trainyard.clusterMetadata" -}}
name: {{ .name }}
labels:
  {{- include "trainyard.labels" . | nindent 2 }}
{{- end }}

{{/* An image: {root, name, image: {repository, tag, digest}}; a digest overrides the tag. */}}
{{- define "trainyard.image" -}}
{{- $shared := .root.Values.image -}}
{{- $own := .image | default dict -}}
{{- $repository := $own.repository | default (printf "%s/%s/%s" $shared.registry $shared.prefix .name) -}}
{{- if $own.digest -}}
{{ $repository }}@{{ $own.digest }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default $shared.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Image of a preset: {root, image}; a name without a slash is one of this release. */}}
{{- define "trainyard.runtimeImage" -}}
{{- if or (not .image) (contains "/" .image) -}}
{{ .image }}
{{- else -}}
{{ include "trainyard.image" (dict "root" .root "name" .image) }}
{{- end -}}
{{- end }}

{{/* The start of every pod's spec: who it runs as, where, and how its images are pulled.
     {root, component, own: the component's values} */}}
{{- define "trainyard.podSpec" -}}
enableServiceLinks: false
securityContext:
  {{- include "trainyard.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Annotations of every pod: {root, own, port}, and scheme if that is https */}}
{{- define "trainyard.podAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: {{ .path | default "/metrics" }}
{{- if eq (.scheme | default "http") "https" }}
prometheus.io/scheme: https
{{- end }}
{{- with merge dict .own.podAnnotations .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "trainyard.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.securityContext.runAsUser }}
runAsUser: {{ . | int64 }}
{{- end }}
{{- with .Values.securityContext.fsGroup }}
runAsGroup: {{ . | int64 }}
fsGroup: {{ . | int64 }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "trainyard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A claim: {root, component, name, persistence} */}}
{{- define "trainyard.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "trainyard.metadata" . | nindent 2 }}
  {{- if .root.Values.retain.data }}
  annotations: {helm.sh/resource-policy: keep}
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ .persistence.size }}}}
{{- end }}

{{/* The volume of a claim: {name: of the volume, claim, persistence} */}}
{{- define "trainyard.dataVolume" -}}
name: data
{{- if .persistence.enabled }}
persistentVolumeClaim: {claimName: {{ .persistence.existingClaim | default .claim }}}
{{- else }}
emptyDir: {}
{{- end }}
{{- end }}

{{/* subjects of a binding: {groups, users} */}}
{{- define "trainyard.subjects" -}}
{{- range .groups }}
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: {{ . | quote }}}
{{- end }}
{{- range .users }}
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: {{ . | quote }}}
{{- end }}
{{- end }}
