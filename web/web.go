// Package web holds the pages that a browser loads: the fleet page, the
// console page and the error page, with noVNC's core as the console page's
// RFB client. They are plain files, built into the program as they are.
//
// noVNC is not part of the repository: "go generate ./web" fetches the version
// that package-lock.json pins and lays it beside the pages.
package web

//go:generate sh ./fetch-novnc.sh

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed static
var static embed.FS

// ContentSecurityPolicy is what the pages need of a browser and nothing more:
// scripts, styles and connections of their own origin, and pictures that a
// script made (thumbnails, the pointer's shape, JPEG rectangles). It has no
// frame-ancestors directive, because who may frame the console is the
// operator's to say.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"

// ErrIncomplete is wrapped by the error of Files where the program was built
// without noVNC.
var ErrIncomplete = errors.New("the console page's noVNC is not built in")

// Files returns the files to serve, with index.html (the fleet page, for
// "/"), console.html (for "/vnc_auto.html", "/vnc_lite.html" and "/vnc.html")
// and error.html at the top. error.html is a template for html/template with
// {{.Status}}, {{.Title}} and {{.Detail}}; the others are served unchanged.
// All of them refer to each other by relative addresses.
func Files() (fs.FS, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, fmt.Errorf("opening the built-in pages: %w", err)
	}
	if err := complete(files); err != nil {
		return nil, err
	}
	return files, nil
}

// complete reports whether noVNC is among the files.
func complete(files fs.FS) error {
	if _, err := fs.Stat(files, "novnc/core/rfb.js"); err != nil {
		return fmt.Errorf(`%w: run "make web" (or "go generate ./web") and build again`, ErrIncomplete)
	}
	return nil
}
