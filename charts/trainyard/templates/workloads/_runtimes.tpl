{{/* The presets, with full names of images: what parse_runtimes of the operator reads. */}}
{{- define "trainyard.runtimes" -}}
{{- $root := . -}}
{{- range $name, $preset := .Values.runtimes }}
{{- if $preset }}
{{ $name }}:
  image: {{ include "trainyard.runtimeImage" (dict "root" $root "image" ($preset.image | default "")) | quote }}
  servingImage: {{ include "trainyard.runtimeImage" (dict "root" $root "image" ($preset.servingImage | default "")) | quote }}
  resources: {{ $preset.resources | default dict | toJson }}
  tolerations: {{ $preset.tolerations | default list | toJson }}
  packages: {{ $preset.packages | default dict | toJson }}
{{- end }}
{{- end }}
{{- end }}
