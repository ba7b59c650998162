package proxy

import "github.com/prometheus/client_golang/prometheus"

// recordingMetrics is the recordings' part of /metrics.
type recordingMetrics struct {
	s *Service

	active, bytes, failures, replays *prometheus.Desc
}

func newRecordingMetrics(s *Service) *recordingMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("ironglass_"+name, help, nil, nil)
	}
	return &recordingMetrics{
		s:        s,
		active:   desc("recordings_active", "Consoles that are being recorded now."),
		bytes:    desc("recording_bytes_total", "Bytes written to recordings."),
		failures: desc("recording_failures_total", "Times that a recording could not be written and was given up for a minute."),
		replays:  desc("replays", "Recordings that are open for replay."),
	}
}

// Describe is prometheus.Collector's.
func (m *recordingMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.active, m.bytes, m.failures, m.replays} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *recordingMetrics) Collect(ch chan<- prometheus.Metric) {
	value := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, kind, v)
	}
	value(m.replays, prometheus.GaugeValue, float64(m.s.replays.count()))
	if store := m.s.cfg.Recordings; store != nil {
		st := store.Stats()
		value(m.active, prometheus.GaugeValue, float64(st.Active))
		value(m.bytes, prometheus.CounterValue, float64(st.Bytes))
		value(m.failures, prometheus.CounterValue, float64(st.Failures))
	}
}
