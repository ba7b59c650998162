// Package token issues and checks the tokens that open consoles: PASETO
// v4.public, signed with a key that stays in the state directory.
//
// A token names one node and says what its holder may do there until when.
// It also carries the node's generation, a number that Revoke raises, so that
// stopping a console ends every token given out for it. Nothing else about a
// token is kept: whoever has the key and the generations can check it.
package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"aidanwoods.dev/go-paseto"
)

// What is wrong with a token. Verify's errors wrap exactly one of the first
// three, Claims.For's wrap ErrWrongNode. Their text never holds the token.
var (
	// ErrUnknown: not a token, or not one that this authority signed.
	ErrUnknown = errors.New("unknown token")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("expired token")
	// ErrRevoked: the console was stopped after the token was issued.
	ErrRevoked = errors.New("revoked token")
	// ErrWrongNode: it opens another node's console.
	ErrWrongNode = errors.New("token of another node")
)

// Mode is what a token's holder may do.
type Mode string

// The modes.
const (
	// View is to look, without keyboard and pointer.
	View Mode = "view"
	// Operate is to look and to use keyboard and pointer.
	Operate Mode = "operate"
)

// ParseMode returns the mode of that name; the error lists the names.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case View, Operate:
		return m, nil
	}
	return "", fmt.Errorf("mode %q is neither %q nor %q", s, View, Operate)
}

// Claims is what a token says.
type Claims struct {
	// ID names the token in logs; it opens nothing.
	ID string
	// Node is the name of the node whose console it opens.
	Node string
	// Mode is what its holder may do.
	Mode Mode
	// Name is whom it was given to, "" where that was not said.
	Name string
	// Admin lets the holder decide over others at the console.
	Admin bool
	// Root is the ID of the token that this one goes back to by renewals; its
	// own where it is none.
	Root string
	// Generation is the node's when the token was issued.
	Generation uint64
	// IssuedAt and Expires are whole seconds.
	IssuedAt, Expires time.Time
}

// For returns an error that wraps ErrWrongNode unless the token is for node.
func (c Claims) For(node string) error {
	if c.Node != node {
		return fmt.Errorf("%w: it opens the console of %q, not of %q", ErrWrongNode, c.Node, node)
	}
	return nil
}

// maxLength is the longest text that Verify looks at, in bytes. A token is
// about 300 bytes and the node's name.
const maxLength = 2048

// implicit is signed along with every token, so that a signature for another
// purpose under the same key is none for this one.
const implicit = "ironglass console token 1"

// Authority issues and checks tokens. Its methods may be called from any
// goroutine.
type Authority struct {
	secret paseto.V4AsymmetricSecretKey
	public paseto.V4AsymmetricPublicKey
	dir    string // "" keeps nothing

	mu          sync.Mutex
	generations map[string]uint64 // by node; absent is 0
}

// Open returns the authority whose key and generations lie in dir. Where
// there is no key yet it makes one; two programs that start at the same time
// end up with the same key. The directory must exist.
func Open(dir string) (*Authority, error) {
	key, err := loadKey(dir)
	if err != nil {
		return nil, err
	}
	generations, err := loadGenerations(dir)
	if err != nil {
		return nil, err
	}
	return newAuthority(key, dir, generations)
}

// Ephemeral returns an authority whose key ends with the program.
func Ephemeral() (*Authority, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for tokens: %w", err)
	}
	return newAuthority(key, "", map[string]uint64{})
}

func newAuthority(key ed25519.PrivateKey, dir string, generations map[string]uint64) (*Authority, error) {
	secret, err := paseto.NewV4AsymmetricSecretKeyFromEd25519(key)
	if err != nil {
		return nil, fmt.Errorf("using the key for tokens: %w", err)
	}
	return &Authority{secret: secret, public: secret.Public(), dir: dir, generations: generations}, nil
}

// payload is the claims as they stand in a token, under PASETO's registered
// names where there is one.
type payload struct {
	ID         string    `json:"jti"`
	Node       string    `json:"node"`
	Mode       Mode      `json:"mode"`
	Name       string    `json:"name,omitempty"`
	Admin      bool      `json:"admin,omitempty"`
	Root       string    `json:"root,omitempty"`
	Generation uint64    `json:"gen"`
	IssuedAt   time.Time `json:"iat"`
	Expires    time.Time `json:"exp"`
}

// Issue returns a token that says what want does of Node, Mode, Name, Admin
// and Root (none makes it its own), and is valid from now for at least ttl, at
// most a second longer. The rest of the claims is made here.
func (a *Authority) Issue(want Claims, ttl time.Duration, now time.Time) (string, Claims, error) {
	if want.Node == "" {
		return "", Claims{}, errors.New("issuing a token: no node is named")
	}
	if _, err := ParseMode(string(want.Mode)); err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	if ttl <= 0 {
		return "", Claims{}, fmt.Errorf("issuing a token: a lifetime of %v is not positive", ttl)
	}
	id := make([]byte, 9)
	if _, err := rand.Read(id); err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	expires := now.Add(ttl).UTC()
	if whole := expires.Truncate(time.Second); !whole.Equal(expires) {
		expires = whole.Add(time.Second)
	}
	p := payload(want)
	p.ID = base64.RawURLEncoding.EncodeToString(id)
	if p.Root == "" {
		p.Root = p.ID
	}
	p.Generation = a.Generation(p.Node)
	p.IssuedAt, p.Expires = now.UTC().Truncate(time.Second), expires
	text, err := json.Marshal(p)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	t, err := paseto.NewTokenFromClaimsJSON(text, nil)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	signed := t.V4Sign(a.secret, []byte(implicit))
	if len(signed) > maxLength {
		return "", Claims{}, fmt.Errorf("issuing a token: a node's name of %d bytes and a holder's of %d are too long", len(p.Node), len(p.Name))
	}
	return signed, Claims(p), nil
}

// Verify returns what a token says, or an error that wraps ErrUnknown,
// ErrExpired or ErrRevoked. The claims are those of an expired or revoked
// token too, for the log.
func (a *Authority) Verify(text string, now time.Time) (Claims, error) {
	if len(text) > maxLength {
		return Claims{}, fmt.Errorf("%w: %d bytes are too many", ErrUnknown, len(text))
	}
	if strings.Count(text, ".") != 2 {
		return Claims{}, fmt.Errorf("%w: it has not the three parts of one", ErrUnknown)
	}
	t, err := paseto.NewParserWithoutExpiryCheck().ParseV4Public(a.public, text, []byte(implicit))
	if err != nil {
		// The library's words may quote what was given as a token.
		return Claims{}, fmt.Errorf("%w: this service did not sign it", ErrUnknown)
	}
	var p payload
	if err := json.Unmarshal(t.ClaimsJSON(), &p); err != nil {
		return Claims{}, fmt.Errorf("%w: its claims cannot be read", ErrUnknown)
	}
	c := Claims(p)
	if c.Root == "" {
		c.Root = c.ID // of a version that knew no renewals
	}
	if _, err := ParseMode(string(c.Mode)); err != nil || c.Node == "" || c.Expires.IsZero() {
		return Claims{}, fmt.Errorf("%w: its claims are incomplete", ErrUnknown)
	}
	if c.Generation != a.Generation(c.Node) {
		return c, fmt.Errorf("%w: the console of %q was stopped since", ErrRevoked, c.Node)
	}
	if !now.Before(c.Expires) {
		return c, fmt.Errorf("%w: it ended at %s", ErrExpired, c.Expires.Format(time.RFC3339))
	}
	return c, nil
}

// Generation is how often node's tokens were revoked.
func (a *Authority) Generation(node string) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.generations[node]
}

// Revoke ends every token issued for node so far. On an error they are ended
// too, but only for as long as the program runs.
func (a *Authority) Revoke(node string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.generations[node]++
	if a.dir == "" {
		return nil
	}
	if err := saveGenerations(a.dir, a.generations); err != nil {
		return fmt.Errorf("the tokens of %q are revoked only until a restart: %w", node, err)
	}
	return nil
}
