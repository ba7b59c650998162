package proxy_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ironglass/ironglass/proxy"
)

// TestConnectHead: a request ends with its empty line, however it comes, and
// what follows stays where it is.
func TestConnectHead(t *testing.T) {
	const request = "CONNECT /node%201 HTTP/1.1\r\n\r\n"
	for i := range len(request) {
		if _, err := proxy.ReadHead(strings.NewReader(request[:i])); err == nil {
			t.Errorf("%q is whole", request[:i])
		}
	}
	r := strings.NewReader(request + "RFB 003.008\n")
	head, err := proxy.ReadHead(iotest.OneByteReader(r))
	rest, _ := io.ReadAll(r)
	if id, ok := proxy.ConnectTarget(head); err != nil || !ok || id != "node 1" || string(rest) != "RFB 003.008\n" {
		t.Errorf("%q names %q and leaves %q, %v", head, id, rest, err)
	}
}

// FuzzConnect: no request is longer than its bound, and one that names a node
// ends with an empty line.
func FuzzConnect(f *testing.F) {
	f.Add("CONNECT /node%201 HTTP/1.1\r\n\r\n")
	f.Add("CONNECT x HTTP/1.1\r\nHost: y\r\n\r\nz")
	f.Add("GET / HTTP/1.1\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		head, err := proxy.ReadHead(strings.NewReader(text))
		if !strings.HasPrefix(text, head) || len(head) > 4096 || err == nil && !strings.HasSuffix(head, "\r\n\r\n") {
			t.Errorf("%q is read as %q, %v", text, head, err)
		}
		if id, ok := proxy.ConnectTarget(head); ok && id == "" {
			t.Errorf("%q names nobody", head)
		}
	})
}
