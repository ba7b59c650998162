// Package openstack signs in to Keystone for the service's own calls, and
// makes the HTTP clients with which OpenStack's services are called.
package openstack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

const (
	// callTime bounds one call.
	callTime = 30 * time.Second
	// maxAnswer caps an answer's body, in bytes.
	maxAnswer = 64 << 20
	// maxSecret caps a file with a secret, in bytes.
	maxSecret = 4096
)

// Credentials are how the service signs in to Keystone: by an application
// credential, or by a user's name and password. Secrets are in files, which
// are read at each use.
type Credentials struct {
	// AuthURL is Keystone's address, as in https://keystone.example.net/v3.
	AuthURL string
	// CredentialID and SecretFile are an application credential.
	CredentialID, SecretFile string
	// Username with UserDomain, and PasswordFile, are a user.
	Username, UserDomain, PasswordFile string
	// Project with ProjectDomain is what a user's token is for; where it is
	// empty that is the whole system.
	Project, ProjectDomain string
}

// SignIn gets a token from Keystone and returns a client that carries it. The
// error holds no secret.
func (c Credentials) SignIn(ctx context.Context, client *http.Client) (*gophercloud.ProviderClient, error) {
	o := gophercloud.AuthOptions{IdentityEndpoint: c.AuthURL}
	var err error
	if c.CredentialID != "" {
		o.ApplicationCredentialID = c.CredentialID
		if o.ApplicationCredentialSecret, err = ReadSecret(c.SecretFile); err != nil {
			return nil, err
		}
	} else {
		o.Username, o.DomainName = c.Username, c.UserDomain
		if o.Password, err = ReadSecret(c.PasswordFile); err != nil {
			return nil, err
		}
		o.Scope = &gophercloud.AuthScope{System: true}
		if c.Project != "" {
			o.Scope = &gophercloud.AuthScope{ProjectName: c.Project, DomainName: c.ProjectDomain}
		}
	}
	provider, err := openstack.NewClient(c.AuthURL)
	if err != nil {
		return nil, fmt.Errorf("%s is not Keystone's address", host(c.AuthURL))
	}
	provider.HTTPClient = *client
	// Asking for Keystone's versions first would follow its links to anywhere.
	if err := openstack.AuthenticateV3(ctx, provider, &o, gophercloud.EndpointOpts{}); err != nil {
		return nil, explain(c.AuthURL, err)
	}
	return provider, nil
}

// explain says what Keystone's answer means, without what was sent.
func explain(at string, err error) error {
	var status gophercloud.ErrUnexpectedResponseCode
	var call *url.Error
	switch {
	case errors.As(err, &status) && status.Actual == http.StatusUnauthorized:
		return fmt.Errorf("at %s Keystone refuses the service's own credential (401): correct it, and look whether it has expired", host(at))
	case errors.As(err, &status):
		return fmt.Errorf("at %s Keystone answers with %d to the service's own credential", host(at), status.Actual)
	case errors.As(err, &call):
		return fmt.Errorf("at %s Keystone cannot be reached: %w", host(at), call.Err)
	}
	return fmt.Errorf("at %s something else than Keystone answers", host(at))
}

// host is an address without what may be secret in it.
func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "its address"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// ReadSecret reads a secret of one line. The error never holds what is in the
// file.
func ReadSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" || len(text) > maxSecret || strings.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("%s is to hold one line with the secret and nothing else", name)
	}
	return secret, nil
}

// NewHTTP returns a client that trusts the authorities in the file ca, "" for
// the system's. It follows no redirection, for those would be shown the
// credential, and takes no answer without end.
func NewHTTP(ca string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost = 16
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
		}
	}
	return &http.Client{
		Transport:     capped{t},
		Timeout:       callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// capped bounds the bodies of answers.
type capped struct{ *http.Transport }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &body{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, err
}

var errLong = errors.New("the answer is too long")

// body fails where more comes than may.
type body struct {
	io.ReadCloser
	left int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errLong
	}
	return n, err
}
