// Package integration holds the tests of the whole path with real parts: the
// built programs, Xvfb, X clients, Chromium, and VNC viewers of others. There
// is nothing to import in it.
package integration
