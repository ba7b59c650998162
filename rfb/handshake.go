package rfb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// maxReason is the longest reason of a refusal that all viewers read, in
// bytes.
const maxReason = 256

// peer is a viewer that has finished its handshake.
type peer struct {
	conn     net.Conn
	viewOnly bool // by its proof
	tight    bool // ServerInit is followed by what the server can
}

// handshake runs the server's part up to ClientInit (rfbproto 7.1 to 7.3.1),
// offering the security types given.
// A peer that goes away before it chose anything gives nil and no error: that
// is how others find out whether a server is there. Each message is one write
// because some peers take what one read brings for the whole message.
func (s *Server) handshake(ctx context.Context, conn net.Conn, offered []security.Type) (*peer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, func() {
		cancel()
		conn.Close() // unblocks what reads
	})()
	s.handshakeDeadline(conn)
	if _, err := conn.Write(wire.Version38.Append(nil)); err != nil {
		return nil, nil //nolint:nilnil // gone already: a probe
	}
	var hello [wire.VersionLen]byte
	if n, err := io.ReadFull(conn, hello[:]); err != nil {
		if n == 0 && gone(err) {
			return nil, nil //nolint:nilnil // a probe
		}
		return nil, handshakeError("reading the viewer's version", err)
	}
	version, err := wire.ParseVersion(hello[:])
	if err != nil {
		return nil, err
	}
	t, err := chooseSecurity(conn, version, offered)
	if err != nil || t == nil {
		return nil, err
	}
	proven, err := s.prove(ctx, conn, t, version)
	if err != nil {
		return nil, handshakeError(fmt.Sprintf("security type %v", t.Number()), err)
	}
	// Before 3.8 None has no SecurityResult (rfbproto 7.1.3).
	if version == wire.Version38 || !proven.Open {
		if _, err := proven.Conn.Write(securityResult(version, "")); err != nil {
			return nil, handshakeError("sending SecurityResult", err)
		}
	}
	var shared [1]byte
	if _, err := io.ReadFull(proven.Conn, shared[:]); err != nil {
		return nil, handshakeError("reading ClientInit", err)
	}
	return &peer{conn: proven.Conn, viewOnly: proven.ViewOnly, tight: t.Number() == security.NumberTight}, nil
}

// handshakeDeadline gives the peer time for what it has to do.
func (s *Server) handshakeDeadline(conn net.Conn) {
	if t := s.cfg.HandshakeTimeout; t > 0 {
		conn.SetDeadline(time.Now().Add(t)) //nolint:errcheck // the next read tells
	}
}

// prove runs a security type. It answers wrong proofs, late, and lets right
// passwords wait for their turn too.
func (s *Server) prove(ctx context.Context, conn net.Conn, t security.Type, version wire.Version) (security.Result, error) {
	within := ctx
	if t := s.cfg.HandshakeTimeout; t > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	r, err := t.Server(within, conn)
	wrong := errors.Is(err, security.ErrRefused)
	reason := "the login could not be checked"
	if wrong {
		s.stats.refused.Add(1)
		reason = "the name or the password is wrong"
	}
	if r.Password && (err == nil || wrong) {
		wait, failures, many := s.limiter.turn(conn.RemoteAddr(), wrong, time.Now())
		switch {
		case many != nil && wrong:
			err, reason = fmt.Errorf("%w: %w", many, err), many.Error()
		case many != nil:
			err, reason = many, many.Error()
		case wrong:
			err = fmt.Errorf("%w (%d in a row from there)", err, failures)
		}
		if stopped := s.pause(ctx, wait); stopped != nil {
			return r, stopped
		}
		s.handshakeDeadline(conn) // the time that passed was not the viewer's
	}
	if err != nil && r.Conn != nil {
		r.Conn.Write(securityResult(version, reason)) //nolint:errcheck // it is being refused
	}
	return r, err
}

// pause waits, unless ctx or the server ends.
func (s *Server) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

// chooseSecurity offers the types and returns the one chosen; nil where the
// peer went away.
func chooseSecurity(conn net.Conn, version wire.Version, offered []security.Type) (security.Type, error) {
	if version == wire.Version33 {
		// The server decides, among the two types that 3.3 knows.
		i := slices.IndexFunc(offered, func(t security.Type) bool {
			return t.Number() == security.NumberNone || t.Number() == security.NumberVNCAuth
		})
		if i < 0 {
			conn.Write(refusal(make([]byte, 4), "RFB 3.3 has none of the security types allowed here")) //nolint:errcheck // refused
			return nil, wire.Errorf("the viewer speaks RFB 3.3, which has no security type allowed here")
		}
		if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, uint32(offered[i].Number()))); err != nil {
			return nil, handshakeError("sending the security type", err)
		}
		return offered[i], nil
	}
	list := []byte{byte(len(offered))}
	for _, t := range offered {
		list = append(list, byte(t.Number()))
	}
	if _, err := conn.Write(list); err != nil {
		return nil, handshakeError("sending the security types", err)
	}
	var choice [1]byte
	if _, err := io.ReadFull(conn, choice[:]); err != nil {
		if gone(err) {
			return nil, nil //nolint:nilnil // looked at what is offered and left
		}
		return nil, handshakeError("reading the chosen security type", err)
	}
	for _, t := range offered {
		if byte(t.Number()) == choice[0] {
			return t, nil
		}
	}
	return nil, wire.Errorf("the viewer chose security type %d, which was not offered", choice[0])
}

// securityResult is the message of rfbproto 7.1.3: a refusal where there is a
// reason, which goes with it where the version has a place for it.
func securityResult(version wire.Version, reason string) []byte {
	if reason == "" {
		return make([]byte, 4)
	}
	b := binary.BigEndian.AppendUint32(nil, 1)
	if version != wire.Version38 {
		return b
	}
	return refusal(b, reason)
}

// capabilities is what follows ServerInit in a Tight session: what this
// program can besides what every server must.
func capabilities() wire.InteractionCapabilities {
	var list []wire.Encoding
	for _, row := range encoding.All() {
		list = append(list, row.Number)
	}
	list = append(list, wire.PseudoCompressLevel0, wire.PseudoQualityLevel0, wire.PseudoDesktopSize, wire.PseudoCursor)
	return wire.InteractionCapabilities{
		ServerMessages: []wire.Capability{wire.CapabilityEndOfContinuousUpdates},
		ClientMessages: []wire.Capability{wire.CapabilityEnableContinuousUpdates},
		Encodings:      wire.EncodingCapabilities(list),
	}
}

func refusal(b []byte, reason string) []byte {
	reason = clipString(reason, maxReason)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(reason))), reason...)
}

func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		strings.Contains(err.Error(), "connection reset")
}

func handshakeError(doing string, err error) error {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return fmt.Errorf("RFB handshake: %s: the peer took too long", doing)
	}
	return fmt.Errorf("RFB handshake: %s: %w", doing, err)
}

// greet runs the client's part of the handshake up to ServerInit. tight says
// that this is followed by what the server can.
func greet(ctx context.Context, conn net.Conn, types []security.Type) (secured net.Conn, tight bool, err error) {
	var hello [wire.VersionLen]byte
	if _, err := io.ReadFull(conn, hello[:]); err != nil {
		return nil, false, handshakeError("reading the server's version", err)
	}
	version, err := wire.ParseVersion(hello[:])
	if err != nil {
		return nil, false, err
	}
	if _, err := conn.Write(version.Append(nil)); err != nil {
		return nil, false, handshakeError("sending the version", err)
	}
	t, err := pickSecurity(conn, version, types)
	if err != nil {
		return nil, false, err
	}
	r, err := t.Client(ctx, conn)
	if err != nil {
		return nil, false, handshakeError(fmt.Sprintf("security type %v", t.Number()), err)
	}
	secured = r.Conn
	if version == wire.Version38 || !r.Open {
		var result [4]byte
		if _, err := io.ReadFull(secured, result[:]); err != nil {
			return nil, false, handshakeError("reading SecurityResult", err)
		}
		if binary.BigEndian.Uint32(result[:]) != 0 {
			why := "the server gave no reason"
			if version == wire.Version38 {
				why = readReason(secured)
			}
			return nil, false, fmt.Errorf("%w: %s", security.ErrRefused, why)
		}
	}
	// The session is always shared: others may be looking (rfbproto 7.3.1).
	if _, err := secured.Write([]byte{1}); err != nil {
		return nil, false, handshakeError("sending ClientInit", err)
	}
	return secured, t.Number() == security.NumberTight, nil
}

func pickSecurity(conn net.Conn, version wire.Version, types []security.Type) (security.Type, error) {
	var offered []byte
	if version == wire.Version33 {
		var one [4]byte
		if _, err := io.ReadFull(conn, one[:]); err != nil {
			return nil, handshakeError("reading the security type", err)
		}
		if n := binary.BigEndian.Uint32(one[:]); n > 0 && n < 256 {
			offered = []byte{byte(n)}
		}
	} else {
		var n [1]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return nil, handshakeError("reading the security types", err)
		}
		offered = make([]byte, n[0])
		if _, err := io.ReadFull(conn, offered); err != nil {
			return nil, handshakeError("reading the security types", err)
		}
	}
	if len(offered) == 0 {
		return nil, fmt.Errorf("%w: %s", security.ErrRefused, readReason(conn))
	}
	for _, t := range types {
		if !slices.Contains(offered, byte(t.Number())) {
			continue
		}
		if version != wire.Version33 {
			if _, err := conn.Write([]byte{byte(t.Number())}); err != nil {
				return nil, handshakeError("choosing the security type", err)
			}
		}
		return t, nil
	}
	var theirs, ours []security.Number
	for _, n := range offered {
		theirs = append(theirs, security.Number(n))
	}
	for _, t := range types {
		ours = append(ours, t.Number())
	}
	return nil, wire.Errorf("the server offers the security types %v, of which none is set up here %v", theirs, ours)
}

// readReason reads the text of a refusal.
func readReason(conn net.Conn) string {
	r := wire.NewReader(conn, 512)
	text := r.Chunk("reason", r.U32("reason-length"), wire.MaxReason)
	if r.Err() != nil || len(text) == 0 {
		return "the server gave no reason"
	}
	return strings.ToValidUTF8(string(text), "?")
}
