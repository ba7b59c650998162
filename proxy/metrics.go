package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironglass/ironglass/proxy/ports"
	"github.com/ironglass/ironglass/proxy/token"
)

// metrics is the service's part of /metrics. There is no label with a node's
// name, so that the page needs no credential and stays small.
type metrics struct {
	s *Service

	sessions *prometheus.CounterVec
	seconds  prometheus.Histogram
	bytes    *prometheus.CounterVec
	refused  *prometheus.CounterVec
	failures *prometheus.CounterVec
	ports    *prometheus.CounterVec

	unaudited prometheus.Counter
	streams   *prometheus.Desc

	consoles, viewers, frames, updates, rects        *prometheus.Desc
	encodes, hits, encodeTime, cacheBytes            *prometheus.Desc
	skipped, mended, frameBytes, rfbPorts, roundTrip *prometheus.Desc
}

func newMetrics(s *Service) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ironglass_"+name, help, labels, nil)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ironglass_" + name, Help: help}, labels)
	}
	m := &metrics{
		s:        s,
		sessions: counter("sessions_total", "Viewers' sessions that began, by what the token allows.", "mode"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ironglass_session_seconds", Help: "Length of viewers' sessions that ended.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		bytes:    counter("session_bytes_total", "Bytes exchanged with viewers.", "direction"),
		refused:  counter("refused_total", "Requests refused, by cause.", "cause"),
		failures: counter("console_failures_total", "Consoles that failed, by when: start, connect, lost.", "cause"),
		ports:    counter("rfb_port_changes_total", "Nodes that did not get the RFB port they would have had, by cause.", "cause"),
		unaudited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ironglass_audit_lost_total", Help: "Records that were not written into the audit log.",
		}),
		streams:    desc("subscribers", "Subscribers to events now."),
		consoles:   desc("consoles", "Consoles by state.", "state"),
		viewers:    desc("viewers", "People looking at consoles now."),
		frames:     desc("frames_total", "Times that a console's picture was looked at."),
		updates:    desc("updates_total", "FramebufferUpdate messages sent to viewers."),
		rects:      desc("rectangles_total", "Rectangles in those messages."),
		encodes:    desc("encodes_total", "Pieces of pictures that were encoded."),
		hits:       desc("encode_cache_hits_total", "Pieces of pictures that were encoded already."),
		encodeTime: desc("encode_seconds_total", "Time spent in encoding."),
		cacheBytes: desc("encode_cache_bytes", "Encoded pieces that are kept."),
		skipped:    desc("skipped_frames_total", "Pictures that viewers on slow paths were not sent, but newer ones."),
		mended:     desc("mended_rectangles_total", "Rectangles sent exactly after they had been sent at a loss."),
		frameBytes: desc("frame_bytes", "Pictures that are kept."),
		rfbPorts:   desc("rfb_ports", "Nodes' RFB ports, by whether they are listened at: open, shut.", "state"),
		roundTrip:  desc("viewer_round_trip_seconds", "From when a picture is ready until its viewer, which has it, says so."),
	}
	for _, mode := range []token.Mode{token.View, token.Operate} {
		m.sessions.WithLabelValues(string(mode))
	}
	for _, cause := range []string{"start", "connect", "lost"} {
		m.failures.WithLabelValues(cause)
	}
	for _, cause := range ports.Causes() {
		m.ports.WithLabelValues(string(cause))
	}
	for _, direction := range []string{"sent", "received"} {
		m.bytes.WithLabelValues(direction)
	}
	return m
}

// failure counts a console that failed; cause is when.
func (m *metrics) failure(cause string) { m.failures.WithLabelValues(cause).Inc() }

// refuse counts a request that was refused.
func (m *metrics) refuse(cause string) { m.refused.WithLabelValues(cause).Inc() }

func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.sessions, m.seconds, m.bytes, m.refused, m.failures, m.ports, m.unaudited}
}

func (m *metrics) descs() []*prometheus.Desc {
	return []*prometheus.Desc{
		m.consoles, m.viewers, m.frames, m.updates, m.rects, m.encodes, m.hits, m.encodeTime, m.cacheBytes,
		m.skipped, m.mended, m.frameBytes, m.streams, m.rfbPorts, m.roundTrip, keystoneChecks,
	}
}

// Describe is prometheus.Collector's.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(ch)
	}
	for _, d := range m.descs() {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(ch)
	}
	m.s.collectKeystone(ch)
	sum := m.s.stats()
	var states [len(stateNames)]int
	viewers := 0
	for _, c := range m.s.Consoles() {
		st := c.Status()
		states[st.State]++
		viewers += st.Viewers
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	total := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	for state, n := range states {
		gauge(m.consoles, float64(n), stateNames[state])
	}
	gauge(m.viewers, float64(viewers))
	gauge(m.streams, float64(m.s.streams.count()))
	total(m.frames, float64(sum.Frames))
	total(m.updates, float64(sum.Updates))
	total(m.rects, float64(sum.Rects))
	total(m.encodes, float64(sum.EncodeCalls))
	total(m.hits, float64(sum.CacheHits))
	total(m.encodeTime, sum.EncodeTime.Seconds())
	total(m.skipped, float64(sum.Skipped))
	total(m.mended, float64(sum.Mended))
	ch <- prometheus.MustNewConstSummary(m.roundTrip, sum.RoundTrips, sum.RoundTripTime.Seconds(), nil)
	gauge(m.cacheBytes, float64(sum.CacheBytes))
	gauge(m.frameBytes, float64(sum.FrameBytes))
	if f := m.s.rfb; f != nil {
		open, shut := f.count()
		gauge(m.rfbPorts, float64(open), "open")
		gauge(m.rfbPorts, float64(shut), "shut")
	}
}
