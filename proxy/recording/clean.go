package recording

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ironglass/ironglass/rfb/fbs"
)

// clean looks for what is too old until Close.
func (s *Store) clean() {
	defer close(s.cleaned)
	tick := time.NewTicker(cleanInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.Clean(now)
		case <-s.stop:
			return
		}
	}
}

// tidy is Clean unless that was just done.
func (s *Store) tidy(now time.Time) {
	s.files.Lock()
	recent := now.Sub(s.looked) < tidyInterval
	s.files.Unlock()
	if !recent {
		s.Clean(now)
	}
}

// Clean removes what is too old at now, or too much. It is called by itself
// when a file ends that is not part of a ring, and each hour.
func (s *Store) Clean(now time.Time) {
	s.files.Lock()
	defer s.files.Unlock()
	s.looked = now
	var all []*entry
	var total int64
	for _, node := range s.nodes() {
		entries, err := s.entries(node)
		if err != nil {
			s.cfg.Log.Warn("recordings cannot be looked at", "node", node, "error", err)
			continue
		}
		for _, e := range entries {
			total += e.disk
			if _, under := s.under[e.key]; !under {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.last.Compare(b.last) })
	for _, e := range all {
		old := s.cfg.Keep > 0 && now.Sub(e.last) > s.cfg.Keep
		much := s.cfg.MaxTotal > 0 && total > s.cfg.MaxTotal
		if !old && !much {
			break // the rest is newer, and there is room for it
		}
		total -= e.disk
		if err := s.removeLocked(e.parts...); err != nil {
			s.cfg.Log.Warn("a recording cannot be removed", "node", e.node, "recording", e.id, "error", err)
			continue
		}
		s.cfg.Log.Info("recording removed", "node", e.node, "recording", e.id, "bytes", e.disk, "too_old", old)
		_ = os.Remove(s.folder(e.node)) // only where it is empty
	}
}

// nodes lists the nodes that have a folder.
func (s *Store) nodes() []string {
	dirs, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		s.cfg.Log.Warn("recordings cannot be looked at", "error", err)
	}
	var list []string
	for _, d := range dirs {
		if node, err := url.PathUnescape(d.Name()); err == nil && d.IsDir() && url.PathEscape(node) == d.Name() {
			list = append(list, node)
		}
	}
	return list
}

// shorten removes of a node's rings what is more than is kept of them, so that
// another part has room. files is held.
func (s *Store) shorten(node string, set Settings) {
	entries, err := s.entries(node)
	if err != nil {
		return // making the part says it
	}
	var parts []piece
	var size int64
	for _, e := range entries {
		if e.mode() == Ring {
			parts = append(parts, e.parts...)
			size += e.disk
		}
	}
	var recorded time.Duration // in the parts after i
	first := 0                 // that is kept
	for i := len(parts) - 1; i >= 0; i-- {
		if recorded >= set.Last {
			first = i + 1
			break
		}
		if f, err := s.factsLocked(parts[i]); err == nil {
			recorded += f.duration
		}
	}
	for i := range parts[:first] {
		size -= parts[i].disk
	}
	for first < len(parts) && size > set.MaxSize-set.partSize() {
		size -= parts[first].disk
		first++
	}
	if err := s.removeLocked(parts[:first]...); err != nil {
		s.cfg.Log.Warn("a recording cannot be shortened", "node", node, "error", err)
	}
}

// repair sees to what a crash left: an index that was not begun, a recording
// without its first line.
func (s *Store) repair() {
	for _, node := range s.nodes() {
		files, err := os.ReadDir(s.folder(node))
		if err != nil {
			continue // Clean says it
		}
		for _, d := range files {
			path := filepath.Join(s.folder(node), d.Name())
			if isIndex(d.Name()) {
				_, err := os.Stat(strings.TrimSuffix(path, fbs.IndexSuffix))
				if errors.Is(err, os.ErrNotExist) || strings.HasSuffix(path, ".new") {
					_ = os.Remove(path)
				}
				continue
			}
			if _, _, ok := parseName(d.Name()); !ok {
				continue
			}
			switch err := fbs.Reindex(path); {
			case errors.Is(err, fbs.ErrTruncated), err != nil && isEmpty(path):
				_ = os.Remove(path)
				_ = os.Remove(path + fbs.IndexSuffix)
			case err != nil:
				s.cfg.Log.Warn("a recording cannot be played", "file", path, "error", err)
			}
		}
	}
}

func isEmpty(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Size() == 0
}
