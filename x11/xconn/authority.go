package xconn

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// cookieName is the only kind of proof that xgb can give.
const cookieName = "MIT-MAGIC-COOKIE-1"

// Cookie is a MIT-MAGIC-COOKIE-1.
type Cookie [16]byte

// Address families in an authority file.
const (
	familyInternet  = 0
	familyInternet6 = 6
	familyLocal     = 256
	familyWild      = 65535
)

// NewCookie returns a random cookie.
func NewCookie() Cookie {
	var c Cookie
	_, _ = rand.Read(c[:]) // never fails
	return c
}

// WriteAuthority writes an authority file that only its owner can read,
// whose one entry is the cookie for every display. A server takes it with
// -auth before its display number is known, and clients as $XAUTHORITY.
func WriteAuthority(file string, cookie Cookie) error {
	b := binary.BigEndian.AppendUint16(nil, familyWild)
	for _, field := range []string{"", "", cookieName, string(cookie[:])} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return fmt.Errorf("writing the X authority file: %w", err)
	}
	return nil
}

// cookie finds the display's cookie in an authority file. Where there is
// none the zero cookie is shown: a server that asks for no cookie takes any.
func (a address) cookie(file string) (Cookie, error) {
	named := file != ""
	if !named {
		file = os.Getenv("XAUTHORITY")
	}
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Cookie{}, nil
		}
		file = filepath.Join(home, ".Xauthority")
	}
	f, err := os.Open(file)
	if err != nil {
		if !named && errors.Is(err, fs.ErrNotExist) {
			return Cookie{}, nil
		}
		return Cookie{}, fmt.Errorf("opening the X authority file: %w", err)
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	for {
		e, err := readEntry(r)
		switch {
		case errors.Is(err, io.EOF):
			return Cookie{}, nil
		case err != nil:
			return Cookie{}, fmt.Errorf("reading the X authority file %s: %w", file, err)
		case e.name == cookieName && len(e.data) == len(Cookie{}) && e.matches(a):
			return Cookie([]byte(e.data)), nil
		}
	}
}

// entry is one record of an authority file.
type entry struct {
	family                uint16
	addr, num, name, data string
}

// readEntry reads a record; io.EOF where the file ends before it.
func readEntry(r io.Reader) (e entry, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return e, err
	}
	e.family = binary.BigEndian.Uint16(head[:])
	for _, field := range []*string{&e.addr, &e.num, &e.name, &e.data} {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return e, cutOff(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(r, b); err != nil {
			return e, cutOff(err)
		}
		*field = string(b)
	}
	return e, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// matches reports whether the record is for the display.
func (e entry) matches(a address) bool {
	if e.num != "" && e.num != a.number {
		return false
	}
	local := a.host == "" || a.host == "localhost"
	switch e.family {
	case familyWild:
		return true
	case familyLocal:
		name, err := os.Hostname()
		return local && err == nil && e.addr == name
	case familyInternet, familyInternet6:
		ip := net.ParseIP(a.host)
		return ip != nil && ip.Equal(net.IP(e.addr))
	}
	return false
}
