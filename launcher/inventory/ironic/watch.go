package ironic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/ironglass/ironglass/launcher/inventory"
)

// Run reads the nodes again and again, until ctx ends, and calls changed with
// each list that differs from the one before; known is the first one before,
// and may be nil. A list that cannot be read changes nothing.
func (s *Source) Run(ctx context.Context, known []inventory.Node, changed func([]inventory.Node)) {
	failures := 0
	if s.Status().Cause != "" {
		failures = 1
	}
	for {
		t := time.NewTimer(s.pause(failures))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		list, err := s.Read(ctx)
		if err != nil {
			failures++
			continue
		}
		failures = 0
		if known == nil || !reflect.DeepEqual(list, known) {
			known = list
			s.Keep(list)
			changed(list)
		}
	}
}

// pause is the time until the next look, after so many failures in a row. It
// varies by a tenth, so that several services do not ask all at once.
func (s *Source) pause(failures int) time.Duration {
	d := s.cfg.Interval
	if failures > 0 {
		d = min(retryLeast, s.cfg.Interval)
		for range failures - 1 {
			d = min(2*d, retryMost)
		}
	}
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// maxCache caps the file of the last list, in bytes.
const maxCache = 256 << 20

// cached is the file of the last list.
type cached struct {
	Version int              `json:"version"`
	ReadAt  time.Time        `json:"read_at"`
	Nodes   []inventory.Node `json:"nodes"`
}

// cacheVersion is that of the file's form.
const cacheVersion = 1

// Keep writes the list into the cache, without passwords and readable for this
// user alone. A failure is logged and counted.
func (s *Source) Keep(list []inventory.Node) {
	if s.cfg.Cache == "" {
		return
	}
	body, err := json.Marshal(cached{cacheVersion, time.Now().UTC(), list})
	if err == nil {
		err = replace(s.cfg.Cache, body)
	}
	if err != nil {
		s.cfg.Log.Error("the list of Ironic's nodes is not kept for the next start", "err", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failures[CauseCache]++
	}
}

// replace writes a file of mode 0600 in one step.
func replace(name string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".ironic-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Cached returns the list that was kept, and when it was read; nil where there
// is none. A node whose console needs the BMC has no password until Ironic
// answers again.
func (s *Source) Cached() ([]inventory.Node, time.Time, error) {
	f, err := os.Open(s.cfg.Cache)
	if errors.Is(err, os.ErrNotExist) || s.cfg.Cache == "" {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxCache))
	if err != nil {
		return nil, time.Time{}, err
	}
	var c cached
	if err := json.Unmarshal(body, &c); err != nil || c.Version != cacheVersion {
		return nil, time.Time{}, fmt.Errorf("%s is no list of nodes of this version: it is not used", s.cfg.Cache)
	}
	if _, err := inventory.New(c.Nodes); err != nil {
		return nil, time.Time{}, fmt.Errorf("%s holds nodes that cannot be: it is not used", s.cfg.Cache)
	}
	for i := range c.Nodes {
		// What was trusted then need not be now.
		if err := allowed(c.Nodes[i].Console, s.cfg.Trusted); err != nil {
			c.Nodes[i].Fault, c.Nodes[i].Console = err.Error(), inventory.Console{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.ReadAt, s.status.Nodes = c.ReadAt, len(c.Nodes)
	for _, n := range c.Nodes {
		if n.Fault != "" {
			s.status.Faulty++
		}
	}
	return c.Nodes, c.ReadAt, nil
}
