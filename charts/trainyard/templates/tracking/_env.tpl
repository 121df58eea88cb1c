{{/* What trainyard_tracking/settings.py reads. */}}
{{- define "trainyard.trackingEnv" -}}
- {name: TRAINYARD_DATABASE_URL, value: "sqlite:////data/mlflow.db"}
- {name: TRAINYARD_SPOOL_DIR, value: /data/spool}
- {name: TRAINYARD_VERIFY_CERT_FILE, value: /var/run/trainyard/tls.crt}
- {name: TRAINYARD_PORT, value: "5000"}
- {name: TRAINYARD_LOG_LEVEL, value: {{ .Values.tracking.logLevel }}}
- {name: TRAINYARD_OBJECT_STORE_ENDPOINT, value: {{ include "trainyard.objectStoreEndpoint" . | quote }}}
- {name: TRAINYARD_OBJECT_STORE_BUCKET, value: {{ .Values.objectStore.bucket | quote }}}
- {name: TRAINYARD_OBJECT_STORE_REGION, value: {{ .Values.objectStore.region | quote }}}
- name: TRAINYARD_OBJECT_STORE_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ include "trainyard.objectStoreSecret" . }}, key: {{ .Values.objectStore.accessKeyKey }}}}
- name: TRAINYARD_OBJECT_STORE_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ include "trainyard.objectStoreSecret" . }}, key: {{ .Values.objectStore.secretKeyKey }}}}
- {name: HOME, value: /tmp}
{{- end }}
