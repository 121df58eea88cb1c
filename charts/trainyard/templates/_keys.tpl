{{/* Keys: found in the cluster, or made. A render makes each key at most once: it remembers it in
     .Values, because a second call would make another, and checksums would not fit. */}}

{{- define "trainyard.signingSecret" -}}
{{ .Values.signing.existingSecret | default "trainyard-signing" }}
{{- end }}

{{- define "trainyard.objectStoreSecret" -}}
{{ .Values.objectStore.existingSecret | default "trainyard-object-store" }}
{{- end }}

{{- define "trainyard.signingData" -}}
{{- if not (hasKey .Values "madeSigning") -}}
  {{- $found := lookup "v1" "Secret" .Release.Namespace (include "trainyard.signingSecret" .) -}}
  {{- if $found -}}
    {{- $_ := set .Values "madeSigning" $found.data -}}
  {{- else -}}
    {{- $key := genPrivateKey "ed25519" -}}
    {{- $pair := genSelfSignedCertWithKey "trainyard" nil nil 36500 $key -}}
    {{- $data := dict "signing.key" (b64enc $key) "tls.crt" (b64enc $pair.Cert) -}}
    {{- $_ := set .Values "madeSigning" $data -}}
  {{- end -}}
{{- end -}}
{{ toYaml .Values.madeSigning }}
{{- end }}

{{- define "trainyard.objectStoreData" -}}
{{- if not (hasKey .Values "madeObjectStore") -}}
  {{- $found := lookup "v1" "Secret" .Release.Namespace (include "trainyard.objectStoreSecret" .) -}}
  {{- if $found -}}
    {{- $_ := set .Values "madeObjectStore" $found.data -}}
  {{- else -}}
    {{- $own := .Values.objectStore -}}
    {{- $data := dict $own.accessKeyKey (randAlphaNum 20 | b64enc) $own.secretKeyKey (randAlphaNum 40 | b64enc) -}}
    {{- $_ := set .Values "madeObjectStore" $data -}}
  {{- end -}}
{{- end -}}
{{ toYaml .Values.madeObjectStore }}
{{- end }}

{{- define "trainyard.objectStoreEndpoint" -}}
{{- if .Values.objectStore.endpoint -}}
{{ .Values.objectStore.endpoint }}
{{- else if .Values.minio.enabled -}}
http://trainyard-minio.{{ .Release.Namespace }}.svc:9000
{{- else -}}
{{ fail "there is nowhere to keep files: set objectStore.endpoint and objectStore.existingSecret, or minio.enabled=true" }}
{{- end -}}
{{- end }}

{{- define "trainyard.checkObjectStore" -}}
{{- if and .Values.objectStore.endpoint .Values.minio.enabled -}}
{{ fail "objectStore.endpoint names an S3 of your own, so MinIO would do nothing: set minio.enabled=false" }}
{{- end -}}
{{- $own := .Values.objectStore -}}
{{- if and $own.workloadIdentity (or $own.existingSecret .Values.minio.enabled) -}}
{{ fail "objectStore.workloadIdentity uses no keys: leave objectStore.existingSecret empty and set minio.enabled=false" }}
{{- end -}}
{{- if and $own.endpoint (not $own.existingSecret) (not $own.workloadIdentity) -}}
{{ fail "objectStore.endpoint needs credentials: set objectStore.existingSecret to a Secret with the keys objectStore.accessKeyKey and objectStore.secretKeyKey, or objectStore.workloadIdentity=true" }}
{{- end -}}
{{- if and $own.caBundle.configMap $own.caBundle.secret -}}
{{ fail "objectStore.caBundle is in a ConfigMap or in a Secret: set one of objectStore.caBundle.configMap and objectStore.caBundle.secret" }}
{{- end -}}
{{- end }}

{{- define "trainyard.hasObjectStoreCA" -}}
{{- if or .Values.objectStore.caBundle.configMap .Values.objectStore.caBundle.secret }}yes{{ end -}}
{{- end }}
