package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// description is the API's description, read once.
var description = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// checkDescribed holds a call of the API and its answer to the description.
// body is what was sent. A call that was refused may have been wrong itself.
func checkDescribed(t *testing.T, req *http.Request, body string, resp *http.Response, answer string) {
	t.Helper()
	if !strings.HasPrefix(req.URL.Path, "/v1/") {
		return
	}
	router, err := description()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	// The description's addresses are relative.
	u := *req.URL
	u.Scheme, u.Host = "", ""
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	asked := &http.Request{Method: method, URL: &u, Header: req.Header, Body: io.NopCloser(strings.NewReader(body))}
	route, params, err := router.FindRoute(asked)
	if err != nil {
		// What is not described is refused.
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed &&
			resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s %s was answered with %s and is not in openapi.yaml: %v", req.Method, req.URL.Path, resp.Status, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if resp.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			t.Errorf("%s %s was taken and is not as openapi.yaml says: %v", req.Method, req.URL.Path, short(err))
		}
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader([]byte(answer))), Options: in.Options,
	}
	if req.Method == http.MethodHead || strings.HasPrefix(resp.Header.Get("Content-Type"), "image/") || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		out.Options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		t.Errorf("the answer to %s %s is not as openapi.yaml says: %v\n%s", req.Method, req.URL.Path, short(err), answer)
	}
}

// short is the first reason of an error that quotes whole schemas.
func short(err error) string {
	var wrong *openapi3.SchemaError
	if errors.As(err, &wrong) {
		return strings.Join(wrong.JSONPointer(), "/") + ": " + wrong.Reason
	}
	return err.Error()
}

// TestDescription: the description is sound, and served.
func TestDescription(t *testing.T) {
	if _, err := description(); err != nil {
		t.Fatal(err)
	}
	s := start(t, nil)
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	resp := s.request("GET", "/openapi.yaml", "", nil)
	if resp.StatusCode != http.StatusOK || resp.Text != string(want) {
		t.Errorf("served is %s, %d bytes", resp.Status, len(resp.Text))
	}
}
