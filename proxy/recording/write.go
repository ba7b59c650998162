package recording

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
)

const (
	// frameInterval is the shortest time between two recorded pictures: a
	// film of 30 pictures a second is no better evidence and costs thrice.
	frameInterval = 100 * time.Millisecond
	// retryAfter is the time between a recording that failed and the next.
	retryAfter = time.Minute
)

// errTooSmall says that not even one picture fits in what a file may have.
var errTooSmall = errors.New("max_size is too small for a picture of this console")

// Record records what srv shows until ctx ends or the server does, as a viewer
// who is nobody. on is told when something begins or ends to be written. What
// fails is logged and tried again after a minute; the server does not notice.
func (s *Store) Record(ctx context.Context, srv *rfb.Server, node string, set Settings, on func(active bool)) {
	set = set.withDefaults()
	log := s.cfg.Log.With("node", node)
	var life *file
	for ctx.Err() == nil {
		f, err := s.create(node, set, life)
		if err == nil {
			if life == nil {
				s.active.Add(1)
				on(true)
			}
			life = f
			err = f.record(ctx, srv)
			if set.Mode == Full {
				s.tidy(time.Now())
			}
		}
		if errors.Is(err, fbs.ErrLimit) {
			continue
		}
		if life != nil {
			s.done(life.key)
			s.active.Add(-1)
			on(false)
			life = nil
		}
		if err == nil || errors.Is(err, rfb.ErrClosed) || errors.Is(err, rfb.ErrSourceEnded) {
			return
		}
		s.failures.Add(1)
		log.Error("the console is not recorded: it goes on, and recording is tried again", "after", retryAfter, "error", err)
		retry := time.NewTimer(retryAfter)
		select {
		case <-retry.C:
		case <-ctx.Done():
		}
		retry.Stop()
	}
	if life != nil {
		s.done(life.key)
		s.active.Add(-1)
		on(false)
	}
}

// file is a file being written. It belongs to Record's goroutine, but for
// what is written, which comes on one of the server's.
type file struct {
	s *Store
	key
	began  time.Time // of the recording, as its name says
	start  time.Time // the same by the clock that does not jump
	set    Settings
	path   string
	f, idx *os.File
	keys   int
}

// create makes the next file after before, nil for the first.
func (s *Store) create(node string, set Settings, before *file) (*file, error) {
	s.files.Lock()
	defer s.files.Unlock()
	now := time.Now()
	f := &file{s: s, set: set, began: now.UTC().Truncate(time.Millisecond), start: now}
	offset := time.Duration(-1)
	switch {
	case set.Mode == Ring && before != nil:
		f.began, f.start = before.began, before.start
		offset = now.Sub(f.start).Truncate(time.Millisecond)
	case set.Mode == Ring:
		offset = 0
	}
	dir := s.folder(node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if set.Mode == Ring {
		s.shorten(node, set)
	}
	for {
		f.key = key{node, f.began.Format(stamp)}
		f.path = filepath.Join(dir, fileName(f.id, offset))
		var err error
		f.f, err = os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		// Another began in the same millisecond.
		if offset > 0 {
			offset += time.Millisecond
		} else {
			f.began = f.began.Add(time.Millisecond)
		}
	}
	var err error
	if f.idx, err = os.OpenFile(f.path+fbs.IndexSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return nil, errors.Join(err, f.f.Close(), os.Remove(f.path))
	}
	if before != nil && before.key != f.key {
		delete(s.under, before.key)
	}
	s.under[f.key] = struct{}{}
	return f, nil
}

// done says that a recording is not under way any more.
func (s *Store) done(k key) {
	s.files.Lock()
	defer s.files.Unlock()
	delete(s.under, k)
}

// record writes the file until something ends it. One without a picture is
// removed.
func (f *file) record(ctx context.Context, srv *rfb.Server) error {
	cfg := fbs.RecorderConfig{
		Silent: true, Interval: frameInterval, KeyFrame: f.index,
		MaxSize: f.set.MaxSize, Label: "recording",
	}
	if f.set.Mode == Ring {
		cfg.MaxSize, cfg.MaxTime = f.set.partSize(), f.set.part()
	}
	err := fbs.Record(ctx, srv, f, cfg)
	closed := errors.Join(f.f.Close(), f.idx.Close())
	if f.keys == 0 {
		if errors.Is(err, fbs.ErrLimit) {
			err = fmt.Errorf("%w: it is %d bytes", errTooSmall, f.set.MaxSize)
		}
		return errors.Join(err, os.Remove(f.path), os.Remove(f.path+fbs.IndexSuffix))
	}
	if err != nil {
		return err
	}
	return closed
}

// Write writes what is recorded.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	f.s.bytes.Add(uint64(n))
	return n, err
}

// index writes an entry of the index.
func (f *file) index(k fbs.KeyFrame) error {
	_, err := f.idx.Write(fbs.AppendIndex(nil, k, f.keys == 0))
	f.keys++
	return err
}
