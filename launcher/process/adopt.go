package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// adoptAtOnce bounds how many directories are looked at together.
const adoptAtOnce = 32

// adoptAll goes through the directories that an earlier service left.
func (l *Launcher) adoptAll(ctx context.Context) error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(adoptAtOnce)
	for _, e := range entries {
		g.Go(func() error {
			dir := filepath.Join(l.dir, e.Name())
			i, err := l.adopt(ctx, e.Name(), dir)
			if err == nil {
				l.log.Info("supervisor adopted", "node", i.rec.Node, "pid", i.rec.PID)
				return nil
			}
			if i != nil {
				i.end()
				<-i.gone
			}
			l.log.Info("console of an earlier run cleared away", "dir", dir, "why", err)
			return os.RemoveAll(dir)
		})
	}
	return g.Wait()
}

// adopt takes over the supervisor whose directory this is. An error says why
// it cannot; an instance beside it lives, but does not answer.
func (l *Launcher) adopt(ctx context.Context, id, dir string) (*instance, error) {
	rec, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	if ID(rec.Node) != id {
		return nil, fmt.Errorf("it holds the record of node %q", rec.Node)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	if rec.Boot != boot {
		return nil, errors.New("the machine was started anew since")
	}
	proc, err := os.FindProcess(rec.PID)
	if err != nil {
		return nil, err
	}
	// The look comes after the handle is taken: what is seen now is what the
	// handle means.
	st, err := statOf(rec.PID)
	if err != nil || st.started != rec.Started || st.dead() {
		_ = proc.Release()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil {
			return nil, l.late(id, dir, rec)
		}
		return nil, err
	}
	out, err := openFollower(filepath.Join(dir, logName), l.log.With("node", rec.Node), true)
	if err != nil {
		_ = proc.Kill()
		_ = proc.Release()
		return nil, errors.Join(err, rec.kin(true).sweep())
	}
	i := newInstance(l, id, dir, proc, out)
	i.rec, i.ready = rec, true
	l.add(i)
	return i, probe(ctx, i.public())
}

// late clears up after a supervisor that ended while no service looked, and
// keeps its last words.
func (l *Launcher) late(id, dir string, rec record) error {
	// Its number may have been used again, and given up again, since.
	err := rec.kin(false).sweep()
	why := "it ended while no service ran"
	if out, e := openFollower(filepath.Join(dir, logName), l.log, true); e == nil {
		if last := out.finish(time.Now()); last != "" {
			why += ": " + last
		}
	}
	l.mu.Lock()
	l.remember(id, why)
	l.mu.Unlock()
	return errors.Join(errors.New(why), err)
}
