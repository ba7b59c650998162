package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is the longest name of a unix socket in bytes: sun_path
	// without its final NUL (unix(7)).
	maxSocketPath = 107
	// maxSlug is how much of a node's name shows in an ID.
	maxSlug = 24
	// hashDigits is how many hexadecimal digits make an ID unmistakable.
	hashDigits = 8
)

// Names inside an instance's directory.
const (
	socketName = "rfb"
	logName    = "log"
	recordName = "instance.json"
	runName    = "run" // the supervisor's own runtime directory
)

// ID returns what the instance of a node is called: the name, made safe for a
// file, and a hash that keeps names apart which look the same then.
func ID(node string) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, node)
	if len(slug) > maxSlug {
		slug = slug[:maxSlug]
	}
	return slug + "-" + shortHash(node)
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:hashDigits]
}

// runDir returns where the instances' directories go for the wanted base: the
// base itself, or a short directory derived from it where a socket's name
// would be too long.
func runDir(base string) (string, error) {
	if base == "" {
		return "", errors.New("the process launcher has no directory: set state_dir")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	if fits(base) {
		return base, nil
	}
	name := "ironglass-" + shortHash(base)
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && fits(filepath.Join(dir, name)) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return filepath.Join(dir, name), nil
		}
	}
	// The temporary directory is everybody's: the user's number keeps two
	// users apart, and lockDir refuses a directory that is not ours.
	short := filepath.Join(os.TempDir(), "ironglass-"+strconv.Itoa(os.Getuid())+"-"+shortHash(base))
	if !fits(short) {
		return "", fmt.Errorf("%s and %s are both too long for the names of unix sockets in them (%d bytes at most): set state_dir or TMPDIR to a shorter path",
			base, short, maxSocketPath)
	}
	return short, nil
}

// fits reports whether the longest socket name in dir is allowed.
func fits(dir string) bool {
	return len(dir)+1+maxSlug+1+hashDigits+1+len(socketName) <= maxSocketPath
}

// lockDir creates the directory where it is missing, makes sure that it is
// private, and takes the lock that makes this process its only user. The lock
// lies on the directory itself, so no file is left behind, and it goes with
// the process however that ends.
func lockDir(dir string) (*os.File, error) {
	for {
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its last user removed it just now
		}
		if err != nil {
			return nil, fmt.Errorf("%s must be a directory of this user, not a link: %w", dir, err)
		}
		again, err := takeLock(f, dir)
		if err != nil || again {
			_ = f.Close()
		}
		if err != nil {
			return nil, err
		}
		if !again {
			return f, nil
		}
	}
}

// takeLock locks the opened directory. again says that it is no longer the
// one at this name, because its last user removed it on leaving.
func takeLock(f *os.File, dir string) (again bool, err error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	if owner, ok := opened.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Getuid() {
		return false, fmt.Errorf("%s belongs to user %d, not to this one (%d): remove it, or set state_dir to a directory of your own", dir, owner.Uid, os.Getuid())
	}
	if opened.Mode().Perm() != 0o700 {
		if err := f.Chmod(0o700); err != nil {
			return false, err
		}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, fmt.Errorf("another ironglass runs its consoles in %s: stop it, or set another state_dir", dir)
		}
		return false, fmt.Errorf("lock %s: %w", dir, err)
	}
	named, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return !os.SameFile(opened, named), nil
}
