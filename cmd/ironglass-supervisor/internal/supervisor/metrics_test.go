package supervisor

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveMetrics serves until the test's end and returns the address.
func serveMetrics(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &metricsServer{log: slog.New(slog.DiscardHandler), metrics: func() []metric {
		return []metric{{name: "a", help: "A gauge.", value: 1.5}, {name: "b_total", help: "A counter.", counter: true, value: 1e15}}
	}}
	var serving sync.WaitGroup
	serving.Go(func() { m.serve(l) })
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func TestMetricsServer(t *testing.T) {
	at := serveMetrics(t)
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/metrics", 200, "# HELP a A gauge.\n# TYPE a gauge\na 1.5\n# HELP b_total A counter.\n# TYPE b_total counter\nb_total 1e+15\n"},
		{"GET", "/metrics?name[]=a", 200, "# HELP"},
		{"POST", "/metrics", 405, "Use GET.\n"},
		{"GET", "/", 404, "The metrics are at /metrics.\n"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+at+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.HasPrefix(string(body), c.body) {
			t.Errorf("%s %s gives %s with %q, %v", c.method, c.path, resp.Status, body, err)
		}
		if got := resp.Header.Get("Allow"); (c.status == 405) != (got == "GET") {
			t.Errorf("%s %s allows %q", c.method, c.path, got)
		}
	}
}

func TestMetricsServerAndGarbage(t *testing.T) {
	at := serveMetrics(t)
	for _, c := range []struct{ request, answer string }{
		{"\r\n\r\n", "HTTP/1.1 400 "},
		{"RFB 003.008\n\n", "HTTP/1.1 400 "},
		{"GET /metrics HTTP/2\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("x", 2*maxRequest), ""},
	} {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, c.request) // it may be cut short
		answer, err := io.ReadAll(conn)
		conn.Close()
		if c.answer != "" && err != nil || !strings.HasPrefix(string(answer), c.answer) || c.answer == "" && len(answer) > 0 {
			t.Errorf("%.20q is answered with %q, %v", c.request, answer, err)
		}
	}
}
