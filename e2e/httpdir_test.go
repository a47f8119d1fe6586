package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHTTPDir gets files and opens a WebSocket on one port.
func TestHTTPDir(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("x", 192<<10)
	for name, text := range map[string]string{"index.html": "<p>home", "large.txt": large, "larger.txt": large + "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, "protocol auto", "http_dir "+dir)
	get := func(path string, status int, want string) {
		t.Helper()
		response, err := http.Get(fmt.Sprintf("http://%s%s", b.addr(), path))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != status || string(body) != want {
			t.Fatalf("%s: %s, %d bytes, %v", path, response.Status, len(body), err)
		}
	}
	for range 3 { // over one connection
		get("/", http.StatusOK, "<p>home")
		get("/large.txt", http.StatusOK, large)
		get("/larger.txt", http.StatusNotFound, "")
		get("/none", http.StatusNotFound, "")
	}
	over(t, dialSocket(t, b), name(t, "socket"))
	joinRaw(t, b, name(t, "plain"), "", "")
}
