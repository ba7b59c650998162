package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
)

// problem is the body of an error response (RFC 9457) with a code for
// programs. It is also the error that handlers pass about.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Characters are those that a text has and the layout has not.
	Characters []character `json:"characters,omitempty"`
}

func (p *problem) Error() string { return p.Detail }

// newProblem makes a problem with a printf-like detail, which is a sentence
// for a person and holds no secret.
func newProblem(status int, code, format string, args ...any) *problem {
	return &problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Code: code, Detail: fmt.Sprintf(format, args...),
	}
}

// respondProblem answers with p as JSON.
func respondProblem(w http.ResponseWriter, p *problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="ironglass"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = nil // a struct of strings and a number has no such error
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// respondJSON answers with v, which nobody may keep.
func respondJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		respondProblem(w, newProblem(http.StatusInternalServerError, "internal", "The answer could not be written."))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// readJSON decodes the one JSON object that the request's body is to be.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, into any) *problem {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, "content-type",
			"The request's Content-Type must be application/json.")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return newProblem(http.StatusUnsupportedMediaType, "content-encoding",
			"The request's body must not be compressed.")
	}
	body := io.Reader(r.Body)
	if limit > 0 {
		body = http.MaxBytesReader(w, r.Body, limit)
	}
	d := json.NewDecoder(body)
	// The decoder takes null for anything and leaves it as it is.
	var object json.RawMessage
	if err := d.Decode(&object); err != nil {
		return jsonProblem(err)
	}
	if string(object) == "null" {
		return newProblem(http.StatusBadRequest, "json", "The request's body must be a JSON object, not null.")
	}
	fields := json.NewDecoder(bytes.NewReader(object))
	fields.DisallowUnknownFields()
	if err := fields.Decode(into); err != nil {
		return jsonProblem(err)
	}
	if err := d.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		if p := jsonProblem(err); p.Status == http.StatusRequestEntityTooLarge {
			return p
		}
		return newProblem(http.StatusBadRequest, "json", "Something follows the JSON object in the request's body.")
	}
	return nil
}

// jsonProblem says what a decoder's error means to who sent the body.
func jsonProblem(err error) *problem {
	var large *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return newProblem(http.StatusRequestEntityTooLarge, "too-large", "The request's body is larger than %d bytes.", large.Limit)
	case errors.As(err, &kind) && kind.Field != "":
		return newProblem(http.StatusBadRequest, "field", "The field %q must be %s, not %s.", kind.Field, inJSON(kind.Type), withArticle(kind.Value))
	case errors.As(err, &kind):
		return newProblem(http.StatusBadRequest, "json", "The request's body must be a JSON object, not %s.", withArticle(kind.Value))
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return newProblem(http.StatusBadRequest, "field", "There is no field %s.", strings.TrimPrefix(err.Error(), "json: unknown field "))
	}
	return newProblem(http.StatusBadRequest, "json", "The request's body is not a JSON object.")
}

// inJSON is what a Go type is in JSON, as in "a string".
func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return inJSON(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a number" // the API has no other types
}

// withArticle is a kind of JSON value in a sentence. encoding/json says of a
// number that does not fit what it is.
func withArticle(kind string) string {
	switch kind {
	case "array", "object":
		return "an " + kind
	case "bool":
		return "true or false"
	}
	return "a " + kind
}

// badParameter answers a parameter of the address that is not what it must be.
func badParameter(name, value, must string) *problem {
	return newProblem(http.StatusBadRequest, "parameter", "The parameter %s must be %s, not %q.", name, must, value)
}
