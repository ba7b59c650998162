package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Inventory says how current the nodes are, where they come from another
// service.
type Inventory struct {
	// Source names that service in a word, as in "ironic".
	Source string
	// Cause names in a word why the nodes could not be read last, Reason in a
	// sentence for a person; both are empty where they could.
	Cause, Reason string
	// ReadAt is when they were read last, zero where they never were.
	ReadAt time.Time
	// Nodes and Faulty are how many it has, and how many of them cannot have a
	// console.
	Nodes, Faulty int
	// Failures counts by cause how often they could not be read.
	Failures map[string]uint64
}

// inventoryView is an Inventory in GET /v1/nodes.
type inventoryView struct {
	Source  string     `json:"source"`
	Current bool       `json:"current"`
	Cause   string     `json:"cause"`
	Reason  string     `json:"reason"`
	ReadAt  *time.Time `json:"read_at"`
}

func (i Inventory) view() inventoryView {
	return inventoryView{Source: i.Source, Current: i.Cause == "", Cause: i.Cause, Reason: i.Reason, ReadAt: orNull(i.ReadAt)}
}

// About is what the inventory says of a node that does not change its
// console. It may change while people look.
type About struct {
	// Owner and Lessee are IDs of Keystone's projects: that which the node
	// belongs to and that which uses it; "" is none.
	Owner, Lessee string
	// Maintenance is set while people work on the node.
	Maintenance bool
}

// unavailable is the backend of a node that can have no console; it is the
// reason.
type unavailable string

func (u unavailable) Start(context.Context, func(string)) (Endpoint, error) {
	return Endpoint{}, errors.New(string(u))
}

func (unavailable) Stop(context.Context) error { return nil }

func (unavailable) Explain(context.Context) string { return "" }

// setAbout changes what is said of the node.
func (c *Console) setAbout(a About) {
	if before := c.about.Swap(&a); before != nil && *before != a {
		c.notify()
	}
}

// inventoryMetrics is the part of /metrics that says how current the nodes are.
type inventoryMetrics struct {
	read func() Inventory

	current, readAt, nodes, faulty, failures *prometheus.Desc
}

func newInventoryMetrics(read func() Inventory) *inventoryMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ironglass_inventory_"+name, help, labels, nil)
	}
	return &inventoryMetrics{
		read:     read,
		current:  desc("current", "1 if the nodes could be read last, 0 if the last list goes on.", "source"),
		readAt:   desc("read_timestamp_seconds", "When the nodes were read last, 0 for never.", "source"),
		nodes:    desc("nodes", "Nodes in the inventory.", "source"),
		faulty:   desc("faulty_nodes", "Nodes in the inventory that can have no console.", "source"),
		failures: desc("failures_total", "Times that the nodes could not be read, by cause.", "source", "cause"),
	}
}

// Describe is prometheus.Collector's.
func (m *inventoryMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.current, m.readAt, m.nodes, m.faulty, m.failures} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *inventoryMetrics) Collect(ch chan<- prometheus.Metric) {
	i := m.read()
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, i.Source)
	}
	current, readAt := 0.0, 0.0
	if i.Cause == "" {
		current = 1
	}
	if !i.ReadAt.IsZero() {
		readAt = float64(i.ReadAt.Unix())
	}
	gauge(m.current, current)
	gauge(m.readAt, readAt)
	gauge(m.nodes, float64(i.Nodes))
	gauge(m.faulty, float64(i.Faulty))
	for cause, n := range i.Failures {
		ch <- prometheus.MustNewConstMetric(m.failures, prometheus.CounterValue, float64(n), i.Source, cause)
	}
}
