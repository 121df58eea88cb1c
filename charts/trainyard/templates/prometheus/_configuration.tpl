{{/* Two jobs: our own pods, and model servers anywhere. Labels of the target say which
     deployment, model and version it is; the PodMonitors give the same. */}}
{{- define "trainyard.prometheusConfiguration" -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
  scrape_timeout: {{ .Values.prometheus.scrapeInterval }}
  evaluation_interval: {{ .Values.prometheus.scrapeInterval }}
scrape_configs:
  - job_name: trainyard
    {{- if .Values.tracking.tls.enabled }}
    # For the tracking service, which is asked at its pod's address: no certificate names that.
    tls_config: {ca_file: /var/run/trainyard-ca/ca.crt, server_name: {{ include "trainyard.trackingName" . }}}
    {{- end }}
    kubernetes_sd_configs:
      - role: pod
        namespaces: {names: [{{ .Release.Namespace }}]}
        selectors:
          - {role: pod, label: "app.kubernetes.io/name=trainyard,app.kubernetes.io/instance={{ .Release.Name }}"}
    relabel_configs:
      {{- include "trainyard.scrapeAnnotated" . | nindent 6 }}
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_component], target_label: component}
  - job_name: trainyard-serving
    kubernetes_sd_configs:
      - role: pod
        selectors:
          - {role: pod, label: "app.kubernetes.io/managed-by=trainyard,app.kubernetes.io/component=serving"}
    relabel_configs:
      {{- include "trainyard.scrapeAnnotated" . | nindent 6 }}
      - {source_labels: [__meta_kubernetes_pod_label_trainyard_dev_deployment], target_label: deployment}
      - {source_labels: [__meta_kubernetes_pod_label_trainyard_dev_model], target_label: model}
      - source_labels: [__meta_kubernetes_pod_label_trainyard_dev_model_version]
        regex: .*-(\d+)
        target_label: version
    # trainyard_model_info says them too.
    metric_relabel_configs:
      - {regex: exported_(model|version), action: labeldrop}
{{- end }}

{{- define "trainyard.scrapeAnnotated" -}}
- {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}
- {source_labels: [__meta_kubernetes_pod_phase], regex: Succeeded|Failed, action: drop}
- {source_labels: [__meta_kubernetes_pod_container_init], regex: "true", action: drop}
# A pod with several ports is one target, at the annotated one.
- source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
  regex: (\d+\.\d+\.\d+\.\d+);(\d+)
  replacement: $1:$2
  target_label: __address__
- source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
  regex: (.*:.*);(\d+)
  replacement: "[$1]:$2"
  target_label: __address__
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme]
  regex: (https?)
  target_label: __scheme__
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
  regex: (.+)
  target_label: __metrics_path__
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
{{- end }}
