package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
)

const (
	// defaultServer is where a service listens that was told nothing.
	defaultServer = "http://" + config.DefaultListen
	// maxAnswer caps the service's answers in bytes: a PNG of the largest
	// screen is well below.
	maxAnswer = 512 << 20
	// answerTimeout bounds one request beyond what the service was asked to
	// wait.
	answerTimeout = time.Minute
)

// remote is how the commands reach a service.
type remote struct{ server, tokenFile, cert, key *string }

// remoteFlags defines the flags that say which service is asked.
func remoteFlags(f *flag.FlagSet) remote {
	return remote{
		server:    f.String("server", "", "the service's `URL`; default $IRONGLASS_SERVER, else "+defaultServer),
		tokenFile: f.String("token-file", "", "the `FILE` with the API's credential, where the service wants one"),
		cert:      f.String("cert", "", "the PEM `FILE` with the certificate to show, where the service wants one"),
		key:       f.String("key", "", "the PEM `FILE` with that certificate's key"),
	}
}

// client asks one service.
type client struct {
	base       *url.URL
	credential string
	http       *http.Client
}

func (r remote) client(env Env) (*client, error) {
	text := *r.server
	if text == "" {
		text = env.Getenv("IRONGLASS_SERVER")
	}
	if text == "" {
		text = defaultServer
	}
	base, err := url.Parse(text)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, usagef("%q is not the URL of a service: write it as in %s", text, defaultServer)
	}
	c := &client{base: base, http: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// The API never redirects; what does is not the service.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if (*r.cert == "") != (*r.key == "") {
		return nil, usagef("-cert and -key go together: name both files")
	}
	if *r.cert != "" {
		pair, err := tls.LoadX509KeyPair(*r.cert, *r.key)
		if err != nil {
			return nil, usagef("the certificate %s with the key %s cannot be used: %w", *r.cert, *r.key, err)
		}
		c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		}
	}
	if *r.tokenFile != "" {
		if c.credential, err = config.ReadCredential(*r.tokenFile); err != nil {
			return nil, usageError{err}
		}
	}
	return c, nil
}

// close lets go of the connection.
func (c *client) close() { c.http.CloseIdleConnections() }

// ask sends a request with body as JSON, unless it is nil, and returns the
// answer of the wanted status.
func (c *client) ask(ctx context.Context, method, path string, query url.Values, body any, status int) ([]byte, error) {
	var b bytes.Buffer
	err := c.fetch(ctx, method, path, query, body, status, &capped{Writer: &b, left: maxAnswer})
	return b.Bytes(), err
}

// capped takes no more than an answer may have.
type capped struct {
	io.Writer
	left int
}

func (c *capped) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		return 0, errors.New("it is too long")
	}
	return c.Writer.Write(b)
}

// fetch is ask for an answer of any length, which goes to w.
func (c *client) fetch(ctx context.Context, method, path string, query url.Values, body any, status int, w io.Writer) error {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), send)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.credential != "" {
		req.Header.Set("Authorization", "Bearer "+c.credential)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("the answer of %s broke off: %w", c.base, err)
		}
		return c.refused(resp, answer)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the answer of %s broke off: %w", c.base, err)
	}
	return nil
}

// unreachable says in words why there is no answer.
func (c *client) unreachable(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no service answers at %s: start one with ironglass serve -config FILE, or name another with -server", c.base)
	}
	var why *url.Error
	if errors.As(err, &why) {
		err = why.Err // without the address, which holds a query
	}
	return fmt.Errorf("the service at %s cannot be reached: %w", c.base, err)
}

// refused says in words what the service did not do. Its own words are in a
// problem document (RFC 9457).
func (c *client) refused(resp *http.Response, answer []byte) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(answer, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("what answers at %s is no ironglass service: status %s", c.base, resp.Status)
	}
	text := oneLine(problem.Detail)
	if resp.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("the service at %s wants the API's credential: name its file with -token-file, or a certificate with -cert and -key (%s)", c.base, text)
	}
	return errors.New(text)
}

// oneLine makes a text from elsewhere fit for a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// consolePath is the API's path of a node's console.
func consolePath(node, rest string) string {
	return "/v1/nodes/" + url.PathEscape(node) + "/console/" + rest
}
