package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sys/unix"
)

const (
	// maxDocument is the largest configuration document, in bytes.
	maxDocument = 1 << 20
	// documentTimeout is how long the document's end on standard input is
	// waited for.
	documentTimeout = 30 * time.Second
)

// readDocument reads the document that -config names, "-" being standard
// input, and returns it with its name for messages.
func readDocument(path string, stdin *os.File, timeout time.Duration) (doc []byte, name string, err error) {
	if path == "-" {
		doc, err = readStdin(stdin, timeout)
		return doc, "standard input", err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, path, err
	}
	defer f.Close()
	doc, err = readBounded(f)
	return doc, path, err
}

// readStdin reads all of stdin, for at most timeout.
func readStdin(stdin *os.File, timeout time.Duration) ([]byte, error) {
	if _, err := unix.IoctlGetTermios(int(stdin.Fd()), unix.TCGETS); err == nil {
		return nil, errors.New("standard input is a terminal: pipe the JSON document into it, or use -config FILE")
	}
	type result struct {
		doc []byte
		err error
	}
	// A read from an inherited pipe cannot be ended from here. Where it does
	// not end in time this program ends, and the goroutine with it.
	read := make(chan result, 1)
	go func() {
		doc, err := readBounded(stdin)
		read <- result{doc, err}
	}()
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case r := <-read:
		return r.doc, r.err
	case <-t.C:
		return nil, fmt.Errorf("the document on standard input did not end within %v: close the pipe after it", timeout)
	}
}

func readBounded(r io.Reader) ([]byte, error) {
	doc, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(doc) > maxDocument {
		err = fmt.Errorf("the document is longer than %d bytes", maxDocument)
	}
	return doc, err
}

// parseDocument reads the settings of a JSON document. All errors but those
// of JSON's syntax, after which nothing more can be told, are returned at
// once; each names the line and the key.
func parseDocument(doc []byte, name string) (values, error) {
	p := &documentParser{doc: doc, name: name, dec: json.NewDecoder(bytes.NewReader(doc)), rows: make(map[string]setting), given: make(values)}
	for _, row := range table() {
		p.rows[row.key()] = row
	}
	if err := p.parse(); err != nil {
		p.errs = multierror.Append(p.errs, err)
	}
	return p.given, p.errs.ErrorOrNil()
}

// documentParser is the state of parseDocument.
type documentParser struct {
	doc   []byte
	name  string
	dec   *json.Decoder
	rows  map[string]setting // by key
	given values
	errs  *multierror.Error
}

func (p *documentParser) parse() error {
	start, err := p.dec.Token()
	if err != nil {
		return p.syntax(err)
	}
	if start != json.Delim('{') {
		return fmt.Errorf("%s: the document is not a JSON object: it has to look like {\"command\": [\"xterm\"]}", p.name)
	}
	for p.dec.More() {
		if err := p.member(); err != nil {
			return err
		}
	}
	if _, err := p.dec.Token(); err != nil { // the closing bracket
		return p.syntax(err)
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return fmt.Errorf("%s:%d: there is something after the document's end", p.name, p.line(p.dec.InputOffset()))
	}
	return nil
}

// member reads a key and its value.
func (p *documentParser) member() error {
	token, err := p.dec.Token()
	if err != nil {
		return p.syntax(err)
	}
	key, ok := token.(string)
	if !ok {
		return fmt.Errorf("%s:%d: a key in double quotes is expected", p.name, p.line(p.dec.InputOffset()))
	}
	where := fmt.Sprintf("%s:%d: %q", p.name, p.line(p.dec.InputOffset()), key)
	var raw json.RawMessage
	if err := p.dec.Decode(&raw); err != nil {
		return p.syntax(err)
	}
	row, known := p.rows[key]
	if !known {
		p.fault("%s: there is no such key", where)
		return nil
	}
	if _, twice := p.given[row.name]; twice {
		p.fault("%s: the key is there twice", where)
		return nil
	}
	v, wanted := readValue(row.kind, raw)
	if wanted != "" {
		p.fault("%s: %s is expected, not %s", where, wanted, short(raw))
		return nil
	}
	v.where, v.document = where, true
	p.given[row.name] = v
	return nil
}

// readValue reads a value of a kind. Where it is not one, wanted says what
// would be.
func readValue(k kind, raw json.RawMessage) (v value, wanted string) {
	switch k {
	case text:
		if json.Unmarshal(raw, &v.text) != nil || raw[0] != '"' {
			return v, "a text in double quotes"
		}
	case toggle:
		var on bool
		if json.Unmarshal(raw, &on) != nil || raw[0] == 'n' {
			return v, "true or false"
		}
		v.text = strconv.FormatBool(on)
	case list:
		if unmarshalList(raw, &v.list) != nil {
			return v, `a list of texts such as ["xterm", "-maximized"]`
		}
	}
	return v, ""
}

// unmarshalList is json.Unmarshal without its tolerance of null.
func unmarshalList(raw json.RawMessage, to *[]string) error {
	var texts []*string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return err
	}
	if texts == nil {
		return errors.New("null is not a list")
	}
	for _, t := range texts {
		if t == nil {
			return errors.New("null is not a text")
		}
		*to = append(*to, *t)
	}
	return nil
}

func (p *documentParser) fault(format string, args ...any) {
	p.errs = multierror.Append(p.errs, fmt.Errorf(format, args...))
}

// syntax makes an error of the decoder name the line.
func (p *documentParser) syntax(err error) error {
	at := p.dec.InputOffset()
	var s *json.SyntaxError
	switch {
	case errors.As(err, &s):
		at = s.Offset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if len(bytes.TrimSpace(p.doc)) == 0 {
			return fmt.Errorf("%s: the document is empty", p.name)
		}
		err, at = errors.New("the document ends in the middle"), int64(len(p.doc))
	}
	return fmt.Errorf("%s:%d: %w", p.name, p.line(at), err)
}

// line is the number of the line that holds the byte before offset.
func (p *documentParser) line(offset int64) int {
	return 1 + bytes.Count(p.doc[:max(0, min(offset-1, int64(len(p.doc))))], []byte{'\n'})
}

// short is a value as messages show it. A secret in the wrong place must not
// end up in a log, so texts are not shown.
func short(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "a text"
	case '[':
		return "this list"
	case '{':
		return "an object"
	case 't', 'f', 'n':
		return string(raw)
	}
	return "a number"
}
