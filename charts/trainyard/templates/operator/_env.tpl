{{/* The operator's settings: what trainyard_operator/settings.py reads. */}}
{{- define "trainyard.operatorEnv" -}}
- {name: TRAINYARD_TRACKING_URL, value: "{{ include "trainyard.trackingScheme" . }}://{{ include "trainyard.trackingName" . }}:5000"}
- {name: TRAINYARD_TOKEN_FILE, value: /var/run/trainyard-tracking/token}
{{- if .Values.tracking.tls.enabled }}
- {name: TRAINYARD_CA_FILE, value: /var/run/trainyard-tracking/ca.crt}
{{- end }}
- {name: TRAINYARD_SIGNING_KEY_FILE, value: /var/run/trainyard/signing.key}
- {name: TRAINYARD_AGENT_IMAGE, value: {{ include "trainyard.image" (dict "root" . "name" "agent" "image" .Values.agent.image) | quote }}}
- {name: TRAINYARD_AGENT_RESOURCES, value: {{ .Values.agent.resources | toJson | quote }}}
- {name: TRAINYARD_RUNTIMES_FILE, value: /etc/trainyard/runtimes.yaml}
- {name: TRAINYARD_IMAGE_PULL_POLICY, value: {{ .Values.image.pullPolicy | quote }}}
- {name: TRAINYARD_RUN_AS_USER, value: {{ include "trainyard.number" .Values.runs.runAsUser | quote }}}
- {name: TRAINYARD_FS_GROUP, value: {{ include "trainyard.number" .Values.runs.fsGroup | quote }}}
- {name: TRAINYARD_JOB_TTL, value: {{ include "trainyard.number" .Values.runs.jobTTLSeconds | quote }}}
- {name: TRAINYARD_WATCH_NAMESPACES, value: {{ join "," .Values.operator.watchNamespaces | quote }}}
- {name: TRAINYARD_LEASE_NAME, value: trainyard-operator}
- {name: TRAINYARD_HTTP_PORT, value: "8081"}
- {name: TRAINYARD_LOG_LEVEL, value: {{ .Values.operator.logLevel }}}
- {name: TRAINYARD_LOG_FORMAT, value: {{ .Values.operator.logFormat }}}
- name: TRAINYARD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: TRAINYARD_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: HOME, value: /tmp}
{{- end }}

{{/* A whole number as text; nothing for null. */}}
{{- define "trainyard.number" -}}
{{- if not (kindIs "invalid" .) }}{{ int64 . }}{{ end -}}
{{- end }}
