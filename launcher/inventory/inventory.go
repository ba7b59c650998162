// Package inventory knows which nodes there are, and what makes the console
// of each.
package inventory

import (
	"crypto/sha1" // RFC 9562 defines version 5 of UUIDs with it; nothing secret hangs on it
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
)

// Node is a machine with a console.
type Node struct {
	// Name is what people call it: 1 to 63 letters, digits, dots, hyphens and
	// underscores, of which the first and the last are letters or digits.
	Name string
	// UUID identifies it to other services, in the usual form of 36
	// characters. An Inventory gives a node without one the UUID that UUIDOf
	// derives from its name.
	UUID string
	// BMC is its management controller; nil where it has none.
	BMC *BMC
	// Console is what shows its screen.
	Console Console
	// Fault, where it is not empty, says for a person why the node has no
	// console, and what to do, without a full stop. Console may then be empty.
	Fault string
	// About is what its owner and its operator say of it.
	About About
}

// About is what does not change a node's console. IDs are those of Keystone's
// projects.
type About struct {
	// Owner is the project that the node belongs to, Lessee the one that uses
	// it; "" is none.
	Owner, Lessee string
	// Maintenance is set while people work on it.
	Maintenance bool
}

// BMC is how to reach a management controller.
type BMC struct {
	// Protocol is "redfish", "ipmi" or another way that an inventory names it
	// by; "" is not known.
	Protocol string
	// Address is a host, with or without a port, or a URL.
	Address string
	// Username is the account's name. The password is in PasswordFile, or in
	// Password where an inventory came with it.
	Username, PasswordFile string
	Password               Secret
}

// Secret is a text that is neither printed nor logged nor written into JSON.
type Secret struct{ text string }

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

// Format prints stars, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	if s.text != "" {
		_, _ = io.WriteString(f, "******") // as printing does
	}
}

// LogValue is slog.LogValuer's.
func (s Secret) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON writes nothing of the text.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Secret) UnmarshalJSON([]byte) error { return nil }

// Console is what shows a node's screen. Of Command, RFB and Recipe exactly
// one is set.
type Console struct {
	// Command is an X program with its arguments.
	Command []string
	// RFB is a native VNC server: HOST:PORT, unix:PATH, or a ws:// or wss://
	// URL where RFB goes over a websocket.
	RFB string
	// Username, and the password in PasswordFile, are what the native VNC
	// server asks for; both may be empty.
	Username, PasswordFile string
	// TLS has the native VNC server prove itself: by VeNCrypt, or behind a
	// wss:// URL. nil asks for no proof; a wss:// URL's is then checked with
	// the system's authorities.
	TLS *TLS
	// Recipe names the way in which the BMC's own client is run; Image is the
	// container image for it.
	Recipe, Image string
	// Width and Height are the screen's size in pixels; 0 is the default.
	Width, Height int
	// Seats says who of those that may operate the console does: "shared" is
	// all of them, "exclusive" one at a time, "" the default, which is shared.
	Seats string
	// Lease is how long it goes on for people who do not use it.
	Lease Lease
	// Layout is the keyboard layout of the machine, as in "de"; "" is the
	// default.
	Layout string
	// Keys is how fast keys are sent to the machine.
	Keys Keys
	// Recording is what is recorded of it.
	Recording Recording
}

// Recording is what is recorded of a console.
type Recording struct {
	// Mode is "off", "ring" (the last minutes) or "full"; "" is off.
	Mode string
	// Last is how much a ring keeps; 0 is the default.
	Last time.Duration
	// MaxSize bounds in bytes what a ring takes, and one file of a full
	// recording; 0 is the default.
	MaxSize int64
}

// Modes of a Recording.
const (
	RecordOff  = "off"
	RecordRing = "ring"
	RecordFull = "full"
)

// Minutes that a ring may keep.
const (
	MinRingMinutes = 1
	MaxRingMinutes = 24 * 60
)

func (r Recording) check(fail func(key, format string, args ...any)) {
	switch r.Mode {
	case "", RecordOff, RecordRing, RecordFull:
	default:
		fail("console.recording", "%.80q is none of off, ring (the last minutes) and full", r.Mode)
	}
	if r.Last != 0 && r.Mode != RecordRing {
		fail("console.recording", "minutes are for the mode ring alone: remove them, or set mode: ring")
	}
	if r.MaxSize != 0 && (r.Mode == "" || r.Mode == RecordOff) {
		fail("console.recording", "nothing is recorded: set mode to ring or full, or remove max_size")
	}
}

// TLS says which certificate a native VNC server is to have. The files are in
// PEM.
type TLS struct {
	// CA holds the authorities to trust; "" is the system's.
	CA string
	// Cert and Key are what to prove oneself with, where the server asks.
	Cert, Key string
	// ServerName is the name that the certificate must have; "" is the
	// address's host.
	ServerName string
	// Fingerprint is the SHA-256, in hexadecimal, of the one certificate to
	// trust; nothing else about it matters then.
	Fingerprint string
}

// Lease is how long a console goes on without use (Idle), altogether (Max),
// and how long before its end that is shown (Warning). 0 is the service's own,
// negative is off.
type Lease struct{ Idle, Max, Warning time.Duration }

// Keys is how fast keys are sent. Zero is as fast as they come.
type Keys struct {
	// Hold is how long a key stays down, and Interval the time between two
	// events of keys, at least; each is MaxKeyTime at most.
	Hold, Interval time.Duration
	// Longest is how long a key that is no modifier stays down at most, for
	// machines that repeat keys by themselves whenever a release is late; it is
	// longer than Hold, and MaxKeyTime at most. 0 is as long as it is held.
	Longest time.Duration
	// Rate is how many characters of a text are typed a second at most, up to
	// MaxRate; 0 is as many as the rest allows.
	Rate int
}

// Bounds of Keys.
const (
	MaxKeyTime = time.Second
	MaxRate    = 1000
)

// Sides of a screen in pixels that a Console may have.
const (
	MinSide = 64
	MaxSide = 8192
)

// ParseGeometry reads a size as in 1280x1024, in pixels.
func ParseGeometry(text string) (width, height int, err error) {
	w, h, ok := strings.Cut(text, "x")
	width, errW := parseSide(w)
	height, errH := parseSide(h)
	if !ok || errW != nil || errH != nil {
		return 0, 0, fmt.Errorf("%q is not a size in pixels: write it as in 1280x1024", text)
	}
	if min(width, height) < MinSide || max(width, height) > MaxSide {
		return 0, 0, fmt.Errorf("%q is out of range: %[2]dx%[2]d to %[3]dx%[3]d pixels are possible", text, MinSide, MaxSide)
	}
	return width, height, nil
}

// parseSide reads digits and no sign; what is too large for 16 bits is out of
// any range.
func parseSide(text string) (int, error) {
	if len(text) == 0 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return int(n), nil
	}
	return MaxSide + 1, nil
}

// checkAddress checks where a native VNC server is.
func (c Console) checkAddress() error {
	if path, ok := strings.CutPrefix(c.RFB, "unix:"); ok {
		if path == "" {
			return fmt.Errorf("%q names no socket: write unix:PATH", c.RFB)
		}
		return nil
	}
	if strings.Contains(c.RFB, "://") {
		u, err := url.Parse(c.RFB)
		if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("%.200q is not the address of a websocket: write it as in wss://bmc.example.net/kvm/0, and a user under username", c.RFB)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(c.RFB)
	if err == nil && host != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			return nil
		}
	}
	return fmt.Errorf("%q is not an address: write HOST:PORT, as in 127.0.0.1:5901, unix:PATH, or wss://HOST/PATH", c.RFB)
}

// fingerprintForm is a SHA-256 in hexadecimal, with or without colons.
var fingerprintForm = regexp.MustCompile(`^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$`)

// checkAccess checks what a native VNC server is told and is to prove.
func (c Console) checkAccess(fail func(key, format string, args ...any)) {
	if c.Username != "" && c.PasswordFile == "" {
		fail("console.rfb.password_file", "it is missing: a username needs a password")
	}
	if strings.HasPrefix(c.RFB, "ws://") && c.TLS != nil {
		fail("console.rfb.tls", "ws:// has none: write wss:// in the address, or remove it")
	}
	if c.TLS == nil {
		return
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fail("console.rfb.tls", "cert and key go together: set both or none")
	}
	if c.TLS.Fingerprint != "" && !fingerprintForm.MatchString(c.TLS.Fingerprint) {
		fail("console.rfb.tls.fingerprint", "%.100q is not a SHA-256: write 64 hexadecimal digits, as openssl x509 -noout -fingerprint -sha256 prints them", c.TLS.Fingerprint)
	}
	if strings.HasPrefix(c.RFB, "unix:") && c.TLS.ServerName == "" && c.TLS.Fingerprint == "" {
		fail("console.rfb.tls", "a socket has no name to check: set server_name or fingerprint")
	}
}

// Inventory is a set of nodes that was found to be sound. It does not change
// and may be used from any goroutine.
type Inventory struct {
	nodes []Node
	index map[string]int // by name and by UUID in small letters
}

// Error is what is wrong with one node.
type Error struct {
	// Node is the node's place in the list, from 0.
	Node int
	// Key is the part that is wrong, as it is written in a file: name, uuid,
	// console.rfb and so on.
	Key string
	// Reason says what is wrong and what to do.
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("node %d: %s: %s", e.Node+1, e.Key, e.Reason) }

// New checks the nodes and returns them as an Inventory. Everything that is
// wrong is in the error, a multierror of *Error in the order of the nodes.
func New(nodes []Node) (*Inventory, error) {
	inv := &Inventory{nodes: make([]Node, len(nodes)), index: make(map[string]int)}
	var errs *multierror.Error
	for i, n := range nodes {
		fail := func(key, format string, args ...any) {
			errs = multierror.Append(errs, &Error{Node: i, Key: key, Reason: fmt.Sprintf(format, args...)})
		}
		if n.check(fail) {
			first, taken := inv.index[n.Name]
			if taken {
				fail("name", "%q is the name of node %d as well: names must differ", n.Name, first+1)
			} else {
				inv.index[n.Name] = i
			}
			if n.UUID == "" {
				n.UUID = UUIDOf(n.Name)
				if taken {
					continue // nothing new about the UUID then
				}
			}
			n.UUID = strings.ToLower(n.UUID)
			if first, taken := inv.index[n.UUID]; taken {
				fail("uuid", "%s is the UUID of node %d as well: UUIDs must differ", n.UUID, first+1)
			} else {
				inv.index[n.UUID] = i
			}
		}
		inv.nodes[i] = n
	}
	if err := errs.ErrorOrNil(); err != nil {
		return nil, err
	}
	return inv, nil
}

// Nodes returns the nodes in their order.
func (inv *Inventory) Nodes() []Node { return append([]Node(nil), inv.nodes...) }

// Find returns the node with this name or UUID.
func (inv *Inventory) Find(id string) (Node, bool) {
	i, ok := inv.index[id]
	if !ok {
		i, ok = inv.index[strings.ToLower(id)]
		if ok && inv.nodes[i].UUID != strings.ToLower(id) {
			ok = false // names are told apart by case
		}
	}
	if !ok {
		return Node{}, false
	}
	return inv.nodes[i], true
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// IsUUID reports whether text has the form of a UUID.
func IsUUID(text string) bool { return uuidForm.MatchString(text) }

// IsName reports whether text can be the name of a node.
func IsName(text string) bool { return nameForm.MatchString(text) && !uuidForm.MatchString(text) }

// check tells fail what is wrong with a node by itself, and reports whether
// its name and UUID can be compared with others'.
func (n Node) check(fail func(key, format string, args ...any)) (named bool) {
	named = true
	switch {
	case n.Name == "":
		fail("name", "it is missing: every node needs one")
		named = false
	case !nameForm.MatchString(n.Name):
		fail("name", "%.80q cannot be a name: use 1 to 63 letters, digits, dots, hyphens and underscores, with a letter or digit first and last", n.Name)
		named = false
	case uuidForm.MatchString(n.Name):
		fail("name", "%q looks like a UUID: put it under uuid and choose a name", n.Name)
		named = false
	}
	if n.UUID != "" && !uuidForm.MatchString(n.UUID) {
		fail("uuid", "%.80q is not a UUID: write it as in 99694c1e-6327-4d58-9466-87f7265958af, or leave it out", n.UUID)
		named = false
	}
	if n.BMC != nil && n.BMC.Address == "" {
		fail("bmc.address", "it is missing: name the BMC's host or address")
	}
	if n.Fault == "" {
		n.Console.check(fail)
	}
	return named
}

func (c Console) check(fail func(key, format string, args ...any)) {
	if c.Seats != "" && c.Seats != "shared" && c.Seats != "exclusive" {
		fail("console.seats", "%.80q is not known: write shared, for everybody at once, or exclusive, for one at a time", c.Seats)
	}
	var kinds []string
	if c.Command != nil {
		kinds = append(kinds, "command")
	}
	if c.RFB != "" {
		kinds = append(kinds, "rfb")
	}
	if c.Recipe != "" {
		kinds = append(kinds, "recipe")
	}
	switch len(kinds) {
	case 0:
		fail("console", "it is empty: set command (an X program) or rfb (a VNC server)")
	case 1:
	default:
		fail("console", "%s cannot go together: keep one of them", strings.Join(kinds, " and "))
	}
	if c.Command != nil && (len(c.Command) == 0 || c.Command[0] == "") {
		fail("console.command", `it names no program: write it as in ["xterm", "-maximized"]`)
	}
	for _, arg := range c.Command {
		if strings.ContainsRune(arg, 0) || !utf8.ValidString(arg) {
			fail("console.command", "%.80q cannot be an argument of a program: it is not plain text", arg)
		}
	}
	checkKeyTime := func(key string, d time.Duration) {
		if d < 0 || d > MaxKeyTime {
			fail(key, "%v is out of range: 0s to %v are possible", d, MaxKeyTime)
		}
	}
	checkKeyTime("console.keys.hold", c.Keys.Hold)
	checkKeyTime("console.keys.interval", c.Keys.Interval)
	checkKeyTime("console.keys.longest", c.Keys.Longest)
	if l := c.Keys.Longest; l > 0 && l <= c.Keys.Hold {
		fail("console.keys.longest", "%v is not longer than hold, which is %v", l, c.Keys.Hold)
	}
	if c.Keys.Rate < 0 || c.Keys.Rate > MaxRate {
		fail("console.keys.rate", "%d is out of range: 1 to %d characters a second are possible, or leave it out", c.Keys.Rate, MaxRate)
	}
	c.Recording.check(fail)
	if c.RFB != "" {
		if err := c.checkAddress(); err != nil {
			fail("console.rfb", "%v", err)
		}
		c.checkAccess(fail)
		if c.Width != 0 || c.Height != 0 {
			fail("console.geometry", "a native VNC server has a size of its own: remove it")
		}
	}
}

// namespace is RFC 9562's name space for names that are URLs.
var namespace = [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// UUIDOf returns the UUID of a node that was given none: version 5 (RFC 9562,
// 5.5) of the URL ironglass:node/NAME, the same on every machine and at every
// start.
func UUIDOf(name string) string {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte("ironglass:node/" + name))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	x := hex.EncodeToString(u)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
