// Package config reads the service's configuration file.
package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironglass/ironglass/launcher/inventory"
)

// DefaultListen is where the service listens unless it is told otherwise.
const DefaultListen = "127.0.0.1:6080"

// Config is what the file says, checked, with defaults filled in. It does not
// change. Relative paths in the file are relative to the folder in which the
// program was started.
type Config struct {
	// File is the file's name.
	File string
	// Listen is the HTTP address, host:port.
	Listen string
	// PublicURL is where browsers reach the service; "" is where they say.
	PublicURL string
	// AllowedOrigins lists further origins whose pages may open consoles.
	AllowedOrigins []string
	// FrameAncestors lists the origins that may show the console page in a
	// frame; nil is all of them.
	FrameAncestors []string
	// Linger is how long a console's session goes on after the last viewer;
	// 0 is the service's default, negative is not at all.
	Linger time.Duration
	// Lease is how long a console goes on for people who do not use it; 0 is
	// the service's default, negative is off.
	Lease inventory.Lease
	// AuditFile is where it is noted who did what; "" is nowhere.
	AuditFile string
	// TLS is set where the service is to speak HTTPS.
	TLS *TLS
	// RFB is how viewers that are no browsers connect; nil where they cannot.
	RFB *RFB
	// Nova is how tokens are checked that Nova gave out; nil where there are
	// none.
	Nova *Nova
	// TokenFile holds the API's credential; "" is none.
	TokenFile string
	// ClientCA holds the authorities whose certificates open the API; "" is
	// none. TLS is then set.
	ClientCA string
	// Process is how consoles are run on this machine.
	Process Process
	// StateDir is where keys and running consoles are kept.
	StateDir string
	// Recording is where recordings are kept.
	Recording Recording
	// Nodes are the machines that the file lists.
	Nodes *inventory.Inventory
	// Ironic, if not nil, has further ones.
	Ironic *Ironic
	// Keystone, if not nil, says whose tokens open the API.
	Keystone *Keystone
}

// Closed reports whether the API asks for a credential.
func (c *Config) Closed() bool { return c.TokenFile != "" || c.ClientCA != "" || c.Keystone != nil }

// Recording is where recordings are kept and for how long.
type Recording struct {
	// Dir is the folder, by default recordings in the state directory.
	Dir string
	// Keep is how long a recording is kept after its end; 0 is the default,
	// negative is for ever.
	Keep time.Duration
	// MaxTotal bounds in bytes what all of them take; 0 is the default,
	// negative is no bound.
	MaxTotal int64
}

// TLS names the files of a certificate, in PEM.
type TLS struct{ Cert, Key string }

// Process is the process launcher's part.
type Process struct {
	// Supervisor is the path of ironglass-supervisor; "" has it searched for.
	Supervisor string
	// IdleExit is after how long without a viewer a console ends; 0 is the
	// launcher's default, negative is never.
	IdleExit time.Duration
}

const (
	// maxFile caps the configuration file, in bytes; a node takes about 200.
	maxFile = 64 << 20
	// maxCredential and minCredential bound the API's credential in bytes.
	maxCredential = 4096
	minCredential = 16
)

// Load reads and checks the file. Everything that is wrong with it is in the
// error, a line each with the file's name, the line's number and what to do.
func Load(name string) (*Config, error) {
	text, err := readAtMost(name, maxFile)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return parse(name, text)
}

// Credential reads the API's credential, "" where there is none configured.
// The error never holds what is in the file.
func (c *Config) Credential() (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	return ReadCredential(c.TokenFile)
}

// ReadCredential reads the API's credential from a file. The error never holds
// what is in the file.
func ReadCredential(name string) (string, error) {
	text, err := readAtMost(name, maxCredential)
	if err != nil {
		return "", fmt.Errorf("the API's credential cannot be read: %w", err)
	}
	credential := strings.TrimSpace(string(text))
	if len(credential) < minCredential || strings.ContainsFunc(credential, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no usable credential: put one line of %d or more letters and digits there, as made by: openssl rand -hex 32", name, minCredential)
	}
	return credential, nil
}

func readAtMost(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return text, nil
}

// defaultStateDir is XDG_STATE_HOME/ironglass where that is set,
// /var/lib/ironglass for root, and ~/.local/state/ironglass for others.
func defaultStateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ironglass"), nil
	}
	if os.Getuid() == 0 {
		return "/var/lib/ironglass", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no home directory to keep the state in: set state_dir")
	}
	return filepath.Join(home, ".local", "state", "ironglass"), nil
}

// loopback reports whether only this machine can reach the host.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// LoopbackHost reports whether only this machine can reach the host.
func LoopbackHost(host string) bool { return loopback(host) }

// Loopback reports whether only this machine can reach the address host:port.
func Loopback(address string) bool {
	host, err := checkListen(address)
	return err == nil && loopback(host)
}

// checkListen checks an address to listen on.
func checkListen(address string) (host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = parsePort(port)
	}
	if err != nil {
		return "", fmt.Errorf("%q is not an address to listen on: write HOST:PORT with a port from 0 (any free one) to 65535, as in %s", address, DefaultListen)
	}
	return host, nil
}
