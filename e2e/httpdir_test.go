package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHTTPDir gets files, large ones too, and opens a WebSocket on one port.
func TestHTTPDir(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("0123456789abcdef", 1<<19)
	for name, text := range map[string]string{"index.html": "<p>home", "large.txt": large} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	get := func(c *http.Client, url string, status int, want string) {
		t.Helper()
		response, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != status || string(body) != want {
			t.Fatalf("%s: %s, %d bytes, %v", url, response.Status, len(body), err)
		}
	}
	a := newAuthority(t)
	overTLS := &http.Client{Transport: &http.Transport{TLSClientConfig: a.config()}}
	defer overTLS.CloseIdleConnections()
	site := []string{"protocol auto", "http_dir " + dir}
	plain, encrypted := start(t, site...), a.startTLS(ecKey(t), site...)
	for range 3 { // over one connection
		for url, c := range map[string]*http.Client{"http://" + plain.addr(): http.DefaultClient, fmt.Sprintf("https://localhost:%d", encrypted.port): overTLS} {
			get(c, url+"/", http.StatusOK, "<p>home")
			get(c, url+"/large.txt", http.StatusOK, large)
			get(c, url+"/none", http.StatusNotFound, "")
		}
	}
	if response, err := http.Head("http://" + plain.addr() + "/large.txt"); err != nil || response.ContentLength != int64(len(large)) {
		t.Fatalf("%+v %v", response, err)
	}
	for _, request := range []string{"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
		if got := refusedRequest(t, plain, request); !strings.HasSuffix(got, "\r\n\r\n<p>home") { // until the connection's end
			t.Fatalf("%q: %q", request, got)
		}
	}
	over(t, dialSocket(t, plain), name(t, "socket"))
	joinRaw(t, plain, name(t, "plain"), "", "")
}

// TestHTTPDirToASlowClient takes longer than connect_timeout, which is for clients that do nothing.
func TestHTTPDirToASlowClient(t *testing.T) {
	t.Parallel()
	dir, size := t.TempDir(), int64(32<<20)
	path := filepath.Join(dir, "large")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Truncate(path, size))
	b := start(t, "protocol websockets", "http_dir "+dir, "connect_timeout 1")
	response, err := http.Get(fmt.Sprintf("http://%s/large", b.addr()))
	must(t, err)
	defer response.Body.Close()
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	var read int64
	for read < size {
		<-pace.C
		n, err := io.CopyN(io.Discard, response.Body, 1<<20)
		must(t, err)
		read += n
	}
}
