// Package recording keeps the recordings of consoles on disk: it writes them,
// lists them, opens them for replay, and removes the old ones.
//
// Each node has a folder. In it a recording is one FBS file, or, where only
// the last minutes are kept (a ring), one file for each part of about a
// minute; every part is a recording by itself. Beside each file lies an index
// for seeking, which is made anew where it is missing. All that is known of a
// recording is in these files and their names, so a crash loses nothing.
//
// What is recorded is written through at once: a service that is killed leaves
// recordings that can be played up to its last moment. Nothing is forced to
// the disk (fsync), so of a machine that loses its power the last seconds may
// be missing.
package recording

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Mode is what is recorded of a console.
type Mode string

// The modes.
const (
	// Off is nothing.
	Off Mode = "off"
	// Ring is the last minutes.
	Ring Mode = "ring"
	// Full is everything.
	Full Mode = "full"
)

// Settings are how one console is recorded. The zero value is Off.
type Settings struct {
	Mode Mode
	// Last is how much a ring keeps; 0 is 10 minutes. The time that was
	// recorded counts, not that in between.
	Last time.Duration
	// MaxSize bounds in bytes what a ring takes on disk, and one file of a
	// full recording, after which another begins; 0 is 256 MiB.
	MaxSize int64
}

// On reports whether anything is recorded.
func (s Settings) On() bool { return s.Mode == Ring || s.Mode == Full }

// MinSize is the least Settings.MaxSize that has room for pictures, in bytes.
const MinSize = 16 << 20

func (s Settings) withDefaults() Settings {
	if s.Last <= 0 {
		s.Last = 10 * time.Minute
	}
	if s.MaxSize <= 0 {
		s.MaxSize = 256 << 20
	}
	return s
}

// part is how long a part of a ring is: about a minute, and not more than
// about 60 of them.
func (s Settings) part() time.Duration {
	return min(max(s.Last/60, time.Minute), s.Last/4)
}

// partSize is the most that a part of a ring may have in bytes. What there is
// of a ring when a part begins is made to leave room for it.
func (s Settings) partSize() int64 { return s.MaxSize / 4 }

// Config is how a Store behaves. It must not change once Open has it.
type Config struct {
	// Dir is the folder of all recordings; it is made if need be. One service
	// at a time can use it.
	Dir string
	// Keep is how long a recording is kept after its end; 0 is 30 days,
	// negative is for ever.
	Keep time.Duration
	// MaxTotal bounds in bytes what all recordings take on disk, but for those
	// under way, whose own bounds come on top; 0 is 10 GiB, negative is no
	// bound. The oldest go first.
	MaxTotal int64
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = 30 * 24 * time.Hour
	}
	if c.MaxTotal == 0 {
		c.MaxTotal = 10 << 30
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Errors of a Store.
var (
	// ErrUnknown: there is no such recording.
	ErrUnknown = errors.New("there is no such recording")
	// ErrActive: the recording is under way.
	ErrActive = errors.New("the recording is under way")
)

// Stats are a Store's figures.
type Stats struct {
	// Active is how many consoles are being recorded now.
	Active int
	// Bytes is how much was written, Failures how often writing failed.
	Bytes, Failures uint64
}

// Store is the recordings of all nodes. Its methods may be called from any
// goroutine.
type Store struct {
	cfg  Config
	lock *os.File // the folder

	active          atomic.Int64
	bytes, failures atomic.Uint64

	stop    chan struct{} // closed by Close
	cleaned chan struct{} // closed when the cleaning has ended

	// files is held while files come and go.
	files  sync.Mutex
	under  map[key]struct{} // way; guarded by files
	known  map[string]facts // by path; guarded by files
	looked time.Time        // when Clean did; guarded by files
}

// key names a recording.
type key struct{ node, id string }

// cleanInterval is the time between two looks for what is too old, and
// tidyInterval that between two when recordings end.
const cleanInterval, tidyInterval = time.Hour, 10 * time.Second

// Open opens the folder, makes missing indexes and removes what is too old or
// too much, now and then. Close must be called in the end.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	fail := func(err error) error {
		return fmt.Errorf("the recordings cannot be kept in %s: %w: set recording.dir to a directory that this user can write", cfg.Dir, err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fail(err)
	}
	lock, err := os.Open(cfg.Dir)
	if err != nil {
		return nil, fail(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // it says nothing more
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another service keeps its recordings in %s: end it, or set recording.dir to another directory", cfg.Dir)
		}
		return nil, fail(err)
	}
	s := &Store{
		cfg: cfg, lock: lock, under: make(map[key]struct{}), known: make(map[string]facts),
		stop: make(chan struct{}), cleaned: make(chan struct{}),
	}
	s.repair()
	s.Clean(time.Now())
	go s.clean()
	return s, nil
}

// Close lets go of the folder. Record must have returned everywhere.
func (s *Store) Close() error {
	close(s.stop)
	<-s.cleaned
	return s.lock.Close()
}

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	return Stats{Active: int(s.active.Load()), Bytes: s.bytes.Load(), Failures: s.failures.Load()}
}

// folder is where a node's recordings are.
func (s *Store) folder(node string) string { return filepath.Join(s.cfg.Dir, url.PathEscape(node)) }

// stamp is the form of a recording's name: when it began, in UTC.
const stamp = "20060102T150405.000Z"

const suffix = ".fbs"

// fileName is the name of a recording's file; offset is when a part begins,
// negative for a recording in one file.
func fileName(id string, offset time.Duration) string {
	if offset < 0 {
		return id + suffix
	}
	return fmt.Sprintf("%s+%010d%s", id, offset.Milliseconds(), suffix)
}

// parseName is fileName's reverse.
func parseName(name string) (id string, offset time.Duration, ok bool) {
	if len(name) < len(stamp)+len(suffix) || name[len(name)-len(suffix):] != suffix {
		return "", 0, false
	}
	id, rest := name[:len(stamp)], name[len(stamp):len(name)-len(suffix)]
	if !ValidID(id) {
		return "", 0, false
	}
	if rest == "" {
		return id, -1, true
	}
	ms, err := strconv.ParseUint(rest[1:], 10, 41)
	if rest[0] != '+' || err != nil || fileName(id, time.Duration(ms)*time.Millisecond) != name {
		return "", 0, false
	}
	return id, time.Duration(ms) * time.Millisecond, true
}

// ValidID reports whether id can name a recording.
func ValidID(id string) bool {
	t, err := time.Parse(stamp, id)
	return err == nil && t.Format(stamp) == id
}
