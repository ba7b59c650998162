package rfb

// Hold starts the source if need be, and keeps it running as a viewer does,
// until release is called. It may be called on a closed server, where it does
// nothing.
func (s *Server) Hold() (release func()) {
	// A watcher that has its picture already wants none.
	w := &watcher{given: true}
	s.post(watch{w})
	return func() { s.post(unwatch{w}) }
}
