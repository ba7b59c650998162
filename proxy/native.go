package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/rfb/security"
)

// NativeConfig is how to reach a VNC server that runs by itself: a virtual
// machine's, or a BMC's own.
type NativeConfig struct {
	// Address is HOST:PORT, unix:PATH, or the ws:// or wss:// URL of a server
	// that speaks RFB over a websocket, as OpenBMC's /kvm/0 does.
	Address string
	// Username and PasswordFile are what to prove oneself with, to the RFB
	// server or to the websocket's (HTTP Basic authentication); both may be
	// empty. The file is read anew for each session.
	Username, PasswordFile string
	// TLS, where not nil, has the RFB session go over VeNCrypt and nothing
	// else, and says whom to trust there or behind a wss:// URL.
	TLS *NativeTLS
}

// NativeTLS says which certificate a VNC server is to have.
type NativeTLS struct {
	// CA is a PEM file with the authorities to trust; "" is the system's.
	CA string
	// Cert and Key are PEM files to prove oneself with, where the server asks.
	Cert, Key string
	// ServerName is the name that the certificate must have; "" is the
	// address's host.
	ServerName string
	// Fingerprint is the SHA-256, in hexadecimal, of the one certificate to
	// trust. CA and ServerName then do not matter.
	Fingerprint string
}

const (
	// nativeDialTimeout bounds connecting to a native VNC server.
	nativeDialTimeout = 10 * time.Second
	// maxPasswordFile is the longest file with a password, in bytes.
	maxPasswordFile = 4096
	// refusedPause is for how long a password that was refused is not tried
	// again. BMCs lock accounts after a few wrong ones.
	refusedPause = 5 * time.Minute
)

// native is the Backend of a VNC server that runs by itself.
type native struct {
	cfg              NativeConfig
	network, address string // of the connection
	url              *url.URL
	tls              *tls.Config // nil without TLS

	mu      sync.Mutex
	refused [sha256.Size]byte // of the name and password that were refused last
	until   time.Time         // when they may be tried again
	why     error
}

var _ Backend = (*native)(nil)

// NewNative returns the backend of a VNC server that runs by itself. The error
// says what is wrong with cfg.
func NewNative(cfg NativeConfig) (Backend, error) {
	b := &native{cfg: cfg}
	host := ""
	switch path, ok := strings.CutPrefix(cfg.Address, "unix:"); {
	case ok:
		b.network, b.address = "unix", path
	case strings.HasPrefix(cfg.Address, "ws://"), strings.HasPrefix(cfg.Address, "wss://"):
		u, err := url.Parse(cfg.Address)
		if err != nil || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("%q is not the address of a websocket: write it as in wss://bmc.example.net/kvm/0", cfg.Address)
		}
		b.url, b.network, b.address, host = u, "tcp", u.Host, u.Hostname()
	default:
		h, _, err := net.SplitHostPort(cfg.Address)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address: write HOST:PORT", cfg.Address)
		}
		b.network, b.address, host = "tcp", cfg.Address, h
	}
	if cfg.TLS == nil {
		return b, nil
	}
	t, err := cfg.TLS.config(host)
	if err != nil {
		return nil, err
	}
	b.tls = t
	return b, nil
}

// config makes what crypto/tls wants of t, for a server at host.
func (t *NativeTLS) config(host string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("the authorities cannot be read: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s with the key %s cannot be used: %w", t.Cert, t.Key, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if t.Fingerprint == "" {
		return cfg, nil
	}
	want, err := ParseFingerprint(t.Fingerprint)
	if err != nil {
		return nil, err
	}
	cfg.InsecureSkipVerify = true // this is stricter
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server showed no certificate")
		}
		if got := sha256.Sum256(s.PeerCertificates[0].Raw); got != want {
			return &fingerprintError{hex.EncodeToString(got[:])}
		}
		return nil
	}
	return cfg, nil
}

// ParseFingerprint reads a SHA-256 in hexadecimal, with or without colons.
func ParseFingerprint(text string) (sum [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("%.100q is not a fingerprint: write the SHA-256 of the certificate as 64 hexadecimal digits", text)
	}
	return [sha256.Size]byte(b), nil
}

// fingerprintError says that the server has another certificate.
type fingerprintError struct{ got string }

func (e *fingerprintError) Error() string {
	return "the server's certificate has the fingerprint " + e.got
}

// Start is Backend's. There is nothing to start, and nothing is tried: some
// VNC servers end with their first connection. What runs there cannot be told
// from what ran there before, so its epoch is always the same.
func (b *native) Start(_ context.Context, phase func(string)) (Endpoint, error) {
	password, err := b.password()
	if err != nil {
		return Endpoint{}, err
	}
	if err := b.mayTry(password); err != nil {
		return Endpoint{}, err
	}
	phase("connecting to the VNC server at " + b.address)
	e := Endpoint{
		Epoch:   "native",
		Explain: func(err error) error { return b.explain(err, password) },
	}
	if b.url != nil {
		e.Dial = func(ctx context.Context) (net.Conn, error) { return b.dialWebsocket(ctx, password) }
	} else {
		e.Dial, e.Security = b.dial, b.security(password)
	}
	return e, nil
}

// password reads the file; "" where there is none.
func (b *native) password() (string, error) {
	name := b.cfg.PasswordFile
	if name == "" {
		return "", nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("the password for %s cannot be read: %w: check password_file", b.address, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("the password for %s cannot be read: %w: check password_file", b.address, err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" || len(text) > maxPasswordFile {
		return "", fmt.Errorf("%s holds no password for %s: put it in the first line", name, b.address)
	}
	return password, nil
}

// digest tells one name and password from another.
func (b *native) digest(password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(b.cfg.Username + "\x00" + password))
}

// mayTry says why a password that was refused is not tried just now.
func (b *native) mayTry(password string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.why == nil || b.refused != b.digest(password) || !time.Now().Before(b.until) {
		return nil
	}
	return fmt.Errorf("%w; so that the account is not locked it is tried again at %s, or at once when the password is another",
		b.why, b.until.Format("15:04:05"))
}

// security is what may be used, the best first. A server with a certificate
// to check gets nothing without it.
func (b *native) security(password string) []security.Type {
	c := security.Credentials{Username: b.cfg.Username, Password: password}
	if b.tls != nil {
		return []security.Type{security.VeNCrypt{TLS: b.tls, Credentials: c}}
	}
	vnc := security.VNCAuth{Credentials: c}
	open := []security.Type{security.Tight{Credentials: c}, security.None{}}
	if password == "" {
		return append(open, vnc) // so that a server that asks for one is told from others
	}
	var list []security.Type
	for _, n := range []security.Number{
		security.NumberRA2256, security.NumberRA2, security.NumberRA2ne256, security.NumberRA2ne,
	} {
		list = append(list, security.RA2{Type: n, Credentials: c})
	}
	return append(append(list, vnc), open...)
}

func (b *native) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: nativeDialTimeout}
	return d.DialContext(ctx, b.network, b.address)
}

// dialWebsocket opens RFB over a websocket.
func (b *native) dialWebsocket(ctx context.Context, password string) (net.Conn, error) {
	d := websocket.Dialer{
		HandshakeTimeout: nativeDialTimeout,
		NetDialContext:   (&net.Dialer{Timeout: nativeDialTimeout}).DialContext,
		TLSClientConfig:  b.tls,
		Subprotocols:     []string{"binary"},
		WriteBufferSize:  writeBufferSize, WriteBufferPool: writeBuffers,
	}
	head := make(http.Header)
	if password != "" {
		r := http.Request{Header: head}
		r.SetBasicAuth(b.cfg.Username, password)
	}
	ws, answer, err := d.DialContext(ctx, b.url.String(), head)
	if err != nil {
		if answer != nil {
			answer.Body.Close()
			return nil, &httpError{answer.StatusCode}
		}
		return nil, err
	}
	ws.SetReadLimit(-1)
	return newWSConn(ws, 0), nil
}

// httpError is a websocket that the server did not open.
type httpError struct{ status int }

func (e *httpError) Error() string {
	return fmt.Sprintf("the server answered %d %s in place of a websocket", e.status, http.StatusText(e.status))
}

// refusal reports whether err says that the name or the password is wrong.
func refusal(err error) bool {
	var answer *httpError
	if errors.As(err, &answer) {
		return answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden
	}
	return errors.Is(err, security.ErrRefused)
}

// explain says in words why there is no session, and what to look at.
func (b *native) explain(err error, password string) error {
	var (
		dns     *net.DNSError
		tired   net.Error
		other   *fingerprintError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		dated   x509.CertificateInvalidError
		answer  *httpError
	)
	switch {
	case refusal(err) && password == "":
		return fmt.Errorf("%s lets nobody in without a password: set password_file", b.address)
	case refusal(err):
		why := fmt.Errorf("%s refused the password: check password_file", b.address)
		if b.cfg.Username != "" {
			why = fmt.Errorf("%s refused the user %q or the password: check username and password_file", b.address, b.cfg.Username)
		}
		if errors.As(err, &answer) {
			why = fmt.Errorf("%w (%d)", why, answer.status)
		}
		b.mu.Lock()
		b.refused, b.until, b.why = b.digest(password), time.Now().Add(refusedPause), why
		b.mu.Unlock()
		return why
	case errors.Is(err, security.ErrNoCredentials) && password == "":
		return fmt.Errorf("%s asks for a password: set password_file", b.address)
	case errors.Is(err, security.ErrNoCredentials):
		return fmt.Errorf("%s asks for a user's name: set username", b.address)
	case errors.As(err, &answer):
		return fmt.Errorf("%s: %w: check the address %s", b.address, err, b.url.Redacted())
	case errors.As(err, &other):
		return fmt.Errorf("%s shows another certificate than the one trusted: its fingerprint is %s; if that is right, set tls.fingerprint to it", b.address, other.got)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s shows a certificate of an unknown authority: set tls.ca, or tls.fingerprint", b.address)
	case errors.As(err, &name):
		return fmt.Errorf("%s shows a certificate for another name (%w): set tls.server_name", b.address, name)
	case errors.As(err, &dated):
		return fmt.Errorf("%s shows a certificate that cannot be used: %w", b.address, dated)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: is the VNC server running?", b.address)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no socket %s: is the VNC server running?", b.address)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the socket %s is closed to this user: change its owner or mode", b.address)
	case errors.As(err, &dns):
		return fmt.Errorf("the name of %s is not known (%w): correct the address, or the name service", b.address, dns)
	case errors.As(err, &tired) && tired.Timeout():
		return fmt.Errorf("%s does not answer: is the machine on, and no firewall in between?", b.address)
	}
	return fmt.Errorf("%s: %w", b.address, err)
}

// Stop is Backend's: what was not started here is not ended here.
func (b *native) Stop(context.Context) error { return nil }

// Explain is Backend's.
func (b *native) Explain(context.Context) string { return "" }
