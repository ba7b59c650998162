package session

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// runtimeDir is a private folder for an X server's files. A lock on a file in
// it, which the kernel lifts whenever its holder dies, tells folders in use
// from those that a killed program left behind.
type runtimeDir struct {
	path string
	lock *os.File
	log  *slog.Logger
}

const (
	dirPrefix = "ironglass-x-"
	lockName  = "in-use"
)

// makeRuntimeDir makes a folder in parent, or in the user's own place for
// such where that is empty, and removes what was left behind there.
func makeRuntimeDir(parent string, log *slog.Logger) (*runtimeDir, error) {
	if parent == "" {
		parent = os.Getenv("XDG_RUNTIME_DIR")
		if unix.Access(parent, unix.W_OK|unix.X_OK) != nil {
			parent = os.TempDir()
		}
	}
	removeLeftovers(parent, log)
	path, err := os.MkdirTemp(parent, dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a folder for the X server: %w", err)
	}
	d := &runtimeDir{path: path, log: log}
	if err := d.take(); err != nil {
		_ = os.RemoveAll(path)
		return nil, fmt.Errorf("make a folder for the X server: %w", err)
	}
	return d, nil
}

// take locks the folder. The lock's file gets its name when it is locked, so
// that nobody finds it unlocked.
func (d *runtimeDir) take() error {
	fresh := filepath.Join(d.path, lockName+".new")
	lock, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("lock %s: %w", fresh, err)
	}
	if err := os.Rename(fresh, filepath.Join(d.path, lockName)); err != nil {
		lock.Close()
		return err
	}
	d.lock = lock
	return nil
}

// remove removes the folder with all in it.
func (d *runtimeDir) remove() {
	if err := os.RemoveAll(d.path); err != nil {
		d.log.Warn("the X server's folder cannot be removed", "err", err)
	}
	d.lock.Close()
}

// removeLeftovers removes the folders in parent whose owner is dead. What
// belongs to another user, or has no lock yet, is left alone.
func removeLeftovers(parent string, log *slog.Logger) {
	dirs, err := filepath.Glob(filepath.Join(escapeGlob(parent), dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && ownFolder(dir) {
			log.Info("removing what a killed session left behind", "folder", dir)
			if err := os.RemoveAll(dir); err != nil {
				log.Warn("what a killed session left behind cannot be removed", "err", err)
			}
		}
		lock.Close()
	}
}

// ownFolder reports whether dir is a folder of this user's that nobody else
// can write to.
func ownFolder(dir string) bool {
	var st unix.Stat_t
	return unix.Lstat(dir, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR &&
		int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0
}

// escapeGlob makes path mean itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
