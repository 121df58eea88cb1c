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

{{- define "trainyard.trackingTlsSecret" -}}
{{ .Values.tracking.tls.existingSecret | default "trainyard-tracking-tls" }}
{{- end }}

{{/* The authority's key is kept nowhere: nobody makes another certificate of it. */}}
{{- define "trainyard.trackingTlsData" -}}
{{- if not (hasKey .Values "madeTrackingTls") -}}
  {{- $found := lookup "v1" "Secret" .Release.Namespace (include "trainyard.trackingTlsSecret" .) -}}
  {{- if $found -}}
    {{- $_ := set .Values "madeTrackingTls" $found.data -}}
  {{- else -}}
    {{- $name := printf "trainyard-tracking.%s" .Release.Namespace -}}
    {{- $svc := printf "%s.svc" $name -}}
    {{- $full := printf "%s.%s" $svc .Values.tracking.tls.clusterDomain -}}
    {{- $ca := genCAWithKey "trainyard" 3650 (genPrivateKey "ecdsa") -}}
    {{- $names := list "trainyard-tracking" $name $svc $full "localhost" -}}
    {{- $own := genSignedCertWithKey "trainyard-tracking" (list "127.0.0.1") $names 3650 $ca (genPrivateKey "ecdsa") -}}
    {{- $data := dict "tls.crt" (b64enc $own.Cert) "tls.key" (b64enc $own.Key) "ca.crt" (b64enc $ca.Cert) -}}
    {{- $_ := set .Values "madeTrackingTls" $data -}}
  {{- end -}}
{{- end -}}
{{ toYaml .Values.madeTrackingTls }}
{{- end }}

{{/* A Secret without ca.crt would leave every pod that mounts it waiting, without a word here. */}}
{{- define "trainyard.checkTrackingTls" -}}
{{- include "trainyard.checkTrackingBundle" . -}}
{{- $name := .Values.tracking.tls.existingSecret -}}
{{- if and .Values.tracking.tls.enabled $name -}}
  {{- $found := lookup "v1" "Secret" .Release.Namespace $name -}}
  {{- $keys := list "tls.crt" "tls.key" -}}
  {{- if not (include "trainyard.hasTrackingBundle" .) }}{{ $keys = append $keys "ca.crt" }}{{ end -}}
  {{- range $key := $keys -}}
    {{- if and $found (not (get ($found.data | default dict) $key)) -}}
{{ fail (printf "tracking.tls.existingSecret: the Secret %s has no %s: %s must be in it" $name $key (join " and " $keys)) }}
    {{- end -}}
  {{- end -}}
{{- else if .Values.tracking.tls.enabled -}}
  {{- include "trainyard.checkTrackingKept" . -}}
{{- end -}}
{{- end }}

{{/* Who renders without a cluster gives keys of his own; a certificate that each render makes anew
     would restart the service at every sync, and Runs under way would lose it. */}}
{{- define "trainyard.checkTrackingKept" -}}
{{- $keys := .Values.signing.existingSecret -}}
{{- if and $keys (not (lookup "v1" "Secret" .Release.Namespace $keys)) (not (lookup "v1" "Namespace" "" "kube-system")) -}}
{{ fail "tracking.tls.existingSecret is empty, and there is no cluster to look into: each render would make another certificate. Set it to a Secret with tls.crt, tls.key and ca.crt (docs/how-to/install.md), or tracking.tls.enabled=false" }}
{{- end -}}
{{- end }}

{{- define "trainyard.checkTrackingBundle" -}}
{{- $ca := .Values.tracking.tls.caBundle -}}
{{- if and $ca.configMap $ca.secret -}}
{{ fail "tracking.tls.caBundle is in a ConfigMap or in a Secret: set one of tracking.tls.caBundle.configMap and tracking.tls.caBundle.secret" }}
{{- end -}}
{{- end }}

{{- define "trainyard.hasTrackingBundle" -}}
{{- if or .Values.tracking.tls.caBundle.configMap .Values.tracking.tls.caBundle.secret }}yes{{ end -}}
{{- end }}

{{/* Scheme of the tracking service. */}}
{{- define "trainyard.trackingScheme" -}}
{{ .Values.tracking.tls.enabled | ternary "https" "http" }}
{{- end }}

{{/* Its name as its clients know it, which any certificate of it has. */}}
{{- define "trainyard.trackingName" -}}
trainyard-tracking.{{ .Release.Namespace }}.svc
{{- end }}

{{/* The authorities that the tracking service's certificate is checked by, as a source of a
     projected volume: the only part of it that everybody may have. */}}
{{- define "trainyard.trackingAuthority" -}}
{{- $ca := .Values.tracking.tls.caBundle -}}
{{- if $ca.configMap -}}
configMap: {name: {{ $ca.configMap }}, items: [{key: {{ $ca.key }}, path: ca.crt}]}
{{- else if $ca.secret -}}
secret: {name: {{ $ca.secret }}, items: [{key: {{ $ca.key }}, path: ca.crt}]}
{{- else -}}
secret: {name: {{ include "trainyard.trackingTlsSecret" . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}
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
