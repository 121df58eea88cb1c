{{/* What trainyard_tracking/settings.py reads. */}}
{{- define "trainyard.trackingEnv" -}}
{{- with .Values.tracking.database }}
{{- if .existingSecret }}
- name: TRAINYARD_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .key }}}}
{{- else }}
- {name: TRAINYARD_DATABASE_URL, value: "sqlite:////data/mlflow.db"}
{{- end }}
{{- end }}
{{- with .Values.tracking.ingress }}
{{- if .enabled }}
# Without a certificate here, TLS may end in front of us.
- {name: TRAINYARD_UI_ORIGINS, value: "https://{{ .host }}{{ if not .tlsSecret }},http://{{ .host }}{{ end }}"}
{{- end }}
{{- end }}
- {name: TRAINYARD_SPOOL_DIR, value: /data/spool}
- {name: TRAINYARD_VERIFY_CERT_FILE, value: /var/run/trainyard/tls.crt}
- {name: TRAINYARD_PORT, value: "5000"}
{{- if .Values.tracking.tls.enabled }}
- {name: TRAINYARD_TLS_CERT_FILE, value: /var/run/trainyard-tls/tls.crt}
- {name: TRAINYARD_TLS_KEY_FILE, value: /var/run/trainyard-tls/tls.key}
{{- end }}
- {name: TRAINYARD_LOG_LEVEL, value: {{ .Values.tracking.logLevel }}}
- {name: TRAINYARD_OBJECT_STORE_ENDPOINT, value: {{ include "trainyard.objectStoreEndpoint" . | quote }}}
- {name: TRAINYARD_OBJECT_STORE_BUCKET, value: {{ .Values.objectStore.bucket | quote }}}
- {name: TRAINYARD_OBJECT_STORE_REGION, value: {{ .Values.objectStore.region | quote }}}
- {name: TRAINYARD_OBJECT_STORE_ADDRESSING, value: {{ .Values.objectStore.addressing }}}
{{- if include "trainyard.hasObjectStoreCA" . }}
- {name: TRAINYARD_OBJECT_STORE_CA_FILE, value: /var/run/object-store-ca/ca.crt}
{{- end }}
{{- if not .Values.objectStore.workloadIdentity }}
{{- $secret := include "trainyard.objectStoreSecret" . }}
- name: TRAINYARD_OBJECT_STORE_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ .Values.objectStore.accessKeyKey }}}}
- name: TRAINYARD_OBJECT_STORE_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ .Values.objectStore.secretKeyKey }}}}
{{- with .Values.objectStore.sessionTokenKey }}
- name: TRAINYARD_OBJECT_STORE_SESSION_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- end }}
- {name: TRAINYARD_LARGEST_FILE, value: {{ .Values.tracking.largestFile | quote }}}
- {name: TRAINYARD_QUERY_SECONDS, value: {{ .Values.tracking.querySeconds | int | quote }}}
- {name: HOME, value: /tmp}
{{- end }}
