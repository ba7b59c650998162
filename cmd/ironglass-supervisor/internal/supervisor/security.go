package supervisor

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/rfb/security"
)

const (
	// maxPassword is the longest password, in bytes: what RSA-AES can carry.
	maxPassword = 255
	// maxSecretFile is the largest file of passwords or certificates, in
	// bytes.
	maxSecretFile = 1 << 20
	// vncPassword is how many bytes of a password VNC Authentication uses.
	vncPassword = 8
)

// secured is what the settings say of security; the types are made of it when
// all of it is known.
type secured struct {
	names                      []string
	passwords                  security.Passwords
	certificate, key, clientCA []byte // PEM
	rsaKey                     *rsa.PrivateKey
	types                      []security.Type
}

// securityNames are the security types, as -security calls them.
func securityNames() []string {
	var names []string
	for _, n := range []security.Number{
		security.NumberNone, security.NumberVNCAuth, security.NumberVeNCrypt, security.NumberTight,
		security.NumberRA2, security.NumberRA2ne, security.NumberRA2256, security.NumberRA2ne256,
	} {
		names = append(names, n.String())
	}
	return names
}

func parseSecurity(names []string) ([]string, error) {
	var errs *multierror.Error
	known := securityNames()
	for i, name := range names {
		switch {
		case slices.Contains(names[:i], name):
			errs = multierror.Append(errs, fmt.Errorf("%q is there twice", name))
		case !slices.Contains(known, name):
			errs = multierror.Append(errs, fmt.Errorf("%q is not one of %s", name, strings.Join(known, ", ")))
		}
	}
	if len(names) == 0 {
		errs = multierror.Append(errs, fmt.Errorf("the list is empty: give some of %s", strings.Join(known, ", ")))
	}
	if errs != nil {
		errs.ErrorFormat = joined
		return nil, errs
	}
	return names, nil
}

// joined puts several errors on one line.
func joined(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// uses reports whether one of the types is asked for, or whether that is not
// known because no type is.
func (s *secured) uses(names ...string) bool {
	return len(s.names) == 0 || slices.ContainsFunc(s.names, func(n string) bool { return slices.Contains(names, n) })
}

// secretSetting is a setting that only some security types make use of.
func secretSetting(name string, types []string, usage []string, take func(s *secured, v value) error) setting {
	return setting{
		name: name, arg: "FILE", usage: usage,
		apply: func(s *settings, v value) error {
			if !s.secured.uses(types...) {
				return fmt.Errorf("is usable with the security types %s only: add one to -security", strings.Join(types, ", "))
			}
			return take(&s.secured, v)
		},
	}
}

// The types that use a password, and those that use an RSA key.
var (
	passwordTypes = []string{"vnc", "vencrypt", "tight", "ra2", "ra2ne", "ra2-256", "ra2ne-256"}
	rsaTypes      = []string{"ra2", "ra2ne", "ra2-256", "ra2ne-256"}
)

// securitySettings are rows of the table, in the order of the usage.
func securitySettings() []setting {
	return []setting{
		{
			name: "security", arg: "LIST", kind: list, def: "none",
			usage: []string{"security types to offer, in this order, separated by", "commas: none, vnc, vencrypt, tight, ra2, ra2ne,", "ra2-256, ra2ne-256"},
			apply: func(s *settings, v value) (err error) { s.secured.names, err = parseSecurity(v.list); return err },
		},
		{
			name: "insecure", kind: toggle,
			usage: []string{"allow security types that ask for nothing on addresses", "other than loopback"},
			apply: func(s *settings, v value) error { s.insecure = v.text == "true"; return nil },
		},
		secretSetting("password-file", passwordTypes,
			[]string{"the viewers' password in its first line; a second", "line has one that allows to look only"},
			func(s *secured, v value) (err error) { s.passwords, err = readPasswords(v.text); return err }),
		passwordText("password", func(p *security.Passwords) *string { return &p.Operate }),
		passwordText("view-only-password", func(p *security.Passwords) *string { return &p.View }),
		secretSetting("tls-cert", []string{"vencrypt"},
			[]string{"the certificate for vencrypt, with those between it", "and its authority"},
			func(s *secured, v value) (err error) { s.certificate, err = v.pem(); return err }),
		secretSetting("tls-key", []string{"vencrypt"}, []string{"its private key"},
			func(s *secured, v value) (err error) { s.key, err = v.pem(); return err }),
		secretSetting("tls-client-ca", []string{"vencrypt"},
			[]string{"the authority whose certificates let viewers in", "without a password"},
			func(s *secured, v value) (err error) { s.clientCA, err = v.pem(); return err }),
		secretSetting("rsa-key", rsaTypes,
			[]string{"the key for the types ra2...; made where there is none.", "Without it there is a new one at each start"},
			func(s *secured, v value) (err error) { s.rsaKey, err = security.ReadKey(v.text); return err }),
	}
}

// passwordText is a password itself, which a document can hold in place of
// the file.
func passwordText(name string, of func(p *security.Passwords) *string) setting {
	row := secretSetting(name, passwordTypes, nil, func(s *secured, v value) error {
		to := of(&s.passwords)
		if *to != "" {
			return errors.New("is usable without password_file only")
		}
		*to = v.text
		return nil
	})
	row.document = true
	return row
}

// pem reads the file that a setting names. In a document the text itself can
// stand in place of the name.
func (v value) pem() ([]byte, error) {
	switch inline := strings.HasPrefix(v.text, "-----BEGIN "); {
	case inline && v.document:
		return []byte(v.text), nil
	case inline:
		return nil, errors.New("the name of a file is expected: everybody on this machine can read a command line")
	}
	return readSecret(v.text)
}

// readSecret reads a file, whose content is never part of an error.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: make it, or correct the name", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(b) > maxSecretFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxSecretFile)
	}
	return b, err
}

// readPasswords reads the file of -password-file.
func readPasswords(path string) (security.Passwords, error) {
	var p security.Passwords
	b, err := readSecret(path)
	if err != nil {
		return p, err
	}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	second, rest, _ := bytes.Cut(rest, []byte("\n"))
	if len(bytes.TrimSpace(rest)) > 0 {
		return p, fmt.Errorf("%s has more than two lines: the password, and the one that allows to look only", path)
	}
	p.Operate, p.View = string(bytes.TrimRight(first, "\r")), string(bytes.TrimRight(second, "\r"))
	if p.Operate == "" && p.View == "" {
		return p, fmt.Errorf("%s is empty: write the password into its first line", path)
	}
	return p, nil
}

// checkPasswords refuses passwords that cannot do what they are for.
func (s *secured) checkPasswords() error {
	p := s.passwords
	cut := func(text string) string { return text[:min(len(text), vncPassword)] }
	vnc := slices.Contains(s.names, "vnc") || slices.Contains(s.names, "tight") || slices.Contains(s.names, "vencrypt")
	switch {
	case max(len(p.Operate), len(p.View)) > maxPassword:
		return fmt.Errorf("-password-file: a password is longer than %d bytes", maxPassword)
	case p.Operate != "" && (p.Operate == p.View || vnc && cut(p.Operate) == cut(p.View)):
		return errors.New("-password-file: the password that allows to look only must differ from the other one, " +
			"in its first 8 bytes where it is for vnc, vencrypt or tight")
	}
	return nil
}

// build makes the types. All errors are returned at once.
func (s *secured) build() error {
	var errs *multierror.Error
	need := func(have bool, format string, args ...any) {
		if !have {
			errs = multierror.Append(errs, fmt.Errorf("-security: "+format, args...))
		}
	}
	errs = multierror.Append(errs, s.checkPasswords())
	password := s.passwords != security.Passwords{}
	for _, name := range s.names {
		switch name {
		case "none":
			s.types = append(s.types, security.None{})
		case "vnc":
			need(password, "vnc needs a password: give -password-file FILE")
			s.types = append(s.types, security.VNCAuth{Passwords: s.passwords})
		case "tight":
			t := security.Tight{}
			if password {
				t.Passwords = s.passwords
			}
			s.types = append(s.types, t)
		case "vencrypt":
			need(s.certificate != nil, "vencrypt needs a certificate: give -tls-cert FILE")
			need(s.key != nil, "vencrypt needs the certificate's private key: give -tls-key FILE")
			if s.certificate != nil && s.key != nil {
				t, err := s.vencrypt(password)
				errs = multierror.Append(errs, err)
				s.types = append(s.types, t)
			}
		default:
			need(password, "%s needs a password: give -password-file FILE", name)
			if s.rsaKey == nil {
				var err error
				s.rsaKey, err = security.GenerateKey()
				errs = multierror.Append(errs, err)
			}
			s.types = append(s.types, security.RA2{Type: rsaNumber(name), Key: s.rsaKey, Auth: s.passwords})
		}
	}
	return errs.ErrorOrNil()
}

func rsaNumber(name string) security.Number {
	for _, n := range []security.Number{security.NumberRA2ne, security.NumberRA2256, security.NumberRA2ne256} {
		if n.String() == name {
			return n
		}
	}
	return security.NumberRA2
}

func (s *secured) vencrypt(password bool) (security.VeNCrypt, error) {
	cert, err := tls.X509KeyPair(s.certificate, s.key)
	if err != nil {
		return security.VeNCrypt{}, fmt.Errorf("-tls-cert and -tls-key: %w", err)
	}
	t := security.VeNCrypt{TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	if s.clientCA != nil {
		t.TLS.ClientCAs = x509.NewCertPool()
		if !t.TLS.ClientCAs.AppendCertsFromPEM(s.clientCA) {
			return t, errors.New("-tls-client-ca: the file holds no certificate in PEM form")
		}
	}
	if password {
		t.Auth, t.Passwords = s.passwords, s.passwords
	}
	return t, nil
}

// open is the first type that lets in whoever comes, "" where none does.
func (s *secured) open() string {
	for i, t := range s.types {
		switch t := t.(type) {
		case security.None:
			return s.names[i]
		case security.Tight:
			if t.Passwords == nil {
				return s.names[i]
			}
		case security.VeNCrypt:
			if t.Passwords == nil && t.TLS.ClientCAs == nil {
				return s.names[i]
			}
		}
	}
	return ""
}

// tell logs what people should know of it.
func (s *secured) tell(log *slog.Logger) {
	if s.uses("vnc") && max(len(s.passwords.Operate), len(s.passwords.View)) > vncPassword {
		log.Warn("VNC Authentication uses the first 8 bytes of the password and no more: prefer vencrypt or ra2 in -security")
	}
	if s.rsaKey != nil {
		log.Info("viewers show the RSA key as", "fingerprint", security.ShortFingerprint(&s.rsaKey.PublicKey),
			"sha256", security.Fingerprint(&s.rsaKey.PublicKey))
	}
}
