package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// checkMetrics refuses addresses other than loopback: what the metrics say is
// nobody's business, and they are served without any proof.
func checkMetrics(text string) error {
	a, err := parseAddress(text)
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(a.address)
	if ip := net.ParseIP(host); a.network != "tcp" || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address: write it as in 127.0.0.1:9100", text)
	}
	return nil
}

// metric is one sample in the Prometheus text format.
type metric struct {
	name, help string
	counter    bool // else a gauge
	value      float64
}

// writeMetrics writes the Prometheus text format 0.0.4.
func writeMetrics(w io.Writer, metrics []metric) error {
	var b strings.Builder
	for _, m := range metrics {
		kind := "gauge"
		if m.counter {
			kind = "counter"
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", m.name, m.help, m.name, kind, m.name,
			strconv.FormatFloat(m.value, 'g', -1, 64))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	// maxRequest is the largest head of an HTTP request that is read.
	maxRequest = 8 << 10
	// requestTimeout is how long a whole request and its answer may take.
	requestTimeout = 10 * time.Second
	// maxRequests is how many are answered at a time.
	maxRequests = 8
)

// metricsServer answers GET /metrics. It speaks as much of HTTP/1.1
// (RFC 9112) as a scraper needs, a request for each connection: net/http and
// the Prometheus library would take 7 MB of a supervisor's memory, which is a
// third of what it may have.
type metricsServer struct {
	metrics func() []metric
	log     *slog.Logger
}

// serve answers until l is closed, and returns when all answers were given.
func (m *metricsServer) serve(l net.Listener) {
	var answers sync.WaitGroup
	defer answers.Wait()
	places := make(chan struct{}, maxRequests)
	acceptAll(l, m.log, func(conn net.Conn) {
		places <- struct{}{}
		answers.Go(func() {
			defer func() { <-places }()
			m.answer(conn)
		})
	})
}

// answer reads one request and answers it.
func (m *metricsServer) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	r := bufio.NewReader(io.LimitReader(conn, maxRequest))
	first, err := r.ReadString('\n')
	for line := first; err == nil && strings.TrimRight(line, "\r\n") != ""; {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		return // no request, or one that is too long or too slow
	}
	method, rest, _ := strings.Cut(first, " ")
	target, protocol, _ := strings.Cut(rest, " ")
	path, _, _ := strings.Cut(target, "?")
	switch {
	case !strings.HasPrefix(protocol, "HTTP/1."):
		reply(conn, "400 Bad Request", "text/plain; charset=utf-8", "This is an HTTP/1.1 server.\n")
	case path != "/metrics":
		reply(conn, "404 Not Found", "text/plain; charset=utf-8", "The metrics are at /metrics.\n")
	case method != "GET":
		reply(conn, "405 Method Not Allowed", "text/plain; charset=utf-8", "Use GET.\n")
	default:
		var b strings.Builder
		_ = writeMetrics(&b, m.metrics()) // a Builder takes everything
		reply(conn, "200 OK", "text/plain; version=0.0.4; charset=utf-8", b.String())
	}
}

func reply(w io.Writer, status, contentType, body string) {
	allow := ""
	if strings.HasPrefix(status, "405") {
		allow = "Allow: GET\r\n"
	}
	_, _ = fmt.Fprintf(w, "HTTP/1.1 %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, allow, contentType, len(body), body) // where it fails, the scraper has gone
}

// acceptAll gives every connection to take until l is closed. A shortage,
// such as of file descriptors, is waited out.
func acceptAll(l net.Listener, log *slog.Logger, take func(net.Conn)) {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			take(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			log.Warn("cannot accept a connection", "err", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}
